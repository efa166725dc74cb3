package http1

import (
	"testing"
	"testing/synctest"
	"time"
)

// A connection that has become old is replaced while it is still used: nobody waits
// for the dial, and it is closed when the new one is there.
func TestOldConnectionsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &middlebox{delay: time.Second}
		p := m.pool(t)
		defer m.end(p)
		to := &Target{Addr: "db.test:80"}
		do(t, p, to, post("first"))
		ask := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
				began := time.Now()
				if do(t, p, to, question()); time.Since(began) >= m.delay {
					t.Fatalf("a request has waited for %v", time.Since(began))
				}
			}
		}
		ask(MaxAge - 10*time.Second)
		if n := p.dials(); n != 1 {
			t.Errorf("%d connections", n)
		}
		ask(time.Minute)
		if n := p.dials(); n != 2 || to.open.Load() != 1 {
			t.Errorf("%d connections, %d of them open", n, to.open.Load())
		}
		if n := p.IdleCounts(); n.Ahead != 1 || n.Refreshed != 1 || n.Stale != 0 {
			t.Errorf("%+v", n)
		}
		// One for which there is no other is used further.
		m.refuse.Store(true)
		ask(MaxAge + 3*time.Minute)
		if to.open.Load() != 1 {
			t.Errorf("%d are open", to.open.Load())
		}
		m.refuse.Store(false)
		ask(2 * time.Minute)
		if n := p.dials(); n != 3 || to.open.Load() != 1 {
			t.Errorf("%d connections, %d of them open", n, to.open.Load())
		}
	})
}

// inUse is a pool with one connection, which somebody has.
func inUse(t *testing.T) (m *middlebox, p *testPool, to *Target, c *conn) {
	t.Helper()
	m, to = &middlebox{delay: time.Second}, &Target{Addr: "db.test:80"}
	p = m.pool(t)
	c, err := p.get(t.Context(), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, p, to, c
}

// One that is in use when its place has been taken is closed when it comes back.
func TestOldConnectionInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p, to, c := inUse(t)
		defer m.end(p)
		time.Sleep(MaxAge)
		p.put(c)
		c, err := p.get(t.Context(), to, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		p.put(c)
		if n := p.dials(); n != 2 || to.open.Load() != 1 || len(to.idle) != 1 || to.idle[0] == c {
			t.Errorf("%d connections, %d open", n, to.open.Load())
		}
	})
}

// One that was in use when all had to be new does not come back, whatever is closed
// meanwhile.
func TestRenewedStaysRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p, to, c := inUse(t)
		defer m.end(p)
		time.Sleep(time.Second)
		p.Renew(to)
		p.CloseIdle(to)
		p.put(c)
		if n := to.open.Load(); n != 0 || len(to.idle) != 0 {
			t.Errorf("%d connections open, %d idle", n, len(to.idle))
		}
	})
}
