package lane

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// send runs a group of waiting reads, and answers each.
func (l *Lanes) send(ctx context.Context, group []*waiter) {
	began := l.now()
	if len(group) == 1 {
		w := group[0]
		l.counters.alone.Add(1)
		resp, err := l.single(w)
		l.finished(1, l.now().Sub(began), resp, err)
		return
	}
	stmts := make([]exec.Stmt, len(group))
	for i, w := range group {
		stmts[i] = w.stmt
	}
	l.counters.requests.Add(1)
	l.counters.shared.Add(uint64(len(group)))
	stop := l.hedge(group)
	defer stop()
	results, whole, err := l.pool.Share(ctx, stmts, false)
	if refused(err) {
		_, err = l.patient(ctx, err, func() (*exec.Response, error) {
			var err error
			results, whole, err = l.pool.Share(ctx, stmts, false)
			return nil, err
		})
	}
	l.finished(len(group), l.now().Sub(began), &exec.Response{Results: results}, err)
	switch e, _ := err.(*exec.Error); {
	case e != nil && (e.Source == exec.FromServer || e.Source == exec.FromProtocol) && !overloaded(e):
		// The request failed as a whole, and who is to blame is not known.
		l.each(group)
	case err != nil:
		for _, w := range group {
			w.answer(nil, err)
		}
	case whole != nil:
		l.separate(ctx, group, stmts)
	default:
		l.answer(group, results)
	}
}

func (l *Lanes) answer(group []*waiter, results []exec.StmtResult) {
	for i, w := range group {
		w.stmt.Note.Learn(&results[i])
		if results[i].Result == nil && results[i].Err == nil {
			l.spawn(w) // the server has skipped it, which no step of ours asks for
			continue
		}
		w.answer(&exec.Response{Results: results[i : i+1 : i+1]}, nil)
	}
}

// separate runs a group again in one request, as statements of which each has an
// outcome of its own: the server refuses a batch as a whole if it cannot read
// one statement of it, or if the answers together are too large.
func (l *Lanes) separate(ctx context.Context, group []*waiter, stmts []exec.Stmt) {
	l.counters.again.Add(uint64(len(group)))
	results, whole, err := l.pool.Share(ctx, stmts, true)
	if err != nil || whole != nil {
		l.each(group)
		return
	}
	for i, w := range group {
		if e := results[i].Err; e != nil && e.Code == "RESPONSE_TOO_LARGE" {
			// Alone it goes through a cursor.
			w.stmt.Note.Large.Store(true)
			l.spawn(w)
			results[i] = exec.StmtResult{}
			continue
		}
		w.stmt.Note.Learn(&results[i])
		w.answer(&exec.Response{Results: results[i : i+1 : i+1]}, nil)
	}
}

// each runs a group again one by one, side by side.
func (l *Lanes) each(group []*waiter) {
	l.counters.again.Add(uint64(len(group)))
	var wg sync.WaitGroup
	for _, w := range group {
		w.stmt.Note.Succeeded.Store(false) // until it has, by itself
		select {
		case l.wide <- struct{}{}:
			wg.Add(1)
			if !l.pool.Go(func(context.Context) {
				defer wg.Done()
				defer func() { <-l.wide }()
				_, _ = l.single(w)
			}) {
				wg.Done()
				<-l.wide
				w.answer(nil, errClosed)
			}
		case <-w.ctx.Done():
		}
	}
	wg.Wait()
}

// spawn runs a waiter by itself, beside.
func (l *Lanes) spawn(w *waiter) {
	if !l.pool.Go(func(context.Context) {
		l.wide <- struct{}{}
		defer func() { <-l.wide }()
		_, _ = l.single(w)
	}) {
		w.answer(nil, errClosed)
	}
}

// single runs a waiter's statement in a request of its own.
func (l *Lanes) single(w *waiter) (*exec.Response, error) {
	resp, err := l.once(w.ctx, &exec.Request{Stmts: []exec.Stmt{w.stmt}, Class: exec.Read})
	w.answer(resp, err)
	return resp, err
}

// hedgeAfter is the least time after which a shared read is sent again.
const hedgeAfter = 50 * time.Millisecond

// hedge has the reads of a shared request that is late sent again by themselves:
// one of them may be what keeps the others. At most one read in ten is, so that
// a server that is slow altogether is not asked twice for everything. It returns
// what ends the watch.
func (l *Lanes) hedge(group []*waiter) (stop func()) {
	s := &l.reads
	s.mu.Lock()
	after := max(hedgeAfter, 2*s.law.RoundTrip())
	s.hedges = min(s.hedges+float64(len(group))/10, 4*maxShare)
	s.mu.Unlock()
	var over atomic.Bool
	waiters := append([]*waiter(nil), group...)
	timer := time.AfterFunc(after, func() {
		s.mu.Lock()
		may := !over.Load() && s.hedges >= float64(len(waiters))
		if may {
			s.hedges -= float64(len(waiters))
		}
		s.mu.Unlock()
		if !may {
			return
		}
		l.counters.hedged.Add(uint64(len(waiters)))
		for _, w := range waiters {
			l.spawn(w)
		}
	})
	return func() {
		over.Store(true)
		timer.Stop()
	}
}

// overloaded tells whether the server has refused a request because it is at a
// limit of its own.
func overloaded(e *exec.Error) bool {
	return e.Source == exec.FromServer && (e.Status == 429 || e.Status == 503)
}

// Waiting for a server at its limit.
const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 2 * time.Second
	maxBackoffs  = 8
)

// refused tells whether an error is the server's that it is at its limit, and
// nothing has been executed.
func refused(err error) bool {
	e, ok := err.(*exec.Error)
	return ok && overloaded(e) && e.Proof == exec.NotExecuted
}

// patient runs f again for as long as the server refuses, after a wait that
// grows and that the server may set. err is the first refusal.
func (l *Lanes) patient(ctx context.Context, err error, f func() (*exec.Response, error)) (*exec.Response, error) {
	backoff := firstBackoff
	for try := 0; ; try++ {
		wait := max(rand.N(backoff), err.(*exec.Error).RetryAfter)
		if deadline, ok := ctx.Deadline(); try == maxBackoffs || ok && time.Until(deadline) < wait {
			return nil, err
		}
		l.counters.backoffs.Add(1)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ended(ctx, false)
		}
		backoff = min(2*backoff, lastBackoff)
		var resp *exec.Response
		if resp, err = f(); !refused(err) {
			return resp, err
		}
	}
}
