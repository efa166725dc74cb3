package hranahttp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/netem"
)

func TestPipelineAtEveryLevel(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{baton: "next"}
		c := m.client(t, f, func(cfg *Config) { cfg.Encoding = OnlyProtobuf })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for level := V2JSON; level < levels; level++ {
			req := query("SELECT ?", exec.Value{Kind: exec.Text, Text: strings.Repeat("x", 100_000)})
			req.Requests = append(req.Requests, hrana.StreamReq{Type: hrana.Close})
			for _, send := range []func() (*Reply, error){
				func() (*Reply, error) { return c.Pipeline(context.Background(), c.Home(), level, req, Expect{}) },
				func() (*Reply, error) { return c.Pipeline(ctx, c.Home(), level, req, Expect{}) },
				func() (*Reply, error) {
					return c.PipelineDetached(context.Background(), c.Home(), level, req, Expect{}, nil)
				},
				func() (*Reply, error) { return c.PipelineDetached(ctx, c.Home(), level, req, Expect{}, nil) },
			} {
				reply, err := send()
				if err != nil {
					t.Fatalf("%v: %v", level, err)
				}
				if reply.Baton != "next" || len(reply.Results) != 2 || reply.Results[0].Stmt.Rows.Int(0, 0) != 1 || reply.Endpoint != c.Home() {
					t.Errorf("%v: %+v", level, reply)
				}
			}
		}
		proto := "HTTP/1.1"
		if m.name == "h2" {
			proto = "HTTP/2.0"
		}
		for _, r := range f.requests() {
			if r.proto != proto || r.method == http.MethodPost && !strings.Contains(r.body, strings.Repeat("x", 100_000)) {
				t.Errorf("%s %s in %s, %d bytes", r.method, r.path, r.proto, len(r.body))
			}
		}
		// The connection that is dialled to learn what is spoken is the one that is
		// used.
		if n := c.Counters().Dials; n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// A value that cannot be encoded is the caller's own mistake.
func TestRequestThatCannotBeEncoded(t *testing.T) {
	f := &fake{}
	c := newTestClient(t, startServer(t, f).URL, nil)
	bad := &hrana.PipelineReq{Requests: []hrana.StreamReq{{Type: 99}}}
	_, err := c.Pipeline(t.Context(), c.Home(), V2JSON, bad, Expect{})
	_, detached := c.PipelineDetached(t.Context(), c.Home(), V2JSON, bad, Expect{}, nil)
	for _, err := range []error{err, detached} {
		if e, ok := err.(*exec.Error); !ok || e.Proof != exec.NotExecuted || e.Source != exec.FromClient || e.StreamLost {
			t.Errorf("%+v", err)
		}
	}
	if f.posts() != 0 {
		t.Error("a request went out")
	}
}

// What each way to spoil an answer proves.
func TestSpoiltAnswers(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		srv := hranatest.NewServer(t, hranatest.Options{})
		c := m.client(t, before(t, srv), nil)
		for name, want := range map[string]struct {
			fault  hranatest.Fault
			source exec.Source
		}{
			"drop before": {hranatest.DropBefore, exec.FromTransport},
			"drop after":  {hranatest.DropAfter, exec.FromTransport},
			"truncate":    {hranatest.Truncate, exec.FromTransport},
			"garbage":     {hranatest.Garbage, exec.FromProtocol},
			"wrong shape": {hranatest.WrongShape, exec.FromProtocol},
		} {
			for level := V2JSON; level < levels; level++ {
				srv.Inject(1, want.fault)
				_, err := c.Pipeline(context.Background(), c.Home(), level, query("SELECT 1"), Expect{})
				e, ok := err.(*exec.Error)
				if !ok || e.Source != want.source || e.Proof != exec.OutcomeUnknown || !e.StreamLost || e.Status != 0 {
					t.Errorf("%s, %v: %#v", name, level, err)
				}
			}
		}
		ask(t, c)
	})
}

