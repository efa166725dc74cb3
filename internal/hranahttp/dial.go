package hranahttp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// dialEnds is how long Close waits for a user's function that dials.
const dialEnds = time.Second

// sessions is how many TLS sessions are kept to be resumed.
const sessions = 32

// connect opens a connection below TLS. The Transport knows it until it is closed,
// so that Close can leave no socket behind.
func (t *Transport) connect(ctx context.Context, network, addr string) (*http1.Socket, error) {
	dialled := func(error) {}
	if t.cfg.Dialling != nil {
		dialled = t.cfg.Dialling(ctx, addr)
	}
	conn, err := t.dial(ctx, network, addr)
	dialled(err)
	if err != nil {
		return nil, connectError(err)
	}
	t.watchTCP(conn)
	sock := t.sockets.Track(conn)
	if t.life.Err() != nil {
		sock.Close() // Close has already closed those it saw
		return nil, http1.ErrClosed
	}
	return sock, nil
}

func (t *Transport) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if t.cfg.Dial == nil {
		// Happy Eyeballs and the resolver know contexts well.
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	// What a user's function does with a context is not known, so it is waited for
	// no longer than the context says.
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		conn, err := t.cfg.Dial(ctx, network, addr)
		done <- dialled{conn, err}
	}()
	select {
	case d := <-done:
		return d.conn, d.err
	case <-ctx.Done():
		if t.life.Err() != nil {
			// One that knows contexts returns now, and Close leaves nothing of it.
			last := time.NewTimer(dialEnds)
			defer last.Stop()
			select {
			case d := <-done:
				return d.conn, d.err
			case <-last.C:
			}
		}
		go func() {
			if d := <-done; d.conn != nil {
				d.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// connectTLS opens a connection with TLS on it.
func (t *Transport) connectTLS(ctx context.Context, addr string, protocols []string) (*tls.Conn, *http1.Socket, error) {
	sock, err := t.connect(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	cfg := t.cfg.TLS.Clone()
	cfg.NextProtos = protocols
	if cfg.ServerName == "" {
		if cfg.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			cfg.ServerName = addr
		}
	}
	conn := tls.Client(sock, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		sock.Close()
		return nil, nil, connectError(err)
	}
	return conn, sock, nil
}

// bounded applies ConnectTimeout, and the Transport's end, to a context for
// connecting.
func (t *Transport) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(t.life, cancel)
	if limit := t.cfg.ConnectTimeout; limit > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, limit)
		return ctx, func() { stop(); done(); cancel() }
	}
	return ctx, func() { stop(); cancel() }
}

// dialHTTP1 is the pool's Dialer.
func (t *Transport) dialHTTP1(ctx context.Context, to *http1.Target) (net.Conn, *http1.Socket, error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	if !to.TLS {
		sock, err := t.connect(ctx, "tcp", to.Addr)
		return sock, sock, err
	}
	conn, sock, err := t.connectTLS(ctx, to.Addr, []string{"http/1.1"})
	return conn, sock, err
}

// connectError marks an error before there was a connection to send anything on,
// and keeps a time limit of our own from being taken for the end of the caller's
// context.
func connectError(err error) error {
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		err = &connectTimeout{err.Error()}
	}
	return &unconnected{err}
}

type unconnected struct{ err error }

func (e *unconnected) Error() string { return e.err.Error() }
func (e *unconnected) Unwrap() error { return e.err }

// A connectTimeout is a net.Error.
type connectTimeout struct{ text string }

func (e *connectTimeout) Error() string   { return e.text + " (connect_timeout)" }
func (e *connectTimeout) Timeout() bool   { return true }
func (e *connectTimeout) Temporary() bool { return true }
