package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// Nothing is asked of any network: the whole life of a service on this machine
// passes in a network namespace that has a loopback device and nothing else.
func TestNoNetworkIsNeeded(t *testing.T) {
	t.Parallel()
	need(t, "net")
	w := newWorld(t, "examples/meetings")
	w.must(0, "package") // the Go toolchain may fetch itself, which is its own business
	script := strings.Join([]string{
		"set -e",
		"ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || python3 -c '" + loopbackUp + "'",
		`"$0" validate`,
		`"$0" preview`,
		`"$0" deploy --yes`,
		`"$0" invoke planner --trigger http --data '{"method":"GET","path":"/zones/UTC?at=2026-01-01T12:00:00Z"}'`,
		`"$0" preview --exit-code`,
		`"$0" remove --yes`,
	}, "\n")
	cmd := exec.Command("unshare", "--net", "sh", "-c", script, binary)
	cmd.Dir, cmd.Env = w.dir, w.environ()
	r := w.finish(cmd)
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	if want := `"time":"2026-01-01T12:00:00Z"`; !strings.Contains(r.stdout, want) {
		t.Errorf("the function did not answer %s:\n%s", want, r.stdout)
	}
}

// loopbackUp brings the loopback device up where no tool for it is installed:
// SIOCGIFFLAGS, then SIOCSIFFLAGS with IFF_UP.
const loopbackUp = `import fcntl,socket,struct
s=socket.socket()
r=fcntl.ioctl(s,0x8913,struct.pack("16sh14x",b"lo",0))
f=struct.unpack("16sh",r[:18])[1]
fcntl.ioctl(s,0x8914,struct.pack("16sh14x",b"lo",f|1))`
