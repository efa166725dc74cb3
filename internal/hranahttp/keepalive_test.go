package hranahttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A network is in memory and leads to a Hrana server. forgets is how long a
// connection may be idle on it.
type network struct {
	*fake
	forgets atomic.Int64
	takes   atomic.Int64 // how long the server works on a request
	down    atomic.Bool
	dials   atomic.Int32
	lost    atomic.Int32 // writes that vanished
	conns   chan net.Conn
	server  *http.Server
	served  chan struct{}
}

func newNetwork() *network {
	n := &network{fake: &fake{}, conns: make(chan net.Conn), served: make(chan struct{})}
	n.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(n.takes.Load()))
		n.fake.ServeHTTP(w, r)
	})}
	go func() {
		defer close(n.served)
		n.server.Serve(pipeListener{n.conns})
	}()
	return n
}

type pipeListener struct{ conns chan net.Conn }

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l pipeListener) Close() error   { close(l.conns); return nil } // http.Server calls it once
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if n.down.Load() {
		return nil, errors.New("unreachable")
	}
	n.dials.Add(1)
	client, server := net.Pipe()
	n.conns <- server
	return &forgetful{Conn: client, net: n, last: time.Now()}, nil
}

// A forgetful connection is a client's side of one: what is written to it after
// an idle time vanishes.
type forgetful struct {
	net.Conn
	net  *network
	last time.Time
}

func (c *forgetful) Write(p []byte) (int, error) {
	if f := time.Duration(c.net.forgets.Load()); f > 0 && time.Since(c.last) >= f {
		c.net.lost.Add(1)
		return len(p), nil
	}
	c.last = time.Now()
	return c.Conn.Write(p)
}

// keptAlive runs a test on such a network, in a bubble.
func keptAlive(t *testing.T, k KeepAlive, test func(t *testing.T, n *network, c *Client)) {
	t.Helper()
	keptAliveOn(t, k, false, test)
}

// keptAliveOn does so on a Transport of the client's own, or on a shared one.
func keptAliveOn(t *testing.T, k KeepAlive, shared bool, test func(t *testing.T, n *network, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var transport *Transport
		c := newTestClient(t, "http://db.test", func(cfg *Config) {
			cfg.Dial, cfg.KeepAlive, cfg.Encoding = n.dial, k, OnlyProtobuf
			cfg.LateTimeout = time.Minute
			if shared {
				transport = NewTransport(cfg.TransportConfig, false)
				cfg.Transport = transport
			}
		})
		test(t, n, c)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if shared {
			transport.Close()
		}
		n.server.Close()
		<-n.served
	})
}

// pings counts the pings that have reached the server.
func (n *network) pings() (count int) {
	for _, r := range n.requests() {
		if r.method == http.MethodPost && !strings.Contains(r.body, "SELECT") {
			count++
		}
	}
	return count
}

var auto = KeepAlive{Warm: 1, Timeout: 5 * time.Second, StaleAfter: 30 * time.Second, IdleStop: 5 * time.Minute}

