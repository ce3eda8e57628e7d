package cli

import (
	"context"
	"fmt"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

func newLocal() *command {
	return &command{
		name: "local", summary: "look at, stop and start the process that runs functions on this machine",
		about: "The first deploy with provider local starts it, removing the last stack ends it.\n" +
			"After `local stop` or a reboot, `local start` or the next deploy brings back all\n" +
			"that was deployed.",
		examples: []string{"anyfaas local status", "anyfaas local stop"},
		exits:    exitsPlain,
		children: []*command{newLocalStatus(), newLocalStart(), newLocalStop(), newLocalServe()},
	}
}

func newLocalStatus() *command {
	return &command{
		name: "status", summary: "show the process, its stacks, functions and queues",
		examples: []string{"anyfaas local status", "anyfaas local status -o json"},
		exits:    exitsPlain, answers: true,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			return localStatus(ctx, c)
		},
	}
}

func localStatus(ctx context.Context, c call) error {
	st, err := c.Host.Status(ctx, c.home())
	if err != nil {
		return fmt.Errorf("ask the local host: %w", err)
	}
	if c.json {
		return c.answer(struct {
			Version int         `json:"version"`
			Running bool        `json:"running"`
			Host    *api.Status `json:"host"`
		}{1, st != nil, st})
	}
	if st == nil {
		fmt.Fprintln(c.Stdout, "the local host does not run")
		return nil
	}
	fmt.Fprintf(c.Stdout, "process %d, version %s, since %s\n", st.PID, st.Version, st.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	fmt.Fprintf(c.Stdout, "queues, topics, streams, tables and events: %s\n", st.Data)
	fmt.Fprintf(c.Stdout, "buckets: %s\n", st.S3)
	for _, s := range st.Stacks {
		fmt.Fprintf(c.Stdout, "\n%s  %s\n", s.Stack, s.URL)
		var rows [][2]string
		for _, f := range s.Functions {
			rows = append(rows, [2]string{f.Name, fmt.Sprintf("%s, %d busy, %d MB, %s, %s",
				count(f.Workers, "worker"), f.Busy, f.MemoryMB, count(int(f.Calls), "call"), count(int(f.Errors), "error"))})
		}
		for _, q := range s.Queues {
			rows = append(rows, [2]string{"queue " + q.Name, fmt.Sprintf("%d ready, %d in flight", q.Ready, q.InFlight)})
		}
		writeRows(c.Stdout, rows)
	}
	return nil
}

func newLocalStart() *command {
	return &command{
		name: "start", summary: "start it with everything that is deployed",
		examples: []string{"anyfaas local start"},
		exits:    exitsPlain,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			st, err := c.Host.Start(ctx, c.home())
			if err != nil {
				return fmt.Errorf("start the local host: %w", err)
			}
			fmt.Fprintf(c.Stdout, "the local host runs as process %d with %s\n", st.PID, count(len(st.Stacks), "stack"))
			return nil
		},
	}
}

func newLocalStop() *command {
	return &command{
		name: "stop", summary: "stop it and its functions; nothing that is deployed is lost",
		examples: []string{"anyfaas local stop"},
		exits:    exitsPlain,
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			ran, err := c.Host.Stop(ctx, c.home())
			if err != nil {
				return fmt.Errorf("stop the local host: %w", err)
			}
			if !ran {
				fmt.Fprintln(c.Stdout, "the local host does not run")
				return nil
			}
			fmt.Fprintln(c.Stdout, "the local host is stopped")
			return nil
		},
	}
}

// newLocalServe is the host process itself; deploys start it in the background.
func newLocalServe() *command {
	return &command{
		name: "serve", hidden: true, summary: "be the process that runs functions on this machine",
		exits: exitsPlain,
		flags: []flag{{name: "home", value: "DIR", usage: "folder of the machine-wide state"}},
		run: func(ctx context.Context, c call) error {
			if _, err := c.args(); err != nil {
				return err
			}
			home := c.home()
			if h := c.flags.String("home"); h != "" {
				home = c.abs(h)
			}
			return c.Host.Serve(ctx, home)
		},
	}
}
