package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/providers"
)

type logsOptions struct {
	Function string
	Follow   bool
	Since    time.Time
}

func newLogs() *command {
	return &command{
		name: "logs", args: "FUNCTION", summary: "show what a function printed",
		about: "Each call ends with a line that tells its duration and whether it was cold. With\n" +
			"--output json each line is one JSON object.",
		examples: []string{"anyfaas logs api", "anyfaas logs api --follow", "anyfaas logs api --since 10m"},
		exits:    exitsRead, answers: true,
		flags: []flag{
			{name: "follow", short: "F", usage: "go on until Ctrl-C"},
			{name: "since", value: "AGE|TIME", usage: "not older than this: 10m, 2h, or 2006-01-02T15:04:05Z"},
		},
		run: func(ctx context.Context, c call) error {
			args, err := c.args("FUNCTION")
			if err != nil {
				return err
			}
			o := logsOptions{Function: args[0], Follow: c.flags.Bool("follow")}
			if o.Since, err = since(c.flags.String("since"), c.Now()); err != nil {
				return err
			}
			return logs(ctx, c, o)
		},
	}
}

// since reads an age or a time; "" is the zero time.
func since(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, &usageError{text: "flag --since must be an age like 10m or a time like 2006-01-02T15:04:05Z, not " + quote(text)}
}

func logs(ctx context.Context, c call, o logsOptions) error {
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	for line, err := range s.Logs(ctx, o.Function, providers.LogOptions{Since: o.Since, Follow: o.Follow}) {
		if err != nil {
			if o.Follow && ctx.Err() != nil {
				return exitError(exitInterrupted)
			}
			return err
		}
		if c.json {
			b, err := json.Marshal(struct {
				Version int `json:"version"`
				providers.LogLine
			}{1, line})
			if err != nil {
				return err
			}
			fmt.Fprintf(c.Stdout, "%s\n", b)
			continue
		}
		writeLog(c.Stdout, line, c.home())
	}
	if o.Follow && ctx.Err() != nil {
		return exitError(exitInterrupted)
	}
	return nil
}

// writeLog writes one line of a log for people. Paths below home that lead into
// an unpacked function are shown relative to it.
func writeLog(w io.Writer, l providers.LogLine, home string) {
	at := l.Time.UTC().Format("15:04:05.000")
	if l.Kind == "request" {
		facts := []string{l.Duration.Round(100 * time.Microsecond).String()}
		if l.Status != 0 {
			facts = append([]string{fmt.Sprint(l.Status)}, facts...)
		}
		if l.Cold {
			facts = append(facts, "cold")
		}
		line := l.RequestID + ": " + strings.Join(facts, ", ")
		if l.Text != "" { // what was called, and why it failed when the function does not say so itself
			line += ": " + logText(l.Text, home)
		}
		fmt.Fprintf(w, "%s %s\n", at, line)
		return
	}
	level := ""
	if l.Level != "" && l.Level != "info" {
		level = l.Level + ": "
	}
	fmt.Fprintf(w, "%s %s%s\n", at, level, logText(l.Text, home))
}
