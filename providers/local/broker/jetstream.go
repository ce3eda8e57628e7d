package broker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxStored bounds one stored message: the largest body and attributes, or
	// the event made of them in JSON.
	maxStored = 8 << 20

	// syncEvery is how often JetStream flushes to the disk itself. Every
	// message is handed to the operating system before its sender is
	// answered, so a killed process loses nothing; a power cut may lose what
	// was sent in the last seconds.
	syncEvery = 10 * time.Second
)

// A messageServer is the embedded NATS server and the one connection to it. It
// listens on no port.
type messageServer struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
}

// startMessageServer brings back everything stored below dir.
func startMessageServer(dir string, log *slog.Logger) (*messageServer, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:             "anyfaas",
		DontListen:             true,
		NoSigs:                 true,
		MaxPayload:             maxStored,
		JetStream:              true,
		StoreDir:               filepath.Join(dir, "messages"),
		JetStreamMaxMemory:     64 << 20,
		JetStreamMaxStore:      1 << 50, // the disk is the limit
		SyncInterval:           syncEvery,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("message server: %w", err)
	}
	s.SetLoggerV2(serverLog{log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, errors.New("message server: not ready after 30 seconds")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.PingInterval(10*time.Minute))
	if err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("message server: %w", err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		s.Shutdown()
		return nil, fmt.Errorf("message server: %w", err)
	}
	return &messageServer{server: s, conn: conn, js: js}, nil
}

func (m *messageServer) close() {
	m.conn.Close()
	m.server.Shutdown()
	m.server.WaitForShutdown()
}

// jetstream starts the message server when it isn't running yet.
func (b *Broker) jetstream() (jetstream.JetStream, error) {
	b.starting.Lock()
	defer b.starting.Unlock()
	if b.messages == nil {
		m, err := startMessageServer(b.opts.Dir, b.log)
		if err != nil {
			return nil, err
		}
		b.messages = m
	}
	return b.messages.js, nil
}

// storeName makes the name of a NATS stream or a token of a subject from parts:
// what is neither a letter, a digit nor "-" is written as "=" and two hex
// digits, and parts are joined with "_", so different parts make different
// names.
func storeName(parts ...string) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('_')
		}
		for _, c := range []byte(p) {
			if c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
				b.WriteByte(c)
			} else {
				b.WriteString("=" + hex.EncodeToString([]byte{c}))
			}
		}
	}
	return b.String()
}

// streamInfo asks about a NATS stream. It uses a handle of its own: asking
// changes a handle, which others may be reading with.
func (b *Broker) streamInfo(ctx context.Context, name string, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	js, err := b.jetstream()
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.Info(ctx, opts...)
}

// deleteStream deletes a NATS stream; one that is not there is fine.
func deleteStream(ctx context.Context, js jetstream.JetStream, name string) error {
	err := js.DeleteStream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

// A serverLog passes what the NATS server reports on.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(string, ...any) {}
func (l serverLog) Debugf(string, ...any)  {}
func (l serverLog) Tracef(string, ...any)  {}
func (l serverLog) Warnf(format string, v ...any) {
	l.log.Warn("message server: " + fmt.Sprintf(format, v...))
}

func (l serverLog) Errorf(format string, v ...any) {
	l.log.Error("message server: " + fmt.Sprintf(format, v...))
}

func (l serverLog) Fatalf(format string, v ...any) {
	l.log.Error("message server: " + fmt.Sprintf(format, v...))
}
