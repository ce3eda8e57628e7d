package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

func newStack() *command {
	return &command{
		name: "stack", summary: "list, look into, unlock, save and restore recorded stacks",
		examples: []string{"anyfaas stack list", "anyfaas stack history", "anyfaas stack export > backup.json"},
		exits:    exitsChange,
		children: []*command{newStackList(), newStackHistory(), newStackUnlock(), newStackExport(), newStackImport()},
	}
}

func newStackList() *command {
	return &command{
		name: "list", aliases: []string{"ls"}, summary: "list the stages of this service that are recorded",
		examples: []string{"anyfaas stack list"},
		exits:    exitsRead, answers: true,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return stackList(ctx, c)
		},
	}
}

// A summaryJSON is a stack in the answer of stack list.
type summaryJSON struct {
	Service   string         `json:"service"`
	Stage     string         `json:"stage"`
	Provider  string         `json:"provider"`
	Resources int            `json:"resources"`
	Updated   time.Time      `json:"updated"`
	Locked    *stacks.Holder `json:"locked,omitempty"`
}

func stackList(ctx context.Context, c call) error {
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	found, err := s.List(ctx)
	if err != nil {
		return err
	}
	if c.json {
		all := []summaryJSON{}
		for _, f := range found {
			all = append(all, summaryJSON{f.ID.Service, f.ID.Stage, f.ID.Provider, f.Resources, f.Updated, f.Locked})
		}
		return c.answer(struct {
			Version int           `json:"version"`
			Stacks  []summaryJSON `json:"stacks"`
		}{1, all})
	}
	var rows [][2]string
	for _, f := range found {
		text := count(f.Resources, "resource")
		if !f.Updated.IsZero() {
			text += ", changed " + f.Updated.UTC().Format("2006-01-02 15:04:05 UTC")
		}
		if h := f.Locked; h != nil {
			text += fmt.Sprintf(", locked by %s of %s@%s (process %d)", h.Command, h.User, h.Host, h.PID)
		}
		rows = append(rows, [2]string{f.ID.String(), text})
	}
	writeRows(c.Stdout, rows)
	return nil
}

func newStackHistory() *command {
	return &command{
		name: "history", summary: "list what was done to the stack, the latest first",
		examples: []string{"anyfaas stack history", "anyfaas stack history --stage prod -o json"},
		exits:    exitsRead, answers: true,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return stackHistory(ctx, c)
		},
	}
}

func stackHistory(ctx context.Context, c call) error {
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	updates, err := s.History(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.answer(struct {
			Version int             `json:"version"`
			Updates []stacks.Update `json:"updates"`
		}{1, list(updates)})
	}
	for _, u := range updates {
		var counts []string
		for _, op := range []event.Op{event.Create, event.Update, event.Replace, event.Delete} {
			if n := u.Counts[op]; n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, op))
			}
		}
		words := strings.Join(counts, ", ")
		if words == "" {
			words = "no changes"
		}
		text := fmt.Sprintf("%4d  %s  %-8s %-11s %8s  %s", u.Version, u.Started.UTC().Format("2006-01-02 15:04:05 UTC"),
			u.Operation, u.Result, u.Ended.Sub(u.Started).Round(100*time.Millisecond), words)
		if u.Message != "" {
			text += "  " + u.Message
		}
		fmt.Fprintln(c.Stdout, text)
	}
	return nil
}

func newStackUnlock() *command {
	return &command{
		name: "unlock", summary: "take the lock away from a run that is no longer alive",
		about:    "A run that holds the lock and is alive goes on without it: be sure that it is not.",
		examples: []string{"anyfaas stack unlock --stage prod --yes"},
		exits:    exitsChange,
		flags:    []flag{{name: "yes", short: "y", usage: "do not ask", env: "ANYFAAS_YES"}},
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return stackUnlock(ctx, c)
		},
	}
}

func stackUnlock(ctx context.Context, c call) error {
	yes := c.flags.Bool("yes")
	if err := c.mustAsk("stack unlock", "anyfaas stack list", yes); err != nil {
		return err
	}
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	h, err := s.Locked(ctx)
	if err != nil {
		return err
	}
	if h == nil {
		fmt.Fprintf(c.Stdout, "%s is not locked\n", s.ID())
		return nil
	}
	if !yes {
		fmt.Fprintln(c.Stderr, &stacks.LockedError{ID: s.ID(), Holder: *h})
		ok, err := c.confirm(ctx, "Take the lock away?")
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("unlock %s: left as it is", s.ID())
		}
	}
	if err := s.Unlock(ctx); err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "%s is unlocked; %s of %s@%s (process %d) held it\n", s.ID(), h.Command, h.User, h.Host, h.PID)
	return nil
}

func newStackExport() *command {
	return &command{
		name: "export", summary: "print what is recorded, in Pulumi's own form",
		about:    "Secrets stay encrypted. `pulumi stack import` takes it too.",
		examples: []string{"anyfaas stack export > backup.json"},
		exits:    exitsRead,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			s, err := c.openRecorded()
			if err != nil {
				return err
			}
			deployment, err := s.Export(ctx)
			if err != nil {
				return err
			}
			return c.answer(deployment)
		},
	}
}

func newStackImport() *command {
	return &command{
		name: "import", args: "[FILE]", summary: "replace what is recorded by an export",
		about:    "Reads FILE, or stdin. What really exists is not touched; `anyfaas refresh` then\ncompares.",
		examples: []string{"anyfaas stack import backup.json", "anyfaas stack import < backup.json"},
		exits:    exitsChange,
		run: func(ctx context.Context, c call) error {
			args, err := c.args("[FILE]")
			if err != nil {
				return err
			}
			return stackImport(ctx, c, args)
		},
	}
}

func stackImport(ctx context.Context, c call, args []string) error {
	var data []byte
	var err error
	if len(args) == 1 && args[0] != "-" {
		data, err = os.ReadFile(c.abs(args[0]))
	} else {
		data, err = io.ReadAll(c.Stdin)
	}
	if err != nil {
		return fmt.Errorf("read export: %w", err)
	}
	if !json.Valid(data) {
		return fmt.Errorf("the export is not JSON")
	}
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	if err := s.Import(ctx, data); err != nil {
		return err
	}
	fmt.Fprintf(c.Stderr, "%s is imported\n", s.ID())
	return nil
}