// askIn makes a query and wants it to be answered within a time.
func askIn(t *testing.T, c *Client, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	if _, err := c.Pipeline(ctx, c.Home(), c.Level(), query("SELECT 1"), Expect{}); err != nil {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
	if took := time.Since(began); took > d {
		t.Errorf("answered after %v", took)
	}
}

// atOnce is what a query takes that need not dial; looking at a connection in
// memory takes a millisecond.
const atOnce = 10 * time.Millisecond

// While pings run no query meets a dead connection, or waits for one to be
// dialled, however long the path lets connections live, and whatever is learnt.
func TestPingsKeepConnectionsAlive(t *testing.T) {
	for _, forgets := range []time.Duration{0, 6 * time.Second, 10 * time.Second, 20 * time.Second, 65 * time.Second} {
		test := func(t *testing.T, n *network, c *Client) {
			n.forgets.Store(int64(forgets))
			ask(t, c)
			for _, idle := range []time.Duration{11, 65, 3, 29, 31, 100, 5, 280, 7, 290} {
				time.Sleep(idle * time.Second)
				askIn(t, c, atOnce)
			}
			if got := c.KeepAlive(); forgets == 0 && got.PingFailures > 0 || got.Interval == 0 || got.Pings < 20 {
				t.Errorf("forgets after %v: %+v", forgets, got)
			} else if forgets > 0 && got.Interval >= forgets {
				t.Errorf("forgets after %v: %+v", forgets, got)
			}
		}
		keptAlive(t, auto, test)
		keptAliveOn(t, auto, true, test)
	}
}

// Many who come after an idle time at once are all served; connections that no
// ping has proven are not given to anybody.
func TestBurstAfterIdle(t *testing.T) {
	keptAlive(t, auto, func(t *testing.T, n *network, c *Client) {
		n.forgets.Store(int64(10 * time.Second))
		burst := func() {
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() { askIn(t, c, 250*time.Millisecond) })
			}
			wg.Wait()
		}
		burst()
		for _, idle := range []time.Duration{11, 25, 120} {
			time.Sleep(idle * time.Second)
			burst()
		}
	})
}

// A path that has become worse costs a ping, and no query.
func TestPathBecomesWorse(t *testing.T) {
	keptAlive(t, auto, func(t *testing.T, n *network, c *Client) {
		ask(t, c)
		time.Sleep(2 * time.Minute)
		before := c.KeepAlive()
		if before.Interval < 20*time.Second || before.PingFailures != 0 {
			t.Fatalf("%+v", before)
		}
		n.forgets.Store(int64(4 * time.Second))
		time.Sleep(2 * time.Minute)
		after := c.KeepAlive()
		if after.Interval >= 4*time.Second || after.PingFailures == 0 || after.Stale == 0 || after.Refreshed == 0 || after.Ahead == 0 {
			t.Errorf("%+v", after)
		}
		for range 5 {
			time.Sleep(11 * time.Second)
			askIn(t, c, atOnce)
		}
	})
}

// An outage is no sign of what the path allows, and is over with the next ping: of a
// server that cannot be reached, and of one that is, and says nothing.
func TestOutageTeachesNothing(t *testing.T) {
	for _, reached := range []bool{false, true} {
		keptAlive(t, auto, func(t *testing.T, n *network, c *Client) {
			ask(t, c)
			time.Sleep(2 * time.Minute)
			before := c.KeepAlive()
			if reached {
				n.takes.Store(int64(2 * time.Minute))
			} else {
				n.down.Store(true)
				n.forgets.Store(1)
			}
			time.Sleep(time.Minute)
			if after := c.KeepAlive(); after.Interval < before.Interval || after.PingFailures == before.PingFailures {
				t.Errorf("reached %v: from %+v to %+v", reached, before, after)
			}
			n.takes.Store(0)
			n.down.Store(false)
			n.forgets.Store(0)
			time.Sleep(before.Interval + time.Second)
			// A ping may have been lost just before the server answered again, which looks
			// like a path that has become worse.
			if after := c.KeepAlive(); !reached && after.Interval < before.Interval {
				t.Errorf("from %+v to %+v", before, after)
			}
			askIn(t, c, atOnce)
			time.Sleep(2 * time.Minute) // what the server was at is over
		})
	}
}

// When a ping finds a connection dead, others that have been idle for as long are not
// trusted either, although no ping has been sent on them.
func TestDeadConnectionCastsDoubt(t *testing.T) {
	k := auto
	k.Interval, k.Timeout = 5*time.Second, 500*time.Millisecond
	keptAlive(t, k, func(t *testing.T, n *network, c *Client) {
		n.takes.Store(int64(time.Millisecond)) // so that each needs a connection of its own
		burst := func(d time.Duration) {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { askIn(t, c, d) })
			}
			wg.Wait()
		}
		burst(250 * time.Millisecond)
		n.forgets.Store(int64(time.Second))
		for c.KeepAlive().PingFailures == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(150 * time.Millisecond) // one is dialled in its place
		dials := n.dials.Load()
		burst(100*time.Millisecond + atOnce)
		time.Sleep(time.Second) // who has begun to dial may have got the other's
		if d := n.dials.Load() - dials; d != 1 {
			t.Errorf("%d connections for two callers", d)
		}
	})
}

