package host

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// nodeHello is the least that a Node worker can do.
const nodeHello = `require('http').createServer({keepAliveTimeout:0},(q,s)=>{s.writeHead(200,{'content-type':'text/plain','content-length':5});s.end('hello')}).listen(process.env.ANYFAAS_LISTENER.replace('unix:',''));process.stdin.on('end',()=>process.exit()).resume()`

// BenchmarkFront measures calls over connections that are kept, with a worker in
// Go and one in Node, from the client's write to its read.
func BenchmarkFront(b *testing.B) {
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(home) })
	c, err := Ensure(b.Context(), testStart(home))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.DeleteStack(context.Background(), testStack); c.Stop(context.Background()) })
	h := &testHost{Client: c, t: b, home: home}
	h.service(nil)
	h.function("go", func(f *api.FunctionSpec) { f.PerInstance = 100 })
	h.route("GET", "/hello", "go", nil)
	script := filepath.Join(home, "hello.js")
	if err := os.WriteFile(script, []byte(nodeHello), 0o600); err != nil {
		b.Fatal(err)
	}
	h.function("node", func(f *api.FunctionSpec) {
		f.PerInstance = 100
		f.Command = []string{"node", script}
		f.Runtime = "node22"
	})
	h.route("GET", "/node", "node", nil)
	addr := strings.TrimPrefix(h.url, "http://")
	for _, path := range []string{"/hello", "/node"} {
		for _, conns := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", path[1:], conns), func(b *testing.B) {
				b.SetParallelism(1)
				b.ReportAllocs()
				work := make(chan struct{}, b.N)
				for range b.N {
					work <- struct{}{}
				}
				close(work)
				done := make(chan error, conns)
				b.ResetTimer()
				for range conns {
					go func() { done <- load(addr, path, work) }()
				}
				for range conns {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
			})
		}
	}
}

// load makes a request for each token in work over one connection.
func load(addr, path string, work <-chan struct{}) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	text := []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for range work {
		if _, err := c.Write(text); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != 200 {
			return fmt.Errorf("got %s", resp.Status)
		}
	}
	return nil
}
