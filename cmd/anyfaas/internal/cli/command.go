package cli

import (
	"context"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// A command is one verb: what help tells about it, its flags, and what it runs.
type command struct {
	name     string
	aliases  []string
	args     string // of the usage line: "FUNCTION"
	summary  string // one sentence, lower case, no full stop
	about    string // more sentences; may be empty
	examples []string
	exits    []int
	flags    []flag
	answers  bool // it takes --output
	hidden   bool
	children []*command
	run      func(ctx context.Context, c call) error
}

// A flag is one option of a command line.
type flag struct {
	name    string
	short   string // one letter or ""
	value   string // name of the value in help; "" for a switch
	usage   string
	env     string   // variable that sets it; "" for none
	choices []string // the values allowed; nil for any
	many    bool     // may be given several times
}

// sharedFlags work on every command, before and after its name.
func sharedFlags(providers []string) []flag {
	return []flag{
		{name: "manifest", short: "f", value: "FILE", usage: "the manifest, instead of serverless.yaml", env: "ANYFAAS_MANIFEST"},
		{name: "stage", short: "s", value: "NAME", usage: "the stage, instead of the manifest's", env: "ANYFAAS_STAGE"},
		{name: "provider", short: "p", value: "NAME", usage: "the provider, instead of the manifest's: " + strings.Join(providers, ", "), env: "ANYFAAS_PROVIDER"},
		{name: "backend", value: "URL", usage: "where state lives, instead of a folder beside the manifest", env: "ANYFAAS_BACKEND"},
		{name: "cwd", short: "C", value: "DIR", usage: "run as if started in this folder", env: "ANYFAAS_CWD"},
		{name: "param", value: "NAME=VALUE", usage: "a value for ${param.NAME}; may be repeated (the variable: separated by commas)", env: "ANYFAAS_PARAM", many: true},
		{name: "no-color", usage: "no colours; so does the variable NO_COLOR", env: "ANYFAAS_NO_COLOR"},
		{name: "verbose", short: "v", usage: "tell more: each resource, each step", env: "ANYFAAS_VERBOSE"},
	}
}

// outputFlag is on commands that answer.
var outputFlag = flag{name: "output", short: "o", value: "FORMAT", usage: "form of the answer: text or json", env: "ANYFAAS_OUTPUT", choices: []string{"text", "json"}}

var helpFlag = flag{name: "help", short: "h", usage: "this text"}

// own returns the flags of c itself.
func (c *command) own() []flag {
	if c.answers {
		return append(slices.Clone(c.flags), outputFlag)
	}
	return c.flags
}

// names returns the name and the aliases.
func (c *command) names() []string { return append([]string{c.name}, c.aliases...) }

// child returns the subcommand of that name or alias, or nil.
func (c *command) child(name string) *command {
	for _, k := range c.children {
		if slices.Contains(k.names(), name) {
			return k
		}
	}
	return nil
}

// visible returns the subcommands that help shows.
func (c *command) visible() []*command {
	return slices.DeleteFunc(slices.Clone(c.children), func(k *command) bool { return k.hidden })
}

// urfave turns the tree into the library's form. Arguments were put in order
// and checked before the library sees them (see arrange), so its own help and
// suggestions are off.
func (c *command) urfave(s *session, shared []flag) *ucli.Command {
	u := &ucli.Command{
		Name: c.name, Aliases: c.aliases, Usage: c.summary, ArgsUsage: c.args,
		HideHelp: true, HideHelpCommand: true, Hidden: c.hidden,
	}
	if c.run != nil {
		u.Action = func(x *ucli.Context) error {
			k, err := s.begin(x)
			if err != nil {
				return err
			}
			return c.run(x.Context, k)
		}
	}
	for _, f := range append(c.own(), shared...) {
		u.Flags = append(u.Flags, f.urfave())
	}
	for _, k := range c.children {
		u.Subcommands = append(u.Subcommands, k.urfave(s, shared))
	}
	return u
}

func (f flag) urfave() ucli.Flag {
	var aliases []string
	if f.short != "" {
		aliases = []string{f.short}
	}
	switch {
	case f.many:
		return &ucli.StringSliceFlag{Name: f.name, Aliases: aliases, Usage: f.usage}
	case f.value != "":
		return &ucli.StringFlag{Name: f.name, Aliases: aliases, Usage: f.usage}
	}
	return &ucli.BoolFlag{Name: f.name, Aliases: aliases, Usage: f.usage}
}
