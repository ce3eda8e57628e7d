package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/providers"
)

// triggerKinds are the forms in which a call can arrive.
var triggerKinds = []string{"invoke", "http", "schedule", "queue", "topic", "storage", "stream", "table", "event"}

type invokeOptions struct {
	Function string
	Data     string // JSON, @FILE or -
	Trigger  string
}

func newInvoke() *command {
	return &command{
		name: "invoke", args: "FUNCTION", summary: "call a function where it is deployed",
		about: "Prints what the function returned; what it logged goes to stderr. --trigger wraps\n" +
			"the data in the event of that kind. For http the data is\n" +
			`    {"method": "POST", "path": "/orders", "headers": {}, "body": "…"}`,
		examples: []string{
			"anyfaas invoke hello",
			`anyfaas invoke hello --data '{"name":"Ada"}'`,
			"anyfaas invoke resize --trigger storage --data @event.json",
			"generate | anyfaas invoke worker --trigger queue --data -",
		},
		exits: exitsRead, answers: true,
		flags: []flag{
			{name: "data", short: "d", value: "JSON|@FILE|-", usage: "what to hand over: JSON, a file or stdin"},
			{name: "trigger", value: "KIND", usage: "the event to build around the data: " + alternatives(triggerKinds), choices: triggerKinds},
		},
		run: func(ctx context.Context, c call) error {
			args, err := c.args("FUNCTION")
			if err != nil {
				return err
			}
			return invoke(ctx, c, invokeOptions{Function: args[0], Data: c.flags.String("data"), Trigger: c.flags.String("trigger")})
		},
	}
}

func invoke(ctx context.Context, c call, o invokeOptions) error {
	data, err := c.payload(o.Data)
	if err != nil {
		return err
	}
	s, err := c.openRecorded()
	if err != nil {
		return err
	}
	r, err := s.Invoke(ctx, o.Function, providers.Payload{Trigger: o.Trigger, Data: data})
	if err != nil {
		return err
	}
	if c.json {
		if err := c.answer(replyJSON(r)); err != nil {
			return err
		}
	} else {
		for _, line := range r.Logs {
			writeLog(c.Stderr, line, c.home())
		}
		body := strings.TrimRight(string(r.Body), "\n")
		if body != "" {
			fmt.Fprintln(c.Stdout, body)
		}
	}
	// Another status of an http call is an answer like any other.
	if r.Status == http.StatusTooManyRequests || r.Status >= 500 {
		return fmt.Errorf("invoke %s: %s", o.Function, outcome(r.Status))
	}
	return nil
}

// outcome says in words what a status of a direct call means.
func outcome(status int) string {
	switch status {
	case 429:
		return "it is at its concurrency limit (429)"
	case 500:
		return "the function failed (500)"
	case 504:
		return "it took longer than its timeout (504)"
	}
	return fmt.Sprintf("status %d", status)
}

// payload reads the data to hand over and sees that it is JSON.
func (c call) payload(arg string) ([]byte, error) {
	var data []byte
	var err error
	from := "--data"
	switch {
	case arg == "":
		return nil, nil
	case arg == "-":
		from = "stdin"
		data, err = io.ReadAll(c.Stdin)
	case arg[0] == '@':
		from = arg[1:]
		data, err = os.ReadFile(c.abs(arg[1:]))
	default:
		data = []byte(arg)
	}
	if err != nil {
		return nil, fmt.Errorf("read data: %w", err)
	}
	data = bytes.TrimSpace(data)
	if !json.Valid(data) {
		return nil, &usageError{text: from + " holds no JSON", hint: `a text is JSON in quotes: --data '"text"'`}
	}
	return data, nil
}

// replyJSON is the answer of invoke. A body that is JSON is put in as it is.
func replyJSON(r providers.Reply) any {
	var body any = string(r.Body)
	if json.Valid(r.Body) {
		body = json.RawMessage(r.Body)
	}
	return struct {
		Version   int                 `json:"version"`
		RequestID string              `json:"requestId"`
		Status    int                 `json:"status"`
		Duration  string              `json:"duration"`
		Cold      bool                `json:"cold"`
		Body      any                 `json:"body"`
		Logs      []providers.LogLine `json:"logs"`
	}{1, r.RequestID, r.Status, r.Duration.Round(10 * time.Microsecond).String(), r.Cold, body, list(r.Logs)}
}
