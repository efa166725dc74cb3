package lane

import "github.com/turso-opt/turso-opt/internal/exec"

// Bounds of one shared request.
const (
	// maxShare is how many statements share a request. More would make the first
	// wait for the last without saving anything that can be measured: the cost of
	// a request is spread over so many already.
	maxShare = 64
	// maxUnproven is how many share one as requests of a pipeline.
	maxUnproven = 16
	// maxArgs bounds the arguments of a shared request, in bytes.
	maxArgs = 256 << 10
	// maxAnswer bounds what a shared request is expected to bring back, in bytes:
	// far below the 10 MB at which sqld throws an answer away.
	maxAnswer = 1 << 20
)

// Bounds of what waits.
const (
	// maxQueue is how many statements wait at most; the next ones wait for a place
	// among them, until their contexts end.
	maxQueue = 4096
	// maxQueueArgs bounds the arguments of all that wait, in bytes.
	maxQueueArgs = 16 << 20
)

// A queue is in the order of arrival. Its owner's mutex guards it.
type queue struct{ head, tail *waiter }

// push puts w behind those who came before it: usually all, but for some who
// have waited for a place together.
func (q *queue) push(w *waiter) {
	before := q.tail
	for before != nil && before.turn > w.turn {
		before = before.prev
	}
	w.prev = before
	if before == nil {
		w.next, q.head = q.head, w
	} else {
		w.next, before.next = before.next, w
	}
	if w.next == nil {
		q.tail = w
	} else {
		w.next.prev = w
	}
}

func (q *queue) pop() *waiter {
	w := q.head
	if q.head = w.next; q.head == nil {
		q.tail = nil
	} else {
		q.head.prev = nil
	}
	w.next = nil
	return w
}

// The queues of a line are by how their statements may share. Whoever has waited
// longest is served first, with those of its own queue who may share with it.
const (
	unprovenQueue = iota
	provenQueue
	queues
)

func queueOf(n *exec.Note) int {
	if proven(n) {
		return provenQueue
	}
	return unprovenQueue
}

// pick makes a flight of those whose turn it is, most at most; nil if nobody
// waits. The line is locked.
func (n *line) pick(most int) *flight {
	for {
		q := n.longest()
		if q == nil {
			return nil
		}
		f := &flight{separate: !proven(q.head.stmt.Note)}
		if f.separate {
			most = min(most, maxUnproven)
		}
		args, answer := 0, 0
		for q.head != nil && len(f.group) < most {
			w := q.head
			alone := wide(w.stmt.Note, n.owner.slow)
			if len(f.group) > 0 && (alone || !f.separate && !proven(w.stmt.Note) ||
				args+w.size > maxArgs || answer+expected(w.stmt.Note) > maxAnswer) {
				break
			}
			n.pop(q)
			w.flight = f
			if !w.state.CompareAndSwap(queued, shared) {
				n.inside-- // it has left just now
				continue
			}
			if f.group == nil {
				f.group = make([]*waiter, 0, min(most, n.waiting+1))
			}
			f.group = append(f.group, w)
			f.waiting.Add(1)
			args += w.size
			answer += expected(w.stmt.Note)
			if alone {
				break
			}
		}
		if len(f.group) > 1 || len(f.group) == 1 && f.group[0].takeOut() {
			return f
		}
		n.inside -= len(f.group)
	}
}

// longest is the queue whose first has waited longest, nil if nobody waits.
// Those at the front who have left are passed over.
func (n *line) longest() (first *queue) {
	for i := range n.queues {
		q := &n.queues[i]
		for q.head != nil && q.head.state.Load() == left {
			n.pop(q)
			n.inside--
		}
		if q.head != nil && (first == nil || q.head.turn < first.head.turn) {
			first = q
		}
	}
	return first
}

// pop takes the first out of a queue of the line.
func (n *line) pop(q *queue) *waiter {
	w := q.pop()
	n.waiting--
	n.bytes -= w.size
	return w
}
