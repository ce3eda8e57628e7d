package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// Sizes of the way between client and worker.
const (
	wholeBody  = 64 << 10 // a request body up to here is read before a worker is asked for
	copyBuffer = 32 << 10
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

// An arrival is an HTTP request that has found its function.
type arrival struct {
	id     string
	params map[string]string
}

// serveHTTP passes a client's request to a worker and the answer back.
func (f *function) serveHTTP(rw http.ResponseWriter, r *http.Request, a arrival) {
	if r.Host == "" { // HTTP/1.0
		r.Host = "localhost"
	}
	req := &request{method: r.Method, uri: requestURI(r), host: r.Host, header: r.Header, length: r.ContentLength, tail: r.Trailer}
	if err := readWhole(req, r); err != nil {
		writeMessage(rw, http.StatusBadRequest, messageBrokenBody)
		return
	}
	e, fail := f.admit(r.Context(), a.id, "", r.Method+" "+r.URL.Path)
	if fail != nil {
		writeFailure(rw, fail)
		return
	}
	var extra bytes.Buffer
	e.httpLines(&extra, r, a)
	req.extra = extra.Bytes()
	if r.ContentLength != 0 && req.whole == nil {
		control := http.NewResponseController(rw)
		control.EnableFullDuplex()
		req.stream = r.Body
		req.unblock = func() { control.SetReadDeadline(past) }
	}
	reply, err := e.worker.send(r.Context(), req, e.deadline)
	if err != nil {
		fail := e.diagnose(r.Context(), err)
		if fail.status == statusClientGone && r.Context().Err() == nil {
			fail.status, fail.message = http.StatusBadRequest, messageBrokenBody // but the client is there
		}
		e.end(fail.status, fail.message)
		writeFailure(rw, fail)
		return
	}
	err = e.respond(rw, reply)
	reply.finish(finishOptions{Broken: err != nil})
	if err != nil {
		fail := e.diagnose(r.Context(), err)
		e.end(fail.status, "broken off: "+fail.message)
		panic(http.ErrAbortHandler) // the client must not take it for a whole answer
	}
	e.end(reply.StatusCode, "")
}

// requestURI returns the path and query as the client sent them, but for what no URL
// may hold and servers disagree on: bytes beyond ASCII are escaped.
func requestURI(r *http.Request) string {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") {
		uri = r.URL.RequestURI() // "GET http://host/path HTTP/1.1"
	}
	if !strings.ContainsFunc(uri, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return uri
	}
	var escaped strings.Builder
	for i := range len(uri) {
		if c := uri[i]; c >= utf8.RuneSelf {
			fmt.Fprintf(&escaped, "%%%02X", c)
		} else {
			escaped.WriteByte(c)
		}
	}
	return escaped.String()
}

// readWhole reads a short body, so that no worker waits for a slow client.
func readWhole(req *request, r *http.Request) error {
	if r.ContentLength <= 0 || r.ContentLength > wholeBody {
		return nil
	}
	req.whole = make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, req.whole)
	return err
}

// httpLines adds what the host says about a client's request.
func (e *execution) httpLines(b *bytes.Buffer, r *http.Request, a arrival) {
	e.hostLines(b)
	ip := clientIP(r.RemoteAddr)
	b.WriteString(api.HeaderClientIP + ": ")
	b.WriteString(ip)
	if len(a.params) > 0 {
		b.WriteString("\r\n" + api.HeaderParams + ": ")
		writeASCII(b, a.params)
	}
	b.WriteString("\r\nX-Forwarded-For: ")
	b.WriteString(ip)
	b.WriteString("\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ")
	b.WriteString(r.Host)
	b.WriteString("\r\n")
	e.trace(b, r.Header.Get("Traceparent"))
}

func clientIP(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		addr = addr[:i]
	}
	return strings.Trim(addr, "[]")
}

