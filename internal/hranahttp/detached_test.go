package hranahttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// outcomes collects what late is called with.
type outcomes chan outcomeOf

type outcomeOf struct {
	reply *Reply
	err   error
}

func (o outcomes) late(reply *Reply, err error) { o <- outcomeOf{reply, err} }

// A write that was sent goes on when its caller leaves, who leaves at once, and
// somebody is told how it ended.
func TestCallerLeavesAWrite(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		arrived, release := make(chan struct{}), make(chan struct{})
		f := &fake{baton: "next"}
		f.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				close(arrived)
				select {
				case <-release:
				case <-r.Context().Done():
					t.Error("the write was cut off")
				}
			}
			return false
		}
		c := m.client(t, f, func(cfg *Config) { cfg.LateTimeout = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		o := make(outcomes, 2)
		_, err := c.PipelineDetached(ctx, c.Home(), V2JSON, query("INSERT"), Expect{}, o.late)
		e, ok := err.(*exec.Error)
		if !ok || !errors.Is(e, context.Canceled) || e.Proof != exec.OutcomeUnknown || !e.StreamLost || e.Source != exec.FromTransport {
			t.Errorf("%+v", err)
		}
		select {
		case got := <-o:
			t.Errorf("late %+v before the answer", got)
		default:
		}
		close(release)
		if got := <-o; got.err != nil || got.reply.Baton != "next" || len(got.reply.Results) != 1 {
			t.Errorf("late %+v", got)
		}
		c.Close()
		if len(o) != 0 {
			t.Error("late was called twice")
		}
	})
}

func TestLateTimeout(t *testing.T) {
	for name, d := range map[string]time.Duration{"limited": time.Minute, "unlimited": 0} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			inBubble(t, f, func(cfg *Config) { cfg.LateTimeout = d }, func(t *testing.T, c *Client) {
				gone := make(chan time.Time, 1)
				f.before = func(_ http.ResponseWriter, r *http.Request) bool {
					select {
					case <-r.Context().Done():
					case <-time.After(24 * time.Hour):
					}
					gone <- time.Now()
					return true
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin := time.Now()
				o := make(outcomes, 2)
				_, err := c.PipelineDetached(ctx, c.Home(), V2JSON, query("INSERT"), Expect{}, o.late)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
					t.Errorf("%v after %v", err, time.Since(begin))
				}
				want := time.Second + d
				if d == 0 {
					want = 24 * time.Hour
				}
				if end := <-gone; end.Sub(begin) != want {
					t.Errorf("it went on for %v, want %v", end.Sub(begin), want)
				}
				e, ok := (<-o).err.(*exec.Error)
				if d > 0 && (!ok || e.Proof != exec.OutcomeUnknown || e.Source != exec.FromTransport) {
					t.Errorf("late %+v", e)
				}
			})
		})
	}
}

// A write that was not sent when its caller left is not sent any more.
func TestCallerLeavesBeforeTheWriteIsSent(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			var accepted atomic.Int32
			srv := startServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { accepted.Add(1) }))
			dialling, release := make(chan struct{}), make(chan struct{})
			c := newTestClient(t, scheme+"://db.test", func(cfg *Config) {
				cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					close(dialling)
					<-release
					return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-dialling; cancel() }()
			_, err := c.PipelineDetached(ctx, c.Home(), V2JSON, query("INSERT"), Expect{}, func(*Reply, error) { t.Error("late") })
			e, ok := err.(*exec.Error)
			if !ok || !errors.Is(e, context.Canceled) || e.Proof != exec.NotExecuted || e.StreamLost {
				t.Errorf("%+v", err)
			}
			close(release)
			c.Close()
			if accepted.Load() != 0 {
				t.Error("it was sent")
			}
		})
	}
}

// What is left behind then ends at once, and holds up nobody.
func TestNothingGoesOnForACallerWhoLeftInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, "http://db.test", func(cfg *Config) {
			cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.PipelineDetached(ctx, c.Home(), V2JSON, query("INSERT"), Expect{}, func(*Reply, error) { t.Error("late") })
		if e, ok := err.(*exec.Error); !ok || e.Proof != exec.NotExecuted {
			t.Errorf("%+v", err)
		}
		begin := time.Now()
		c.Close()
		if d := time.Since(begin); d != 0 {
			t.Errorf("Close took %v", d)
		}
	})
}

// The caller may reuse the memory of its arguments as soon as it has returned,
// even while they are being sent.
func TestArgumentsAreTheCallersAgain(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		const size = 16 << 20 // more than sockets and flow control let through at once
		began, release, got := make(chan struct{}), make(chan struct{}), make(chan string, 1)
		c := m.client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := make([]byte, 1)
			io.ReadFull(r.Body, first)
			close(began)
			<-release
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got <- string(body)
		}), func(cfg *Config) { cfg.Encoding = OnlyProtobuf })
		blob := bytes.Repeat([]byte{'a'}, size)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-began; cancel() }()
		o := make(outcomes, 1)
		_, err := c.PipelineDetached(ctx, c.Home(), V3Protobuf, query("INSERT", exec.Value{Kind: exec.Blob, Blob: blob}), Expect{}, o.late)
		if e, ok := err.(*exec.Error); !ok || e.Proof != exec.OutcomeUnknown {
			t.Errorf("%+v", err)
		}
		for i := range blob {
			blob[i] = 'b'
		}
		close(release)
		if body := <-got; !strings.Contains(body, strings.Repeat("a", size)) {
			t.Errorf("%d bytes arrived, %d of them from after the call", len(body), strings.Count(body, "b"))
		}
		<-o
	})
}

