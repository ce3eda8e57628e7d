package broker

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// The dataServer is the HTTP face of queues, topics, streams, tables and the
// bus.
type dataServer struct {
	url    string
	server *http.Server
	done   chan error
}

func listenData(ctx context.Context, b *Broker) (*dataServer, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &dataServer{url: "http://" + l.Addr().String(), server: &http.Server{Handler: http.NotFoundHandler()}, done: make(chan error, 1)}
	go func() { d.done <- d.server.Serve(l) }()
	return d, nil
}

func (d *dataServer) close(ctx context.Context) error {
	err := d.server.Shutdown(ctx)
	if serr := <-d.done; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}
