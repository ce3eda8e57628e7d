package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"
)

// A request is a call in the form of the worker protocol.
type request struct {
	method string
	uri    string // path and query as the client sent them
	host   string
	header http.Header // the client's; what must not pass is left out when writing
	extra  []byte      // the host's own header lines
	length int64       // of the body; -1 when not known
	whole  []byte      // the body when it was short enough to be read first
	stream io.Reader   // the body otherwise
	tail   http.Header // trailers of stream, complete once it was read

	unblock func() // ends a read of stream that still waits for the client
}

// hopByHop are header fields that concern one connection only.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// notPassed are the fields of a client's request that do not reach a worker:
// those of the connection, those that the host writes itself, and those that
// say where a request came from, which a client could make up.
var notPassed = map[string]bool{
	"Expect": true, "Content-Length": true,
	"X-Forwarded-For": true, "X-Forwarded-Proto": true, "X-Forwarded-Host": true, "X-Forwarded-Port": true,
	"X-Real-Ip": true, "Forwarded": true,
}

// ours reports whether a header field belongs to the worker protocol. Some
// languages do not tell an underscore from a dash.
func ours(name string) bool {
	return len(name) > 7 && (name[7] == '-' || name[7] == '_') && strings.EqualFold(name[:7], "anyfaas")
}

// listedIn reports whether name is among the tokens of Connection fields.
func listedIn(connection []string, name string) bool {
	for _, v := range connection {
		for token := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(textproto.TrimString(token), name) {
				return true
			}
		}
	}
	return false
}

// writeHead writes everything before the body.
func (c *conn) writeHead(req *request) {
	w := c.w
	w.WriteString(req.method)
	w.WriteByte(' ')
	w.WriteString(req.uri)
	w.WriteString(" HTTP/1.1\r\nHost: ")
	w.WriteString(req.host)
	w.WriteString("\r\n")
	connection := req.header["Connection"]
	for name, values := range req.header {
		if hopByHop[name] || notPassed[name] || ours(name) || (connection != nil && listedIn(connection, name)) {
			continue
		}
		for _, v := range values {
			w.WriteString(name)
			w.WriteString(": ")
			w.WriteString(v)
			w.WriteString("\r\n")
		}
	}
	switch {
	case req.length > 0:
		w.WriteString("Content-Length: ")
		w.Write(strconv.AppendInt(w.AvailableBuffer(), req.length, 10))
		w.WriteString("\r\n")
	case req.length < 0:
		w.WriteString("Transfer-Encoding: chunked\r\n")
		for name := range req.tail {
			w.WriteString("Trailer: ")
			w.WriteString(name)
			w.WriteString("\r\n")
		}
	case req.method == "POST" || req.method == "PUT" || req.method == "PATCH":
		w.WriteString("Content-Length: 0\r\n")
	}
	w.Write(req.extra)
	w.WriteString("\r\n")
}

// writeStream writes a body that was not read first. Errors of the client's
// side come back as a *clientError.
func (c *conn) writeStream(req *request) error {
	var dst io.Writer = c.w
	var chunks io.WriteCloser
	if req.length < 0 {
		chunks = httputil.NewChunkedWriter(c.w)
		dst = chunks
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := req.stream.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
			if err := c.w.Flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return &clientError{err}
		}
	}
	if chunks != nil {
		chunks.Close()
		for name, values := range req.tail {
			for _, v := range values {
				fmt.Fprintf(c.w, "%s: %s\r\n", name, v)
			}
		}
		c.w.WriteString("\r\n")
	}
	return c.w.Flush()
}

// A clientError is a request body that broke off.
type clientError struct{ cause error }

func (e *clientError) Error() string { return "read the request body: " + e.cause.Error() }
func (e *clientError) Unwrap() error { return e.cause }

// A reply is the answer of a worker, its head read and its body not. It must be
// finished.
type reply struct {
	*http.Response
	worker *worker
	conn   *conn
	req    *request
	unarm  func() bool
	sent   chan error // outcome of writing a stream; nil when there was none
}

var past = time.Unix(1, 0)

// send passes req to the worker and reads the head of the answer. Reading and
// writing end with an error at the deadline and when ctx ends.
func (w *worker) send(ctx context.Context, req *request, deadline time.Time) (*reply, error) {
	c := w.conns.get(time.Now())
	if c == nil {
		var err error
		if c, err = w.dial(); err != nil {
			return nil, err
		}
	}
	for {
		c.SetDeadline(deadline)
		c.writeHead(req)
		c.w.Write(req.whole)
		err := c.w.Flush()
		if err == nil {
			break
		}
		c.Close()
		// The worker had closed the connection before this call was written,
		// so it has not seen it.
		if !c.used || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		if c, err = w.dial(); err != nil {
			return nil, err
		}
	}
	c.used = true
	r := &reply{worker: w, conn: c, req: req, unarm: context.AfterFunc(ctx, func() { c.SetDeadline(past) })}
	if req.stream != nil {
		r.sent = make(chan error, 1)
		go func() {
			err := c.writeStream(req)
			r.sent <- err // first, so that the end of the connection has a reason
			if _, ok := errors.AsType[*clientError](err); ok {
				c.Close() // half a request must not look like a whole one
			}
		}()
	}
	method := &http.Request{Method: req.method}
	for {
		resp, err := http.ReadResponse(c.r, method)
		if err != nil {
			sent := r.finish(finishOptions{Broken: true})
			if client, ok := errors.AsType[*clientError](sent); ok {
				return nil, client
			}
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			r.Response = resp
			return r, nil
		}
	}
}

type finishOptions struct {
	Broken bool // the body was not read to its end
}

// finish ends the exchange and keeps the connection when that is possible. It
// returns once nothing reads from the client any more, with the error that ended
// the sending of the body before this did.
func (r *reply) finish(o finishOptions) (sent error) {
	keep := r.unarm() && !o.Broken && !r.Close && r.conn.r.Buffered() == 0
	if r.sent != nil {
		select {
		case sent = <-r.sent:
			keep = keep && sent == nil
		default: // answered before the whole request was sent
			keep = false
			r.conn.Close()
			r.req.unblock()
			<-r.sent
		}
	}
	if keep {
		r.worker.conns.put(r.conn)
	} else {
		r.conn.Close()
	}
	return sent
}

func (w *worker) dial() (*conn, error) {
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}
