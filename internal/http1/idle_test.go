package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A middlebox forgets connections that have been idle for a while, in silence:
// what is written later vanishes.
type middlebox struct {
	forgets time.Duration
	delay   time.Duration // of a dial
	refuse  atomic.Bool
	asked   atomic.Int32 // requests that have reached the server
	wg      sync.WaitGroup
}

func (m *middlebox) dial(ctx context.Context, _ string) (net.Conn, error) {
	time.Sleep(m.delay)
	if m.refuse.Load() {
		return nil, io.ErrClosedPipe
	}
	client, server := net.Pipe()
	m.wg.Go(func() {
		defer server.Close()
		r := bufio.NewReader(server)
		for last := time.Now(); ; last = time.Now() {
			if _, _, ok := request(r); !ok {
				return
			}
			if m.forgets > 0 && time.Since(last) >= m.forgets {
				io.Copy(io.Discard, server)
				return
			}
			m.asked.Add(1)
			io.WriteString(server, fine)
		}
	})
	return client, nil
}

// pool trusts idle connections for ten seconds.
func (m *middlebox) pool(t *testing.T) *testPool {
	p := newPool(t, m.dial)
	p.Check = &Check{Request: func(*Target) *Request { return question() }, Timeout: time.Second}
	p.SetTrust(10 * time.Second)
	p.StaleAfter = 30 * time.Second
	return p
}

func (m *middlebox) end(p *testPool) {
	p.close()
	m.wg.Wait()
}

func question() *Request {
	return &Request{Head: AppendHead(nil, http.MethodGet, &url.URL{Scheme: "http", Host: "db.test", Path: "/v3"}, "", nil)}
}

// A connection that may be dead costs no request: another is dialled, at once,
// while it is asked beside; if it lives it is not lost.
func TestStaleConnectionIsCheckedAside(t *testing.T) {
	for name, forgets := range map[string]time.Duration{"dead": 5 * time.Second, "alive": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &middlebox{forgets: forgets}
				p := m.pool(t)
				defer m.end(p)
				var survived []time.Duration
				var mu sync.Mutex
				p.Check.Alive = func(_ *Target, idle time.Duration) {
					mu.Lock()
					survived = append(survived, idle)
					mu.Unlock()
				}
				to := &Target{Addr: "db:1"}
				do(t, p, to, post("a"))
				time.Sleep(9 * time.Second / 2)
				do(t, p, to, post("b"))
				if p.dials() != 1 {
					t.Fatalf("%d connections before any is stale", p.dials())
				}
				time.Sleep(20 * time.Second)
				began := time.Now()
				do(t, p, to, post("c"))
				if d := time.Since(began); d > 10*time.Millisecond || p.dials() != 2 {
					t.Errorf("%v and %d connections", d, p.dials())
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				n := p.IdleCounts()
				p.mu.Lock()
				idle := len(to.idle)
				p.mu.Unlock()
				if n.Refreshed != 1 || int(to.open.Load()) != idle {
					t.Errorf("%+v, %d idle of %d", n, idle, to.open.Load())
				}
				if alive := forgets == 0; alive != (idle == 2) || alive != (n.Stale == 0) || alive != (len(survived) == 1) {
					t.Errorf("%+v, %d idle, survived %v", n, idle, survived)
				}
			})
		})
	}
}

// Without a limit, every connection is used that is not seen to be dead.
func TestTrustWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &middlebox{}
		p := m.pool(t)
		defer m.end(p)
		p.SetTrust(0)
		to := &Target{Addr: "db:1"}
		for range 3 {
			do(t, p, to, post("a"))
			time.Sleep(IdleTimeout - time.Second)
		}
		if p.dials() != 1 {
			t.Errorf("%d connections", p.dials())
		}
	})
}

// A check in flight ends with the pool.
func TestCloseEndsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &middlebox{forgets: time.Second}
		p := m.pool(t)
		p.Check.Timeout = time.Hour
		to := &Target{Addr: "db:1"}
		do(t, p, to, post("a"))
		time.Sleep(20 * time.Second)
		do(t, p, to, post("b"))
		synctest.Wait()
		began := time.Now()
		m.end(p)
		if d := time.Since(began); d > time.Second {
			t.Errorf("closed after %v", d)
		}
		if n := p.IdleCounts().Stale; n != 0 {
			t.Errorf("%d connections were found dead by the end of the pool", n)
		}
	})
}

// A machine's sleep stops the monotonic clock and not the wall's.
func TestIdleForUsesBothClocks(t *testing.T) {
	now := time.Now()
	if d := idleFor(now.Add(-time.Minute), now); d != time.Minute {
		t.Errorf("idle for %v", d)
	}
	if d := idleFor(now, now.Round(0).Add(time.Hour)); d != time.Hour {
		t.Errorf("idle for %v by the wall clock", d)
	}
	if d := idleFor(now.Add(-time.Minute), now); d < 0 {
		t.Errorf("idle for %v", d)
	}
}

func TestTakeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &middlebox{}
		p := m.pool(t)
		defer m.end(p)
		to := &Target{Addr: "db:1"}
		holdTwo(t, p, to)
		time.Sleep(time.Second)
		do(t, p, to, post("a")) // one of them has been idle for less
		time.Sleep(2 * time.Second)

		due, next := p.TakeIdle(to, 1, 3*time.Second)
		if len(due) != 0 || next != time.Second {
			t.Fatalf("%d are due, the next in %v", len(due), next)
		}
		due, next = p.TakeIdle(to, 2, 3*time.Second)
		if len(due) != 1 || due[0].For < 3*time.Second || next != time.Second {
			t.Fatalf("%d are due, the next in %v", len(due), next)
		}
		resp, err := due[0].Ask(t.Context(), question())
		if err != nil {
			t.Fatal(err)
		}
		resp.discard()
		// What has been asked was idle for no time, and is the next to be used.
		if due, next = p.TakeIdle(to, 1, 3*time.Second); len(due) != 0 || next != 3*time.Second {
			t.Errorf("%d are due, the next in %v", len(due), next)
		}
		below, ok := p.TakeBelow(to, 1, 2*time.Second)
		if !ok || below.For < 2*time.Second {
			t.Fatalf("%v below", below.For)
		}
		if _, ok := p.TakeBelow(to, 1, 2*time.Second); ok {
			t.Error("there is another one below")
		}
		below.Return() // to where it was
		if _, ok := p.TakeBelow(to, 1, 3*time.Second); ok || len(to.idle) != 2 {
			t.Errorf("%d are idle", len(to.idle))
		}
		if below, ok = p.TakeBelow(to, 1, 2*time.Second); !ok {
			t.Error("nothing has been returned")
		}
		// The last one is left for whoever comes while another is asked, for a while.
		if due, _ := p.TakeIdle(to, 5, 0); len(due) != 0 {
			t.Errorf("%d are taken", len(due))
		}
		below.c.close()
		if due, _ := p.TakeIdle(to, 5, 0); len(due) != 1 {
			t.Errorf("%d are idle", len(due))
		} else {
			due[0].c.close()
		}
		if n := to.open.Load(); n != 0 {
			t.Errorf("%d are open", n)
		}
	})
}

// Connections are dialled before anybody needs them: as many as are missing, and
// who comes meanwhile waits for them.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &middlebox{delay: 100 * time.Millisecond}
		p := m.pool(t)
		defer m.end(p)
		to := &Target{Addr: "db:1"}
		var wg sync.WaitGroup
		wg.Go(func() {
			if n, err := p.Ready(to, 3, 0, 0); n != 3 || err != nil {
				t.Errorf("%d opened, %v", n, err)
			}
		})
		synctest.Wait()
		if n, err := p.Ready(to, 2, 0, 0); n != 0 || err != nil {
			t.Errorf("%d opened while others are, %v", n, err)
		}
		do(t, p, to, post("a"))
		wg.Wait()
		if n, _ := p.Ready(to, 3, 0, 0); n != 0 || p.dials() != 3 {
			t.Errorf("%d opened, %d connections", n, p.dials())
		}
		m.refuse.Store(true)
		if n, err := p.Ready(to, 5, 0, 0); n != 0 || err == nil {
			t.Errorf("%d opened, %v", n, err)
		}
		if n := p.IdleCounts(); n.Ahead != 3 {
			t.Errorf("%+v", n)
		}
		p.Close()
		if n, err := p.Ready(to, 9, 0, 0); n != 0 || err != nil || to.open.Load() != 0 {
			t.Errorf("%d opened in a closed pool, %d are open", n, to.open.Load())
		}
	})
}

