package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/engine"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A job is what a child process of the tests does.
type job struct {
	Dir    string
	URL    string // of the state; "" for the folder of the project
	Things []thingSpec
	Remove bool
	Pause  time.Duration // of every change, before and after it is made
	Hold   bool          // stop for good in the first change
	HoldAt string        // stop for good once this has been done: "create api"
}

// thingSpec is a thing that can be sent to another process.
type thingSpec struct {
	Type, Name, Real string
	Size, Generation int
	Needs            []string
}

func (s thingSpec) thing() thing {
	return thing{Type: s.Type, Name: s.Name, Real: s.Real, Needs: s.Needs, Props: pulumi.Map{"size": pulumi.Int(s.Size), "generation": pulumi.Int(s.Generation)}}
}

func thingsOf(specs []thingSpec) []thing {
	var list []thing
	for _, s := range specs {
		list = append(list, s.thing())
	}
	return list
}

const childVariable = "ENGINE_TEST_JOB"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		if err := child(text); err != nil {
			var locked *stacks.LockedError
			if errors.As(err, &locked) {
				fmt.Println("locked by process", locked.Holder.PID)
				os.Exit(5)
			}
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	c := &cloud{dir: filepath.Join(j.Dir, "cloud")}
	c.before = func(context.Context, string, providers.Resource) error {
		if j.Hold {
			fmt.Println("holding")
			select {}
		}
		time.Sleep(j.Pause)
		return nil
	}
	c.after = func(op string, r providers.Resource) {
		if op+" "+r.Name == j.HoldAt {
			fmt.Println("holding")
			select {}
		}
		time.Sleep(j.Pause)
	}
	env := map[string]string{}
	if j.URL != "" {
		env = map[string]string{"ANYFAAS_HOME": j.Dir, "ANYFAAS_PASSPHRASE": "open sesame"}
	}
	e, err := engine.New(engine.Options{ProjectDir: j.Dir, URL: j.URL, Env: func(name string) string { return env[name] }})
	if err != nil {
		return err
	}
	w := &world{Engine: e, dir: j.Dir, cloud: c}
	p := w.program(thingsOf(j.Things)...)
	if j.Remove {
		_, err = w.Destroy(context.Background(), testID, p, stacks.Options{}, event.Discard)
	} else {
		_, err = w.Up(context.Background(), testID, p, stacks.Options{AllowDataLoss: true, Parallel: 4}, event.Discard)
	}
	return err
}

// spawn starts a child process for the job.
func spawn(t testing.TB, j job) (*exec.Cmd, io.Reader) {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}

// Whatever the moment of a kill, the next deploy makes the cloud what the program
// says, and nothing is left over or forgotten.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	w.up(t) // so that kills do not all fall into working out the first key
	kills := 16
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = n // for a long run by hand
	}
	for round := range kills {
		// Each round wants something else: new sizes, replacements in both
		// orders, some resources gone, a dependency.
		var specs []thingSpec
		for i := range 8 {
			if (i+round)%4 == 0 {
				continue
			}
			s := thingSpec{Name: fmt.Sprintf("r%d", i), Size: round}
			if i%3 == 1 {
				s.Type, s.Real = "Unique", fmt.Sprintf("r%d-%d", i, round/2%2)
			}
			if i == 4 {
				s.Generation = round // replaced under the same name
			}
			if i%3 == 2 {
				s.Real = fmt.Sprintf("r%d-%d", i, round/2)
			}
			if len(specs) > 0 && i%2 == 0 {
				s.Needs = []string{specs[0].Name}
			}
			specs = append(specs, s)
		}
		j := job{Dir: w.dir, Things: specs, Pause: 2 * time.Millisecond, Remove: round%5 == 4}
		cmd, out := spawn(t, j)
		delay := time.Duration(rng.IntN(160)) * time.Millisecond
		time.Sleep(delay)
		cmd.Process.Kill()
		said, _ := io.ReadAll(out)
		ended := cmd.Wait()
		t.Logf("round %d: killed after %v: %v %s", round, delay, ended, said)

		// Half of the time the next program is another one.
		if round%2 == 1 {
			specs = specs[:len(specs)-2]
		}
		things := thingsOf(specs)
		if _, err := w.Up(t.Context(), testID, w.program(things...), stacks.Options{AllowDataLoss: true}, event.Discard); err != nil {
			t.Fatalf("round %d: deploy after the kill: %v", round, err)
		}
		var want []string
		for _, s := range specs {
			typ, name := "Thing", s.Name
			if s.Type != "" {
				typ = s.Type
			}
			if s.Real != "" {
				name = s.Real
			}
			id := "fake:index:" + typ + "/" + name
			want = append(want, id)
			if content := w.cloud.content(t, id); !strings.Contains(content, fmt.Sprintf(`"size":%d`, s.Size)) {
				t.Fatalf("round %d: %s is %s", round, id, content)
			}
		}
		slices.Sort(want)
		got := w.cloud.exist(t)
		slices.Sort(got)
		same(t, fmt.Sprintf("cloud after round %d", round), want, got)
		same(t, fmt.Sprintf("preview after round %d", round), []string{}, summary(w.preview(t, things...)))
		if t.Failed() {
			t.FailNow()
		}
	}
}
