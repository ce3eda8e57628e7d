//go:build go1.22

package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
)

// At most so many events of one delivery are handled at a time.
const parallel = 10

// An eventHandler calls a user's func(context.Context, T) error or
// func(context.Context, T) (R, error).
type eventHandler struct {
	fn       reflect.Value
	argument reflect.Type
	batch    bool // T is a slice of events
}

func newEventHandler(f any) (*eventHandler, error) {
	t := reflect.TypeOf(f)
	ok := t.Kind() == reflect.Func && !t.IsVariadic() && t.NumIn() == 2 && (t.NumOut() == 1 || t.NumOut() == 2) &&
		t.In(0) == reflect.TypeFor[context.Context]() && t.Out(t.NumOut()-1) == reflect.TypeFor[error]()
	if !ok {
		return nil, fmt.Errorf("must be a func(context.Context, T) error or func(context.Context, T) (R, error), not %v", t)
	}
	arg := t.In(1)
	// json.RawMessage and []byte are one event as it came.
	batch := arg.Kind() == reflect.Slice && arg.Elem().Kind() != reflect.Uint8
	return &eventHandler{reflect.ValueOf(f), arg, batch}, nil
}

func (h *eventHandler) serve(ctx context.Context, w http.ResponseWriter, body io.Reader, c call) {
	data, err := io.ReadAll(body)
	if err == nil && !json.Valid(data) {
		err = errors.New("the event is not JSON")
	}
	if err != nil {
		slog.ErrorContext(ctx, "the event cannot be read", "error", err.Error())
		reply(w, http.StatusBadRequest, map[string]any{"message": err.Error()})
		return
	}
	if c.kind == "invoke" {
		if h.batch {
			data = slices.Concat([]byte("["), data, []byte("]"))
		}
		result, err := h.call(ctx, data)
		if err != nil {
			slog.ErrorContext(ctx, "unhandled error", "error", detail(err))
			reply(w, http.StatusInternalServerError, map[string]any{"message": err.Error()})
			return
		}
		reply(w, http.StatusOK, result)
		return
	}
	failures := h.deliver(ctx, data, c.ordered)
	status := http.StatusOK
	if len(failures) > 0 {
		status = http.StatusInternalServerError
	}
	reply(w, status, map[string]any{"failures": failures})
}

// deliver hands over the events of a JSON array, or one event, and returns the
// ids of those to deliver again, in their order.
func (h *eventHandler) deliver(ctx context.Context, data []byte, ordered bool) []string {
	var events []json.RawMessage
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); trimmed[0] == '[' {
		_ = json.Unmarshal(data, &events) // valid, and an array
	} else {
		events = []json.RawMessage{data}
	}
	ids := make([]string, len(events))
	for i, e := range events {
		var attributes struct {
			ID string `json:"id"`
		}
		_ = json.Unmarshal(e, &attributes) // an event without an id has the empty one
		ids[i] = attributes.ID
	}
	if h.batch {
		all, _ := json.Marshal(events)
		return h.deliverBatch(ctx, all, ids)
	}
	failed := make([]bool, len(events))
	attempt := func(i int) bool {
		_, err := h.call(ctx, events[i])
		if err != nil {
			slog.ErrorContext(ctx, "event failed", "id", ids[i], "error", detail(err))
			failed[i] = true
		}
		return err == nil
	}
	if ordered {
		for i := range events {
			if !attempt(i) {
				return append([]string{}, ids[i:]...)
			}
		}
		return []string{}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range events {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer func() { <-slots; wg.Done() }()
			attempt(i)
		}()
	}
	wg.Wait()
	failures := []string{}
	for i, bad := range failed {
		if bad {
			failures = append(failures, ids[i])
		}
	}
	return failures
}

// deliverBatch makes one call. A result that has "failures" in its JSON form
// names those to deliver again; an error means all.
func (h *eventHandler) deliverBatch(ctx context.Context, data []byte, ids []string) []string {
	result, err := h.call(ctx, data)
	if err != nil {
		slog.ErrorContext(ctx, "batch failed", "ids", ids, "error", detail(err))
		return ids
	}
	var named struct {
		Failures []string `json:"failures"`
	}
	if b, err := json.Marshal(result); err == nil {
		_ = json.Unmarshal(b, &named) // any other result names none
	}
	failures := []string{}
	for _, id := range ids {
		if slices.Contains(named.Failures, id) {
			failures = append(failures, id)
		}
	}
	return failures
}

// A panicError is a panic of the user's handler.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// detail is an error with the stack of its panic, for logs.
func detail(err error) string {
	var p *panicError
	if errors.As(err, &p) {
		return p.Error() + "\n" + string(p.stack)
	}
	return err.Error()
}

// call decodes data into the handler's type and calls it.
func (h *eventHandler) call(ctx context.Context, data []byte) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	arg := reflect.New(h.argument)
	if h.argument.Kind() == reflect.Slice && h.argument.Elem().Kind() == reflect.Uint8 {
		arg.Elem().SetBytes(data)
	} else if err := json.Unmarshal(data, arg.Interface()); err != nil {
		return nil, fmt.Errorf("decode the event into %v: %w", h.argument, err)
	}
	out := h.fn.Call([]reflect.Value{reflect.ValueOf(ctx), arg.Elem()})
	if err, _ := out[len(out)-1].Interface().(error); err != nil {
		return nil, err
	}
	if len(out) == 2 {
		result = out[0].Interface()
	}
	return result, nil
}
