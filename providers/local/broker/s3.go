package broker

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
)

// An s3Server serves the objects of all buckets over the S3 API, path style.
// Requests need no signature; one that has one is not checked.
type s3Server struct {
	objects *objects
	url     string
	server  *http.Server
	ended   chan error
}

// startS3 starts the S3 API when it isn't running yet.
func (b *Broker) startS3(ctx context.Context) (*s3Server, error) {
	out, err := b.startOutbox()
	if err != nil {
		return nil, err
	}
	b.starting.Lock()
	defer b.starting.Unlock()
	if b.s3 != nil {
		return b.s3, nil
	}
	dir := filepath.Join(b.opts.Dir, "objects")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l, err := b.listenKept(ctx, "s3", b.opts.FirstPort+portsTried)
	if err != nil {
		return nil, err
	}
	s := &s3Server{objects: &objects{b: b, db: out.db, out: out, dir: dir}, url: "http://" + l.Addr().String(), ended: make(chan error, 1)}
	api := gofakes3.New(s.objects, gofakes3.WithTimeSkewLimit(0), gofakes3.WithMetadataSizeLimit(MaxAttributes)).Server()
	s.server = &http.Server{Handler: b.guardS3(api), ReadHeaderTimeout: 30 * time.Second, MaxHeaderBytes: 2 * MaxAttributes}
	go func() { s.ended <- s.server.Serve(l) }()
	b.s3 = s
	return s, nil
}

func (s *s3Server) close() error {
	err := s.server.Close()
	if serr := <-s.ended; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

// unsupported are parts of the S3 API that change something gofakes3 does not
// know. It would take a PUT of them for the object itself.
var unsupported = []string{
	"accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus",
	"publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "tagging", "torrent", "website",
}

// guardS3 refuses what must not pass and brings bodies into the form that
// gofakes3 knows.
func (b *Broker) guardS3(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why, ok := b.admit(r); !ok {
			writeS3Error(w, http.StatusForbidden, "AccessDenied", why)
			return
		}
		query := r.URL.Query()
		for _, part := range unsupported {
			if query.Has(part) {
				writeS3Error(w, http.StatusNotImplemented, "NotImplemented", fmt.Sprintf("the local S3 API has no %q", part))
				return
			}
		}
		if err := plainBody(r); err != nil {
			writeS3Error(w, http.StatusBadRequest, "InvalidRequest", err.Error())
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeS3Error(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct { // a client that left needs no answer
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: message})
}

// plainBody takes the aws-chunked coding off a body: SDKs send each chunk with
// its size, maybe a signature, and trailing checksums.
func plainBody(r *http.Request) error {
	coding := r.Header.Get("Content-Encoding")
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") && !strings.Contains(coding, "aws-chunked") {
		if r.ContentLength < 0 {
			// gofakes3 wants a length before it reads; ours reads to the end.
			r.Header.Set("Content-Length", "1")
		}
		return nil
	}
	size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return errors.New("an aws-chunked body needs x-amz-decoded-content-length")
	}
	var rest []string
	for c := range strings.SplitSeq(coding, ",") {
		if c = strings.TrimSpace(c); c != "" && c != "aws-chunked" {
			rest = append(rest, c)
		}
	}
	r.Header.Del("Content-Encoding")
	if len(rest) > 0 {
		r.Header.Set("Content-Encoding", strings.Join(rest, ","))
	}
	for _, h := range []string{"X-Amz-Content-Sha256", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer", "Content-Md5"} {
		r.Header.Del(h)
	}
	r.ContentLength = size
	r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	r.Body = &unchunked{body: r.Body, in: bufio.NewReader(r.Body), want: size}
	return nil
}

// Unchunked reads what an aws-chunked body holds.
type unchunked struct {
	body  io.Closer
	in    *bufio.Reader
	want  int64 // bytes still to come in all
	chunk int64 // and in this chunk
	begun bool
	ended bool
}

func (u *unchunked) Read(p []byte) (int, error) {
	for u.chunk == 0 {
		if u.ended {
			return 0, io.EOF
		}
		if err := u.nextChunk(); err != nil {
			return 0, err
		}
	}
	n, err := u.in.Read(p[:min(int64(len(p)), u.chunk)])
	u.chunk -= int64(n)
	u.want -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// nextChunk reads "<hex size>[;chunk-signature=…]\r\n"; the last chunk has size 0
// and is followed by trailers.
func (u *unchunked) nextChunk() error {
	if u.begun {
		if line, err := u.line(); err != nil || line != "" {
			return errors.Join(errors.New("an aws-chunked body has a chunk that is longer than it says"), err)
		}
	}
	u.begun = true
	line, err := u.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	u.chunk, err = strconv.ParseInt(strings.TrimSpace(size), 16, 64)
	if err != nil || u.chunk < 0 || u.chunk > u.want {
		u.chunk = 0
		return fmt.Errorf("an aws-chunked body has a chunk of size %q", size)
	}
	if u.chunk > 0 {
		return nil
	}
	if u.want > 0 {
		return io.ErrUnexpectedEOF
	}
	u.ended = true
	for {
		line, err := u.line()
		if errors.Is(err, io.EOF) || err == nil && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (u *unchunked) line() (string, error) {
	b, err := u.in.ReadSlice('\n')
	return strings.TrimRight(string(b), "\r\n"), err
}

func (u *unchunked) Close() error { return u.body.Close() }
