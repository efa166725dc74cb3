package http1

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Check is how a connection is asked whether it is still alive, when it has
// been idle for too long to be trusted.
type Check struct {
	// Request is what t is asked. If it is nil the connection is closed instead.
	Request func(t *Target) *Request
	// Timeout bounds the answer.
	Timeout time.Duration
	// Alive is told, if it is not nil, for how long a connection had been idle
	// that has answered.
	Alive func(t *Target, idle time.Duration)
}

// SetTrust sets for how long an idle connection is used without asking; 0 is
// without a limit. A middlebox that forgets a connection tells nobody, so beyond
// it who needs a connection gets a new one, and the old one is asked beside that.
func (p *Pool) SetTrust(d time.Duration) { p.trust.Store(int64(d)) }

// SetTrust is as Pool.SetTrust, which it overrides for one target.
func (t *Target) SetTrust(d time.Duration) {
	if d <= 0 {
		d = -1
	}
	t.trust.Store(int64(d))
}

// trustIn is for how long connections to t are trusted, 0 without a limit.
func (p *Pool) trustIn(t *Target) time.Duration {
	if d := t.trust.Load(); d != 0 {
		return time.Duration(max(d, 0))
	}
	return time.Duration(p.trust.Load())
}

func (p *Pool) trusts(c *conn, now time.Time) bool {
	d := p.trustIn(c.to)
	return !c.suspect && (d <= 0 || idleFor(c.idle, now) < d)
}

// Suspect is told that a connection to t has died that had been idle for d: those
// that have been idle for as long are not trusted any more.
func (p *Pool) Suspect(t *Target, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, c := range t.idle {
		if idleFor(c.idle, now) >= d {
			c.suspect = true
		}
	}
}

