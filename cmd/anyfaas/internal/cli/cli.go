// Package cli is the command line of anyfaas: flags, prompts, exit codes and
// what is printed where. It decides nothing about services, which is the
// business of package stacks, and takes the whole world from an Env.
package cli

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"runtime/debug"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"github.com/anyfaas/anyfaas/manifest"
)

// Run runs one command line, without the program's name, and returns the exit
// code. When ctx ends, the running operation stops as soon as what it has begun
// is finished and recorded.
func Run(ctx context.Context, env Env, args []string) (code int) {
	s := &session{env: env}
	defer func() {
		if r := recover(); r != nil {
			code = s.crashed(r, debug.Stack())
		}
	}()
	shared := sharedFlags(env.Providers.Names())
	root := tree()
	l, err := arrange(root, shared, args, env.Lookup)
	s.json = l.given("output", "json")
	s.color = env.Terminal.Err && env.getenv("NO_COLOR") == "" && !l.given("no-color", "true")
	s.path = pathOf(l)
	switch verb := l.verb(); {
	case err != nil:
	case l.help || verb == root && len(args) == 0:
		writeHelp(env.Stdout, l, shared)
		return exitOK
	case verb.run == nil:
		var names []string
		for _, k := range verb.visible() {
			names = append(names, k.name)
		}
		err = &usageError{text: title(l) + " needs a command: " + alternatives(names), hint: "see anyfaas " + strings.TrimSpace(s.path+" --help")}
	default:
		err = s.app(root, shared).RunContext(ctx, append([]string{"anyfaas"}, l.args...))
	}
	return s.report(ctx, err)
}

// tree returns every command there is, in the order help lists them.
func tree() *command {
	return &command{
		summary: "deploy functions from one serverless.yaml, to a cloud or to this machine",
		exits:   allCodes(),
		children: []*command{
			newInit(), newTemplates(), newValidate(), newPackage(),
			newPreview(), newDeploy(), newRemove(), newRefresh(), newInfo(),
			newInvoke(), newLogs(), newLocal(), newSecrets(), newStack(),
			newSchema(), newDoctor(), newCompletion(), newVersion(),
			newComplete(),
		},
	}
}

// app turns the tree into the library's application.
func (s *session) app(root *command, shared []flag) *ucli.App {
	app := ucli.NewApp()
	app.Name = "anyfaas"
	app.HideHelp, app.HideHelpCommand, app.HideVersion = true, true, true
	app.DisableSliceFlagSeparator = true
	app.Writer, app.ErrWriter, app.Reader = io.Discard, io.Discard, s.env.Stdin
	app.ExitErrHandler = func(*ucli.Context, error) {}
	for _, c := range root.children {
		app.Commands = append(app.Commands, c.urfave(s, shared))
	}
	return app
}

// A session is what one run of the program knows beside its environment: how to
// talk, and which files it has read.
type session struct {
	env     Env
	path    string           // names of the command: "stack history"
	json    bool             // --output json
	color   bool             // on stderr
	sources manifest.Sources // for snippets in diagnostics
}

// A call is one command being run.
type call struct {
	Env
	*session
	flags *ucli.Context

	file     string // --manifest
	stage    string
	provider string
	backend  string
	params   map[string]string
	verbose  bool
}

// begin reads the shared flags.
func (s *session) begin(u *ucli.Context) (call, error) {
	c := call{
		Env: s.env, session: s, flags: u,
		file: u.String("manifest"), stage: u.String("stage"), provider: u.String("provider"),
		backend: u.String("backend"), verbose: u.Bool("verbose"), params: map[string]string{},
	}
	if dir := u.String("cwd"); dir != "" {
		c.Dir = c.abs(dir)
	}
	for _, p := range u.StringSlice("param") {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return c, &usageError{text: "flag --param must be NAME=VALUE, not " + quote(p)}
		}
		c.params[name] = value
	}
	if _, ok := c.Providers.Get(c.provider); c.provider != "" && !ok && c.provider != "all" {
		return c, unknownProvider(c.provider, c.Providers.Names())
	}
	return c, nil
}

func unknownProvider(name string, known []string) error {
	return &usageError{text: "there is no provider " + quote(name) + "; there is " + alternatives(known), hint: meant(name, known)}
}

// abs makes a path that the user gave absolute.
func (c call) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(c.Dir, path)
}

// args checks the number of positional arguments. names are what the usage line
// calls them; one that ends in "…" takes any number.
func (c call) args(names ...string) ([]string, error) {
	got := c.flags.Args().Slice()
	least, most := 0, len(names)
	for _, n := range names {
		switch {
		case strings.HasSuffix(n, "…]"):
			most = len(got)
		case !strings.HasPrefix(n, "["):
			least++
		}
	}
	switch {
	case len(got) < least:
		return nil, &usageError{text: c.path + " needs " + names[len(got)], hint: "see anyfaas " + c.path + " --help"}
	case len(got) > most:
		return nil, &usageError{text: c.path + " does not take the argument " + quote(got[most]), hint: "see anyfaas " + c.path + " --help"}
	}
	return got, nil
}

// errInterrupted reports whether err is what an interrupted ctx leads to.
func errInterrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && err != nil || errors.Is(err, context.Canceled)
}
