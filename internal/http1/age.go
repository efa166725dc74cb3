package http1

import "time"

const (
	// MaxAge is how old a connection becomes before another takes its place. A name
	// may lead elsewhere by then, and a server that has been replaced may go on
	// answering on what it has: no client is told of that.
	MaxAge = 10 * time.Minute
	// ageAgain is how long nothing is tried again after the one to take its place
	// could not be dialled.
	ageAgain = time.Minute
)

// renew has a connection dialled that takes the place of c, which has come back, if
// c is old. c is used until that is there, so nobody waits for it. It is called with
// the lock held.
func (p *Pool) renew(c *conn, now time.Time) {
	t := c.to
	if now.Sub(c.born) < MaxAge || now.Before(t.renewAt) {
		return
	}
	t.renewAt = now.Add(ageAgain)
	t.dials = append(t.dials, now)
	p.dialed.Go(func() {
		if p.dialOne(t, now, true) != nil {
			return
		}
		p.counters.ahead.Add(1)
		p.counters.refreshed.Add(1)
		p.mu.Lock()
		t.renewAt = time.Time{}
		c.retired = true
		i := t.indexOf(c)
		t.pop(i)
		p.mu.Unlock()
		if i >= 0 {
			c.end()
		}
	})
}

// Renew gives up the connections that there are to t: who comes gets new ones. What
// is under way on them goes on.
func (p *Pool) Renew(t *Target) { p.closeIdle(t, time.Now()) }

// indexOf is where c is among the idle connections; -1 if somebody uses it.
func (t *Target) indexOf(c *conn) int {
	for i := range t.idle {
		if t.idle[i] == c {
			return i
		}
	}
	return -1
}