// Pings of clients that began together come apart: an interval is drawn anew each
// time, and is not longer than was said.
func TestPingsAreNotInStep(t *testing.T) {
	const every = 10 * time.Second
	k := auto
	k.Interval, k.IdleStop = every, 0
	keptAlive(t, k, func(t *testing.T, n *network, c *Client) {
		var mu sync.Mutex
		var at []time.Time
		n.before = func(http.ResponseWriter, *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			return false
		}
		ask(t, c)
		time.Sleep(100 * every)
		mu.Lock()
		defer mu.Unlock()
		gaps := map[time.Duration]bool{}
		for i := range at[1:] {
			// After that of one connection may come that of another, which took 100 ms to dial.
			gap := at[i+1].Sub(at[i]).Round(100 * time.Millisecond)
			if gap < every*8/10 || gap > every+200*time.Millisecond {
				t.Errorf("a ping after %v", gap)
			}
			gaps[gap] = true
		}
		if len(at) < 100 || len(gaps) < 10 {
			t.Errorf("%d requests, of whose intervals %d are different", len(at), len(gaps))
		}
	})
}

// Without pings, who comes after stale_after dials, whatever is asked.
func TestStaleAfterWithoutPings(t *testing.T) {
	keptAlive(t, KeepAlive{Timeout: 5 * time.Second, StaleAfter: 30 * time.Second}, func(t *testing.T, n *network, c *Client) {
		n.forgets.Store(int64(30 * time.Second))
		ask(t, c)
		time.Sleep(29 * time.Second)
		askIn(t, c, atOnce)
		for range 3 {
			time.Sleep(40 * time.Second)
			askIn(t, c, 100*time.Millisecond+atOnce)
		}
		time.Sleep(10 * time.Second)
		if got := c.KeepAlive(); got.Pings != 0 || got.Interval != 0 || got.Refreshed != 3 || got.Stale != 3 || n.dials.Load() != 4 {
			t.Errorf("%+v, %d connections", got, n.dials.Load())
		}
	})
}

// Pings stop some time after the last request, with their timer, and begin again
// with the next; a request that follows at once needs none.
func TestPingsStopAndBeginAgain(t *testing.T) {
	keptAlive(t, auto, func(t *testing.T, n *network, c *Client) {
		ask(t, c)
		time.Sleep(auto.IdleStop + time.Minute)
		count := c.KeepAlive().Pings
		if count < 10 || n.pings() != int(count) {
			t.Errorf("%d pings, %d arrived", count, n.pings())
		}
		if ticking(c) || c.keeper.running.Load() || c.KeepAlive().Interval != 0 {
			t.Error("a timer runs")
		}
		time.Sleep(time.Hour)
		if got := c.KeepAlive().Pings; got != count {
			t.Errorf("%d pings after the end", got-count)
		}
		askIn(t, c, 100*time.Millisecond+atOnce)
		time.Sleep(time.Minute)
		if got := c.KeepAlive(); got.Pings == count || got.Interval == 0 {
			t.Errorf("no pings since: %+v", got)
		}
		for range 20 {
			time.Sleep(auto.IdleStop - time.Minute)
			askIn(t, c, atOnce)
		}
	})
}

// With IdleStop 0 they never stop.
func TestPingsNeverStop(t *testing.T) {
	k := auto
	k.IdleStop = 0
	keptAlive(t, k, func(t *testing.T, n *network, c *Client) {
		ask(t, c)
		time.Sleep(24 * time.Hour)
		if c.KeepAlive().Interval == 0 {
			t.Error("they have")
		}
		askIn(t, c, atOnce)
	})
}

