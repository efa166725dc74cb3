package lane

import (
	"context"
	"sync"
	"time"
)

// Bounds of a Gate. SQLite has one writer. sqld queues the others, and its queue
// can lock up for good when many wait in it.
const (
	// inServer is how many writers may wait inside the server.
	inServer = 8
	// maxWriters is how many may be on their way, however long the path is.
	maxWriters = 48
)

// A Gate lets writers into the server: requests that write, and transactions
// from their first write to their end. More may be on the way on a long path,
// since those do not wait inside the server; a longer path alone must not make
// writes slower. First in, first out. It is safe for concurrent use.
type Gate struct {
	mu      sync.Mutex
	busy    int
	waiting gateQueue
	path    float64 // round trip without the server's work, ns: the least lately
	work    float64 // of the server on one write, ns
}

// A gateQueue is the writers who wait.
type gateQueue struct{ head, tail *gateWaiter }

type gateWaiter struct {
	admitted   chan struct{}
	prev, next *gateWaiter
}

// NewGate returns an open Gate.
func NewGate() *Gate { return &Gate{} }

// Enter waits for admission. Who is admitted calls Leave; who gets an error, the
// context's, is not.
func (g *Gate) Enter(ctx context.Context) error {
	g.mu.Lock()
	if g.busy < g.capacity() && g.waiting.head == nil {
		g.busy++
		g.mu.Unlock()
		return nil
	}
	w := &gateWaiter{admitted: make(chan struct{})}
	g.waiting.push(w)
	g.mu.Unlock()
	select {
	case <-w.admitted:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.admitted:
		// Admitted just now: the place goes to the next.
		g.busy--
		g.admit()
	default:
		g.waiting.remove(w)
	}
	return ctx.Err()
}

// Leave gives the place to the next.
func (g *Gate) Leave() {
	g.mu.Lock()
	g.busy--
	g.admit()
	g.mu.Unlock()
}

func (g *Gate) admit() {
	for g.busy < g.capacity() && g.waiting.head != nil {
		w := g.waiting.head
		g.waiting.remove(w)
		g.busy++
		close(w.admitted)
	}
}

// capacity is how many may be on their way: while one write is worked on, the
// path holds path/work others that are not in the server.
func (g *Gate) capacity() int {
	if g.work <= 0 {
		return inServer
	}
	return min(inServer+int(g.path/g.work), maxWriters)
}

// Observe learns from a write that took a round trip, of which the server says
// it worked for a time; 0 if it did not say.
func (g *Gate) Observe(roundTrip, work time.Duration) {
	if work <= 0 || roundTrip <= work {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	path := float64(roundTrip - work)
	if g.path == 0 || path < g.path {
		g.path = path
	} else {
		g.path += g.path / 128
	}
	// HTTP and SQLite's commit cost the server more than it says it worked.
	w := float64(work) + float64(300*time.Microsecond)
	if g.work == 0 {
		g.work = w
	}
	g.work += (w - g.work) / 16
}

func (q *gateQueue) push(w *gateWaiter) {
	w.prev = q.tail
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
}

func (q *gateQueue) remove(w *gateWaiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}
