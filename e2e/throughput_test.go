package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	rounds    = 5
	roundTime = 2 * time.Second
)

// Compares HTTP calls of a deployed Node.js function with the same function
// under the Functions Framework and with a bare server. They are measured in
// turns, so that a busy moment of the machine meets all three.
func TestHTTPThroughput(t *testing.T) {
	if os.Getenv("BENCH_HTTP") == "" {
		t.Skip("BENCH_HTTP is not set; make bench-http runs this")
	}
	need(t, "node", "npm")
	servers := []server{
		{name: "anyfaas, provider local", url: deployHello(t)},
		{name: "functions-framework 5.0.5", url: startFramework(t)},
		{name: "bare node:http", url: startBare(t)},
	}
	for _, connections := range []int{1, 32} {
		results := make([]load, len(servers))
		for i, s := range servers {
			measure(t, s.url, connections, roundTime/2) // warm
			results[i].connections = connections
		}
		for range rounds {
			for i, s := range servers {
				results[i].add(measure(t, s.url, connections, roundTime))
			}
		}
		t.Logf("%d connections, keep-alive, %d rounds of %v each", connections, rounds, roundTime)
		for i, s := range servers {
			t.Logf("  %-26s %8.0f req/s   p50 %8v   p99 %8v", s.name, results[i].rate(), results[i].percentile(50), results[i].percentile(99))
		}
		ours, framework, bare := &results[0], &results[1], &results[2]
		t.Logf("  throughput: %.2f × functions-framework, %.2f × bare; median latency: %.2f × functions-framework, %.2f × bare",
			ours.rate()/framework.rate(), ours.rate()/bare.rate(),
			float64(ours.percentile(50))/float64(framework.percentile(50)), float64(ours.percentile(50))/float64(bare.percentile(50)))
	}
}

type server struct{ name, url string }

// A load is what clients saw.
type load struct {
	connections int
	took        time.Duration
	latencies   []time.Duration
	sorted      bool
}

func (l *load) add(m load) {
	l.took += m.took
	l.latencies = append(l.latencies, m.latencies...)
	l.sorted = false
}

func (l *load) rate() float64 { return float64(len(l.latencies)) / l.took.Seconds() }

func (l *load) percentile(p int) time.Duration {
	if !l.sorted {
		slices.Sort(l.latencies)
		l.sorted = true
	}
	return l.latencies[len(l.latencies)*p/100].Round(time.Microsecond)
}

// measure calls a URL over so many connections, one call after another on each,
// for a time. It speaks plain sockets, since on a small machine the client takes
// its processor time from the servers.
func measure(t *testing.T, target string, connections int, during time.Duration) load {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	request := "GET " + u.Path + " HTTP/1.1\r\nHost: " + u.Host + "\r\n\r\n"
	var (
		mu    sync.Mutex
		all   load
		group sync.WaitGroup
	)
	begin := time.Now()
	for range connections {
		group.Go(func() {
			conn, err := net.Dial("tcp", u.Host)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			latencies := make([]time.Duration, 0, 1<<16)
			for time.Since(begin) < during {
				sent := time.Now()
				if _, err := io.WriteString(conn, request); err != nil {
					t.Error(err)
					return
				}
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != 200 || string(body) != "Hello!" {
					t.Errorf("%s answered %d %q, %v", target, res.StatusCode, body, err)
					return
				}
				latencies = append(latencies, time.Since(sent))
			}
			mu.Lock()
			defer mu.Unlock()
			all.latencies = append(all.latencies, latencies...)
		})
	}
	group.Wait()
	all.took = time.Since(begin)
	if t.Failed() {
		t.FailNow()
	}
	return all
}

func deployHello(t *testing.T) string {
	t.Helper()
	w := newWorld(t, "")
	w.save("serverless.yaml", `apiVersion: anyfaas/v1
service: throughput
functions:
  hello:
    handler: hello.handler
    runtime: node22
    concurrency: { perInstance: 100 }
    triggers: [{ http: GET /hello }]
`)
	w.save("hello.ts", "export const handler = () => new Response('Hello!');\n")
	w.must(0, "deploy", "--yes")
	t.Cleanup(func() { w.must(0, "remove", "--yes") })
	return w.url() + "/hello"
}

func startFramework(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "@google-cloud/functions-framework@5.0.5")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm install: %v\n%s", err, out)
	}
	write(t, filepath.Join(dir, "index.js"), "exports.hello = (req, res) => res.send('Hello!');\n")
	port := freePort(t)
	start(t, dir, []string{"PORT=" + port, "FUNCTION_TARGET=hello"}, filepath.Join(dir, "node_modules", ".bin", "functions-framework"))
	return answering(t, port)
}

func startBare(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index.js"), `require('node:http')
  .createServer((req, res) => res.end('Hello!'))
  .listen(process.env.PORT, '127.0.0.1');
`)
	port := freePort(t)
	start(t, dir, []string{"PORT=" + port}, "node", "index.js")
	return answering(t, port)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs a server until the test ends.
func start(t *testing.T, dir string, env []string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func answering(t *testing.T, port string) string {
	t.Helper()
	target := "http://127.0.0.1:" + port + "/hello"
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if a, err := tryCall("GET", target, ""); err == nil && strings.Contains(a.Body, "Hello!") {
			return target
		}
	}
	t.Fatal(fmt.Sprint("no answer from ", target))
	return ""
}
