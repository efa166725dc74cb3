package hranahttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// idlePerHost is how many idle connections are kept. net/http's default of two
// makes a program with 32 goroutines dial once for every query.
const idlePerHost = 256

// newTransport makes the client's own transport: nothing global is touched.
func newTransport(c *Client) *http.Transport {
	dial := c.cfg.Dial
	if dial == nil {
		d := &net.Dialer{Timeout: c.cfg.ConnectTimeout, KeepAlive: 15 * time.Second}
		dial = d.DialContext
	}
	var tlsConfig *tls.Config
	if c.cfg.TLS != nil {
		tlsConfig = c.cfg.TLS.Clone()
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if t := c.cfg.ConnectTimeout; t > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, t)
				defer cancel()
			}
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, &dialError{err}
			}
			return c.track(conn), nil
		},
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: c.cfg.ConnectTimeout,
		ForceAttemptHTTP2:   true, // a custom DialContext would turn it off
		MaxIdleConnsPerHost: idlePerHost,
		IdleConnTimeout:     90 * time.Second,
		// What to ask for is the driver's decision; net/http would add gzip.
		DisableCompression: true,
		WriteBufferSize:    16 << 10,
		ReadBufferSize:     16 << 10,
	}
}

// dialError marks a failure before there was a connection to send anything on.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// A countedConn counts the bytes that really travel, and is known to the client
// until it is closed, so that Close can leave no socket behind.
type countedConn struct {
	net.Conn
	c      *Client
	closed atomic.Bool
}

func (c *Client) track(conn net.Conn) net.Conn {
	c.counters.dials.Add(1)
	cc := &countedConn{Conn: conn, c: c}
	c.dropConn.Lock()
	c.conns[cc] = struct{}{}
	c.dropConn.Unlock()
	return cc
}

func (cc *countedConn) Read(p []byte) (int, error) {
	n, err := cc.Conn.Read(p)
	cc.c.counters.received.Add(uint64(n))
	return n, err
}

func (cc *countedConn) Write(p []byte) (int, error) {
	n, err := cc.Conn.Write(p)
	cc.c.counters.sent.Add(uint64(n))
	return n, err
}

func (cc *countedConn) Close() error {
	if cc.closed.CompareAndSwap(false, true) {
		cc.c.dropConn.Lock()
		delete(cc.c.conns, cc)
		cc.c.dropConn.Unlock()
	}
	return cc.Conn.Close()
}

// closeConns closes what the transport still holds. Its goroutines end with
// their connections.
func (c *Client) closeConns() {
	c.transport.CloseIdleConnections()
	c.dropConn.Lock()
	open := make([]*countedConn, 0, len(c.conns))
	for cc := range c.conns {
		open = append(open, cc)
	}
	c.dropConn.Unlock()
	for _, cc := range open {
		cc.Close()
	}
}

// transportError classifies an error of RoundTrip or of reading a body.
func transportError(err error, started bool) *exec.Error {
	e := &exec.Error{Source: exec.FromTransport, Err: err, StreamLost: true}
	if !started {
		// No byte of the request's body was taken for sending, so the server has
		// no complete request.
		e.Proof = exec.NotExecuted
		e.Message = "connecting to the server"
	} else {
		e.Message = "the connection broke before the answer was complete"
	}
	return e
}
