package broker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The ports tried lie below those that systems hand out to outgoing
// connections, so they are likely to be free again after a restart: from
// Options.FirstPort for the data plane, then the S3 API.
const (
	defaultFirstPort = 9400
	portsTried       = 200
)

// listenKept listens on 127.0.0.1, on the port used before by the same dir and
// name when it is still free, and writes the port down.
func (b *Broker) listenKept(ctx context.Context, name string, first int) (net.Listener, error) {
	file := filepath.Join(b.opts.Dir, name+".port")
	kept := 0
	if text, err := os.ReadFile(file); err == nil {
		kept, _ = strconv.Atoi(strings.TrimSpace(string(text))) // a spoilt file is as good as none
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listen := func(port int) (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if kept > 0 {
		l, err := listen(kept)
		if err == nil {
			return l, nil
		}
		b.log.Error("the port used before is taken, so URLs change; deploy again to pass them on", "name", name, "port", kept, "error", err)
	}
	for port := first; ; port++ {
		if port == first+portsTried {
			port = 0 // any free one
		}
		l, err := listen(port)
		if err != nil && port != 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		got := l.Addr().(*net.TCPAddr).Port
		if err := os.WriteFile(file, []byte(strconv.Itoa(got)+"\n"), 0o600); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		return l, nil
	}
}

// admit reports whether a request may be served, and why not. It waits until all
// that could be triggered by it is there.
func (b *Broker) admit(r *http.Request) (refusal string, ok bool) {
	if why := refused(r); why != "" {
		return why, false
	}
	if b.opts.Restored != nil {
		select {
		case <-b.opts.Restored:
		case <-r.Context().Done():
			return "the local host is starting", false
		}
	}
	return "", true
}

// refused says why a request must not be served, or "". A web page anywhere can
// make a browser on this machine send requests here, so only requests that
// name a loopback host, and come from no page or a page of this machine, pass.
func refused(r *http.Request) string {
	if !loopbackHost(r.Host) {
		return "the Host header must name this machine: localhost or 127.0.0.1"
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !loopbackHost(u.Host) {
			return "requests from web pages of other hosts are refused"
		}
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return "requests from web pages of other hosts are refused"
	}
	return ""
}

// loopbackHost reports whether a host, with or without a port, is this machine.
func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
