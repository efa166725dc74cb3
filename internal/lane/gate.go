package lane

import (
	"context"
	"sync"
	"sync/atomic"
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
// lock from such a transaction once another writer waits there for it. So when
// nobody has left for stuckAfter the next is let in, up to maxStuck at once.
const (
	stuckAfter = time.Second
	maxStuck   = 8
)

// A Gate lets writers into the server: requests that write, and transactions
// from their first write to their end. On a long path more may be on their way,
// since those do not wait inside the server. First in, first out. It is safe for
// concurrent use.
type Gate struct {
	outage  Outage
	mu      sync.Mutex
	busy    int
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
	gate *Gate
	left atomic.Bool
}

// TryEnter is Enter for who does not wait; nil if it would.
func (g *Gate) TryEnter() *Pass {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.enter()
}

// enter lets one in if the gate is open and nobody waits before it.
func (g *Gate) enter() *Pass {
	if g.busy >= g.law.Limit() || g.waiting.head != nil {
		return nil
	}
	g.busy++
	return &Pass{gate: g}
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
		return &Pass{gate: g}, nil
	case <-ctx.Done():
	case <-down:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.admitted() {
		g.busy-- // just now: the place goes to the next
		g.admit()
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
	if p == nil || p.left.Swap(true) {
		return
	}
	g := p.gate
	g.mu.Lock()
	g.busy--
	g.admit()
	g.mu.Unlock()
}

// again waits to be let in once more, behind those who wait already, after Leave.
func (p *Pass) again(ctx context.Context) *exec.Error {
	if p == nil {
		return nil
	}
	if _, err := p.gate.Enter(ctx); err != nil {
		return err
	}
	p.left.Store(false)
	return nil
}

// Observe learns from a write of its holder's: the round trip, and the server's
// time for it with the wait for other writers, 0 if the server did not say.
func (p *Pass) Observe(roundTrip, server time.Duration) {
	g := p.gate
	g.mu.Lock()
	g.law.Observe(g.busy, roundTrip, server)
	g.admit()
	g.mu.Unlock()
}

func (g *Gate) admit() {
	for g.busy < g.law.Limit() && g.waiting.head != nil {
		g.let()
	}
}

// let lets the first of those who wait in.
func (g *Gate) let() {
	g.busy++
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

// unstick lets one in although there is no place.
func (g *Gate) unstick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.waiting.head == nil, time.Since(g.since) < stuckAfter:
		// The timer had run down before it was stopped or set anew.
	case g.busy < maxStuck:
		g.let()
	default:
		g.watch()
	}
}

// Capacity is how many writers may be on their way now.
func (g *Gate) Capacity() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.law.Limit()
}

// Busy is how many of them there are.
func (g *Gate) Busy() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busy
}
