package bench

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A tap counts the requests that a driver writes on its connections, where a
// proxy in between would slow down what is measured. It sees those of plain http
// only. A nil tap counts nothing.
type tap struct{ requests atomic.Int64 }

func (t *tap) count() int {
	if t == nil {
		return 0
	}
	return int(t.requests.Load())
}

// through is cfg with the tap on its connections.
func (t *tap) through(cfg *tursoopt.Config) *tursoopt.Config {
	if t == nil || cfg.DialContext != nil {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.DialContext = t.dial
	return cfg
}

func (t *tap) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if tcp, ok := c.(*net.TCPConn); ok {
		return &tapped{tcp, t}, nil
	}
	return c, err
}

// tapped is still a TCP connection to whoever looks for one.
type tapped struct {
	*net.TCPConn
	tap *tap
}

// Write relies on a request being written from its head on.
func (c *tapped) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("POST ")) {
		c.tap.requests.Add(1)
	}
	return c.TCPConn.Write(b)
}
