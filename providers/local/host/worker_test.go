package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// runWorker is a small worker: it speaks the protocol of package api and does
// what the path of a request asks for.
func runWorker() {
	if os.Getenv("WORKER_FAIL") != "" {
		fmt.Fprintln(os.Stderr, "cannot start:", os.Getenv("WORKER_FAIL"))
		os.Exit(7)
	}
	if d, err := time.ParseDuration(os.Getenv("WORKER_BOOT")); err == nil {
		time.Sleep(d)
	}
	l, err := net.Listen("unix", strings.TrimPrefix(os.Getenv(api.ListenerEnv), "unix:"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	server := &http.Server{Handler: http.HandlerFunc(work)}
	go server.Serve(l)
	eof := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(eof)
	}()
	select {
	case <-eof:
	case <-term:
	}
	os.Exit(0)
}

// work answers one call.
func work(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get(api.HeaderKind) {
	case "event":
		workEvents(w, r)
		return
	case "invoke":
		var e api.CloudEvent
		json.NewDecoder(r.Body).Decode(&e)
		if string(e.Data) == `"fail"` {
			w.WriteHeader(500)
			fmt.Fprint(w, `{"message":"asked to fail"}`)
			return
		}
		fmt.Printf(`{"level":"info","msg":"invoked","requestId":%q,"size":%d}`+"\n", r.Header.Get(api.HeaderRequestID), len(e.Data))
		fmt.Println("a plain line")
		fmt.Fprintf(w, `{"got":%s}`, e.Data)
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	arg := ""
	if len(path) > 1 {
		arg = path[1]
	}
	switch path[0] {
	case "hello":
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "hello from %s", os.Getenv("NAME"))
	case "pid":
		fmt.Fprint(w, os.Getpid())
	case "env":
		for _, kv := range os.Environ() {
			fmt.Fprintln(w, kv)
		}
	case "raw":
		var b bytes.Buffer
		fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.RequestURI, r.Host)
		r.Header.Del(api.HeaderDeadline)
		r.Header.Del(api.HeaderRequestID)
		r.Header.Write(&b)
		w.Write(bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")))
	case "echo":
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(flusher{w}, r.Body)
	case "refuse": // answers without reading the body
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		fmt.Fprint(w, "too large")
	case "stream":
		n, _ := strconv.Atoi(arg)
		for i := range n {
			fmt.Fprintf(w, "part %d\n", i)
			http.NewResponseController(w).Flush()
			if i == 0 {
				<-waitFor(r)
			}
		}
	case "sleep":
		d, _ := time.ParseDuration(arg)
		select {
		case <-time.After(d):
			fmt.Fprint(w, os.Getpid())
		case <-r.Context().Done():
			fmt.Println("cancelled")
		}
	case "stuck": // does not notice that nobody waits any more
		d, _ := time.ParseDuration(arg)
		time.Sleep(d)
	case "cookies":
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set(api.HeaderRequestID, "mine")
		w.WriteHeader(http.StatusTeapot)
	case "trailer":
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, "body")
		w.Header().Set("X-Sum", "4")
	case "empty":
		w.WriteHeader(http.StatusNoContent)
	case "cut": // breaks off in the middle of the body
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "eat":
		mb, _ := strconv.Atoi(arg)
		hoard = bytes.Repeat([]byte{1}, mb<<20)
		time.Sleep(20 * time.Second)
	case "child": // starts a process that outlives the worker unless somebody cares
		cmd := exec.Command("sleep", "60")
		if arg == "daemon" {
			cmd.SysProcAttr = detached()
		}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Fprint(w, cmd.Process.Pid)
	case "deaf": // takes no connections after this one
		if err := os.Remove(strings.TrimPrefix(os.Getenv(api.ListenerEnv), "unix:")); err != nil {
			panic(err)
		}
		w.Header().Set("Connection", "close")
	case "crash":
		fmt.Fprintln(os.Stderr, "about to crash")
		os.Exit(3)
	case "print":
		switch arg {
		case "long":
			fmt.Println(strings.Repeat("x", 150_000))
		case "binary":
			os.Stdout.Write([]byte{0, 1, 0xff, 0xfe, 'a', '\n'})
		case "partial":
			fmt.Print("no line feed")
		default:
			fmt.Println("out:", arg)
			fmt.Fprintln(os.Stderr, "err:", arg)
			fmt.Printf(`{"level":"debug","msg":"hidden","requestId":%q}`+"\n", r.Header.Get(api.HeaderRequestID))
			fmt.Printf(`{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"low stock","requestId":%q,"fn":"f","left":3}`+"\n", r.Header.Get(api.HeaderRequestID))
		}
	default:
		http.NotFound(w, r)
	}
}

var hoard []byte

// waitFor lets a test hold a stream: it ends when the file named in the request
// exists.
func waitFor(r *http.Request) <-chan struct{} {
	done := make(chan struct{})
	name := r.URL.Query().Get("until")
	go func() {
		defer close(done)
		for name != "" {
			if _, err := os.Stat(name); err == nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return done
}

type flusher struct{ http.ResponseWriter }

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	http.NewResponseController(f.ResponseWriter).Flush()
	return n, err
}

// workEvents handles a batch: an event whose data is "fail" fails, one whose
// data is {"sleep": "1s"} takes its time.
func workEvents(w http.ResponseWriter, r *http.Request) {
	var events []api.CloudEvent
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	failed := []string{}
	for _, e := range events {
		var slow struct{ Sleep, Touch string }
		json.Unmarshal(e.Data, &slow)
		if d, err := time.ParseDuration(slow.Sleep); err == nil {
			time.Sleep(d)
		}
		if slow.Touch != "" {
			f, _ := os.OpenFile(slow.Touch, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			fmt.Fprintln(f, e.Source)
			f.Close()
		}
		if string(e.Data) == `"fail"` {
			failed = append(failed, e.ID)
		}
		if string(e.Data) == `"garbage"` {
			fmt.Fprint(w, "not json")
			return
		}
	}
	if len(failed) > 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	json.NewEncoder(w).Encode(map[string]any{"failures": failed})
}