// A connection that is in use is not pinged.
func TestBusyConnectionsAreNotPinged(t *testing.T) {
	k := auto
	k.Interval = 5 * time.Second
	keptAlive(t, k, func(t *testing.T, n *network, c *Client) {
		for range 600 {
			ask(t, c)
			time.Sleep(time.Second)
		}
		if got := c.KeepAlive(); got.Pings != 0 || got.Interval != 5*time.Second || n.dials.Load() != 1 {
			t.Errorf("%+v, %d connections", got, n.dials.Load())
		}
	})
}

// As many connections as are to be warm are dialled with the first use, kept
// alive all, and counted: what their callers would have waited for is saved.
func TestWarmConnections(t *testing.T) {
	k := auto
	k.Warm, k.Interval = 4, 5*time.Second
	keptAlive(t, k, func(t *testing.T, n *network, c *Client) {
		n.forgets.Store(int64(6 * time.Second))
		c.Use()
		time.Sleep(time.Minute)
		if got := c.KeepAlive(); n.dials.Load() != 4 || got.Ahead != 4 || got.Saved != 0 || got.PingFailures != 0 || got.Pings < 40 {
			t.Errorf("%+v, %d connections", got, n.dials.Load())
		}
		n.takes.Store(int64(time.Millisecond)) // so that each needs a connection of its own
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { askIn(t, c, atOnce) })
		}
		wg.Wait()
		if got := c.KeepAlive(); got.Saved != 400*time.Millisecond || n.dials.Load() != 4 {
			t.Errorf("%+v, %d connections", got, n.dials.Load())
		}
	})
}

// Nothing is sent, and no timer runs, before the first use.
func TestNothingBeforeTheFirstUse(t *testing.T) {
	keptAlive(t, auto, func(t *testing.T, n *network, c *Client) {
		time.Sleep(time.Hour)
		if n.dials.Load() != 0 || ticking(c) {
			t.Errorf("%d connections", n.dials.Load())
		}
	})
}

// goroutines is how many there are, exactly. NumGoroutine gives up to 32 more while
// those that have ended are being put aside for reuse.
func goroutines(t *testing.T) int {
	t.Helper()
	n, ok := runtime.GoroutineProfile(make([]runtime.StackRecord, 10_000))
	if !ok {
		t.Fatalf("%d goroutines", n)
	}
	return n
}

// Ten thousand idle clients own no goroutine, and none that has been used when
// its pings have stopped.
func TestIdleClientsOwnNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		before := goroutines(t)
		var all []*Client
		for i := range 10_000 {
			c := newClient(Config{URL: &url.URL{Scheme: "http", Host: "db.test"}, TransportConfig: TransportConfig{Dial: n.dial, KeepAlive: auto}, Encoding: OnlyProtobuf}, noProxy)
			if i%100 == 0 {
				ask(t, c)
			}
			all = append(all, c)
		}
		time.Sleep(auto.IdleStop + 2*time.Minute)
		synctest.Wait()
		if got := goroutines(t) - before; got > 5 {
			t.Errorf("%d goroutines", got)
		}
		for _, c := range all {
			if ticking(c) {
				t.Fatal("a timer runs")
			}
		}
		for _, c := range all {
			c.Close()
		}
		n.server.Close()
		<-n.served
	})
}

// Close does not wait for a ping that is not answered.
func TestCloseEndsPings(t *testing.T) {
	keptAlive(t, auto, func(t *testing.T, n *network, c *Client) {
		ask(t, c)
		n.forgets.Store(1)
		for n.lost.Load() == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		began := time.Now()
		c.Close()
		if d := time.Since(began); d > time.Second {
			t.Errorf("closed after %v", d)
		}
		c.Use()
		if ticking(c) {
			t.Error("a timer runs after Close")
		}
	})
}

