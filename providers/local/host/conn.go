package host

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// maxIdleConn is how long a connection to a worker is kept unused. Node closes
// idle connections after five seconds; ours are gone before.
const maxIdleConn = 4 * time.Second

// A conn is a connection to a worker that carries one call at a time.
type conn struct {
	net.Conn
	r     *bufio.Reader
	w     *bufio.Writer
	since time.Time // idle since
	used  bool      // has carried a call
}

func newConn(c net.Conn) *conn {
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 16<<10), w: bufio.NewWriterSize(c, 16<<10), since: time.Now()}
}

// idleConns are the unused connections of a worker, the latest used last.
type idleConns struct {
	mu     sync.Mutex
	list   []*conn
	closed bool
}

// get returns an unused connection, or nil.
func (p *idleConns) get(now time.Time) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.list) > 0 {
		last := len(p.list) - 1
		c := p.list[last]
		p.list[last] = nil
		p.list = p.list[:last]
		if c.used && now.Sub(c.since) > maxIdleConn {
			c.Close()
			continue
		}
		return c
	}
	return nil
}

func (p *idleConns) put(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	if !p.closed {
		p.list = append(p.list, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

func (p *idleConns) close() {
	p.mu.Lock()
	list := p.list
	p.list, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range list {
		c.Close()
	}
}
