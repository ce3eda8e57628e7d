package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/stacks"
)

// A usageError says that the command line is wrong.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// An exitError ends the program with a code after everything was said.
type exitError int

func (e exitError) Error() string { return "exit " + strconv.Itoa(int(e)) }

// A hintedError adds what to do next to an error.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

func quote(s string) string { return strconv.Quote(s) }

// report tells the person, or the program that reads JSON, about err and
// returns the exit code.
func (s *session) report(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[exitError](err); ok {
		return int(e)
	}
	code := exitCode(ctx, err)
	hint := s.hint(err)
	if code == exitInterrupted {
		if !errors.Is(err, stacks.ErrInterrupted) {
			err = stacks.ErrInterrupted
		}
	}
	invalid, isInvalid := errors.AsType[*stacks.InvalidError](err)
	if s.json {
		e := errorJSON{Message: err.Error(), Hint: hint, Exit: code}
		if isInvalid {
			e.Diagnostics = diagnosticsJSON(invalid.Diagnostics)
		}
		writeEventJSON(s.env.Stderr, "error", e)
		return code
	}
	if isInvalid {
		s.render(invalid.Diagnostics)
	}
	fmt.Fprintf(s.env.Stderr, "anyfaas: %s\n", err)
	writeHint(s.env.Stderr, hint)
	return code
}

// exitCode is the code for an error.
func exitCode(ctx context.Context, err error) int {
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*stacks.InvalidError](err); ok {
		return exitInvalid
	}
	if _, ok := errors.AsType[*stacks.LockedError](err); ok {
		return exitLocked
	}
	if errors.Is(err, stacks.ErrInterrupted) || errInterrupted(ctx, err) {
		return exitInterrupted
	}
	return exitFailed
}

// hint is what to do about an error, one line or more, or "".
func (s *session) hint(err error) string {
	if e, ok := errors.AsType[*usageError](err); ok {
		return e.hint
	}
	if e, ok := errors.AsType[hintedError](err); ok {
		return e.hint
	}
	if e, ok := errors.AsType[*stacks.LockedError](err); ok {
		return fmt.Sprintf("wait for it, or if no such run is alive, unlock the stack with\n    anyfaas stack unlock --stage %s --provider %s", e.ID.Stage, e.ID.Provider)
	}
	if e, ok := errors.AsType[*stacks.DataLossError](err); ok {
		lines := []string{"these hold data that would be gone:"}
		for _, r := range e.Resources {
			lines = append(lines, "    "+r)
		}
		return strings.Join(append(lines, "keep them, or accept the loss with", "    anyfaas deploy --allow-data-loss"), "\n")
	}
	if e, ok := errors.AsType[*stacks.UnknownFunctionError](err); ok {
		if h := meant(e.Name, e.Known); h != "" {
			return h
		}
		if len(e.Known) > 0 {
			return "the functions are " + all(e.Known)
		}
		return ""
	}
	if errors.Is(err, stacks.ErrNotDeployed) {
		return "deploy it with\n    anyfaas deploy"
	}
	if errors.Is(err, stacks.ErrInterrupted) {
		return "what was finished is recorded; run the same command again to go on"
	}
	if e, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return e.Hint()
	}
	return ""
}

// writeHint writes a hint below an error, every line indented.
func writeHint(w io.Writer, hint string) {
	if hint == "" {
		return
	}
	fmt.Fprintf(w, "  hint: %s\n", strings.ReplaceAll(hint, "\n", "\n  "))
}

// render shows diagnostics with their lines.
func (s *session) render(list diag.List) {
	_ = diag.Render(s.env.Stderr, list.Sorted(), s.sources, diag.RenderOptions{Color: s.color}) // a reader that is gone ends nothing
}

// tell shows diagnostics that do not end the command.
func (s *session) tell(list diag.List) {
	switch {
	case len(list) == 0:
	case s.json:
		for _, d := range diagnosticsJSON(list) {
			writeEventJSON(s.env.Stderr, "diagnostic", d)
		}
	default:
		s.render(list)
	}
}

// warn shows sentences that do not end the command.
func (s *session) warn(texts []string) {
	for _, t := range texts {
		if s.json {
			writeEventJSON(s.env.Stderr, "warning", map[string]string{"text": t})
			continue
		}
		fmt.Fprintf(s.env.Stderr, "warning: %s\n", t)
	}
}

// A diagnosticJSON is a diagnostic for programs.
type diagnosticJSON struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Hint     string `json:"hint"`
}

func diagnosticsJSON(list diag.List) []diagnosticJSON {
	out := []diagnosticJSON{}
	for _, d := range list.Sorted() {
		out = append(out, diagnosticJSON{d.Pos.File, d.Pos.Line, d.Pos.Column, d.Severity.String(), d.Code, d.Message, d.Hint})
	}
	return out
}

// An errorJSON is the last event of a command that did not succeed.
type errorJSON struct {
	Message     string           `json:"message"`
	Hint        string           `json:"hint,omitempty"`
	Exit        int              `json:"exit"`
	Diagnostics []diagnosticJSON `json:"diagnostics,omitempty"`
}

// writeEventJSON writes one line of the conversation for programs.
func writeEventJSON(w io.Writer, kind string, event any) {
	b, err := json.Marshal(struct {
		Version int    `json:"version"`
		Kind    string `json:"kind"`
		Event   any    `json:"event"`
	}{1, kind, event})
	if err != nil {
		panic("cli: " + err.Error())
	}
	_, _ = w.Write(append(b, '\n')) // a reader that is gone ends nothing
}

// crashed turns a panic into a report that the user can send.
func (s *session) crashed(value any, stack []byte) int {
	r := s.env.Release
	fmt.Fprintf(s.env.Stderr, `anyfaas: internal error: %v

This is a mistake in anyfaas, not in your project. What was deployed is
recorded; running the command again is safe. Please report the lines below at
https://github.com/anyfaas/anyfaas/issues. They hold no values from your
manifest but check before you send them.

command: anyfaas %s
version: %s %s %s (%s, %s)

%s`, value, s.path, r.Version, r.Commit, r.Platform, r.Go, runtime.Compiler, stack)
	return exitFailed
}
