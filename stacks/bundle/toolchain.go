package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// An environment is a list of NAME=value, as programs get it.
type environment []string

// get returns the last value of a name, "" when there is none.
func (e environment) get(name string) string {
	for _, pair := range slices.Backward(e) {
		if k, v, ok := strings.Cut(pair, "="); ok && k == name {
			return v
		}
	}
	return ""
}

// with returns the environment with more settings.
func (e environment) with(pairs ...string) environment { return append(slices.Clone(e), pairs...) }

// which returns the executables of that name on PATH, in its order.
func (e environment) which(name string) []string {
	var found []string
	for _, dir := range filepath.SplitList(e.get("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // a program must not depend on where the command was typed
		}
		path := filepath.Join(dir, name)
		if runtime.GOOS == "windows" {
			path += ".exe"
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
			found = append(found, path)
		}
	}
	return found
}

// A tool is a program of a language.
type tool struct {
	Path    string `json:"path"`    // the real one, behind any version manager
	Version string `json:"version"` // "3.11.7"
}

// A probe asks a program for its version. The answer is two lines: the path of
// the real program and its version.
type probe struct {
	args []string
}

// A toolbox finds each program once per Build.
type toolbox struct {
	mu    sync.Mutex
	found map[string]*probed
	paths sync.Map // name of a program → its paths
}

// which is environment.which, looked up once per Build.
func (b *builder) which(name string) []string {
	if paths, ok := b.tools.paths.Load(name); ok {
		return paths.([]string)
	}
	paths := b.env.which(name)
	b.tools.paths.Store(name, paths)
	return paths
}

type probed struct {
	once sync.Once
	tool tool
	err  error
}

// A toolRecord keeps a probe's answer until the program or what a version
// manager chooses by changes.
type toolRecord struct {
	Tool   tool     `json:"tool"`
	Broken string   `json:"broken,omitempty"` // why it does not run
	Stamps []string `json:"stamps"`
}

// tool returns what is at path. Asking costs a process (a tenth of a second
// behind some version managers), so answers are kept in the cache.
func (b *builder) tool(ctx context.Context, path string, p probe) (tool, error) {
	b.tools.mu.Lock()
	if b.tools.found == nil {
		b.tools.found = map[string]*probed{}
	}
	entry := b.tools.found[path]
	if entry == nil {
		entry = new(probed)
		b.tools.found[path] = entry
	}
	b.tools.mu.Unlock()
	entry.once.Do(func() { entry.tool, entry.err = b.askTool(ctx, path, p) })
	return entry.tool, entry.err
}

func (b *builder) askTool(ctx context.Context, path string, p probe) (tool, error) {
	key := digest([]string{path, b.graph.Dir, b.env.get("PATH")}) + ".json"
	stamps := slices.Clip(b.choiceStamps(path))
	var rec toolRecord
	if !b.store.readJSON(&rec, "tools", key) || !slices.Equal(rec.Stamps, append(stamps, stampOf(rec.Tool.Path))) {
		rec.Tool, rec.Broken = b.runProbe(ctx, path, p)
		if ctx.Err() != nil {
			return tool{}, context.Cause(ctx)
		}
		rec.Stamps = append(stamps, stampOf(rec.Tool.Path))
		if err := b.store.writeJSON(rec, "tools", key); err != nil {
			return tool{}, err
		}
	}
	if rec.Broken != "" {
		return tool{}, errors.New(rec.Broken)
	}
	return rec.Tool, nil
}

// runProbe asks the program at path, or says why it cannot be used.
func (b *builder) runProbe(ctx context.Context, path string, p probe) (found tool, broken string) {
	stdout, _, err := capture(b.program(ctx, b.graph.Dir, path, p.args...))
	if err != nil {
		return tool{}, fmt.Sprintf("%s: %v", path, err)
	}
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(string(stdout)), "\r\n", "\n"), "\n")
	if len(lines) != 2 || !filepath.IsAbs(lines[0]) {
		return tool{}, fmt.Sprintf("%s: answered %q when asked for its version", path, stdout)
	}
	return tool{lines[0], lines[1]}, ""
}

