package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// maxBuffered bounds the answers of events and direct calls.
const maxBuffered = 16 << 20

// statusClientGone is logged for a call whose client went away; nobody gets it.
const statusClientGone = 499

// An execution is one admitted call: it has a worker until it ends.
type execution struct {
	function *function
	worker   *worker
	id       string
	text     string // of the log line that ends it
	cold     bool
	start    time.Time
	deadline time.Time
	retire   bool // the worker must be replaced
}

// A failure is the end of a call that the function did not decide.
type failure struct {
	status  int
	message string
	cause   error
}

func (f *failure) Error() string { return f.message }
func (f *failure) Unwrap() error { return f.cause }

// Messages that clients see.
const (
	messageTimeout  = "Endpoint request timed out"
	messageNotFound = "Not Found"
	messageBusy     = "Too Many Requests"

	messageBrokenBody = "the request body broke off"
)

// admit waits for a worker; see acquire for source. On failure the call is
// logged and counted.
func (f *function) admit(ctx context.Context, id, source, text string) (*execution, *failure) {
	e := &execution{function: f, id: id, text: text, start: time.Now()}
	w, cold, err := f.acquire(ctx, source)
	f.calls.Add(1)
	if err != nil {
		fail := admission(err)
		e.log(fail.status, fail.message)
		return nil, fail
	}
	e.worker, e.cold = w, cold
	e.deadline = time.Now().Add(time.Duration(f.timeout.Load()))
	w.running.begin(id)
	return e, nil
}

func admission(err error) *failure {
	if boot, ok := errors.AsType[*bootError](err); ok {
		return &failure{http.StatusBadGateway, "the function did not start: " + boot.Error(), err}
	}
	switch {
	case errors.Is(err, errBusy):
		return &failure{http.StatusTooManyRequests, messageBusy, err}
	case errors.Is(err, errGone):
		return &failure{http.StatusNotFound, messageNotFound, err}
	case errors.Is(err, errWait):
		return &failure{http.StatusServiceUnavailable, err.Error(), err}
	}
	return &failure{statusClientGone, "the client went away", err}
}

// end gives the execution back and logs the call.
func (e *execution) end(status int, note string) {
	now := time.Now()
	e.worker.running.end(e.id, now)
	e.function.release(e.worker, releaseOptions{Retire: e.retire})
	e.log(status, note)
}

func (e *execution) log(status int, note string) {
	if status >= 500 {
		e.function.errors.Add(1)
	}
	text, level := e.text, ""
	if note != "" {
		text += ": " + note
	}
	if status >= 500 {
		level = "error"
	}
	now := time.Now()
	e.function.journal.add(&api.LogLine{
		Time: now, Kind: "request", RequestID: e.id, Level: level, Text: text,
		Duration: api.Duration(now.Sub(e.start)), Cold: e.cold, Status: status,
	})
}

// diagnose tells why talking to the worker failed.
func (e *execution) diagnose(ctx context.Context, err error) *failure {
	// The deadline goes first: giving up a request body, as is done then, looks
	// as if the client had gone.
	if errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(e.deadline) {
		// The handler may still run; nothing else shall wait for it.
		e.retire = true
		return &failure{http.StatusGatewayTimeout, messageTimeout, err}
	}
	if client, ok := errors.AsType[*clientError](err); ok {
		return &failure{statusClientGone, client.Error(), err}
	}
	if ctx.Err() != nil {
		return &failure{statusClientGone, "the client went away", err}
	}
	if reason := e.worker.crash(); reason != "" {
		return &failure{http.StatusBadGateway, reason, err}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		e.retire = true // it would refuse every call
		return &failure{http.StatusBadGateway, "the worker runs but takes no connections; it is replaced", err}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return &failure{http.StatusBadGateway, "the worker runs but closed the connection before its answer was complete", err}
	}
	return &failure{http.StatusBadGateway, "the worker broke off: " + err.Error(), err}
}

// hostLines are the header fields of the worker protocol.
func (e *execution) hostLines(b *bytes.Buffer) {
	b.WriteString(api.HeaderRequestID + ": ")
	b.WriteString(e.id)
	b.WriteString("\r\n" + api.HeaderDeadline + ": ")
	b.Write(strconv.AppendInt(b.AvailableBuffer(), e.deadline.UnixMilli(), 10))
	b.WriteString("\r\n")
}

// An answer is the whole answer of an event or a direct call.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange passes req and reads the whole answer. It ends the execution: note
// turns the answer into the status and text of the log line.
func (e *execution) exchange(ctx context.Context, req *request, note func(answer) (int, string)) (answer, *failure) {
	a, err := e.roundTrip(ctx, req)
	if err != nil {
		fail := e.diagnose(ctx, err)
		e.end(fail.status, fail.message)
		return answer{}, fail
	}
	status, text := a.status, ""
	if note != nil {
		status, text = note(a)
	}
	e.end(status, text)
	return a, nil
}

func (e *execution) roundTrip(ctx context.Context, req *request) (answer, error) {
	r, err := e.worker.send(ctx, req, e.deadline)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBuffered+1))
	if err == nil && len(body) > maxBuffered {
		err = errors.New("the answer is larger than 16 MB")
	}
	r.finish(finishOptions{Broken: err != nil})
	return answer{r.StatusCode, r.Header, body}, err
}
