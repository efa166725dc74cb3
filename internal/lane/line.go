package lane

import (
	"context"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// A line is one kind of traffic: its lanes, and those who wait for one.
type line struct {
	owner *Lanes
	most  int // statements of a request
	// serve sends request after request on a lane, until next gives no more.
	serve func(ctx context.Context, ln *lane)
	// rerun has late reads sent again; nil where that must not be.
	rerun func(late []*waiter)

	mu      sync.Mutex
	law     *limit.Lanes
	queues  [queues]queue
	turns   uint64
	waiting int       // in the queues
	bytes   int       // of their arguments
	crowd   turnstile // who wait for a place in the queues
	places  int       // given to those of them who are about to take one
	// inside is how many statements wait or are under way, but for those that are
	// late.
	inside int

	out  []*lane // those under way
	idle []*lane // those that are not, for reuse
	busy int     // of out, those that are not late
	watch
}

// A lane is the right to one request in flight.
type lane struct {
	began      time.Time // when its request was sent; zero before
	statements int       // of it
	flight     *flight   // the request, if it is shared
	late       bool      // its place has been given to another
	run        func(context.Context)
}

func newLine(law *limit.Lanes, most int, owner *Lanes) *line {
	n := &line{owner: owner, law: law, most: most, watch: watch{hedges: firstHedges}}
	n.timer = time.AfterFunc(time.Hour, n.look)
	n.timer.Stop()
	return n
}

func (n *line) limit() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.law.Limit()
}

// length is how many statements wait.
func (n *line) length() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.waiting
}

// enter takes a lane for one statement that goes out at once, on its caller's
// goroutine; nil if all are out, or others wait.
func (n *line) enter() *lane {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting > 0 || n.busy >= n.law.Limit() {
		return nil
	}
	n.inside++
	ln := n.take()
	ln.began, ln.statements = now, 1
	return ln
}

// leave ends the request of who has entered.
func (n *line) leave(ln *lane, server time.Duration) {
	now := time.Now()
	n.mu.Lock()
	n.ended(ln, now, server)
	n.give(ln)
	more := n.start()
	n.mu.Unlock()
	n.dispatch(more)
}

// take makes a lane one that is out.
func (n *line) take() *lane {
	var ln *lane
	if last := len(n.idle) - 1; last >= 0 {
		ln, n.idle = n.idle[last], n.idle[:last]
	} else {
		ln = &lane{}
		ln.run = func(ctx context.Context) { n.serve(ctx, ln) }
	}
	n.busy++
	n.out = append(n.out, ln)
	return ln
}

// give takes back a lane that is out.
func (n *line) give(ln *lane) {
	for i := range n.out {
		if n.out[i] == ln {
			last := len(n.out) - 1
			n.out[i], n.out[last] = n.out[last], nil
			n.out = n.out[:last]
			break
		}
	}
	if ln.late {
		n.lates--
	} else {
		n.busy--
	}
	*ln = lane{run: ln.run}
	n.idle = append(n.idle, ln)
}

// start takes a lane for those who wait, if there is one; nil otherwise.
func (n *line) start() *lane {
	if n.waiting == 0 || n.busy >= n.law.Limit() {
		return nil
	}
	return n.take()
}

// dispatch has a goroutine serve on a lane that start has taken.
func (n *line) dispatch(ln *lane) {
	if ln != nil && !n.owner.streams.Go(ln.run) {
		n.refuse(ln, errClosed)
	}
}

// wait queues a statement and waits for its answer.
func (n *line) wait(ctx context.Context, s *exec.Stmt) (*exec.Response, error) {
	down := n.owner.outage.Down()
	w := newWaiter(ctx, s)
	n.mu.Lock()
	w.turn = n.turns
	n.turns++
	if n.crowd.head != nil || n.full() {
		t, turn := n.crowd.push(), w.turn
		n.mu.Unlock()
		w = nil // its copies are memory that only the queue may hold
		if err := n.enterQueue(ctx, t); err != nil {
			return nil, err
		}
		down = n.owner.outage.Down()
		w = newWaiter(ctx, s)
		w.turn = turn
		n.mu.Lock()
		n.places--
	}
	n.queues[queueOf(s.Note)].push(w)
	n.waiting++
	n.bytes += w.size
	n.inside++
	ln := n.start()
	if ln == nil {
		n.arm()
	}
	n.mu.Unlock()
	n.dispatch(ln)
	return w.await(down, n.owner.outage)
}

func (n *line) full() bool { return n.waiting+n.places >= maxQueue || n.bytes >= maxQueueArgs }

// enterQueue waits for a place in the queue.
func (n *line) enterQueue(ctx context.Context, t *ticket) *exec.Error {
	select {
	case <-t.in:
		return nil
	case <-ctx.Done():
	case <-n.owner.outage.Down():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if t.admitted() {
		n.places-- // just now: the place goes to the next
		n.admit()
	} else {
		n.crowd.remove(t)
	}
	if ctx.Err() != nil {
		return ended(ctx, false)
	}
	return n.owner.outage.Refusal()
}

// admit gives free places in the queue to those who wait for one.
func (n *line) admit() {
	for n.crowd.head != nil && !n.full() {
		n.places++
		n.crowd.admit()
	}
}

// next is the next request on a lane. If there is none the lane is given back.
func (n *line) next(ln *lane) *flight {
	now := time.Now()
	n.mu.Lock()
	var f *flight
	free := n.law.Limit() - n.busy
	if !ln.late && free >= 0 {
		// Where other lanes are free, too, they get their share.
		f = n.pick(min(n.most, (n.waiting+free)/(free+1)))
	}
	n.admit()
	if f == nil {
		n.give(ln)
	} else {
		ln.began, ln.statements = now, len(f.group)
		if len(f.group) > 1 {
			ln.flight = f
			n.credit(len(f.group))
		}
	}
	more := n.start()
	n.arm()
	n.mu.Unlock()
	n.dispatch(more)
	return f
}

// empty gives a lane back if nobody waits, and reports whether it has.
func (n *line) empty(ln *lane) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting > 0 && !ln.late {
		return false
	}
	n.give(ln)
	return true
}

// finished ends the request on a lane; the lane is still out.
func (n *line) finished(ln *lane, server time.Duration) {
	now := time.Now()
	n.mu.Lock()
	n.ended(ln, now, server)
	n.mu.Unlock()
}

func (n *line) ended(ln *lane, now time.Time, server time.Duration) {
	if !ln.late {
		n.law.Observe(limit.Sample{Now: now, Statements: ln.statements, RoundTrip: now.Sub(ln.began),
			ServerTime: server, Busy: n.busy, Inside: n.inside})
		n.inside -= ln.statements
	}
	ln.began, ln.statements, ln.flight = time.Time{}, 0, nil
}

// overloaded notes that the server was at its limit.
func (n *line) overloaded() {
	n.mu.Lock()
	n.law.Overloaded()
	n.mu.Unlock()
}

// refuse answers all who wait: the connector has been closed, or the server is down.
func (n *line) refuse(ln *lane, e *exec.Error) {
	n.mu.Lock()
	n.give(ln)
	var refused []*waiter
	for i := range n.queues {
		for q := &n.queues[i]; q.head != nil; {
			refused = append(refused, n.pop(q))
			n.inside--
		}
	}
	n.admit()
	n.mu.Unlock()
	for _, w := range refused {
		w.answer(exec.StmtResult{}, e)
	}
}

var errClosed = &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeClosed, Message: "the connector is closed"}
