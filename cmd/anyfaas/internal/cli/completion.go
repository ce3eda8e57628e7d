package cli

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/manifest"
)

// The scripts ask the hidden command __complete for candidates, so that they
// never get out of step with the program.
var (
	//go:embed completion/anyfaas.bash
	bashScript string
	//go:embed completion/anyfaas.zsh
	zshScript string
	//go:embed completion/anyfaas.fish
	fishScript string
)

var completionScripts = map[string]*string{"bash": &bashScript, "zsh": &zshScript, "fish": &fishScript}

func newCompletion() *command {
	shells := slices.Sorted(maps.Keys(completionScripts))
	return &command{
		name: "completion", args: strings.Join(shells, "|"), summary: "print a script that lets a shell complete commands, flags and names",
		examples: []string{
			"source <(anyfaas completion bash)",
			"anyfaas completion zsh > \"${fpath[1]}/_anyfaas\"",
			"anyfaas completion fish > ~/.config/fish/completions/anyfaas.fish",
		},
		exits: exitsPlain,
		run: func(_ context.Context, c call) error {
			args, err := c.args(strings.Join(shells, "|"))
			if err != nil {
				return err
			}
			script, ok := completionScripts[args[0]]
			if !ok {
				return &usageError{text: "there is no completion for " + quote(args[0]) + "; there is " + alternatives(shells), hint: meant(args[0], shells)}
			}
			_, err = fmt.Fprint(c.Stdout, *script)
			return err
		},
	}
}

// newComplete answers the scripts: its arguments are the words of the command
// line so far, the last one is to be completed.
func newComplete() *command {
	return &command{
		name: "__complete", hidden: true, summary: "print candidates for the last of the words, one per line",
		exits: exitsPlain,
		run: func(ctx context.Context, c call) error {
			for _, candidate := range c.candidates(ctx, c.flags.Args().Slice()) {
				fmt.Fprintln(c.Stdout, candidate)
			}
			return nil
		},
	}
}

// candidates returns what the last word could become, sorted. Nothing means
// that the shell shall offer files.
func (c call) candidates(ctx context.Context, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	l := line{path: []*command{tree()}}
	shared := sharedFlags(c.Providers.Names())
	known := func() []flag {
		return append(append(slices.Clone(l.verb().own()), shared...), outputFlag, helpFlag)
	}
	find := func(word string) (flag, bool) {
		name := strings.TrimLeft(word, "-")
		i := slices.IndexFunc(known(), func(f flag) bool {
			return f.name == name && strings.HasPrefix(word, "--") || f.short != "" && word == "-"+f.short
		})
		if i < 0 {
			return flag{}, false
		}
		return known()[i], true
	}
	var waiting flag // the flag whose value comes next
	for _, w := range words[:len(words)-1] {
		if waiting.name != "" {
			c.take(waiting.name, w)
			waiting = flag{}
			continue
		}
		if name, value, ok := strings.Cut(w, "="); ok && strings.HasPrefix(w, "--") {
			c.take(strings.TrimPrefix(name, "--"), value)
			continue
		}
		if f, ok := find(w); ok && f.value != "" {
			waiting = f
			continue
		}
		if k := l.verb().child(w); k != nil {
			l.path = append(l.path, k)
		}
	}
	prefix := ""
	var all []string
	name, _, assigned := strings.Cut(last, "=")
	f, isFlag := find(name)
	switch {
	case waiting.name != "":
		all = c.values(ctx, waiting)
	case assigned && isFlag:
		prefix = name + "="
		all = c.values(ctx, f)
	case strings.HasPrefix(last, "-"):
		for _, f := range append(slices.Clone(l.verb().own()), append(shared, helpFlag)...) {
			all = append(all, "--"+f.name)
		}
	case len(l.verb().children) > 0:
		for _, k := range l.verb().visible() {
			all = append(all, k.name)
		}
	default:
		all = c.positionals(l.verb().args)
	}
	var out []string
	for _, a := range all {
		if strings.HasPrefix(prefix+a, last) {
			out = append(out, prefix+a)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// take applies a shared flag that tells where the manifest is.
func (c *call) take(name, value string) {
	switch name {
	case "cwd":
		c.Dir = c.abs(value)
	case "manifest":
		c.file = value
	case "stage":
		c.stage = value
	}
}

// values returns what a flag can be given.
func (c call) values(ctx context.Context, f flag) []string {
	switch f.name {
	case "provider":
		return c.Providers.Names()
	case "stage":
		return c.stages(ctx)
	case "function":
		return c.positionals("FUNCTION")
	}
	return f.choices
}

// positionals returns the names that an argument of that kind can have.
func (c call) positionals(kind string) []string {
	var names []string
	switch kind {
	case "FUNCTION", "[FUNCTION…]":
		if g, _ := c.load(); g != nil {
			for _, f := range g.Functions {
				names = append(names, f.Name)
			}
		}
	case "NAME":
		if g, _ := c.load(); g != nil {
			for _, f := range g.Functions {
				names = append(names, f.Secrets...)
			}
		}
	default:
		if strings.Contains(kind, "|") {
			names = strings.Split(kind, "|")
		}
	}
	return names
}

// stages returns the stages that the manifest overlays, is for, or was deployed
// to.
func (c call) stages(ctx context.Context) []string {
	names := manifest.Stages(c.manifestOptions(""))
	if g, _ := c.load(); g != nil {
		names = append(names, g.Stage)
	}
	s, err := c.openRecorded()
	if err != nil {
		return names
	}
	recorded, _ := s.List(ctx) // what cannot be read is not offered
	for _, r := range recorded {
		names = append(names, r.ID.Stage)
	}
	return names
}
