package hranatest

import (
	"sync"
	"time"
)

// A gate lets one connection write at a time; the others queue in the order in
// which they came. A waiter takes the transaction of the one inside away once
// it is older than the limit. A transaction that only reads never passes here.
//
// Lock order: a connection's mutex, then the gate's. A waiter also takes the mutex
// of the one inside while it holds its own, but never waits for it: meanwhile it
// may be let in itself, and the other become a waiter that wants its mutex.
type gate struct {
	limit   time.Duration
	closing <-chan struct{}

	mu     sync.Mutex
	inside *conn
	since  time.Time // when inside got in
	turn   uint64    // counts who got in, to know one turn from the next
	queue  []*waiter
}

type waiter struct {
	conn *conn
	in   chan struct{} // closed when the conn is inside
}

// enter waits until c is inside. It reports false if the server is closing.
func (g *gate) enter(c *conn) bool {
	g.mu.Lock()
	if g.inside == c {
		g.mu.Unlock()
		return true
	}
	if g.inside == nil {
		g.admit(c)
		g.mu.Unlock()
		return true
	}
	w := &waiter{conn: c, in: make(chan struct{})}
	g.queue = append(g.queue, w)
	for {
		turn, wait := g.turn, time.Until(g.since.Add(g.limit))
		g.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-w.in:
			timer.Stop()
			return true
		case <-timer.C:
			select {
			case <-w.in:
				return true // the turn is its own
			default:
				g.take(turn)
			}
		case <-g.closing:
			timer.Stop()
			return g.giveUp(w)
		}
		g.mu.Lock()
	}
}

// admit lets c in; g is locked and nobody is inside.
func (g *gate) admit(c *conn) {
	g.inside, g.since = c, time.Now()
	g.turn++
}

// leave lets the next one in, if c is inside.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside != c {
		return
	}
	g.inside = nil
	if len(g.queue) > 0 {
		w := g.queue[0]
		g.queue = g.queue[1:]
		g.admit(w.conn)
		close(w.in)
	}
}

// giveUp takes w out of the queue. It reports true if w got in after all.
func (g *gate) giveUp(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queue {
		if q == w {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return false
		}
	}
	return true
}

// take rolls back the transaction of who is inside, if it is still the given
// turn, and lets the next one in. It waits for a statement that is running.
func (g *gate) take(turn uint64) bool {
	var victim *conn
	for {
		g.mu.Lock()
		victim = g.inside
		current := g.turn == turn
		g.mu.Unlock()
		if !current || victim == nil {
			return false
		}
		if victim.mu.TryLock() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	defer victim.mu.Unlock()
	g.mu.Lock()
	current := g.inside == victim && g.turn == turn
	g.mu.Unlock()
	if !current {
		return false
	}
	victim.rollback()
	victim.taken = true
	g.leave(victim)
	return true
}

// takeNow rolls back the transaction that is inside, however young it is.
func (g *gate) takeNow() bool {
	g.mu.Lock()
	turn := g.turn
	g.mu.Unlock()
	return g.take(turn)
}
