package lane

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A waiter is a statement that waits for a lane, or for the answer of a request
// it shares.
type waiter struct {
	stmt exec.Stmt
	args [2]exec.Value // backs stmt.Args where they are few
	size int           // of the arguments
	ctx  context.Context
	// state decides between the caller who leaves and those who may answer.
	state  atomic.Int32
	done   chan struct{} // closed when the answer is there
	resp   exec.Response
	result [1]exec.StmtResult // backs resp
	err    error
	flight *flight // of a shared request

	prev, next *waiter
	turn       uint64 // its place in the order of arrival
}

// The states of a waiter.
const (
	// queued: it waits for a lane; nothing has been sent.
	queued int32 = iota
	// shared: it is in a request with others, which goes on without its caller.
	shared
	// own: it is run by itself, under its caller's context, which whoever runs it
	// sees end.
	own
	answered
	left
)

// newWaiter copies what the caller may change once it has left.
func newWaiter(ctx context.Context, s *exec.Stmt) *waiter {
	w := &waiter{stmt: *s, ctx: ctx, size: sizeOf(s), done: make(chan struct{})}
	w.stmt.Args = append(w.args[:0], s.Args...)
	for i := range w.stmt.Args {
		if b := w.stmt.Args[i].Blob; b != nil {
			w.stmt.Args[i].Blob = bytes.Clone(b)
		}
	}
	return w
}

// sizeOf is what a statement's arguments take in a request, in bytes.
func sizeOf(s *exec.Stmt) (size int) {
	for i := range s.Args {
		size += len(s.Args[i].Text) + len(s.Args[i].Blob) + 16
	}
	return size
}

// answer gives the caller its result, or the error for want of one. The first
// answer counts.
func (w *waiter) answer(r exec.StmtResult, err error) bool {
	// In the order in which a waiter goes through them, so that none is missed.
	switch {
	case w.state.CompareAndSwap(queued, answered):
	case w.state.CompareAndSwap(shared, answered):
		w.flight.waiting.Add(-1)
	case w.state.CompareAndSwap(own, answered):
	default:
		return false
	}
	w.result[0], w.err = r, err
	w.resp.Results = w.result[:]
	close(w.done)
	return true
}

// answerAll is answer for the outcome of a request of its own.
func (w *waiter) answerAll(resp *exec.Response, err error) {
	if err != nil {
		w.answer(exec.StmtResult{}, err)
		return
	}
	w.answer(resp.Results[0], nil)
}

// await is the waiter's answer, its context's end, or the refusal of a server that
// goes down before anything is sent.
func (w *waiter) await(down <-chan struct{}, outage Outage) (*exec.Response, error) {
	select {
	case <-w.done:
		return w.outcome()
	case <-w.ctx.Done():
	case <-down:
		if w.state.CompareAndSwap(queued, left) {
			return nil, outage.Refusal()
		}
		select {
		case <-w.done:
			return w.outcome()
		case <-w.ctx.Done():
		}
	}
	switch {
	case w.state.CompareAndSwap(queued, left):
		return nil, ended(w.ctx, false)
	case w.state.CompareAndSwap(shared, left):
		w.flight.waiting.Add(-1)
		w.flight.check()
		return nil, ended(w.ctx, true)
	}
	<-w.done
	return w.outcome()
}

func (w *waiter) outcome() (*exec.Response, error) {
	if w.err != nil {
		return nil, w.err
	}
	return &w.resp, nil
}

// takeOut makes a waiter that shared a request one that is run by itself; false
// if it has its answer or has left.
func (w *waiter) takeOut() bool {
	ok := w.state.CompareAndSwap(shared, own)
	if ok {
		w.flight.waiting.Add(-1)
	}
	return ok
}

// open tells whether somebody still waits.
func (w *waiter) open() bool {
	s := w.state.Load()
	return s != answered && s != left
}

// ended is a context's end, before or after the statement was sent.
func ended(ctx context.Context, sent bool) *exec.Error {
	e := &exec.Error{Source: exec.FromTransport, Proof: exec.NotExecuted, Err: ctx.Err(),
		Message: "the context ended before the statement was sent"}
	if sent {
		e.Proof = exec.OutcomeUnknown
		e.Message = "the context ended after the statement was sent"
	}
	return e
}

// A flight is a group of statements on their way in one request.
type flight struct {
	group []*waiter
	// separate: as requests of one pipeline, not as steps of one batch.
	separate bool
	hedged   bool // guarded by the line's mutex
	// waiting is how many of them still want its answers; when nobody does, the
	// request is given up, for it may never be answered.
	waiting atomic.Int32
	cancel  atomic.Pointer[context.CancelFunc]
}

// under returns a context that ends when nobody wants the answers any more.
func (f *flight) under(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	f.cancel.Store(&cancel)
	f.check()
	return ctx, cancel
}

// check gives the request up if nobody wants its answers any more.
func (f *flight) check() {
	if f.waiting.Load() > 0 {
		return
	}
	if cancel := f.cancel.Load(); cancel != nil {
		(*cancel)()
	}
}
