package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/anyfaas/anyfaas/stacks"
)

// asks reports whether there is a person to ask: both the questions and the
// answers go through a terminal.
func (c call) asks() bool { return c.Terminal.In && c.Terminal.Err && !c.json }

// readLine reads one line of stdin. It gives up when ctx ends; the reader then
// stays behind, as the program is about to end.
func (c call) readLine(ctx context.Context) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := bufio.NewReader(oneByte{c.Stdin}).ReadString('\n')
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.Stderr)
		return "", stacks.ErrInterrupted
	case r := <-done:
		if r.err == io.EOF && r.text != "" {
			r.err = nil
		}
		return strings.TrimSpace(r.text), r.err
	}
}

// oneByte keeps a buffered reader from taking more than the line it returns.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

// confirm asks a yes-or-no question; only "y" and "yes" are a yes.
func (c call) confirm(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(c.Stderr, "%s [y/N] ", question)
	answer, err := c.readLine(ctx)
	if err == io.EOF {
		return false, nil
	}
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// ask asks for a text; an empty answer is the default.
func (c call) ask(ctx context.Context, question, preset string) (string, error) {
	fmt.Fprintf(c.Stderr, "%s [%s]: ", question, preset)
	answer, err := c.readLine(ctx)
	if err == io.EOF || answer == "" && err == nil {
		return preset, nil
	}
	return answer, err
}

// choose asks for one of several names, by number or by name.
func (c call) choose(ctx context.Context, question string, names, summaries []string) (string, error) {
	fmt.Fprintf(c.Stderr, "%s\n", question)
	var rows [][2]string
	for i, n := range names {
		summary := ""
		if i < len(summaries) {
			summary = summaries[i]
		}
		rows = append(rows, [2]string{fmt.Sprintf("%d  %s", i+1, n), summary})
	}
	for _, r := range rows {
		fmt.Fprintf(c.Stderr, "  %s\n", strings.TrimRight(fmt.Sprintf("%-16s %s", r[0], r[1]), " "))
	}
	for {
		answer, err := c.ask(ctx, "number or name", names[0])
		if err != nil {
			return "", err
		}
		if i, err := strconv.Atoi(answer); err == nil && i >= 1 && i <= len(names) {
			return names[i-1], nil
		}
		for _, n := range names {
			if n == answer {
				return n, nil
			}
		}
		fmt.Fprintf(c.Stderr, "there is no %q\n", answer)
	}
}
