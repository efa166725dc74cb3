package lane

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Bounds of one shared request.
const (
	// maxShare is how many statements share a request. More would make the first
	// wait for the last without saving anything that can be measured: the cost of
	// a request is spread over so many already.
	maxShare = 64
	// maxArgs bounds the arguments of a shared request, in bytes.
	maxArgs = 256 << 10
	// maxAnswer bounds what a shared request is expected to bring back, in bytes:
	// far below the 10 MB at which sqld throws an answer away.
	maxAnswer = 1 << 20
	// maxQueue is how many statements wait at most; the next ones wait for a place
	// among them, until their contexts end.
	maxQueue = 4096
)

// A waiter is a statement that waits for a lane, or for the answer of a request
// it shares.
type waiter struct {
	stmt exec.Stmt
	size int // of the arguments
	ctx  context.Context
	done chan outcome // buffered: whoever answers does not wait
	// state decides between the caller who leaves and the lane that takes it.
	state atomic.Int32
	next  *waiter
}

const (
	queued int32 = iota
	taken
	left
)

type outcome struct {
	resp *exec.Response
	err  error
}

// newWaiter copies what the caller may change once it has left.
func newWaiter(ctx context.Context, s *exec.Stmt) *waiter {
	w := &waiter{stmt: *s, ctx: ctx, done: make(chan outcome, 1)}
	for i := range s.Args {
		w.size += len(s.Args[i].Text) + len(s.Args[i].Blob) + 16
	}
	w.stmt.Args = append([]exec.Value(nil), s.Args...)
	for i := range w.stmt.Args {
		if b := w.stmt.Args[i].Blob; b != nil {
			w.stmt.Args[i].Blob = bytes.Clone(b)
		}
	}
	return w
}

// answer gives the caller its own; the first answer counts.
func (w *waiter) answer(resp *exec.Response, err error) {
	select {
	case w.done <- outcome{resp, err}:
	default:
	}
}

// A queue is first in, first out. Its owner's mutex guards it.
type queue struct {
	head, tail *waiter
	len        int
}

func (q *queue) push(w *waiter) {
	w.next = nil
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.len++
}

func (q *queue) pop() *waiter {
	w := q.head
	if w == nil {
		return nil
	}
	if q.head = w.next; q.head == nil {
		q.tail = nil
	}
	w.next = nil
	q.len--
	return w
}

// take appends the waiters of the next request to group: the first, and those
// behind it for as long as they may share. It passes over those that have left,
// and reports how many places have become free. A group has most at most.
func (q *queue) take(group []*waiter, most int) (_ []*waiter, places int) {
	args, answer := 0, 0
	for q.head != nil && len(group) < most {
		w := q.head
		if w.state.Load() == left {
			q.pop()
			places++
			continue
		}
		alone := !sharable(w.stmt.Note)
		if len(group) > 0 && (alone || args+w.size > maxArgs || answer+expected(w.stmt.Note) > maxAnswer) {
			break
		}
		q.pop()
		places++
		if !w.state.CompareAndSwap(queued, taken) {
			continue // it has left just now
		}
		group = append(group, w)
		args += w.size
		answer += expected(w.stmt.Note)
		if alone {
			break
		}
	}
	return group, places
}