// writeASCII writes v as JSON that fits into a header field: what is not ASCII
// is escaped, for languages that take header fields for Latin-1.
func writeASCII(b *bytes.Buffer, v map[string]string) {
	text, _ := json.Marshal(v) // a map of strings
	for _, c := range string(text) {
		switch {
		case c < utf8.RuneSelf:
			b.WriteByte(byte(c))
		case c > 0xffff:
			c -= 0x10000
			writeEscape(b, 0xd800+c>>10)
			writeEscape(b, 0xdc00+c&0x3ff)
		default:
			writeEscape(b, c)
		}
	}
}

func writeEscape(b *bytes.Buffer, c rune) {
	const hex = "0123456789abcdef"
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(hex[c>>shift&15])
	}
}

// respond passes the worker's answer to the client, each part as it comes.
func (e *execution) respond(rw http.ResponseWriter, reply *reply) error {
	if reply.StatusCode == http.StatusSwitchingProtocols {
		return errors.New("the function answered 101, which is not supported")
	}
	copyHeader(rw.Header(), reply.Response)
	rw.WriteHeader(reply.StatusCode)
	if err := e.copyBody(rw, reply); err != nil {
		return err
	}
	for name, values := range reply.Trailer { // announced by copyHeader
		rw.Header()[name] = values
	}
	return nil
}

func copyHeader(dst http.Header, resp *http.Response) {
	connection := resp.Header["Connection"]
	_, cors := dst["Access-Control-Allow-Origin"]
	for name, values := range resp.Header {
		switch {
		case hopByHop[name] || ours(name) || (connection != nil && listedIn(connection, name)):
		case cors && strings.HasPrefix(name, "Access-Control-"): // the front's word counts
		case name == "Vary" && dst["Vary"] != nil:
			dst["Vary"] = append(dst["Vary"], values...)
		default:
			dst[name] = values
		}
	}
	for name := range resp.Trailer {
		dst["Trailer"] = append(dst["Trailer"], name)
	}
	if _, ok := dst["Content-Type"]; !ok {
		dst["Content-Type"] = nil // net/http shall not guess one
	}
}

// copyBody copies the body and flushes whenever the worker has no more for the
// moment.
func (e *execution) copyBody(rw http.ResponseWriter, reply *reply) error {
	if reply.Body == http.NoBody || reply.ContentLength == 0 {
		return nil
	}
	pooled := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(pooled)
	buf := *pooled
	left := reply.ContentLength // negative when not known
	var control *http.ResponseController
	if reply.conn.r.Buffered() == 0 { // the body comes later; the head shall not wait for it
		if err := http.NewResponseController(rw).Flush(); err != nil {
			return &clientError{err}
		}
	}
	for {
		n, err := reply.Body.Read(buf)
		left -= int64(n)
		if n > 0 {
			if err == nil && left != 0 && control == nil {
				// More is to come: a client that does not read must not hold
				// the worker longer than the function's own timeout.
				control = http.NewResponseController(rw)
				control.SetWriteDeadline(e.deadline)
				defer control.SetWriteDeadline(time.Time{})
			}
			if _, err := rw.Write(buf[:n]); err != nil {
				return &clientError{err}
			}
			if err == nil && left != 0 && reply.conn.r.Buffered() == 0 {
				if err := control.Flush(); err != nil {
					return &clientError{err}
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
	}
}

// writeMessage answers with the JSON that all fronts use for their own answers.
func writeMessage(rw http.ResponseWriter, status int, message string) {
	h := rw.Header()
	body, _ := json.Marshal(map[string]string{"message": message})
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	rw.WriteHeader(status)
	rw.Write(body)
}

func writeFailure(rw http.ResponseWriter, f *failure) {
	switch f.status {
	case statusClientGone:
		panic(http.ErrAbortHandler)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		rw.Header()["Retry-After"] = []string{"1"}
	}
	writeMessage(rw, f.status, f.message)
}
