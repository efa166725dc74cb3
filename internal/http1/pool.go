package http1

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxIdle is how many idle connections are kept for one target. net/http's
	// default of two makes a program with 32 goroutines dial for every query.
	maxIdle = 256
	// promise is for how long a dial is expected to succeed.
	promise = 250 * time.Millisecond
	// IdleTimeout is how long an idle connection is kept.
	IdleTimeout = 90 * time.Second
)

// A Target is where connections go. It must not be copied.
type Target struct {
	Addr string // host:port
	TLS  bool

	trust atomic.Int64 // see SetTrust
	open  atomic.Int32 // connections, whoever has them
	asked atomic.Int32 // of these, those that are being asked whether they live

	// Guarded by the Pool's lock.
	idle    []*conn // the last used at the end
	waiting []*waiter
	dials   []time.Time // when those under way began
	since   time.Time   // connections from before that carry nothing any more
	renewAt time.Time   // before that no connection is renewed for its age
}

// A Dialer opens a connection to t: the connection that HTTP is spoken on, and
// the socket below it. ctx ends when the Pool is closed.
type Dialer func(ctx context.Context, t *Target) (net.Conn, *Socket, error)

// A Pool keeps the connections to any number of targets. It owns no goroutine
// but those that dial.
type Pool struct {
	// Check, StaleAfter and SetTrust say how far idle connections are trusted; the
	// first two are set before the Pool is used. See idle.go.
	Check      *Check
	StaleAfter time.Duration

	dial     Dialer
	life     context.Context
	dialed   sync.WaitGroup // and those who check
	trust    atomic.Int64
	counters counters

	mu     sync.Mutex
	closed bool
	held   map[*Target]struct{} // those with idle connections
	sweep  *time.Timer          // runs while there are any
}

// ErrClosed is what requests fail with after Close.
var ErrClosed = errors.New("the connection pool is closed")

// NewPool returns a Pool; life must end before Close is called.
func NewPool(life context.Context, dial Dialer) *Pool {
	return &Pool{dial: dial, life: life, held: map[*Target]struct{}{}}
}

// A waiter is somebody who needs a connection: one that is being dialled, or one
// that becomes free meanwhile.
type waiter struct {
	to    *Target
	since time.Time
	ready chan struct{} // closed when conn or err is there
	conn  *conn
	err   error
}

// get returns a connection to t that nobody else uses, and waits for one until ctx
// ends or down is closed.
func (p *Pool) get(ctx context.Context, t *Target, down <-chan struct{}) (*conn, error) {
	var instead bool // of one that was of no use
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		now := time.Now()
		c := t.pop(len(t.idle) - 1)
		if c == nil || !p.trusts(c, now) {
			if c != nil {
				p.checkAside(c, now)
				instead = true
			}
			if instead {
				p.counters.refreshed.Add(1)
			}
			w := &waiter{to: t, since: now, ready: make(chan struct{})}
			t.waiting = append(t.waiting, w)
			if t.promising(now) < len(t.waiting) {
				p.startDial(t, now)
			}
			p.mu.Unlock()
			return p.wait(ctx, w, down)
		}
		p.mu.Unlock()
		if c.usable() {
			p.credit(c, now)
			return c, nil
		}
		c.close()
		p.counters.stale.Add(1)
		instead = true
	}
}

// pop takes the i-th of the idle connections; nil if there is none. It is called
// with the lock held.
func (t *Target) pop(i int) *conn {
	if i < 0 {
		return nil
	}
	c := t.idle[i]
	t.idle = slices.Delete(t.idle, i, i+1)
	return c
}

func (p *Pool) wait(ctx context.Context, w *waiter, down <-chan struct{}) (*conn, error) {
	var why error
	select {
	case <-w.ready:
		if w.conn != nil && w.conn.born.Before(w.since) {
			w.conn.waited = true // its dial had begun before
		}
		return w.conn, w.err
	case <-ctx.Done():
		why = ctx.Err()
	case <-down:
		why = ErrDown
	}
	p.mu.Lock()
	left := p.answer(w, nil, why)
	p.mu.Unlock()
	if !left && w.conn != nil {
		p.put(w.conn)
	}
	return nil, why
}

// answer gives a waiter what it gets, unless it has been given something
// already. It is called with the lock held.
func (p *Pool) answer(w *waiter, c *conn, err error) bool {
	i := slices.Index(w.to.waiting, w)
	if i < 0 {
		return false
	}
	w.to.waiting = slices.Delete(w.to.waiting, i, i+1)
	w.conn, w.err = c, err
	close(w.ready)
	return true
}

// promising counts the dials that may still be waited for. One that takes longer
// may have been begun in worse times, so nobody who comes later depends on it.
func (t *Target) promising(now time.Time) (n int) {
	for _, began := range t.dials {
		if now.Sub(began) < promise {
			n++
		}
	}
	return n
}

// Dialling is how many connections to t are being dialled.
func (p *Pool) Dialling(t *Target) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(t.dials)
}

