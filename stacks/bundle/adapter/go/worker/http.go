//go:build go1.22

package worker

import (
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
)

// serveHTTP calls the user's handler. A panic is logged and answered with 500, or
// breaks the connection when part of an answer is out already.
func serveHTTP(h http.Handler, w http.ResponseWriter, r *http.Request) {
	if err := decodeBody(r); err != nil {
		slog.WarnContext(r.Context(), "bad request", "error", err.Error())
		reply(w, http.StatusBadRequest, map[string]any{"message": "Bad Request"})
		return
	}
	tracked := &tracker{ResponseWriter: w}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		slog.ErrorContext(r.Context(), "unhandled error", "error", fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
		if tracked.wrote {
			panic(http.ErrAbortHandler)
		}
		clear(w.Header())
		reply(w, http.StatusInternalServerError, map[string]any{"message": "Internal Server Error"})
	}()
	h.ServeHTTP(tracked, r)
}

// decodeBody undoes a client's gzip.
func decodeBody(r *http.Request) error {
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "gzip", "x-gzip":
	default:
		return nil
	}
	if r.ContentLength == 0 {
		return nil
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return fmt.Errorf("the body is not gzip: %w", err)
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{z, r.Body}
	r.Header.Del("Content-Encoding")
	r.Header.Del("Content-Length")
	r.ContentLength = -1
	return nil
}

// A tracker remembers whether an answer has begun.
type tracker struct {
	http.ResponseWriter
	wrote bool
}

func (t *tracker) WriteHeader(status int) {
	t.wrote = t.wrote || status >= 200
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracker) Write(b []byte) (int, error) {
	t.wrote = true
	return t.ResponseWriter.Write(b)
}

func (t *tracker) ReadFrom(src io.Reader) (int64, error) {
	t.wrote = true
	return io.Copy(t.ResponseWriter, src)
}

func (t *tracker) Flush() {
	t.wrote = true
	t.ResponseWriter.(http.Flusher).Flush()
}

func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }
