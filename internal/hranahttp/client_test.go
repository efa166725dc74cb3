package hranahttp

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A memNet is a network in memory, for tests that move the clock.
type memNet struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemNet() *memNet { return &memNet{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memNet) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}
func (m *memNet) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *memNet) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs a client and its server with a clock that moves by itself.
func inBubble(t *testing.T, h http.Handler, change func(*Config), test func(t *testing.T, c *Client)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		srv := &http.Server{Handler: h}
		var wg sync.WaitGroup
		wg.Go(func() { srv.Serve(m) })
		c := newTestClient(t, "http://db.test", func(cfg *Config) { cfg.Dial = m.dial; apply(change, cfg) })
		test(t, c)
		c.Close()
		srv.Close()
		wg.Wait()
	})
}

// hold makes requests for a statement wait until release is closed, or the
// client has gone.
func hold(release <-chan struct{}, arrived func()) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			arrived()
			select {
			case <-release:
			case <-r.Context().Done():
				return true
			}
		}
		return false
	}
}

func TestCloseWaitsForRequestsInFlight(t *testing.T) {
	f := &fake{}
	inBubble(t, f, nil, func(t *testing.T, c *Client) {
		release := make(chan struct{})
		f.before = hold(release, func() {})
		result := make(chan error, 1)
		go func() {
			_, err := c.Pipeline(t.Context(), c.Home(), V2JSON, query("SELECT 1"), Expect{})
			result <- err
		}()
		synctest.Wait()
		begin := time.Now()
		time.AfterFunc(Grace-time.Second, func() { close(release) })
		c.Close()
		if d := time.Since(begin); d != Grace-time.Second {
			t.Errorf("Close took %v", d)
		}
		if err := <-result; err != nil {
			t.Errorf("the request in flight failed: %v", err)
		}
	})
}

// After Grace nothing is waited for: neither contexts that never end, nor
// cursors that nobody reads, nor dials, nor goroutines of the client's.
func TestCloseEndsWhatIsStillInFlight(t *testing.T) {
	for name, begin := range map[string]func(c *Client) error{
		"background": func(c *Client) error {
			_, err := c.Pipeline(context.Background(), c.Home(), V2JSON, query("SELECT 1"), Expect{})
			return err
		},
		"cancellable": func(c *Client) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			_, err := c.Pipeline(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{})
			return err
		},
		"detached": func(c *Client) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			_, err := c.PipelineDetached(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{}, func(*Reply, error) {})
			return err
		},
		"cursor": func(c *Client) error {
			_, err := c.Cursor(context.Background(), c.Home(), V3JSON, &hrana.CursorReq{}, Expect{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{before: hold(nil, func() {})}
			inBubble(t, f, nil, func(t *testing.T, c *Client) {
				result := make(chan error, 1)
				go func() { result <- begin(c) }()
				synctest.Wait()
				start := time.Now()
				c.Close()
				if d := time.Since(start); d != Grace {
					t.Errorf("Close took %v, want %v", d, Grace)
				}
				e, ok := (<-result).(*exec.Error)
				if !ok || e.Code != exec.CodeClosed || e.Proof != exec.OutcomeUnknown {
					t.Errorf("error %#v", e)
				}
			})
		})
	}
}

func TestCloseEndsADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A dialler that does not care for its context does not hold up anybody.
		stuck := make(chan struct{})
		c := newTestClient(t, "http://db.test", func(cfg *Config) {
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) { <-stuck; return nil, net.ErrClosed }
		})
		result := make(chan error, 1)
		go func() {
			_, err := c.Pipeline(context.Background(), c.Home(), V2JSON, query("SELECT 1"), Expect{})
			result <- err
		}()
		synctest.Wait()
		c.Close()
		if e := (<-result).(*exec.Error); e.Code != exec.CodeClosed || e.Proof != exec.NotExecuted {
			t.Errorf("error %+v", e)
		}
		close(stuck)
	})
}

