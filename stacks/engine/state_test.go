package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/engine"
	"github.com/anyfaas/anyfaas/stacks/event"
)

func TestStateHistoryAndList(t *testing.T) {
	w := newWorld(t)
	if state, err := w.State(t.Context(), testID); state != nil || err != nil {
		t.Errorf("a stack that does not exist has the state %+v, %v", state, err)
	}
	if list, err := w.List(t.Context(), ""); len(list) != 0 || err != nil {
		t.Errorf("before the first deploy there are the stacks %+v, %v", list, err)
	}
	w.up(t, thing{Name: "api", Props: pulumi.Map{"size": pulumi.Int(1), "password": pulumi.ToSecret(pulumi.String("hunter2"))}})
	_, err := w.Up(t.Context(), testID, w.program(thing{Name: "api"}, thing{Name: "worker"}), stacks.Options{Message: "more workers"}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	w.up(t, thing{Name: "api", Props: pulumi.Map{"password": pulumi.ToSecret(pulumi.String("hunter2"))}})

	state, err := w.State(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "outputs", map[string]any{"api": "fake://api"}, state.Outputs)
	same(t, "resources", []stacks.Resource{{
		URN: "urn:pulumi:dev-local::orders::fake:index:Thing::api", Type: "fake:index:Thing", Name: "api", ID: "fake:index:Thing/api",
		Inputs:  map[string]any{"name": "api", "password": "[secret]"},
		Outputs: map[string]any{"name": "api", "password": "[secret]", "url": "fake://api"},
	}}, state.Resources)
	same(t, "serial", 3, state.Serial)

	updates, err := w.History(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, u := range updates {
		if u.Started.IsZero() || u.Ended.Before(u.Started) {
			t.Errorf("update %d lasted from %v to %v", u.Version, u.Started, u.Ended)
		}
		lines = append(lines, fmt.Sprintf("%d %s %s %q %v", u.Version, u.Operation, u.Result, u.Message, u.Counts))
	}
	same(t, "history", []string{
		`3 deploy succeeded "" map[delete:1 update:1]`,
		`2 deploy succeeded "more workers" map[create:1 update:1]`,
		`1 deploy succeeded "" map[create:1]`,
	}, lines)

	other := testID
	other.Stage = "prod-eu"
	if _, err := w.Up(t.Context(), other, w.program(thing{Name: "api"}), stacks.Options{}, event.Discard); err != nil {
		t.Fatal(err)
	}
	list, err := w.List(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	lines = nil
	for _, s := range list {
		lines = append(lines, fmt.Sprint(s.ID, s.Resources, s.Locked))
	}
	same(t, "list", []string{"orders/dev (local) 1 <nil>", "orders/prod-eu (local) 1 <nil>"}, lines)
	list, err = w.List(t.Context(), "elsewhere")
	if len(list) != 0 || err != nil {
		t.Errorf("another service has %+v, %v", list, err)
	}
}

func TestExportAndImport(t *testing.T) {
	w := newWorld(t)
	api := thing{Name: "api", Props: pulumi.Map{"password": pulumi.ToSecret(pulumi.String("hunter2"))}}
	w.up(t, api)
	exported, err := w.Export(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	w.up(t, api, thing{Name: "worker"})

	if err := w.Import(t.Context(), testID, exported); err != nil {
		t.Fatal(err)
	}
	again, err := w.Export(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "round trip", string(exported), string(again))
	same(t, "the imported state counts", []string{"create worker"}, summary(w.preview(t, api, thing{Name: "worker"})))
	backups, err := filepath.Glob(filepath.Join(w.dir, ".anyfaas/state/.pulumi/backups/orders/dev-local/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(backups[len(backups)-1])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(kept, []byte("::worker")) {
		t.Errorf("the state before the import is not in the last backup: %s", kept)
	}
}

func TestImportRefuses(t *testing.T) {
	w := newWorld(t)
	w.up(t, thing{Name: "api", Props: pulumi.Map{"password": pulumi.ToSecret(pulumi.String("hunter2"))}})
	exported, err := w.Export(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) json.RawMessage {
		out := strings.ReplaceAll(string(exported), old, new)
		if out == string(exported) {
			t.Fatalf("%q is not in %s", old, exported)
		}
		return json.RawMessage(out)
	}
	var stranger *world
	tests := []struct {
		name string
		in   json.RawMessage
		by   **world
		want string
	}{
		{name: "what is not JSON", in: json.RawMessage("hello"), want: "the file is not an exported state: "},
		{name: "what is no state", in: json.RawMessage(`{"version":3}`), want: "the file is not an exported state: "},
		{name: "the state of another stack", in: replace("dev-local", "prod-aws"), want: "the file is the state of another stack: it contains urn:pulumi:prod-aws::orders::pulumi:pulumi:Stack::orders-prod-aws, and this stack is organization/orders/dev-local"},
		{name: "a state with a hole", in: replace(`"parent":"urn:pulumi:dev-local::orders::pulumi:pulumi:Stack::orders-dev-local"`, `"parent":"urn:pulumi:dev-local::orders::pulumi:pulumi:Stack::gone"`), want: "the state does not fit together: "},
		{name: "secrets of another key", in: exported, by: &stranger, want: "state: "},
	}
	dir := t.TempDir()
	stranger = &world{Engine: open(t, engine.Options{ProjectDir: dir}), dir: dir}
	writeFile(t, filepath.Join(dir, ".anyfaas/state/key"), []byte("another"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := w
			if tt.by != nil {
				e = *tt.by
			}
			before, _ := w.Export(t.Context(), testID)
			err := e.Import(t.Context(), testID, tt.in)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v; want %s…", err, tt.want)
			}
			after, _ := w.Export(t.Context(), testID)
			same(t, "the state", string(before), string(after))
		})
	}
}

func TestSecretsAreNeverInPlainText(t *testing.T) {
	const plain = "correct-horse-battery-staple"
	tests := []struct {
		name string
		env  map[string]string
	}{
		{name: "with the key file", env: nil},
		{name: "with a passphrase", env: map[string]string{"ANYFAAS_PASSPHRASE": "open sesame"}},
		{name: "with Pulumi's variable", env: map[string]string{"PULUMI_CONFIG_PASSPHRASE": "open sesame"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			o := engine.Options{ProjectDir: w.dir, Env: func(name string) string { return tt.env[name] }}
			w.Engine = open(t, o)
			if err := w.SetSecret(t.Context(), testID, "TOKEN", providers.NewSecret(plain)); err != nil {
				t.Fatal(err)
			}
			search := func(when string) {
				t.Helper()
				err := filepath.WalkDir(filepath.Join(w.dir, ".anyfaas"), func(p string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					data, err := os.ReadFile(p)
					if bytes.Contains(data, []byte(plain)) {
						t.Errorf("%s, %s contains the secret", when, p)
					}
					if tt.env != nil && (strings.HasSuffix(p, "/key") || bytes.Contains(data, []byte("open sesame"))) && !bytes.Equal(data, keys(t)["key"]) {
						t.Errorf("%s, %s contains a passphrase", when, p)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			w.cloud.after = func(string, providers.Resource) { search("during the deploy") } // the journal is there now
			api := thing{Name: "api", Props: pulumi.Map{"env": pulumi.Map{"TOKEN": pulumi.ToSecret(pulumi.String(plain))}}}
			w.up(t, api)
			search("after the deploy")
			same(t, "the cloud knows it", `{"env":{"TOKEN":"`+plain+`"},"name":"api"}`, w.cloud.content(t, "fake:index:Thing/api"))

			// Another process reads all of it again.
			w.Engine = open(t, o)
			same(t, "unchanged", []string{}, summary(w.preview(t, api)))
			secrets, err := w.Secrets(t.Context(), testID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "the secret of the stack", plain, secrets["TOKEN"].Reveal())
			if err := w.RemoveSecret(t.Context(), testID, "TOKEN"); err != nil {
				t.Fatal(err)
			}
			if secrets, err = w.Secrets(t.Context(), testID); len(secrets) != 0 || err != nil {
				t.Errorf("removed, there is still %v, %v", secrets, err)
			}
		})
	}
}

func TestKeysThatAreWrongOrGone(t *testing.T) {
	api := thing{Name: "api", Props: pulumi.Map{"password": pulumi.ToSecret(pulumi.String("hunter2"))}}
	tests := []struct {
		name string
		env  map[string]string
		lose bool // the key file
		want string
	}{
		{name: "another passphrase", env: map[string]string{"ANYFAAS_PASSPHRASE": "wrong"}, want: "the passphrase is not the one the secrets of this stack were encrypted with"},
		{name: "a file that is not there", env: map[string]string{"ANYFAAS_PASSPHRASE_FILE": "/nonexistent"}, want: "ANYFAAS_PASSPHRASE_FILE: open /nonexistent: no such file or directory"},
		{name: "no key file any more", lose: true, want: "is gone, and with it the key to the secrets of this stack: restore it, or set ANYFAAS_PASSPHRASE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.up(t, api)
			if tt.lose {
				if err := os.Remove(filepath.Join(w.dir, ".anyfaas/state/key")); err != nil {
					t.Fatal(err)
				}
			}
			w.Engine = open(t, engine.Options{ProjectDir: w.dir, Env: func(name string) string { return tt.env[name] }})
			_, err := w.Preview(t.Context(), testID, w.program(api), stacks.Options{}, event.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want %s", err, tt.want)
			}
			if _, err := w.State(t.Context(), testID); err != nil {
				t.Errorf("the state can be looked at without a key, but: %v", err)
			}
		})
	}
}

func TestFilesOfTheState(t *testing.T) {
	dir := t.TempDir()
	e := open(t, engine.Options{ProjectDir: dir})
	if _, err := e.Preview(t.Context(), testID, stacks.Program{Run: declare()}, stacks.Options{}, event.Discard); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); len(entries) != 0 || err != nil {
		t.Errorf("a preview made %v, %v", entries, err)
	}
	if _, err := e.Up(t.Context(), testID, stacks.Program{Run: declare()}, stacks.Options{}, event.Discard); err != nil {
		t.Fatal(err)
	}
	key, err := os.Stat(filepath.Join(dir, ".anyfaas/state/key"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "rights of the key file", fs.FileMode(0o600), key.Mode().Perm())
	ignore, err := os.ReadFile(filepath.Join(dir, ".anyfaas/.gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, ".gitignore", "*\n", string(ignore))
	meta, err := os.ReadFile(filepath.Join(dir, ".anyfaas/state/.pulumi/meta.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "meta.yaml", "version: 1\n", string(meta))
}

func TestPlacesOfTheState(t *testing.T) {
	tests := []struct{ url, want string }{
		{"ftp://x/y", `state "ftp://x/y": use file://DIR, s3://BUCKET, gs://BUCKET or azblob://CONTAINER`},
		{"https://api.pulumi.com", `state "https://api.pulumi.com": use file://DIR, s3://BUCKET, gs://BUCKET or azblob://CONTAINER`},
		{"s3://", `state "s3://" names no bucket; write s3://BUCKET`},
		{"file://", `state "file://": names no folder`},
	}
	for _, tt := range tests {
		_, err := engine.New(engine.Options{URL: tt.url})
		same(t, tt.url, tt.want, fmt.Sprint(err))
	}
	dir := t.TempDir()
	e := open(t, engine.Options{ProjectDir: dir, URL: "file://shared"})
	if _, err := e.Up(t.Context(), testID, stacks.Program{Run: declare()}, stacks.Options{}, event.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "shared/.pulumi/stacks/orders/dev-local.json")); err != nil {
		t.Error(err)
	}
}

func TestStatesOfOtherLayouts(t *testing.T) {
	tests := []struct{ name, file, content, want string }{
		{"old Pulumi layout", ".pulumi/stacks/dev.json", "{}", "the state has Pulumi's old layout, with .pulumi/stacks/dev.json; run `pulumi state upgrade` first"},
		{"newer layout", ".pulumi/meta.yaml", "version: 9\n", "the state has a layout (version: 9) that this program does not know"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			writeFile(t, filepath.Join(w.dir, ".anyfaas/state", tt.file), []byte(tt.content))
			same(t, "error", tt.want, fmt.Sprint(w.upErr(t, thing{Name: "api"})))
			same(t, "nothing was done", []string{}, w.cloud.exist(t))
		})
	}
}

func TestOldCopiesGo(t *testing.T) {
	w := newWorld(t)
	for i := range 54 {
		prefix := filepath.Join(w.dir, fmt.Sprintf(".anyfaas/state/.pulumi/history/orders/dev-local/dev-local-%d", i+10))
		writeFile(t, prefix+".checkpoint.json", []byte("{}"))
		writeFile(t, prefix+".history.json", []byte("{}"))
		writeFile(t, filepath.Join(w.dir, fmt.Sprintf(".anyfaas/state/.pulumi/backups/orders/dev-local/dev-local.%d.json", i+10)), []byte("{}"))
	}
	w.up(t)
	count := func(pattern string) int {
		list, err := filepath.Glob(filepath.Join(w.dir, ".anyfaas/state/.pulumi", pattern))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	same(t, "copies in the history", 50, count("history/orders/dev-local/*.checkpoint.json"))
	same(t, "entries of the history", 55, count("history/orders/dev-local/*.history.json"))
	same(t, "backups", 50, count("backups/orders/dev-local/*.json"))
}
