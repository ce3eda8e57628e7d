package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A line is a command line that was understood.
type line struct {
	path []*command // from the root to the verb
	help bool       // --help was asked for
	args []string   // for the library: names, then --flag=value, then "--" and the positionals
}

// verb returns the command to run.
func (l line) verb() *command { return l.path[len(l.path)-1] }

// given reports whether a flag of the line has this value.
func (l line) given(name, value string) bool { return slices.Contains(l.args, "--"+name+"="+value) }

// arrange puts a command line in the order that the library understands. It
// accepts flags before and after the command and between its arguments, takes
// what is not given from the environment, and tells unknown names with the
// nearest known one. "--" ends the flags.
func arrange(root *command, shared []flag, args []string, lookup func(string) (string, bool)) (line, error) {
	l := line{path: []*command{root}}
	var flags, positionals []string
	seen := map[string]bool{}
	rest := args
	if len(rest) > 0 && rest[0] == "help" {
		l.help, rest = true, rest[1:]
	}
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		verb := l.verb()
		switch {
		case word == "--":
			positionals = append(positionals, rest...)
			rest = nil
		case len(word) > 1 && word[0] == '-':
			var used []given
			var err error
			if used, rest, err = readFlag(l, shared, word, rest); err != nil {
				return l, err
			}
			for _, g := range used {
				if g.flag.name == helpFlag.name {
					l.help = true
					continue
				}
				seen[g.flag.name] = true
				flags = append(flags, "--"+g.flag.name+"="+g.value)
			}
		case len(verb.children) > 0:
			k := verb.child(word)
			if k == nil {
				return l, unknownCommand(l, word)
			}
			l.path = append(l.path, k)
		default:
			positionals = append(positionals, word)
		}
	}
	if l.help {
		return l, nil
	}
	known := append(l.verb().own(), shared...)
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !slices.ContainsFunc(known, func(f flag) bool { return f.name == name }) {
			return l, &usageError{text: fmt.Sprintf("%s has no flag --%s", title(l), name), hint: "see anyfaas " + strings.TrimSpace(pathOf(l)+" --help")}
		}
	}
	for _, f := range known {
		value, ok := lookup(f.env)
		if f.env == "" || !ok || value == "" || seen[f.name] {
			continue
		}
		values := []string{value}
		if f.many {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			g, err := f.accept(v, "variable "+f.env)
			if err != nil {
				return l, err
			}
			flags = append(flags, "--"+f.name+"="+g.value)
		}
	}
	for _, c := range l.path[1:] {
		l.args = append(l.args, c.name)
	}
	l.args = append(append(append(l.args, flags...), "--"), positionals...)
	return l, nil
}

// A given flag and its value; "true" or "false" for a switch.
type given struct {
	flag  flag
	value string
}

// readFlag reads word, which begins with "-", and its value from rest if it
// needs one. One word may hold several short switches.
func readFlag(l line, shared []flag, word string, rest []string) ([]given, []string, error) {
	known := append(append(l.verb().own(), shared...), outputFlag, helpFlag)
	if long, ok := strings.CutPrefix(word, "--"); ok {
		name, value, hasValue := strings.Cut(long, "=")
		i := slices.IndexFunc(known, func(f flag) bool { return f.name == name })
		if i < 0 {
			return nil, nil, unknownFlag(l, known, "--"+name)
		}
		f := known[i]
		switch {
		case hasValue:
		case f.value == "":
			value = "true"
		case len(rest) == 0:
			return nil, nil, &usageError{text: fmt.Sprintf("flag --%s needs a value: --%s %s", name, name, f.value)}
		default:
			value, rest = rest[0], rest[1:]
		}
		g, err := f.accept(value, "flag --"+name)
		return []given{g}, rest, err
	}
	var out []given
	letters := word[1:]
	for letters != "" {
		short := letters[:1]
		letters = letters[1:]
		i := slices.IndexFunc(known, func(f flag) bool { return f.short == short })
		if i < 0 {
			return nil, nil, unknownFlag(l, known, word)
		}
		f := known[i]
		value := "true"
		if f.value != "" {
			switch {
			case letters != "":
				value, letters = strings.TrimPrefix(letters, "="), ""
			case len(rest) == 0:
				return nil, nil, &usageError{text: fmt.Sprintf("flag -%s needs a value: -%s %s", short, short, f.value)}
			default:
				value, rest = rest[0], rest[1:]
			}
		}
		g, err := f.accept(value, "flag -"+short)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, g)
	}
	return out, rest, nil
}

// accept checks a value that came from what.
func (f flag) accept(value, what string) (given, error) {
	if f.value == "" {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return given{}, &usageError{text: fmt.Sprintf("%s must be true or false, not %q", what, value)}
		}
		value = strconv.FormatBool(b)
	}
	if f.choices != nil && !slices.Contains(f.choices, value) {
		return given{}, &usageError{
			text: fmt.Sprintf("%s must be %s, not %q", what, alternatives(f.choices), value),
			hint: meant(value, f.choices),
		}
	}
	return given{f, value}, nil
}

func unknownCommand(l line, word string) error {
	var names []string
	for _, k := range l.verb().visible() {
		names = append(names, k.names()...)
	}
	text := fmt.Sprintf("there is no command %q", strings.TrimSpace(pathOf(l)+" "+word))
	hint := meant(word, names)
	if hint == "" {
		hint = "see anyfaas " + strings.TrimSpace(pathOf(l)+" --help")
	}
	return &usageError{text: text, hint: hint}
}

func unknownFlag(l line, known []flag, word string) error {
	names := make([]string, 0, len(known))
	for _, f := range known {
		names = append(names, "--"+f.name)
	}
	// A switch of one dash is often a long one with a dash missing: -json.
	hint := meant("--"+strings.TrimLeft(word, "-"), names)
	if strings.TrimLeft(word, "-") == "json" {
		hint = "did you mean --output json?"
	}
	if hint == "" {
		hint = "see anyfaas " + strings.TrimSpace(pathOf(l)+" --help")
	}
	if len(l.path) == 1 {
		hint += "\nflags of a command go after its name"
	}
	return &usageError{text: fmt.Sprintf("%s has no flag %s", title(l), word), hint: hint}
}

// pathOf returns the names of the commands after the root: "stack history".
func pathOf(l line) string {
	var names []string
	for _, c := range l.path[1:] {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}

func title(l line) string {
	if p := pathOf(l); p != "" {
		return p
	}
	return "anyfaas"
}
