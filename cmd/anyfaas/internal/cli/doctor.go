package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/stacks"
)

func newDoctor() *command {
	return &command{
		name: "doctor", summary: "tell what is missing on this machine and how to get it",
		about: "Looks at the languages the manifest's functions are written in, the local host,\n" +
			"the state and its key, the port and the disk. Nothing is changed.",
		examples: []string{"anyfaas doctor", "anyfaas doctor -o json"},
		exits:    exitsPlain, answers: true,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return doctor(ctx, c)
		},
	}
}

// A finding is one thing that the doctor looked at.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // "ok", "missing" (needed), "note" (worth knowing)
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

func ok(check, text string) finding { return finding{Check: check, State: "ok", Text: text} }

func doctor(ctx context.Context, c call) error {
	var found []finding
	g, diagnostics := c.load()
	switch {
	case g != nil:
		found = append(found, ok("manifest", fmt.Sprintf("%s: %s in stage %s on %s", g.File, g.Service, g.Stage, g.Provider)))
	case len(c.session.sources) == 0:
		found = append(found, finding{"manifest", "note", "there is none in " + c.Dir, "start a project with anyfaas init"})
	default:
		found = append(found, finding{"manifest", "missing", count(len(diagnostics), "problem"), "see anyfaas validate"})
	}
	found = append(found, c.languages(ctx, g)...)
	found = append(found, c.state(ctx, g)...)
	if g == nil || g.Provider == "local" {
		found = append(found, c.localHost(ctx, g)...)
	}
	found = append(found, c.disk(g))
	missing := slices.ContainsFunc(found, func(f finding) bool { return f.State == "missing" })
	if c.json {
		if err := c.answer(struct {
			Version  int       `json:"version"`
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{1, !missing, found}); err != nil {
			return err
		}
	} else {
		writeFindings(c, found)
	}
	if missing {
		return exitError(exitFailed)
	}
	return nil
}

func writeFindings(c call, found []finding) {
	var rows [][2]string
	for _, f := range found {
		text := f.Text
		if f.Hint != "" {
			text += "\n" + strings.Repeat(" ", 21) + f.Hint
		}
		rows = append(rows, [2]string{fmt.Sprintf("%-8s %-8s", f.State, f.Check), text})
	}
	writeRows(c.Stdout, rows)
}

// A toolchain is a program that a language needs.
type toolchain struct {
	language string
	program  string
	args     []string // that make it print its version
	hint     string
}

var toolchains = []toolchain{
	{"go", "go", []string{"version"}, "install Go from https://go.dev/dl"},
	{"node", "node", []string{"--version"}, "install Node.js from https://nodejs.org"},
	{"python", "python3", []string{"--version"}, "install Python from https://www.python.org/downloads"},
}

// languages looks for what the functions are written in; without a manifest,
// for every language, none of which is needed.
func (c call) languages(ctx context.Context, g *graph.Graph) []finding {
	wanted := map[string][]string{} // language to versions
	if g != nil {
		for _, f := range g.Functions {
			if !slices.Contains(wanted[f.Runtime.Language], f.Runtime.Version) {
				wanted[f.Runtime.Language] = append(wanted[f.Runtime.Language], f.Runtime.Version)
			}
		}
	}
	var found []finding
	for _, t := range toolchains {
		versions, needed := wanted[t.language]
		if g != nil && !needed {
			continue
		}
		text, err := c.Tools.Version(ctx, t.program, t.args...)
		switch {
		case err != nil && needed:
			found = append(found, finding{t.language, "missing", t.program + " is not here", t.hint})
		case err != nil:
			found = append(found, finding{t.language, "note", t.program + " is not here", "for functions in it, " + t.hint})
		default:
			found = append(found, ok(t.language, text))
			for _, v := range versions {
				if v != "" && !strings.Contains(" "+strings.TrimLeft(lastWord(text), "v")+".", " "+v+".") {
					found = append(found, finding{t.language, "note", fmt.Sprintf("a function asks for %s%s", t.language, v), "on this machine it runs with " + text})
				}
			}
		}
	}
	return found
}

// lastWord returns the version in "Python 3.12.1" and "v22.1.0".
func lastWord(s string) string {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// state looks at the place where state lives and at what keeps its secrets.
func (c call) state(ctx context.Context, g *graph.Graph) []finding {
	if g == nil {
		return nil
	}
	s, err := c.openRecorded()
	if err == nil {
		_, err = s.State(ctx)
	}
	where := "a folder beside the manifest"
	if b := c.backend; b != "" {
		where = b
	} else if g.Backend != "" {
		where = g.Backend
	}
	var found []finding
	switch {
	case errors.Is(err, stacks.ErrNotDeployed):
		found = append(found, ok("state", where+"; nothing is deployed yet"))
	case err != nil:
		found = append(found, finding{"state", "missing", err.Error(), "see that the backend exists and that this machine may use it"})
	default:
		found = append(found, ok("state", where))
	}
	if where != "a folder beside the manifest" {
		return append(found, c.passphrase())
	}
	return append(found, keyFile(filepath.Join(g.Dir, ".anyfaas", "state"))...)
}

// passphrase looks for the key of a state that others share.
func (c call) passphrase() finding {
	for _, v := range []string{"ANYFAAS_PASSPHRASE", "ANYFAAS_PASSPHRASE_FILE", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} {
		if c.getenv(v) != "" {
			return ok("key", "from "+v)
		}
	}
	return finding{"key", "missing", "there is no passphrase for the secrets in the state", "set ANYFAAS_PASSPHRASE, or ANYFAAS_PASSPHRASE_FILE to a file that holds it"}
}

// keyFile looks at the key beside local state: nobody else may read it.
func keyFile(folder string) []finding {
	path := filepath.Join(folder, "key")
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return []finding{{"key", "missing", err.Error(), "make it readable for you"}}
	case info.Mode().Perm()&0o077 != 0:
		return []finding{{"key", "missing", fmt.Sprintf("%s may be read by others (%s)", path, info.Mode().Perm()), "chmod 600 " + path}}
	}
	return []finding{ok("key", path)}
}

// localHost looks at the process that runs functions, and at the port it needs.
func (c call) localHost(ctx context.Context, g *graph.Graph) []finding {
	st, err := c.Host.Status(ctx, c.home())
	switch {
	case err != nil:
		return []finding{{"host", "missing", err.Error(), "see " + filepath.Join(c.home(), "local", "host.log")}}
	case st == nil:
		found := []finding{ok("host", "does not run; the first deploy starts it")}
		port := 0
		if g != nil {
			port, _ = strconv.Atoi(g.Settings["port"])
		}
		if port == 0 {
			return found
		}
		if err := c.Tools.Listen(port); err != nil {
			return append(found, finding{"port", "missing", fmt.Sprintf("%d is taken", port), "end what uses it, or change providers.local.port"})
		}
		return append(found, ok("port", fmt.Sprintf("%d is free", port)))
	case st.Version != c.Release.Host():
		return []finding{{"host", "note", fmt.Sprintf("process %d is version %s, this is %s", st.PID, st.Version, c.Release.Host()), "anyfaas local stop && anyfaas local start"}}
	}
	return []finding{ok("host", fmt.Sprintf("process %d with %s", st.PID, count(len(st.Stacks), "stack")))}
}

// disk looks at the space left where artifacts and data go.
func (c call) disk(g *graph.Graph) finding {
	folder := c.Dir
	if g != nil {
		folder = g.Dir
	}
	free, err := c.Tools.Free(folder)
	switch {
	case err != nil:
		return finding{"disk", "note", err.Error(), ""}
	case free < 200_000_000:
		return finding{"disk", "missing", fmt.Sprintf("%s left", size(int64(free))), "free at least 200 MB in " + folder}
	}
	return ok("disk", fmt.Sprintf("%s left", size(int64(free))))
}
