package lane

import "time"

// A watch looks after requests that are late while others depend on them: those
// who share the request, and those who wait for its lane. A lone request has
// nobody to watch it, and no timer.
//
// One timer serves all lanes of a line. It is set while there is something to
// look after, and looks at whatever is under way when it fires, so a request
// that is answered in time costs nothing.
type watch struct {
	timer  *time.Timer
	set    bool
	closed bool
	lates  int // lanes whose places have been given to others
	// hedges is how many reads may be sent again.
	hedges float64
}

const (
	// firstHedges and maxHedges bound how many reads are sent again at a time, and
	// hedgePart is their part of all that share requests: a server that is slow
	// altogether must not be asked twice for everything.
	firstHedges = maxShare
	maxHedges   = 4 * maxShare
	hedgePart   = 0.1
)

// credit counts reads that are sent together.
func (n *line) credit(reads int) {
	n.hedges = min(n.hedges+hedgePart*float64(reads), maxHedges)
}

// due is when a request becomes late.
func (n *line) due(ln *lane) time.Time {
	return ln.began.Add(max(n.owner.late, 2*n.law.RoundTrip()))
}

// arm sets the timer, if it is not, for the first request that may be late while
// others depend on it.
func (n *line) arm() {
	if n.set || n.closed {
		return
	}
	var first time.Time
	for _, ln := range n.out {
		if ln.late || ln.began.IsZero() || n.waiting == 0 && (ln.flight == nil || ln.flight.hedged) ||
			n.lates == lateLanes && (ln.flight == nil || ln.flight.hedged) {
			continue
		}
		if at := n.due(ln); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if !first.IsZero() {
		n.set = true
		n.timer.Reset(time.Until(first))
	}
}

// look is what the timer does.
func (n *line) look() {
	now := time.Now()
	var again []*waiter
	n.mu.Lock()
	n.set = false
	for _, ln := range n.out {
		if ln.began.IsZero() || now.Before(n.due(ln)) {
			continue
		}
		if f := ln.flight; f != nil && !f.hedged {
			f.hedged = true
			if n.rerun != nil {
				again = n.toHedge(again, f)
			}
		}
		if n.waiting > 0 && !ln.late && n.lates < lateLanes {
			ln.late = true
			n.lates++
			n.busy--
			n.inside -= ln.statements
			n.owner.counters.late.Add(1)
		}
	}
	more := n.start()
	n.arm()
	n.mu.Unlock()
	n.dispatch(more)
	if len(again) > 0 {
		n.rerun(again)
	}
}

// toHedge adds those of a flight that are to be sent again.
func (n *line) toHedge(again []*waiter, f *flight) []*waiter {
	for _, w := range f.group {
		if n.hedges >= 1 && w.open() {
			n.hedges--
			again = append(again, w)
		}
	}
	return again
}

// close stops the timer.
func (n *line) close() {
	n.mu.Lock()
	n.closed = true
	n.timer.Stop()
	n.mu.Unlock()
}