// A 401 that comes when the caller has left is the end: nobody waits for another
// attempt.
func TestLate401IsNotTriedAgain(t *testing.T) {
	f := &fake{}
	tokens := 0
	inBubble(t, f, func(cfg *Config) {
		cfg.Token = func(context.Context) (string, error) { tokens++; return fmt.Sprint("t", tokens), nil }
	}, func(t *testing.T, c *Client) {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			time.Sleep(time.Minute)
			w.WriteHeader(401)
			return true
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		o := make(outcomes, 1)
		c.PipelineDetached(ctx, c.Home(), V2JSON, query("INSERT"), Expect{}, o.late)
		e, ok := (<-o).err.(*exec.Error)
		if !ok || e.Status != 401 || e.Proof != exec.NotExecuted {
			t.Errorf("late %+v", e)
		}
		if n := f.posts(); n != 1 || tokens != 1 {
			t.Errorf("%d requests with %d tokens", n, tokens)
		}
	})
}

// The promise behind every NotExecuted, whenever the caller leaves: the server
// has not got the request and never will. And behind every other end: somebody
// is told exactly once.
func TestNotExecutedIsTrue(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{before: func(http.ResponseWriter, *http.Request) bool {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			return false
		}}
		c := m.client(t, f, nil)
		type attempt struct {
			err  *exec.Error
			late atomic.Int32
		}
		attempts := make([]*attempt, 600)
		var wg sync.WaitGroup
		for worker := range 6 {
			wg.Go(func() {
				for i := worker; i < len(attempts); i += 6 {
					a := &attempt{}
					attempts[i] = a
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(600))*time.Microsecond)
					req := query(fmt.Sprintf("INSERT %d.", i))
					var err error
					if i%2 == 0 {
						_, err = c.PipelineDetached(ctx, c.Home(), V2JSON, req, Expect{}, func(*Reply, error) { a.late.Add(1) })
					} else {
						_, err = c.Pipeline(ctx, c.Home(), V2JSON, req, Expect{})
					}
					cancel()
					if err != nil {
						a.err = err.(*exec.Error)
					}
				}
			})
		}
		wg.Wait()
		c.Close()
		arrived := map[string]bool{}
		for _, r := range f.requests() {
			if from := strings.Index(r.body, "INSERT "); from >= 0 {
				arrived[r.body[from:from+strings.IndexByte(r.body[from:], '.')+1]] = true
			}
		}
		var count [3]int
		for i, a := range attempts {
			sql := fmt.Sprintf("INSERT %d.", i)
			late := a.late.Load()
			switch {
			case a.err == nil:
				count[0]++
				if !arrived[sql] || late != 0 {
					t.Errorf("%s answered: arrived %v, late %d times", sql, arrived[sql], late)
				}
			case a.err.Proof == exec.NotExecuted:
				count[1]++
				if arrived[sql] || late != 0 {
					t.Errorf("%s not executed: arrived %v, late %d times (%v)", sql, arrived[sql], late, a.err)
				}
			default:
				count[2]++
				if i%2 == 0 && late != 1 {
					t.Errorf("%s unknown: late %d times (%v)", sql, late, a.err)
				}
			}
		}
		t.Logf("answered %d, not executed %d, unknown %d", count[0], count[1], count[2])
	})
}

// A payload that net/http reads twice has been sent, and one that was taken back
// is never read.
func TestPayloadStates(t *testing.T) {
	read := func(p *payload) (string, error) {
		r, _ := p.reader()
		var b strings.Builder
		buf := make([]byte, 3)
		for {
			n, err := r.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				return b.String(), err
			}
		}
	}
	p := &payload{data: []byte("hello")}
	if p.started() {
		t.Error("started before it was read")
	}
	for range 2 {
		if s, err := read(p); s != "hello" || err.Error() != "EOF" {
			t.Errorf("read %q, %v", s, err)
		}
		if !p.started() {
			t.Error("not started after it was read")
		}
	}
	if p.leave() != abandoned || !p.started() || p.Reopen() || p.finish() {
		t.Error("an abandoned payload may be sent again, or has a caller")
	}
	if s, err := read(p); s != "" || err != errRevoked {
		t.Errorf("an abandoned payload is sent again: %q, %v", s, err)
	}
	p = &payload{data: []byte("hello")}
	if p.leave() != revoked || p.started() || p.Open() || p.finish() {
		t.Error("a revoked payload may be sent, or has a caller")
	}
	if s, err := read(p); s != "" || err != errRevoked {
		t.Errorf("a revoked payload is sent: %q, %v", s, err)
	}
	p = &payload{data: []byte("hello")}
	if !p.Open() || !p.Reopen() || p.started() || !p.Open() || !p.finish() || p.leave() != ended || p.finish() {
		t.Error("sent again and ended, it is something else")
	}
	p = &payload{}
	if !p.finish() || p.leave() != ended {
		t.Error("ended before it was sent, it is something else")
	}
}

// When the answer and the end of the context come together, either may win, but
// never both and never none.
func TestAnswerAndContextTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			f := &flight{done: make(chan struct{})}
			f.body.Open()
			var told atomic.Int32
			var wg sync.WaitGroup
			wg.Go(func() {
				if f.body.finish() {
					told.Add(1)
				} else if f.body.state.Load() == abandoned {
					told.Add(10)
				}
			})
			wg.Go(func() {
				switch f.body.leave() {
				case ended:
					told.Add(100)
				case abandoned:
					told.Add(1000)
				}
			})
			wg.Wait()
			if n := told.Load(); n != 101 && n != 1010 {
				t.Fatalf("told %d", n)
			}
		}
	})
}
