package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
)

func newSecrets() *command {
	return &command{
		name: "secrets", summary: "set, list and remove the values of secrets",
		about: "Values are kept encrypted in the stack's configuration and reach the functions\n" +
			"that name them under `secrets:` with the next deploy. They are never printed.",
		exits:    exitsChange,
		examples: []string{"anyfaas secrets set STRIPE_KEY < key.txt", "anyfaas secrets list"},
		children: []*command{newSecretsSet(), newSecretsList(), newSecretsRemove()},
	}
}

type secretsSetOptions struct {
	Name string
	File string // "" means stdin
}

func newSecretsSet() *command {
	return &command{
		name: "set", args: "NAME", summary: "store a value",
		about: "The value is asked for without echo, or read from stdin when that is no terminal;\n" +
			"one line break at its end is dropped. It is never an argument, where other users\n" +
			"of the machine could see it.",
		examples: []string{"anyfaas secrets set STRIPE_KEY", "anyfaas secrets set TLS_KEY --value-file key.pem"},
		exits:    exitsChange,
		flags:    []flag{{name: "value-file", value: "FILE", usage: "read the value from a file"}},
		run: func(ctx context.Context, c call) error {
			args, err := c.args("NAME")
			if err != nil {
				return err
			}
			if err := secretName(args[0]); err != nil {
				return err
			}
			return secretsSet(ctx, c, secretsSetOptions{Name: args[0], File: c.flags.String("value-file")})
		},
	}
}

var secretPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// secretName refuses what cannot be an environment variable. A value given with
// an equals sign is never repeated in the message.
func secretName(name string) error {
	if strings.Contains(name, "=") {
		return &usageError{text: "secrets set takes the name alone", hint: "the value is asked for, or read from stdin or --value-file"}
	}
	if !secretPattern.MatchString(name) {
		return &usageError{text: "a secret's name holds letters, digits and _, and does not begin with a digit: not " + quote(name)}
	}
	return nil
}

func secretsSet(ctx context.Context, c call, o secretsSetOptions) error {
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	value, err := c.secretValue(o)
	if err != nil {
		return err
	}
	if err := s.SetSecret(ctx, o.Name, providers.NewSecret(value)); err != nil {
		return err
	}
	fmt.Fprintf(c.Stderr, "secret %s of %s is set; the next deploy hands it to the functions\n", o.Name, s.ID())
	return nil
}

func (c call) secretValue(o secretsSetOptions) (string, error) {
	var value string
	switch {
	case o.File != "":
		b, err := os.ReadFile(c.abs(o.File))
		if err != nil {
			return "", fmt.Errorf("read value: %w", err)
		}
		value = string(b)
	case c.Terminal.In:
		fmt.Fprintf(c.Stderr, "value of %s: ", o.Name)
		text, err := c.Terminal.Secret()
		fmt.Fprintln(c.Stderr)
		if err != nil {
			return "", fmt.Errorf("read value: %w", err)
		}
		value = text
	default:
		b, err := io.ReadAll(c.Stdin)
		if err != nil {
			return "", fmt.Errorf("read value: %w", err)
		}
		value = string(b)
	}
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	if value == "" {
		return "", errors.New("the value is empty: nothing was stored")
	}
	return value, nil
}

func newSecretsList() *command {
	return &command{
		name: "list", aliases: []string{"ls"}, summary: "list names, whether each is set, and who asks for it",
		examples: []string{"anyfaas secrets list", "anyfaas secrets list -o json"},
		exits:    exitsRead, answers: true,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return secretsList(ctx, c)
		},
	}
}

func secretsList(ctx context.Context, c call) error {
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	secrets, err := s.ListSecrets(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.answer(struct {
			Version int                 `json:"version"`
			Secrets []stacks.SecretInfo `json:"secrets"`
		}{1, list(secrets)})
	}
	var rows [][2]string
	for _, i := range secrets {
		state := "set"
		if !i.Set {
			state = "not set"
		}
		if len(i.Functions) > 0 {
			state += ", for " + all(i.Functions)
		}
		rows = append(rows, [2]string{i.Name, state})
	}
	writeRows(c.Stdout, rows)
	return nil
}

func newSecretsRemove() *command {
	return &command{
		name: "remove", aliases: []string{"rm"}, args: "NAME", summary: "forget a value",
		examples: []string{"anyfaas secrets remove STRIPE_KEY"},
		exits:    exitsChange,
		run: func(ctx context.Context, c call) error {
			args, err := c.args("NAME")
			if err != nil {
				return err
			}
			s, err := c.openRecorded()
			if err != nil {
				return err
			}
			if err := s.RemoveSecret(ctx, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.Stderr, "secret %s of %s is forgotten\n", args[0], s.ID())
			return nil
		},
	}
}