// startDial dials for whoever waits when it is done: a caller with little time
// leaves behind what the next one finds. It is called with the lock held.
func (p *Pool) startDial(t *Target, now time.Time) {
	t.dials = append(t.dials, now)
	p.dialed.Go(func() { p.dialOne(t, now, false) })
}

// dialOne makes the dial that began at a time that t.dials has. ahead tells that
// nobody needs it yet.
func (p *Pool) dialOne(t *Target, began time.Time, ahead bool) error {
	nc, sock, err := p.dial(p.life, t)
	if err != nil {
		p.dialFailed(t, began, err)
		return err
	}
	c := newConn(p, t, nc, sock)
	// A name's address may change while that is dialled.
	c.born, c.made, c.ahead = began, time.Since(began), ahead
	p.mu.Lock()
	t.dialEnded(began)
	kept := p.take(c)
	p.mu.Unlock()
	if !kept {
		c.end()
	}
	return nil
}

func (t *Target) dialEnded(began time.Time) {
	i := slices.IndexFunc(t.dials, began.Equal)
	t.dials = slices.Delete(t.dials, i, i+1)
}

// dialFailed tells the error to whoever waits longest, if there are not enough
// other dials for all. Who has come after this one began is owed one of its own.
func (p *Pool) dialFailed(t *Target, began time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.dialEnded(began)
	switch {
	case len(t.waiting) <= len(t.dials):
	case t.waiting[0].since.After(began) && !p.closed:
		p.startDial(t, time.Now())
	default:
		p.answer(t.waiting[0], nil, err)
	}
}

// Add gives the Pool a connection to t that somebody else has dialled.
func (p *Pool) Add(t *Target, nc net.Conn, sock *Socket) { p.put(newConn(p, t, nc, sock)) }

// put makes a connection free: for whoever waits longest, or for later.
func (p *Pool) put(c *conn) {
	p.mu.Lock()
	kept := p.take(c)
	p.mu.Unlock()
	if !kept {
		c.end()
	}
}

// take is called with the lock held. It reports false if the connection is not
// needed.
func (p *Pool) take(c *conn) bool {
	t := c.to
	switch {
	case p.closed, c.born.Before(t.since):
		return false
	case len(t.waiting) > 0:
		c.ahead = false
		c.answered()
		return p.answer(t.waiting[0], c, nil)
	case len(t.idle) >= maxIdle, c.retired:
		return false
	}
	c.idle, c.suspect = time.Now(), false
	c.waited = true
	if !c.answered() {
		c.since = c.idle
	}
	p.keep(c, len(t.idle))
	p.renew(c, c.idle)
	return true
}

// keep makes c the i-th of the idle connections. It is called with the lock held.
func (p *Pool) keep(c *conn, i int) {
	c.to.idle = slices.Insert(c.to.idle, i, c)
	p.held[c.to] = struct{}{}
	if p.sweep == nil {
		p.sweep = time.AfterFunc(IdleTimeout, p.expire)
	}
}

// expire closes the connections that have been idle for too long, and comes back
// while there are others.
func (p *Pool) expire() {
	now, next := time.Now(), time.Duration(-1)
	var old []*conn
	p.mu.Lock()
	for t := range p.held {
		n := 0
		for n < len(t.idle) && now.Sub(t.idle[n].idle) >= IdleTimeout {
			n++
		}
		old = append(old, t.idle[:n]...)
		t.idle = slices.Delete(t.idle, 0, n)
		if len(t.idle) == 0 {
			delete(p.held, t)
			continue
		}
		if left := IdleTimeout - now.Sub(t.idle[0].idle); next < 0 || left < next {
			next = left
		}
	}
	p.sweep = nil
	if next >= 0 {
		p.sweep = time.AfterFunc(next, p.expire)
	}
	p.mu.Unlock()
	closeAll(old)
}

// CloseIdle closes the idle connections to t.
func (p *Pool) CloseIdle(t *Target) { p.closeIdle(t, time.Time{}) }

// closeIdle also sets since when connections must exist that are not idle now.
func (p *Pool) closeIdle(t *Target, since time.Time) {
	p.mu.Lock()
	if since.After(t.since) {
		t.since = since
	}
	idle := t.idle
	t.idle = nil
	delete(p.held, t)
	p.mu.Unlock()
	closeAll(idle)
}

// closeAll closes connections that nobody uses, with TLS's own farewell.
func closeAll(conns []*conn) {
	for _, c := range conns {
		c.end()
	}
}

// Close closes the idle connections and waits for those who dial. Connections
// in use are closed when they become free.
func (p *Pool) Close() {
	var idle []*conn
	p.mu.Lock()
	p.closed = true
	if p.sweep != nil {
		p.sweep.Stop()
		p.sweep = nil
	}
	for t := range p.held {
		idle = append(idle, t.idle...)
		t.idle = nil
	}
	clear(p.held)
	p.mu.Unlock()
	closeAll(idle)
	p.dialed.Wait()
}