// One that has died brings those into doubt that have been idle for as long: they
// are not given to anybody unasked, and do not count as ready.
func TestSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &middlebox{}
		p := m.pool(t)
		defer m.end(p)
		to := &Target{Addr: "db:1"}
		holdTwo(t, p, to)
		time.Sleep(2 * time.Second)
		p.Suspect(to, 3*time.Second)
		if n, _ := p.Ready(to, 2, 2, 0); n != 0 {
			t.Errorf("%d opened, nothing is in doubt", n)
		}
		p.Suspect(to, 2*time.Second)
		if n, _ := p.Ready(to, 0, 2, 0); n != 0 {
			t.Errorf("%d opened, two are open", n)
		}
		if n, err := p.Ready(to, 1, 0, 0); n != 1 || err != nil {
			t.Errorf("%d opened, %v", n, err)
		}
		if n := p.IdleCounts(); n.Refreshed != 1 || n.Ahead != 1 {
			t.Errorf("%+v", n)
		}
		do(t, p, to, post("a"))
		if p.dials() != 3 {
			t.Errorf("%d connections", p.dials())
		}
		held, _, err := p.Do(t.Context(), to, post("b"))
		if err != nil {
			t.Fatal(err)
		}
		do(t, p, to, post("c")) // the next one is in doubt
		if p.dials() != 4 {
			t.Errorf("%d connections", p.dials())
		}
		io.ReadAll(held)
		held.Close()
		time.Sleep(time.Second)
		// What has been asked and lives is in doubt no more; while it is asked it is.
		due, _ := p.TakeIdle(to, 4, 0)
		if n, _ := p.Ready(to, 4, 0, 0); n != len(due) || to.asked.Load() != int32(len(due)) {
			t.Errorf("%d opened while %d are asked, %d", n, len(due), to.asked.Load())
		}
		for _, idle := range due {
			if resp, err := idle.Ask(t.Context(), question()); err == nil {
				resp.discard()
			}
		}
		if n := to.asked.Load(); n != 0 {
			t.Errorf("%d are asked", n)
		}
	})
}

// What is counted as saved are dials that somebody would have waited for: of a
// connection that nobody had asked for yet, and of one that only pings have kept
// from being stale.
func TestSavedDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &middlebox{delay: 100 * time.Millisecond}
		p := m.pool(t)
		defer m.end(p)
		to := &Target{Addr: "db:1"}
		saved := func(want time.Duration) {
			t.Helper()
			if got := p.IdleCounts().Saved; got != want {
				t.Errorf("saved %v, want %v", got, want)
			}
		}
		do(t, p, to, post("a"))
		do(t, p, to, post("b"))
		saved(0)
		for range 5 {
			time.Sleep(8 * time.Second)
			due, _ := p.TakeIdle(to, 1, 0)
			if resp, err := due[0].Ask(t.Context(), question()); err == nil {
				resp.discard()
			}
		}
		do(t, p, to, post("c"))
		saved(100 * time.Millisecond)
		do(t, p, to, post("d"))
		saved(100 * time.Millisecond)
		p.Ready(to, 2, 0, 0)
		do(t, p, to, post("e"))
		saved(200 * time.Millisecond)
		do(t, p, to, post("f"))
		saved(200 * time.Millisecond)
		if p.dials() != 2 {
			t.Errorf("%d connections", p.dials())
		}
	})
}