// A body that is not Hrana, of the right status and the wrong kind.
func TestWrongBodies(t *testing.T) {
	for name, c := range map[string]struct{ contentType, body, text string }{
		"page": {"text/html", "<html><title>Welcome</title>", "the server does not speak Hrana (it answers with text/html): "},
		"json": {"application/json", `{"status":"ok"}`, "the server's answer cannot be understood: "},
		"none": {"application/json", "", "the server's answer cannot be understood: "},
		"too few results": {"application/json", `{"baton":null,"base_url":null,"results":[]}`,
			"the server's answer cannot be understood: 0 results for 1 requests"},
		"more results": {"application/json", `{"baton":null,"base_url":null,"results":[{"type":"ok","response":{"type":"close"}},{"type":"ok","response":{"type":"close"}}]}`,
			"the server's answer cannot be understood: 2 results for 1 requests"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newTestClient(t, startServer(t, &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Type", c.contentType)
				w.Write([]byte(c.body))
				return true
			}}).URL, nil)
			e := fails(t, cl)
			if e.Source != exec.FromProtocol || e.Proof != exec.OutcomeUnknown || !strings.HasPrefix(e.Error(), c.text) {
				t.Errorf("%+v, reads %q", e, e)
			}
			if n := cl.Counters(); n.Failed != 1 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func behind(t *testing.T, h http.Handler) (*netem.Proxy, *Client) {
	t.Helper()
	p, err := netem.Start(startServer(t, h).Listener.Addr().String(), netem.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, newTestClient(t, p.URL(), func(cfg *Config) { cfg.Encoding = OnlyProtobuf })
}

// A connection that was reset while it was idle costs a new one, and nobody an
// error, not even a write.
func TestConnectionIsResetWhileIdle(t *testing.T) {
	f := &fake{}
	p, c := behind(t, f)
	for i := range 5 {
		ask(t, c)
		if p.Reset() == 0 {
			t.Fatal("no connection")
		}
		// The client's kernel has the reset when the proxy's end has gone.
		awaitDead(t, c)
		if n := f.posts(); n != i+1 {
			t.Fatalf("%d requests", n)
		}
	}
	if n := c.Counters(); n.Failed != 0 || n.Requests != 5 {
		t.Errorf("%+v", n)
	}
}

// awaitDead gives the kernel the time to tell of the reset, which is no more than
// another connection to the same proxy takes.
func awaitDead(t *testing.T, c *Client) {
	t.Helper()
	conn, err := net.Dial("tcp", c.cfg.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestAnswerIsCutOff(t *testing.T) {
	p, c := behind(t, &fake{})
	ask(t, c)
	for _, n := range []int64{0, 1, 20, 100} {
		p.Truncate(n)
		e := fails(t, c)
		if e.Source != exec.FromTransport || e.Proof != exec.OutcomeUnknown || !e.StreamLost {
			t.Errorf("after %d bytes: %+v", n, e)
		}
		ask(t, c)
	}
}

// A connection that was lost in silence is not noticed before the context ends;
// what was put on it may have arrived.
func TestConnectionIsLostInSilence(t *testing.T) {
	for name, lose := range map[string]func(*netem.Proxy) int{"dropped": (*netem.Proxy).Drop, "half open": (*netem.Proxy).HalfOpen} {
		t.Run(name, func(t *testing.T) {
			p, c := behind(t, &fake{})
			ask(t, c)
			lose(p)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			e := failsWith(t, ctx, c, query("SELECT 1"))
			if !errors.Is(e, context.DeadlineExceeded) || e.Proof != exec.OutcomeUnknown || !e.StreamLost || e.Source != exec.FromTransport {
				t.Errorf("%+v", e)
			}
			ask(t, c)
		})
	}
}

func TestContextEndsBeforeAnythingIsSent(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{}
		c := m.client(t, f, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Pipeline(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{})
		_, detached := c.PipelineDetached(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{}, func(*Reply, error) { t.Error("late") })
		_, cursor := c.Cursor(ctx, c.Home(), V3JSON, &hrana.CursorReq{}, Expect{})
		for _, err := range []error{err, detached, cursor} {
			if e, ok := err.(*exec.Error); !ok || !errors.Is(e, context.Canceled) || e.Proof != exec.NotExecuted || e.StreamLost {
				t.Errorf("%+v", err)
			}
		}
		if f.posts() != 0 || c.Counters().Dials != 0 {
			t.Error("a request went out")
		}
	})
}

func TestContextEndsDuringTheDial(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			dialling := make(chan struct{}, 10)
			c := newTestClient(t, scheme+"://db.test", func(cfg *Config) {
				cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					dialling <- struct{}{}
					<-ctx.Done()
					return nil, ctx.Err()
				}
			})
			for _, send := range []func(ctx context.Context) error{
				func(ctx context.Context) error {
					_, err := c.Pipeline(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{})
					return err
				},
				func(ctx context.Context) error {
					_, err := c.PipelineDetached(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{}, func(*Reply, error) { t.Error("late") })
					return err
				},
				func(ctx context.Context) error {
					_, err := c.Cursor(ctx, c.Home(), V3JSON, &hrana.CursorReq{}, Expect{})
					return err
				},
			} {
				ctx, cancel := context.WithCancel(t.Context())
				go func() { cancelWhen(dialling, cancel) }()
				e, ok := send(ctx).(*exec.Error)
				if !ok || !errors.Is(e, context.Canceled) || e.Proof != exec.NotExecuted || e.StreamLost {
					t.Errorf("%+v", e)
				}
				cancel()
			}
		})
	}
}

