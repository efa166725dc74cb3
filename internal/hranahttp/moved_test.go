package hranahttp

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/http1"
)

// A database moves, and its name leads to the new server. The old one goes on, and
// says so: no request fails, of any number at once, and none is sent there again.
func TestDatabaseMoves(t *testing.T) {
	for _, status := range []int{421, 404, 301, 302, 307, 308} {
		var moved atomic.Bool
		before := &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
			if moved.Load() {
				w.WriteHeader(status)
			}
			return moved.Load()
		}}
		after := &fake{}
		from, to := startServer(t, before).Listener.Addr().String(), startServer(t, after).Listener.Addr().String()
		c := newTestClient(t, "http://db.test", func(cfg *Config) {
			cfg.Encoding = OnlyProtobuf
			cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				addr := from
				if moved.Load() {
					addr = to
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		})
		together := func() {
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() { ask(t, c) })
			}
			all.Wait()
		}
		together()
		moved.Store(true)
		together()
		if after.posts() != 16 {
			t.Errorf("%d: %d requests have reached the new server", status, after.posts())
		}
		old := before.posts()
		together()
		if n := before.posts(); n != old {
			t.Errorf("%d: %d requests more to the old server", status, n-old)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := c.PipelineDetached(ctx, c.Home(), V3Protobuf, query("SELECT 1"), Expect{}, nil); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// Where the answer stays the same it is asked again once, and not for each request.
func TestDatabaseIsGone(t *testing.T) {
	var gone atomic.Bool
	f := &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
		if gone.Load() {
			w.WriteHeader(http.StatusNotFound)
		}
		return gone.Load()
	}}
	c := newTestClient(t, startServer(t, f).URL, func(cfg *Config) { cfg.Encoding = OnlyProtobuf })
	ask(t, c)
	gone.Store(true)
	posts, dials := f.posts(), c.Counters().Dials
	for range 10 {
		if e := fails(t, c); e.Status != 404 || e.Proof != exec.NotExecuted {
			t.Errorf("%+v", e)
		}
	}
	// On a machine that is busy for a second it is tried once more.
	if n, d := f.posts()-posts, c.Counters().Dials-dials; n < 11 || n > 13 || d < 1 || d > 3 {
		t.Errorf("10 requests have been sent %d times, on %d connections more", n, d)
	}
}

// On HTTP/2 and through a proxy, too, old connections are left for new ones.
func TestNetHTTPConnectionsAreRenewed(t *testing.T) {
	keptAliveBy := func(t *testing.T, c *Client, pings bool) {
		ask(t, c)
		over := c.transport.http.Load()
		over.born = over.born.Add(-http1.MaxAge)
		if ask(t, c); c.Counters().Dials != 1 {
			t.Errorf("%d connections at the age of a ping", c.Counters().Dials)
		}
		if pings {
			c.keeper.pingTransport(c)
		} else {
			over.born = over.born.Add(-http1.MaxAge)
		}
		if ask(t, c); c.Counters().Dials != 2 {
			t.Errorf("%d connections", c.Counters().Dials)
		}
		if over == c.transport.http.Load() {
			t.Error("it is the old one")
		}
	}
	for _, pings := range []bool{false, true} {
		c := h2Mode(t).client(t, &fake{}, func(cfg *Config) {
			cfg.Encoding = OnlyProtobuf
			if pings {
				cfg.KeepAlive = KeepAlive{Warm: 1, Timeout: auto.Timeout}
			}
		})
		keptAliveBy(t, c, pings)
	}
}