func TestCloseWithAnOpenCursor(t *testing.T) {
	f := &fake{rows: 100_000}
	inBubble(t, f, nil, func(t *testing.T, c *Client) {
		cur, err := c.Cursor(context.Background(), c.Home(), V3JSON, &hrana.CursorReq{}, Expect{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.Close()
		if d := time.Since(start); d != Grace {
			t.Errorf("Close took %v, want %v", d, Grace)
		}
		var e hrana.CursorEntry
		var table exec.Table
		table.Reset(1)
		for err = nil; err == nil; {
			err = cur.Next(&e, &table)
		}
		if x, ok := err.(*exec.Error); !ok || x.Code != exec.CodeClosed {
			t.Errorf("error %v", err)
		}
		if err := cur.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRefuse(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{})
	f := &fake{before: hold(release, sync.OnceFunc(func() { close(arrived) }))}
	c := newTestClient(t, startServer(t, f).URL, nil)
	result := make(chan error)
	go func() {
		_, err := c.Pipeline(context.Background(), c.Home(), V2JSON, query("SELECT 1"), Expect{})
		result <- err
	}()
	<-arrived
	c.Refuse()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, cursorErr := c.Cursor(ctx, c.Home(), V3JSON, &hrana.CursorReq{}, Expect{})
	_, detachedErr := c.PipelineDetached(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{}, nil)
	for _, err := range []error{fails(t, c), cursorErr, detachedErr} {
		if e := err.(*exec.Error); e.Code != exec.CodeClosed || e.Proof != exec.NotExecuted || e.Source != exec.FromClient {
			t.Errorf("error %+v", e)
		}
	}
	if c.Go(func(context.Context) { t.Error("it runs") }) {
		t.Error("Go says that it runs")
	}
	close(release)
	if err := <-result; err != nil {
		t.Errorf("the request in flight failed: %v", err)
	}
	if f.posts() != 1 {
		t.Errorf("%d requests arrived", f.posts())
	}
}

func TestGoEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, "http://db.test", nil)
		var ended atomic.Bool
		if !c.Go(func(ctx context.Context) { <-ctx.Done(); ended.Store(true) }) {
			t.Error("Go says that it does not run")
		}
		c.Close()
		if !ended.Load() {
			t.Error("it still runs")
		}
		c.Close()
	})
}

// Every socket is gone when Close returns, whatever state it was in.
func TestCloseLeavesNoSocket(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		var open atomic.Int32
		var mu sync.Mutex
		var conns []net.Conn
		c := m.client(t, &fake{rows: 10}, func(cfg *Config) {
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				open.Add(1)
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, conn)
				return &closingConn{Conn: conn, closed: sync.OnceFunc(func() { open.Add(-1) })}, nil
			}
		})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { ask(t, c) })
		}
		wg.Wait()
		if open.Load() == 0 {
			t.Fatal("no connection went through the dialler")
		}
		c.Close()
		if n := open.Load(); n != 0 {
			t.Errorf("%d sockets are open after Close", n)
		}
		if n := c.Counters().Dials; n != uint64(len(conns)) {
			t.Errorf("counted %d dials of %d", n, len(conns))
		}
	})
}

type closingConn struct {
	net.Conn
	closed func()
}

func (c *closingConn) Close() error { c.closed(); return c.Conn.Close() }

// Each counter is fed by what it names, and by nothing else.
func TestCounters(t *testing.T) {
	var refuse atomic.Int32
	f := &fake{rows: 3, before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && refuse.Load() > 0 {
			w.WriteHeader(int(refuse.Load()))
			return true
		}
		return false
	}}
	tokens := 0
	c := newTestClient(t, startServer(t, f).URL, func(cfg *Config) {
		cfg.Encoding = OnlyProtobuf // no probes
		cfg.Token = func(context.Context) (string, error) { tokens++; return strings.Repeat("t", tokens), nil }
	})
	if n := c.Counters(); n != (Counters{}) {
		t.Errorf("before anything: %+v", n)
	}
	ask(t, c)
	ask(t, c)
	n := c.Counters()
	if n.Requests != 2 || n.Failed != 0 || n.Dials != 1 || n.TokenRefresh != 0 {
		t.Errorf("after two requests: %+v", n)
	}
	if sent := uint64(len(f.requests()[0].body)); n.BytesSent <= 2*sent || n.BytesReceived == 0 {
		t.Errorf("bodies of %d bytes: %+v", sent, n)
	}
	refuse.Store(503)
	fails(t, c)
	if n := c.Counters(); n.Requests != 3 || n.Failed != 1 {
		t.Errorf("after a 503: %+v", n)
	}
	refuse.Store(401)
	fails(t, c)
	if n := c.Counters(); n.Requests != 5 || n.Failed != 3 || n.TokenRefresh != 1 {
		t.Errorf("after a 401 and another: %+v", n)
	}
	refuse.Store(0)
	cur, err := c.Cursor(context.Background(), c.Home(), V3Protobuf, &hrana.CursorReq{}, Expect{})
	if err != nil {
		t.Fatal(err)
	}
	cur.Close()
	if n := c.Counters(); n.Requests != 6 || n.Failed != 3 {
		t.Errorf("after a cursor that was left: %+v", n)
	}
}