// idleFor is measured by the wall clock too: the monotonic one stands still while
// a machine is suspended, and the path's does not.
func idleFor(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// checkAside asks a connection that is not trusted whether it is alive. It is
// called with the lock held, while the Pool is open.
func (p *Pool) checkAside(c *conn, now time.Time) {
	idle := Idle{c.askLife(), idleFor(c.idle, now)}
	p.dialed.Go(func() {
		var req *Request
		if p.Check != nil {
			req = p.Check.Request(c.to)
		}
		if req == nil {
			p.counters.stale.Add(1)
			c.end()
			return
		}
		ctx, cancel := context.WithTimeout(p.life, p.Check.Timeout)
		defer cancel()
		resp, err := idle.Ask(ctx, req)
		if err != nil {
			return
		}
		resp.discard()
		if p.Check.Alive != nil {
			p.Check.Alive(c.to, idle.For)
		}
	})
}

// An Idle is a connection that has been taken from the idle ones, to be asked
// whether it is alive. For is how long it has been idle.
type Idle struct {
	c   *conn
	For time.Duration
}

// errDead is what asking a connection fails with that is seen to be dead.
var errDead = errors.New("the connection has been closed")

// Return gives the connection back as it was, without asking.
func (i Idle) Return() {
	p, t := i.c.pool, i.c.to
	p.mu.Lock()
	kept := !p.closed && len(t.idle) < maxIdle
	if kept {
		at := slices.IndexFunc(t.idle, func(c *conn) bool { return c.idle.After(i.c.idle) })
		if at < 0 {
			at = len(t.idle)
		}
		i.c.answered()
		p.keep(i.c, at)
	}
	p.mu.Unlock()
	if !kept {
		i.c.end()
	}
}

// Ask sends a request on the connection. Closing the answer gives the connection
// back; on an error it has been closed.
func (i Idle) Ask(ctx context.Context, req *Request) (*Response, error) {
	c := i.c
	if !c.usable() {
		c.close()
		c.pool.counters.stale.Add(1)
		return nil, errDead
	}
	stop := context.AfterFunc(ctx, c.cut)
	resp, _, err := c.exchange(req)
	if err != nil {
		stop()
		c.close()
		if c.pool.life.Err() == nil {
			c.pool.counters.stale.Add(1)
		}
		return nil, err
	}
	resp.stop = stop
	return resp, nil
}

// discard reads what is left of a short answer away, so that the connection can
// be used again.
func (r *Response) discard() {
	io.CopyN(io.Discard, r, 4<<10)
	r.Close()
}

// TakeIdle takes those of the n connections to t used last that have been idle
// for d. next is when the first of the others will have been, d if there are none.
//
// If it can, it leaves one for whoever comes: the last one waits while another is
// asked, but not for longer than four fifths of what is trusted, the longest time
// between two pings. What lies beyond is only hoped for.
func (p *Pool) TakeIdle(t *Target, n int, d time.Duration) (due []Idle, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, next := time.Now(), d
	first := max(len(t.idle)-n, 0)
	for i := first; i < len(t.idle); {
		idle := idleFor(t.idle[i].idle, now)
		last := i == first && i == len(t.idle)-1
		patience := max(p.trustIn(t)*4/5-d, 0)
		switch {
		case idle < d:
			next = min(next, d-idle)
			i++
		case last && t.asked.Load() > 0 && idle < d+patience:
			next = min(next, max(patience/4, time.Millisecond), d+patience-idle)
			i++
		default:
			due = append(due, Idle{t.pop(i).askLife(), idle})
		}
	}
	return due, next
}

// TakeBelow takes the connection to t that was used last among those that TakeIdle
// leaves alone and that have been idle for d.
func (p *Pool) TakeBelow(t *Target, n int, d time.Duration) (Idle, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for i := len(t.idle) - 1 - n; i >= 0; i-- {
		if idle := idleFor(t.idle[i].idle, now); idle >= d {
			return Idle{t.pop(i).askLife(), idle}, true
		}
	}
	return Idle{}, false
}

// Ready dials until trusted connections to t can be trusted, and open are open, in
// use and under way included, and waits for what it dials. It reports how many it
// has opened, and the first failure. Of those that are in the place of others, dead
// are in that of connections that are closed already.
func (p *Pool) Ready(t *Target, trusted, open, dead int) (opened int, err error) {
	var wg sync.WaitGroup
	p.mu.Lock()
	now, all := time.Now(), int(t.open.Load())
	doubtful := int(t.asked.Load())
	for _, c := range t.idle {
		if !p.trusts(c, now) {
			doubtful++
		}
	}
	missing := max(trusted-(all-doubtful), open-all) - len(t.dials)
	if p.closed || missing <= 0 {
		p.mu.Unlock()
		return 0, nil
	}
	errs := make([]error, missing)
	for i := range missing {
		t.dials = append(t.dials, now)
		wg.Add(1)
		p.dialed.Go(func() {
			defer wg.Done()
			errs[i] = p.dialOne(t, now, true)
		})
	}
	p.mu.Unlock()
	wg.Wait()
	for _, e := range errs {
		if e == nil {
			opened++
		} else if err == nil {
			err = e
		}
	}
	p.counters.ahead.Add(uint64(opened))
	p.counters.refreshed.Add(uint64(min(opened, max(dead, min(doubtful, trusted-(all-doubtful))))))
	return opened, err
}

// credit counts the dial that somebody is spared who takes c at a time when
// without any keep-alive it would not exist, or not be trusted.
func (p *Pool) credit(c *conn, now time.Time) {
	if c.ahead || p.StaleAfter > 0 && idleFor(c.since, now) >= p.StaleAfter {
		p.counters.saved.Add(int64(c.made))
	}
	c.ahead = false
}

type counters struct {
	ahead, refreshed, stale atomic.Uint64
	saved                   atomic.Int64
}

// IdleCounts are totals about connections that nobody was using.
type IdleCounts struct {
	// Ahead were opened before anybody needed them.
	Ahead uint64
	// Refreshed were opened, or wanted, in the place of one that was dead or not
	// trusted.
	Refreshed uint64
	// Stale were found dead.
	Stale uint64
	// Saved is the time that callers would have waited for dials.
	Saved time.Duration
}

// IdleCounts returns what has been counted so far.
func (p *Pool) IdleCounts() IdleCounts {
	n := &p.counters
	return IdleCounts{n.ahead.Load(), n.refreshed.Load(), n.stale.Load(), time.Duration(n.saved.Load())}
}