// choiceStamps tells apart the states of everything a version manager's shim at
// path may choose by: the shim, the variables, and the files of the usual ones.
func (b *builder) choiceStamps(path string) []string {
	stamps := []string{stampOf(path)}
	home := b.env.get("HOME")
	for _, name := range []string{"PYENV_VERSION", "PYENV_ROOT", "NODENV_VERSION", "ASDF_NODEJS_VERSION", "ASDF_PYTHON_VERSION", "ASDF_GOLANG_VERSION", "VOLTA_HOME", "GOROOT", "GOTOOLCHAIN"} {
		if v := b.env.get(name); v != "" {
			stamps = append(stamps, name+"="+v)
		}
	}
	files := []string{filepath.Join(home, ".pyenv", "version"), filepath.Join(b.env.get("PYENV_ROOT"), "version"), filepath.Join(home, ".nodenv", "version"), filepath.Join(home, ".config", "go", "env"), filepath.Join(home, ".config", "mise", "config.toml")}
	for dir := b.graph.Dir; ; dir = filepath.Dir(dir) {
		for _, name := range []string{".python-version", ".node-version", ".nvmrc", ".tool-versions", "mise.toml", "package.json", "go.mod", "go.work"} {
			files = append(files, filepath.Join(dir, name))
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for _, f := range files {
		if s := stampOf(f); s != "" {
			stamps = append(stamps, s)
		}
	}
	return stamps
}

// stampOf identifies a file's state, "" when it is absent.
func stampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
}

// A need is a language version a function asks for.
type need struct {
	language string   // as in messages: "Python"
	names    []string // programs that may be it, best first
	version  string   // "3.12", "22"; "" when any will do
	install  string   // hint
	probe    probe
}

// interpreter returns the first program of the version asked for, else the newest
// there is, with a warning; or an error when there is none.
func (j *job) interpreter(ctx context.Context, n need) (tool, error) {
	var newest tool
	var broken error
	for _, name := range n.names {
		for _, path := range j.which(name) {
			t, err := j.tool(ctx, path, n.probe)
			if ctx.Err() != nil {
				return tool{}, context.Cause(ctx)
			}
			if err != nil {
				broken = errors.Join(broken, err) // a shim of an absent version, mostly
				continue
			}
			if n.version == "" || sameVersion(t.Version, n.version) {
				return t, nil
			}
			if newest.Path == "" || compareVersions(t.Version, newest.Version) > 0 {
				newest = t
			}
		}
	}
	pos := j.fn.Position.At("runtime")
	if newest.Path == "" {
		d := j.diags.Errorf(pos, CodeToolchainMissing, "runtime %s needs %s, which is not on PATH", j.fn.Runtime, n.language)
		if broken != nil {
			d.Message = fmt.Sprintf("runtime %s needs %s, and what is on PATH does not run: %s", j.fn.Runtime, n.language, firstLine(broken.Error()))
		}
		d.Hint = n.install
		return tool{}, errDiagnosed
	}
	j.other = &otherVersion{
		pos: pos, function: j.fn.Name, hint: n.install,
		message: fmt.Sprintf("runtime %s runs with %s %s on this machine (%s)", j.fn.Runtime, n.language, newest.Version, newest.Path),
	}
	return newest, nil
}

// An otherVersion is used for a function because there is not the one it asks for.
type otherVersion struct {
	pos                     diag.Pos
	function, message, hint string
}

// warnOfVersions warns once of each version that is used instead of another, at
// the first place that asks for it. One line that says for which functions is
// read; the same line for each of them is not.
func warnOfVersions(l *diag.List, others []*otherVersion) {
	const most = 5
	byMessage := map[string][]*otherVersion{}
	for _, o := range others {
		byMessage[o.message] = append(byMessage[o.message], o)
	}
	for message, all := range byMessage {
		first := slices.MinFunc(all, func(a, b *otherVersion) int { return a.pos.Compare(b.pos) })
		names := make([]string, len(all))
		for i, o := range all {
			names[i] = o.function
		}
		if len(names) > most {
			names = append(names[:most], fmt.Sprintf("%d more", len(names)-most))
		}
		if n := len(names); n > 1 {
			message += ", for " + strings.Join(names[:n-1], ", ") + " and " + names[n-1]
		}
		l.Warnf(first.pos, CodeToolchainVersion, "%s", message).Hint = first.hint
	}
}

// sameVersion reports whether have is of the release want: 3.12.4 of 3.12.
func sameVersion(have, want string) bool {
	return have == want || strings.HasPrefix(have, want+".")
}

// compareVersions orders dotted numbers.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return x - y
		}
	}
	return 0
}

// program prepares a program of a toolchain. It is killed with ctx, and does not
// outlive it by more than a moment.
func (b *builder) program(ctx context.Context, dir, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, b.env
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// capture runs cmd and returns what it printed on each stream.
func capture(cmd *exec.Cmd) (stdout, stderr []byte, err error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.Bytes(), errs.Bytes(), err
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
