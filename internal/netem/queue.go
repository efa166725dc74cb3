package netem

import (
	"sync"
	"time"
)

const (
	// chunkSize bounds one read, and so how coarsely bandwidth is shared.
	chunkSize = 16 << 10
	// maxUnderway bounds the bytes one direction of a connection holds: above
	// the product of any bandwidth and delay worth emulating.
	maxUnderway = 32 << 20
)

// A chunk is what arrives at one moment: bytes, or the end of the stream.
type chunk struct {
	due time.Time
	buf *[chunkSize]byte // nil: the end
	n   int
}

var buffers = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// A queue holds the chunks of one direction of a connection that are under way.
// Its storage is a ring, so that a proxy that has warmed up allocates nothing:
// benchmarks count the allocations of the whole process.
type queue struct {
	mu     sync.Mutex
	cond   sync.Cond
	ring   []chunk
	head   int
	len    int
	bytes  int
	closed bool
}

func newQueue() *queue {
	q := &queue{ring: make([]chunk, 8)}
	q.cond.L = &q.mu
	return q
}

// push waits while too much is under way. It reports false once the queue is
// closed.
func (q *queue) push(c chunk) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes > maxUnderway && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return false
	}
	if q.len == len(q.ring) {
		grown := make([]chunk, 2*len(q.ring))
		n := copy(grown, q.ring[q.head:])
		copy(grown[n:], q.ring[:q.head])
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.len)%len(q.ring)] = c
	q.len++
	q.bytes += c.n
	q.cond.Broadcast()
	return true
}

// pop waits for the oldest chunk. It reports false once the queue is closed.
func (q *queue) pop() (chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.len == 0 && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return chunk{}, false
	}
	c := q.ring[q.head]
	q.ring[q.head] = chunk{}
	q.head = (q.head + 1) % len(q.ring)
	q.len--
	q.bytes -= c.n
	q.cond.Broadcast()
	return c, true
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.cond.Broadcast()
}