// A token that is refused is fetched again by the ping, and not by a query.
func TestPingRenewsToken(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		var valid, refused atomic.Int32
		valid.Store(1)
		token := func() string { return "token-" + strconv.Itoa(int(valid.Load())) }
		f := &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") == "Bearer "+token() {
				return false
			}
			refused.Add(1)
			http.Error(w, `{"error":"Unauthorized"}`, http.StatusUnauthorized)
			return true
		}}
		c := m.client(t, f, func(cfg *Config) {
			cfg.Encoding = OnlyProtobuf
			cfg.Token = func(context.Context) (string, error) { return token(), nil }
			cfg.KeepAlive = KeepAlive{Warm: 1, Interval: 20 * time.Millisecond, Timeout: 5 * time.Second}
		})
		ask(t, c)
		valid.Store(2)
		await(t, func() bool { return c.Counters().TokenRefresh == 1 })
		n := refused.Load()
		ask(t, c)
		if refused.Load() != n {
			t.Error("the query was refused")
		}
	})
}

// Pings go the way of the requests, in HTTP/2 and through proxies too; where
// version 3 is not known they ask for the version.
func TestPingsOfEachManner(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		for _, v2 := range []bool{false, true} {
			f := &fake{}
			if v2 {
				f.lacks = []string{"v3", "v3-protobuf"}
			}
			c := m.client(t, f, func(cfg *Config) {
				cfg.KeepAlive = KeepAlive{Warm: 1, Interval: 20 * time.Millisecond, Timeout: 5 * time.Second}
			})
			ask(t, c)
			c.AwaitLevel(t.Context())
			before := len(f.requests())
			pings := c.KeepAlive().Pings
			await(t, func() bool { return len(f.requests()) >= before+3 && c.KeepAlive().Pings >= pings+3 })
			want := seen{method: http.MethodPost, path: "/v3-protobuf/pipeline"}
			if v2 {
				want = seen{method: http.MethodGet, path: "/v2"}
			}
			if all := f.requests()[before:]; !slices.ContainsFunc(all, func(s seen) bool { return s.method == want.method && s.path == want.path }) {
				t.Errorf("v2 only: %v: pings are %v %v", v2, all[0].method, all[0].path)
			}
			if n := c.KeepAlive(); n.Pings < 3 || n.PingFailures != 0 || n.Interval != 20*time.Millisecond {
				t.Errorf("%+v", n)
			}
		}
	})
}

// An HTTP/2 connection on a dead path is found by its ping, ends what is under
// way on it, and is replaced.
func TestHTTP2PathDies(t *testing.T) {
	f := &fake{}
	srv, roots := startTLS(t, f, true)
	var dead atomic.Bool
	c := newTestClient(t, srv.URL, func(cfg *Config) {
		cfg.TLS, cfg.Encoding = roots, OnlyProtobuf
		cfg.KeepAlive = KeepAlive{Warm: 1, Interval: 20 * time.Millisecond, Timeout: 100 * time.Millisecond}
		first := true
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if first && err == nil {
				first = false
				return &severed{conn, &dead}, nil
			}
			return conn, err
		}
	})
	ask(t, c)
	dead.Store(true)
	if _, err := c.Pipeline(t.Context(), c.Home(), c.Level(), query("SELECT 1"), Expect{}); err == nil || err.(*exec.Error).Proof == exec.NotExecuted {
		t.Errorf("a request under way: %v", err)
	}
	await(t, func() bool {
		n := c.KeepAlive()
		return n.Refreshed == 1 && n.Ahead == 1 && n.Stale >= 1 && n.PingFailures >= 1
	})
	ask(t, c)
	if n := c.Counters().Dials; n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A severed connection loses what is written to it once it is dead.
type severed struct {
	net.Conn
	dead *atomic.Bool
}

func (s *severed) Write(p []byte) (int, error) {
	if s.dead.Load() {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

// ticking tells whether there is a timer.
func ticking(c *Client) bool {
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	return c.keeper.timer != nil
}

// await waits until something is seen.
func await(t *testing.T, seen func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !seen(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}
