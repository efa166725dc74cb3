package tursoopt_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// sockets counts the connections that a driver has open.
type sockets struct{ open atomic.Int64 }

type countedConn struct {
	net.Conn
	once sync.Once
	open *atomic.Int64
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

func (s *sockets) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	return &countedConn{Conn: c, open: &s.open}, nil
}

// end closes the driver and looks for what it has left behind, then holds the book
// against the table.
func (p *ledgerPhase) end() {
	t := p.t
	if !p.kept {
		p.proxy.Reset() // what waits on lost connections has been told to its writers
	}
	for _, db := range p.dbs {
		awaitLanes(t, db, "nobody writes", func(s tursoopt.Stats) bool { return s.Lanes.Writing == 0 && s.Lanes.Waiting == 0 })
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := p.sockets.open.Load(); n != 0 {
		t.Errorf("the driver has left %d connections open", n)
	}
	if p.kept {
		p.gone("connections", func() int { return int(p.proxy.Counts().Open) })
	}
	p.proxy.Close()
	if err := p.direct.Close(); err != nil {
		t.Error(err)
	}
	if p.server != nil {
		// What was lost with its answer goes when it has been idle for long enough.
		p.gone("connections", func() int { return p.server.Stats().Connections })
		if time.Since(p.began) > youth {
			p.server.ExpireStreams()
		}
		p.gone("streams", func() int { return p.server.Stats().Streams })
	} else {
		if p.kept {
			p.gone("streams", func() int { return p.gauge("libsql_server_stream_handles") })
		}
		p.kill() // what still runs there ends, and what was acknowledged is there
	}
	p.book.audit(t, p.env.open(t))
}

// youth is how long a phase lasts at most in which no stream can have been idle for so
// long that the driver has left its end to the server.
const youth = 4 * time.Second

// gone waits until the server has none of something.
func (p *ledgerPhase) gone(what string, count func() int) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := count()
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Errorf("%d %s are left on the server", n, what)
			return
		}
	}
}

// gauge reads one of sqld's.
func (p *ledgerPhase) gauge(name string) int {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(p.sqld.AdminURL() + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, name+" %d", &n); err == nil {
			return n
		}
	}
	p.t.Fatalf("sqld has no gauge %s", name)
	return 0
}
