package engine_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/engine"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// s3 starts an S3 server with one bucket and returns the URL of a state in it.
func s3(t *testing.T) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("state"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(srv.Close)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	return "s3://state/team?region=us-east-1&use_path_style=true&endpoint=" + srv.URL
}

// remote is a world whose state is in a bucket.
func remote(t *testing.T, url string) *world {
	t.Helper()
	w := newWorld(t)
	env := map[string]string{"ANYFAAS_HOME": w.dir, "ANYFAAS_PASSPHRASE": "open sesame"}
	w.Engine = open(t, engine.Options{ProjectDir: w.dir, URL: url, Env: func(name string) string { return env[name] }})
	return w
}

func TestStateInABucket(t *testing.T) {
	url := s3(t)
	w := remote(t, url)
	things := []thing{{Name: "api", Props: pulumi.Map{"password": pulumi.ToSecret(pulumi.String("hunter2"))}}, {Name: "worker", Needs: []string{"api"}}}
	same(t, "deploy", []string{"create api", "create worker"}, summary(w.up(t, things...)))

	// Somebody else, on another machine, goes on from there.
	colleague := remote(t, url)
	colleague.cloud = w.cloud
	same(t, "the colleague sees it", []string{}, summary(colleague.preview(t, things...)))
	same(t, "and changes it", []string{"delete worker"}, summary(colleague.up(t, things[:1]...)))
	same(t, "which the first sees", []string{"create worker"}, summary(w.preview(t, things...)))
	updates, err := w.History(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "history", 2, len(updates))
	list, err := w.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "list", []stacks.ID{testID}, []stacks.ID{list[0].ID})
}

func TestLockInABucket(t *testing.T) {
	url := s3(t)
	const runs = 6
	worlds := make([]*world, runs)
	for i := range worlds {
		worlds[i] = remote(t, url)
	}
	entered, leave, losers := make(chan struct{}), make(chan struct{}), make(chan struct{}, runs)
	errs := make([]error, runs)
	var wg sync.WaitGroup
	for i, w := range worlds {
		w.cloud.after = nil
		w.cloud.before = hold(entered, leave)
		wg.Go(func() {
			if errs[i] = w.upErr(t, thing{Name: "api"}); errs[i] != nil {
				losers <- struct{}{}
			}
		})
	}
	<-entered
	for range runs - 1 {
		<-losers
	}
	close(leave)
	wg.Wait()
	won := 0
	for _, err := range errs {
		var locked *stacks.LockedError
		if err == nil {
			won++
		} else if !errors.As(err, &locked) {
			t.Errorf("a loser got %v", err)
		}
	}
	same(t, "winners", 1, won)
}

func TestKilledWithTheStateInABucket(t *testing.T) {
	url := s3(t)
	w := remote(t, url)
	w.up(t, thingsOf(goal[:1])...)
	cmd, out := spawn(t, job{Dir: w.dir, URL: url, Things: goal, HoldAt: "create extra"})
	waitFor(t, out, "holding")
	cmd.Process.Kill()
	cmd.Wait()
	state, err := w.State(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "recorded", []int{2, 1}, []int{len(state.Resources), len(state.Pending)})
	same(t, "the rest", []string{"create extra"}, summary(w.up(t, thingsOf(goal)...)))
	same(t, "nothing left", []string{}, summary(w.preview(t, thingsOf(goal)...)))
}

func TestBucketsThatCannotBeUsed(t *testing.T) {
	url := s3(t)
	w := remote(t, strings.Replace(url, "s3://state", "s3://elsewhere", 1))
	err := w.upErr(t, thing{Name: "api"})
	if err == nil || !strings.HasPrefix(err.Error(), "state s3://elsewhere/team: the bucket does not exist; create it first: ") {
		t.Errorf("a bucket that does not exist: %v", err)
	}

	w = newWorld(t)
	w.Engine = open(t, engine.Options{ProjectDir: w.dir, URL: url, Env: func(name string) string {
		return map[string]string{"ANYFAAS_HOME": w.dir}[name]
	}})
	_, err = w.Up(t.Context(), testID, w.program(thing{Name: "api"}), stacks.Options{}, event.Discard)
	same(t, "no passphrase", "a remote state needs a passphrase for its secrets: set ANYFAAS_PASSPHRASE, or ANYFAAS_PASSPHRASE_FILE to a file that holds it", fmt.Sprint(err))
	if _, err := os.Stat(filepath.Join(w.dir, "state")); err != nil {
		t.Errorf("the guard is not in the home folder: %v", err)
	}
}
