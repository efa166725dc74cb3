package lane

import (
	"context"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// Bounds of a Gate. SQLite has one writer. sqld queues the others, and when it
// truncates its log while some wait, a few of them are never woken: with eight
// inside, a server under a steady load of writes locked up in one of five runs of
// five seconds, with one in none of 24. One is also faster where the path is
// short: it never waits for a lock.
var (
	// inServer is how many writers are meant to be inside the server.
	inServer = 1
	// maxWriters is how many may be on their way, however long the path is.
	maxWriters = 48
)

// A holder may be a transaction that nobody goes on with: for ever, if it is the
// program's own mistake to write beside it before its end. The server takes the
// lock from such a transaction once another writer waits there for it. Or its
// connection has died in silence: then nobody knows whether the server is still at
// it, and if the caller's context has no end, nobody ever will.
//
// So when nobody has been let in for stuckAfter while somebody waits, the holder who
// came first is overdue, and the next gets its place. At most maxOverdue hold no
// place and may still be inside the server, which is what it bears, and none for
// longer than forgetAfter: by then the server has taken its lock away.
const (
	stuckAfter  = time.Second
	maxOverdue  = 7
	forgetAfter = 10 * time.Second
)

// A Gate lets writers into the server: requests that write, and transactions
// from their first write to their end. On a long path more may be on their way,
// since those do not wait inside the server. First in, first out. It is safe for
// concurrent use.
type Gate struct {
	outage  Outage
	mu      sync.Mutex
	inside  holders // of a place
	overdue holders // of none any more
	waiting turnstile
	law     *limit.Writers
	stuck   *time.Timer // runs while somebody waits
	since   time.Time   // when it began to
}

// NewGate returns an open Gate; outage is nil for none.
func NewGate(outage Outage) *Gate {
	if outage == nil {
		outage = never{}
	}
	g := &Gate{outage: outage, law: limit.NewWriters(inServer, maxWriters)}
	g.stuck = time.AfterFunc(stuckAfter, g.unstick)
	g.stuck.Stop()
	return g
}

// A Pass is one writer's right to be inside.
type Pass struct {
	gate       *Gate
	in         *holders // whose it is; nil when it has left, or is forgotten
	entered    time.Time
	prev, next *Pass
}

// TryEnter is Enter for who does not wait; nil if it would.
func (g *Gate) TryEnter() *Pass {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.enter()
}

// enter lets one in if the gate is open and nobody waits before it.
func (g *Gate) enter() *Pass {
	if g.waiting.head != nil || !g.free(time.Now()) {
		return nil
	}
	return g.place()
}

// free tells whether there is a place. Holders who have had theirs for too long have
// none any more.
func (g *Gate) free(now time.Time) bool {
	for _, h := range []*holders{&g.inside, &g.overdue} {
		for h.first != nil && now.Sub(h.first.entered) >= forgetAfter {
			h.remove(h.first)
		}
	}
	return g.inside.n < g.law.Limit()
}

// place gives a place.
func (g *Gate) place() *Pass {
	p := &Pass{gate: g, entered: time.Now()}
	g.inside.add(p)
	return p
}

// Enter waits to be let in. Who has a Pass calls its Leave; the error is that of a
// context that has ended, or of a server that is down.
func (g *Gate) Enter(ctx context.Context) (*Pass, *exec.Error) {
	down := g.outage.Down()
	g.mu.Lock()
	if pass := g.enter(); pass != nil {
		g.mu.Unlock()
		return pass, nil
	}
	if g.waiting.head == nil {
		g.watch()
	}
	t := g.waiting.push()
	g.mu.Unlock()
	select {
	case <-t.in:
		return t.pass, nil
	case <-ctx.Done():
	case <-down:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.admitted() {
		g.leave(t.pass) // just now: the place goes to the next
	} else {
		g.waiting.remove(t)
		if g.waiting.head == nil {
			g.stuck.Stop()
		}
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, false)
	}
	return nil, g.outage.Refusal()
}

// Leave gives the place to the next. Calls after the first do nothing, nor do
// those of no Pass.
func (p *Pass) Leave() {
	if p == nil {
		return
	}
	g := p.gate
	g.mu.Lock()
	g.leave(p)
	g.mu.Unlock()
}

func (g *Gate) leave(p *Pass) {
	if p.in != nil {
		p.in.remove(p)
		g.admit()
	}
}

// again waits to be let in once more, behind those who wait already, after Leave.
func (p *Pass) again(ctx context.Context) *exec.Error {
	if p == nil {
		return nil
	}
	g := p.gate
	fresh, err := g.Enter(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if in := fresh.in; in != nil {
		in.remove(fresh)
		p.entered = fresh.entered
		in.add(p)
	}
	return nil
}

// Observe learns from a write of its holder's: the round trip, and the server's
// time for it with the wait for other writers, 0 if the server did not say.
func (p *Pass) Observe(roundTrip, server time.Duration) {
	g := p.gate
	g.mu.Lock()
	g.law.Observe(g.inside.n, roundTrip, server)
	g.admit()
	g.mu.Unlock()
}

func (g *Gate) admit() {
	for g.waiting.head != nil && g.free(time.Now()) {
		g.let()
	}
}

// let lets the first of those who wait in.
func (g *Gate) let() {
	g.waiting.head.pass = g.place()
	g.waiting.admit()
	if g.waiting.head == nil {
		g.stuck.Stop()
	} else {
		g.watch()
	}
}

// watch has unstick called when the first who waits has done so for too long.
func (g *Gate) watch() {
	g.since = time.Now()
	g.stuck.Reset(stuckAfter)
}

// unstick gives the place of the holder who came first to the next.
func (g *Gate) unstick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.waiting.head == nil || now.Sub(g.since) < stuckAfter {
		return // the timer had run down before it was stopped or set anew
	}
	if !g.free(now) && g.overdue.n < maxOverdue {
		late := g.inside.first
		g.inside.remove(late)
		g.overdue.add(late)
	}
	g.watch()
	g.admit()
}

// Capacity is how many writers may be on their way now.
func (g *Gate) Capacity() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.law.Limit()
}

// Busy is how many of them there are, with those who are overdue.
func (g *Gate) Busy() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside.n + g.overdue.n
}

// holders are those who have been let in, in the order in which they were. The
// Gate's mutex guards them.
type holders struct {
	first, last *Pass
	n           int
}

func (h *holders) add(p *Pass) {
	p.in, p.prev, p.next = h, h.last, nil
	if h.last == nil {
		h.first = p
	} else {
		h.last.next = p
	}
	h.last = p
	h.n++
}

func (h *holders) remove(p *Pass) {
	if p.prev == nil {
		h.first = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		h.last = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.in, p.prev, p.next = nil, nil, nil
	h.n--
}