// cancelWhen cancels when a dial has begun; over TLS the first dial is shared.
func cancelWhen(began <-chan struct{}, cancel context.CancelFunc) {
	select {
	case <-began:
	case <-time.After(10 * time.Millisecond):
	}
	cancel()
}

// A read that nobody waits for is cut off: the server notices.
func TestReadIsCutOff(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		arrived, gone := make(chan struct{}), make(chan struct{})
		var slow atomic.Bool
		c := m.client(t, &fake{before: func(_ http.ResponseWriter, r *http.Request) bool {
			if !slow.CompareAndSwap(true, false) {
				return false
			}
			close(arrived)
			<-r.Context().Done()
			close(gone)
			return true
		}}, func(cfg *Config) { cfg.Encoding = OnlyProtobuf })
		ask(t, c)
		slow.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		e := failsWith(t, ctx, c, query("SELECT 1"))
		if !errors.Is(e, context.Canceled) || e.Proof != exec.OutcomeUnknown || !e.StreamLost {
			t.Errorf("%+v", e)
		}
		<-gone
		ask(t, c)
	})
}

func TestResponseLimit(t *testing.T) {
	for name, head := range map[string]func(w http.ResponseWriter){
		"announced": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100000000") },
		"endless":   func(w http.ResponseWriter) {},
	} {
		t.Run(name, func(t *testing.T) {
			inModes(t, func(t *testing.T, m mode) {
				c := m.client(t, &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
					w.Header().Set("Content-Type", "application/json")
					head(w)
					block := bytes.Repeat([]byte{' '}, 64<<10)
					for {
						if _, err := w.Write(block); err != nil {
							return true
						}
					}
				}}, nil)
				c.limit = 1 << 20
				e := fails(t, c)
				if e.Source != exec.FromProtocol || e.Proof != exec.OutcomeUnknown || !e.StreamLost || e.Error() != errTooLong.Error() {
					t.Errorf("%+v, reads %q", e, e)
				}
			})
		})
	}
}

// An answer far larger than any buffer arrives whole.
func TestLargeAnswer(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		srv := hranatest.NewServer(t, hranatest.Options{})
		c := m.client(t, before(t, srv), nil)
		for level := V2JSON; level < levels; level++ {
			reply, err := c.Pipeline(context.Background(), c.Home(), level, query("SELECT hex(zeroblob(?))", exec.Value{Kind: exec.Integer, Int: 500_000}), Expect{})
			if err != nil {
				t.Fatal(err)
			}
			if r := reply.Results[0]; r.Err != nil || r.Stmt.Rows.String(0, 0) != strings.Repeat("0", 1_000_000) {
				t.Errorf("%v: %+v", level, r.Err)
			}
		}
	})
}

// 256 at once: each gets its own answer, over as many connections as needed.
func TestManyAtOnce(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		c := m.client(t, &fake{}, nil)
		var wg sync.WaitGroup
		for i := range 256 {
			wg.Go(func() {
				for n := range 2 {
					v := int64(i*10 + n)
					req := query("SELECT ?", exec.Value{Kind: exec.Integer, Int: v})
					req.Requests = append(req.Requests, hrana.StreamReq{Type: hrana.Close})
					reply, err := c.Pipeline(context.Background(), c.Home(), c.Level(), req, Expect{})
					if err != nil {
						t.Error(err)
						return
					}
					if got := reply.Results[0].Stmt.Rows.Int(0, 0); got != v {
						t.Errorf("asked for %d, got %d", v, got)
					}
				}
			})
		}
		wg.Wait()
		if n := c.Counters(); n.Failed != 0 || n.Dials >= n.Requests {
			t.Errorf("%+v", n)
		}
	})
}
