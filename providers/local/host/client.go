package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A Client talks to the host of one home over its admin socket. It is safe for
// concurrent use. A client that Ensure returned starts the host again when it
// is gone.
type Client struct {
	layout layout
	start  *Start // nil: do not start
	http   *http.Client

	starting sync.Mutex
}

// NewClient returns a client for the host of home. It does not look whether
// there is one.
func NewClient(home string) *Client {
	c := &Client{layout: layoutOf(home)}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if err := c.layout.trusted(); err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, "unix", c.layout.socket)
		},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
	}}
	return c
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// An Error is what the host answered instead of doing what it was asked. Codes
// are "owned", "port-taken", "port-denied", "no-service", "invalid",
// "not-found", "stopping" and "failed".
type Error struct {
	Status int    // of HTTP
	Code   string // stable
	Text   string
}

func (e *Error) Error() string { return e.Text }

// ErrNotRunning says that no host answers for this home.
var ErrNotRunning = errors.New("the local host is not running")

// Status describes the host and what it runs. It never starts a host.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	var st api.Status
	err := c.once(ctx, http.MethodGet, "/v1/status", nil, &st)
	return st, err
}

// Stop ends the host and returns once its process is gone. What is deployed
// stays, and comes back with the next start. No host is no error.
func (c *Client) Stop(ctx context.Context) error {
	st, err := c.Status(ctx)
	for errors.Is(err, ErrNotRunning) {
		if !supervised(c.layout) {
			return nil
		}
		// It died a moment ago and comes back, or its end is not complete.
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the local host, which is started again: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
		st, err = c.Status(ctx)
	}
	if err != nil && !isStopping(err) {
		return err
	}
	if err == nil {
		if err := c.once(ctx, http.MethodPost, "/v1/stop", nil, nil); err != nil && !isStopping(err) && !errors.Is(err, ErrNotRunning) {
			return err
		}
	}
	c.Close()
	for {
		_, err := os.Stat(c.layout.socket)
		if errors.Is(err, os.ErrNotExist) && !alive(st.PID) && !alive(st.Supervisor) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the local host (process %d) to stop: %w", st.PID, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stack returns a stack's resources, or nil when there is no such stack.
func (c *Client) Stack(ctx context.Context, stack string) (*api.StackState, error) {
	var st api.StackState
	if err := c.do(ctx, http.MethodGet, stackPath(stack), nil, &st); err != nil {
		return nil, ignoreMissing(err)
	}
	return &st, nil
}

// DeleteStack removes all resources of a stack with their data.
func (c *Client) DeleteStack(ctx context.Context, stack string) error {
	return c.do(ctx, http.MethodDelete, stackPath(stack), nil, nil)
}

// Put makes a resource be as spec, the kind's type in package api, says.
func (c *Client) Put(ctx context.Context, stack string, kind api.Kind, name string, spec any) (api.Outputs, error) {
	body, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	var out api.Outputs
	err = c.do(ctx, http.MethodPut, resourcePath(stack, kind, name), body, &out)
	return out, err
}

// Get returns a resource, or nil when it is gone.
func (c *Client) Get(ctx context.Context, stack string, kind api.Kind, name string) (*api.ResourceState, error) {
	var st api.ResourceState
	if err := c.do(ctx, http.MethodGet, resourcePath(stack, kind, name), nil, &st); err != nil {
		return nil, ignoreMissing(err)
	}
	return &st, nil
}

// Delete removes a resource. One that is gone already is no error.
func (c *Client) Delete(ctx context.Context, stack string, kind api.Kind, name string) error {
	return c.do(ctx, http.MethodDelete, resourcePath(stack, kind, name), nil, nil)
}

// HasArtifact reports whether the host has the zip of that hash.
func (c *Client) HasArtifact(ctx context.Context, sha256 string) (bool, error) {
	err := c.do(ctx, http.MethodHead, "/v1/artifacts/"+url.PathEscape(sha256), nil, nil)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// PutArtifact uploads a zip. The host refuses it unless it has that hash.
func (c *Client) PutArtifact(ctx context.Context, sha256, file string) error {
	open := func() (io.ReadCloser, error) { return os.Open(file) }
	return c.retry(ctx, func() error {
		return c.send(ctx, http.MethodPut, "/v1/artifacts/"+url.PathEscape(sha256), open, nil)
	})
}

// Invoke calls a function. It is not repeated when the host goes away.
func (c *Client) Invoke(ctx context.Context, stack, function string, req api.InvokeRequest) (api.InvokeReply, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return api.InvokeReply{}, err
	}
	var reply api.InvokeReply
	err = c.once(ctx, http.MethodPost, resourcePath(stack, api.KindFunction, function)+"/invoke", body, &reply)
	return reply, err
}

// LogOptions selects log lines. The zero value means everything kept, then stop.
type LogOptions struct {
	Since  time.Time
	Follow bool // go on until ctx ends
}

// Logs yields the lines of a function in time order. An error ends it.
func (c *Client) Logs(ctx context.Context, stack, function string, o LogOptions) iter.Seq2[api.LogLine, error] {
	return func(yield func(api.LogLine, error) bool) {
		q := url.Values{}
		if !o.Since.IsZero() {
			q.Set("since", o.Since.UTC().Format(time.RFC3339Nano))
		}
		if o.Follow {
			q.Set("follow", "true")
		}
		resp, err := c.open(ctx, http.MethodGet, resourcePath(stack, api.KindFunction, function)+"/logs?"+q.Encode(), nil)
		if err != nil {
			yield(api.LogLine{}, err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		for {
			text, err := lines.ReadBytes('\n')
			if err == io.EOF || ctx.Err() != nil {
				return
			}
			var l api.LogLine
			if err == nil {
				err = json.Unmarshal(text, &l)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func stackPath(stack string) string { return "/v1/stacks/" + url.PathEscape(stack) }

func resourcePath(stack string, kind api.Kind, name string) string {
	return stackPath(stack) + "/" + url.PathEscape(string(kind)) + "/" + url.PathEscape(name)
}

func ignoreMissing(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		return nil
	}
	return err
}

func isStopping(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == "stopping"
}

// do makes an idempotent call, again when the host goes away meanwhile.
func (c *Client) do(ctx context.Context, method, path string, body []byte, into any) error {
	return c.retry(ctx, func() error { return c.once(ctx, method, path, body, into) })
}

// retry repeats call while the host is not there or just stopping, and starts
// it when this client may.
func (c *Client) retry(ctx context.Context, call func() error) error {
	for attempt := 1; ; attempt++ {
		err := call()
		if err == nil || c.start == nil || attempt == 4 || ctx.Err() != nil {
			return err
		}
		_, answered := errors.AsType[*Error](err)
		if answered && !isStopping(err) {
			return err
		}
		if err := c.ensure(ctx); err != nil {
			return err
		}
	}
}

func (c *Client) once(ctx context.Context, method, path string, body []byte, into any) error {
	var open func() (io.ReadCloser, error)
	if body != nil {
		open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	for attempt := 1; ; attempt++ {
		err := c.send(ctx, method, path, open, into)
		// A host that dies takes connections along that it never looked at.
		if lost := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE); !lost || method != http.MethodGet || attempt == 5 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *Client) send(ctx context.Context, method, path string, open func() (io.ReadCloser, error), into any) error {
	resp, err := c.open(ctx, method, path, open)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("read the answer of the local host: %w", err)
	}
	return nil
}

// open makes a call and returns an answer below 300.
func (c *Client) open(ctx context.Context, method, path string, open func() (io.ReadCloser, error)) (*http.Response, error) {
	var body io.Reader
	if open != nil {
		b, err := open()
		if err != nil {
			return nil, err
		}
		body = b
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://host"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, ErrNotRunning
		}
		return nil, fmt.Errorf("talk to the local host: %w", err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var answer struct{ Error, Code string }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(text, &answer) != nil || answer.Error == "" {
		answer.Error = "the local host answered " + resp.Status
	}
	return nil, &Error{Status: resp.StatusCode, Code: answer.Code, Text: answer.Error}
}
