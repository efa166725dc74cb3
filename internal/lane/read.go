package lane

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// read runs one read: at once if a lane is free, with others otherwise.
func (l *Lanes) read(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	s := &req.Stmts[0]
	if wide(s.Note, l.slow) || sizeOf(s) > maxArgs/4 {
		return l.readWide(ctx, req)
	}
	ln := l.reads.enter()
	if ln == nil {
		return l.reads.wait(ctx, s)
	}
	l.counters.alone.Add(1)
	resp, err := l.once(ctx, nil, req)
	l.reads.leave(ln, serverTime(resp))
	return resp, err
}

// readWide runs a read that others should not wait for.
func (l *Lanes) readWide(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	select {
	case l.wide <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx, false)
	case <-l.outage.Down():
		return nil, l.outage.Refusal()
	}
	defer func() { <-l.wide }()
	l.counters.alone.Add(1)
	return l.once(ctx, nil, req)
}

func serverTime(resp *exec.Response) (sum time.Duration) {
	if resp == nil {
		return 0
	}
	return sumTime(resp.Results)
}

func sumTime(results []exec.StmtResult) (sum time.Duration) {
	for i := range results {
		if r := results[i].Result; r != nil {
			sum += r.ServerTime
		}
	}
	return sum
}

// serveReads sends request after request for as long as reads wait.
func (l *Lanes) serveReads(ctx context.Context, ln *lane) {
	for f := l.reads.next(ln); f != nil; f = l.reads.next(ln) {
		if len(f.group) == 1 {
			w := f.group[0]
			l.counters.alone.Add(1)
			resp, err := l.single(w)
			l.reads.finished(ln, serverTime(resp))
			w.answerAll(resp, err)
			continue
		}
		l.share(ctx, ln, f)
		// Who has been answered may have another read at once. Without this the first
		// of them would find the lane free and all others would not.
		runtime.Gosched()
	}
}

// single runs a waiter's statement in a request of its own.
func (l *Lanes) single(w *waiter) (*exec.Response, error) {
	return l.once(w.ctx, nil, &exec.Request{Stmts: []exec.Stmt{w.stmt}, Class: exec.Read})
}

// share runs a flight of reads and answers each.
func (l *Lanes) share(ctx context.Context, ln *lane, f *flight) {
	live, cancel := f.under(ctx)
	defer cancel()
	stmts := make([]exec.Stmt, len(f.group))
	for i, w := range f.group {
		stmts[i] = w.stmt
	}
	l.counters.requests.Add(1)
	l.counters.shared.Add(uint64(len(f.group)))
	results, whole, err := l.shareOnce(live, stmts, f.separate)
	l.reads.finished(ln, sumTime(results))
	switch {
	case whole != nil:
		// The server refuses a batch as a whole if it cannot read one statement of
		// it, or if the answers together are too large.
		l.counters.again.Add(uint64(len(f.group)))
		results, _, err = l.shareOnce(live, stmts, true)
		if err != nil {
			l.failed(f, err)
			return
		}
	case err != nil:
		l.failed(f, err)
		return
	}
	for i, w := range f.group {
		l.deliver(w, results[i])
	}
}

func (l *Lanes) shareOnce(ctx context.Context, stmts []exec.Stmt, separate bool) (results []exec.StmtResult, whole *exec.Error, err error) {
	err = l.Patiently(ctx, exec.Read, nil, func(ctx context.Context) error {
		results, whole, err = l.streams.Share(ctx, stmts, separate)
		return err
	})
	return results, whole, err
}

// deliver gives a waiter what its shared request brought for it.
func (l *Lanes) deliver(w *waiter, r exec.StmtResult) {
	switch {
	case r.Err != nil && r.Err.Code == "RESPONSE_TOO_LARGE":
		// Alone it goes through a cursor.
		w.stmt.Note.Large.Store(true)
	case r.Err != nil || r.Result != nil:
		w.stmt.Note.Learn(&r, false)
		w.answer(r, nil)
		return
	}
	if w.takeOut() {
		l.spawn(w, func() {})
	}
}

// failed is for a shared request that has no results.
func (l *Lanes) failed(f *flight, err error) {
	if e, ok := err.(*exec.Error); !ok || !blames(e) {
		for _, w := range f.group {
			w.answer(exec.StmtResult{}, err)
		}
		return
	}
	var all sync.WaitGroup
	for _, w := range f.group {
		if w.takeOut() {
			l.counters.again.Add(1)
			all.Add(1)
			l.spawn(w, all.Done)
		}
	}
	all.Wait() // the lane is theirs for so long
}

// blames tells whether an error of a whole request may be the fault of one of its
// statements: output that is not valid UTF-8 (500), what a token does not allow
// (403), a server or a proxy that it brings down.
func blames(e *exec.Error) bool {
	switch e.Source {
	case exec.FromServer:
		return e.Status == 400 || e.Status == 403 || e.Status == 413 || e.Status == 500
	case exec.FromProtocol:
		return true
	case exec.FromTransport:
		return e.Proof == exec.OutcomeUnknown
	}
	return false
}

// spawn runs a waiter by itself, beside the lanes, and calls done. If that fails
// as the request it shared has, its text is to blame, and travels alone for a
// while.
func (l *Lanes) spawn(w *waiter, done func()) {
	run := func(context.Context) {
		defer done()
		select {
		case l.wide <- struct{}{}:
		case <-w.ctx.Done():
			w.answer(exec.StmtResult{}, ended(w.ctx, false))
			return
		case <-l.outage.Down():
			w.answer(exec.StmtResult{}, l.outage.Refusal())
			return
		}
		defer func() { <-l.wide }()
		resp, err := l.single(w)
		if e, ok := err.(*exec.Error); ok && w.ctx.Err() == nil && blames(e) {
			w.stmt.Note.Alone.Store(aloneFor)
		}
		w.answerAll(resp, err)
	}
	if !l.streams.Go(run) {
		w.answer(exec.StmtResult{}, errClosed)
		done()
	}
}

// hedgers is how many of the reads that are sent again are on their way at a
// time.
const hedgers = 16

// hedge sends late reads again, each by itself: one of them may be what keeps the
// others. They are still shared; the first answer counts.
func (l *Lanes) hedge(late []*waiter) {
	todo := make(chan *waiter, len(late))
	for _, w := range late {
		todo <- w
	}
	close(todo)
	for range min(hedgers, len(late)) {
		l.streams.Go(func(ctx context.Context) {
			for w := range todo {
				select {
				case l.wide <- struct{}{}:
				case <-ctx.Done():
					return
				}
				l.hedgeOne(w)
				<-l.wide
			}
		})
	}
}

func (l *Lanes) hedgeOne(w *waiter) {
	if !w.open() {
		return
	}
	l.counters.hedged.Add(1)
	resp, err := l.single(w)
	if err != nil {
		return // the request under way may do better
	}
	w.answerAll(resp, nil)
	w.flight.check()
}
