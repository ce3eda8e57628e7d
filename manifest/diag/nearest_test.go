package diag

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"memory", "timeout", "runtime", "env", "on", "uses"}
	for in, want := range map[string]string{"memroy": "memory", "Memory": "memory", "timout": "timeout", "time": "", "no": "on", "evn": "env", "x": "", "environment": "", "use": "uses"} {
		if got := Nearest(in, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", in, got, want)
		}
	}
}
