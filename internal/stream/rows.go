package stream

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// Rows streams one statement's rows from a cursor. It is an exec.Cursor.
type Rows struct {
	cur    *hranahttp.Cursor
	cancel context.CancelFunc // cuts the transfer, from any goroutine
	step   uint32             // of the statement in the batch
	entry  hrana.CursorEntry
	cols   []exec.Column
	err    *exec.Error // how it ended, other than by its last row
	ended  atomic.Bool // nothing more will be read from the cursor; the keeper looks at it
	cut    bool        // before its end
	closed atomic.Bool
	// reading is closed when what was still arriving is in held, because the
	// stream was needed; nil as long as it is not.
	reading chan struct{}
	held    []exec.Table
	done    func(whole bool) // called once, when ended
	shows   func()           // called once, when it is certain what of the database it shows
}

// chunk is how much Next reads at once when more has already arrived, in bytes
// of the table. It bounds what a scan of any length holds in memory.
const chunk = 64 << 10

// Next replaces t with the next rows.
func (r *Rows) Next(t *exec.Table) error {
	if r.closed.Load() {
		return io.EOF
	}
	if r.reading != nil {
		<-r.reading
	}
	if len(r.held) > 0 {
		*t, r.held = r.held[0], r.held[1:]
		return nil
	}
	t.Reset(len(r.cols))
	for !r.ended.Load() {
		if t.Len() > 0 && (!r.cur.Buffered() || t.Used() >= chunk) {
			return nil
		}
		r.advance(t)
	}
	switch {
	case t.Len() > 0:
		return nil
	case r.err != nil:
		return r.err
	}
	return io.EOF
}

// advance reads one entry.
func (r *Rows) advance(t *exec.Table) {
	err := r.cur.Next(&r.entry, t)
	if r.shows != nil {
		r.shows()
		r.shows = nil
	}
	switch {
	case err == io.EOF:
		r.end(true)
	case err != nil:
		r.err = err.(*exec.Error)
		r.end(false)
	case r.entry.Type == hrana.StepError && r.entry.Step == r.step, r.entry.Type == hrana.CursorError:
		r.err = stmtError(r.entry.Err)
	}
}

func (r *Rows) end(whole bool) {
	if !r.ended.Load() {
		r.cut = !whole
		r.ended.Store(true)
		r.cancel()
		r.done(whole)
	}
}

// whole tells whether the transfer has come to its end.
func (r *Rows) whole() bool {
	if r.reading != nil {
		select {
		case <-r.reading:
		default:
			return false
		}
	}
	return r.ended.Load() && !r.cut
}

// buffer has what still arrives read into memory, and waits for it until ctx
// ends; the reading goes on then.
func (r *Rows) buffer(ctx context.Context, p *Pool) *exec.Error {
	if r.reading == nil && !r.ended.Load() {
		reading := make(chan struct{})
		started := p.client.Go(func(context.Context) {
			defer close(reading)
			r.readAll()
		})
		if !started {
			return errClosed
		}
		r.reading = reading
	}
	if r.reading == nil {
		return nil
	}
	select {
	case <-r.reading:
		return nil
	case <-ctx.Done():
		return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Err: ctx.Err()}
	}
}

func (r *Rows) readAll() {
	for !r.ended.Load() {
		var t exec.Table
		t.Reset(len(r.cols))
		for !r.ended.Load() && t.Used() < chunk {
			r.advance(&t)
		}
		if t.Len() > 0 {
			r.held = append(r.held, t)
		}
	}
}

// Close stops the transfer.
func (r *Rows) Close() error {
	if r.closed.CompareAndSwap(false, true) {
		r.stop()
	}
	return nil
}

func (r *Rows) stop() {
	r.cancel()
	switch {
	case r.reading != nil:
		// Its reader finds out.
	case !r.ended.Load():
		r.cur.Close()
		r.end(false)
	}
}

// Large runs one read on the stream through a cursor, which has no limit for
// the size of its result. begin and guard are as in a Plan. The rows are not
// yet there when it returns, but the first sign of the statement's success is.
func (s *Stream) Large(ctx context.Context, stmt *exec.Stmt, begin string, guard bool) (*Outcome, error) {
	level := s.pool.client.AwaitLevel(ctx)
	if err := s.takeIn(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	if s.baton != "" && s.level.V3() {
		level = s.level
	}
	if !level.V3() {
		return nil, &exec.Error{Source: exec.FromStatement, Proof: exec.Failed, Code: codeTooLarge,
			Message: "the result is too large for one response, and the server offers no cursor"}
	}
	plan := Plan{Begin: begin, Guard: guard, Stmts: []exec.Stmt{*stmt}}
	plan.Stmts[0].Fill = false // it lands before its rows are there
	s.pool.arrive(ctx, level, &plan)
	var t tries
	for {
		o, err := s.large(ctx, level, &plan)
		if err == nil {
			s.largeState(ctx, &plan, o)
			return o, nil
		}
		if s.pinned && err.StreamLost {
			s.lost = err
		}
		if s.lost != nil || !t.again(ctx, s.pool, exec.Read, err) {
			return nil, t.told(ctx, err)
		}
		ctx = s.pool.client.Trace().Again(ctx, err, t.waited)
	}
}

// largeState completes the outcome of a plan in a transaction. A cursor has no
// request behind it that could tell, so after an error it is asked for.
func (s *Stream) largeState(ctx context.Context, p *Plan, o *Outcome) {
	switch {
	case p.Begin == "" && !p.Guard, o.Refused:
	case o.Results[0].Err == nil && o.Begin.Err == nil:
		o.State = InTransaction
	default:
		asked, err := s.attempt(ctx, exec.Write, &Plan{AskState: true})
		switch {
		case err == nil:
			o.State = asked.State
		case s.pinned && err.StreamLost:
			s.lost = err
		}
	}
}

func (s *Stream) large(ctx context.Context, level hranahttp.Level, plan *Plan) (*Outcome, *exec.Error) {
	s.ready(level)
	s.before = s.rowid
	look := s.look(plan)
	c := compiled{v3: true, begin: -1, checkAt: -1, probe: -1, tail: -1, fresh: look.due}
	req := &hrana.CursorReq{Baton: s.baton, Batch: hrana.Batch{Steps: plan.steps(&c), ReplicationIndex: s.pool.horizon.asked(level, exec.Read, plan)}}
	run, cancel := context.WithCancel(s.pool.client.Trace().About(ctx, plan.callers(), len(plan.Stmts)))
	expect := hranahttp.Expect{Note: plan.Stmts[0].Note, Leash: s.pool.overdue.begin(ctx, s, plan, false)}
	name := s.name()
	cur, err := s.pool.client.Cursor(run, s.ep, level, req, expect)
	if _, moved := s.waited(expect.Leash, err != nil); moved {
		err = errUnreceived
	}
	if err != nil {
		cancel()
		return nil, s.largeFailed(ctx, plan, name, err)
	}
	// The next baton comes first, so the stream outlives a transfer that is cut.
	s.baton, s.ep, s.used = cur.Baton, cur.Endpoint, s.pool.now()
	look.done(s)
	shows := func() {
		if w := s.pool.watch; w != nil {
			w.Answered(nil, plan.Stmts, true) // nothing shows of which schema it is true
		}
	}
	// The statement may run when its answer has begun. With its first row it has.
	r := &Rows{cur: cur, cancel: cancel, step: uint32(c.first), done: func(bool) {}, shows: shows}
	o := &Outcome{Results: make([]exec.StmtResult, 1), Refused: plan.Guard}
	var none exec.Table
	for {
		switch err := cur.Next(&r.entry, &none); {
		case err == io.EOF:
			cancel()
			if !o.Refused && o.Begin.Err == nil && o.Results[0].Err == nil {
				return nil, s.largeFailed(ctx, plan, s.name(), badReply("with no result of the statement"))
			}
			shows()
			return o, nil
		case err != nil:
			cancel()
			return nil, s.largeFailed(ctx, plan, s.name(), err)
		}
		switch e := &r.entry; {
		case e.Type == hrana.CursorError:
			o.Refused = false
			o.Results[0].Err = stmtError(e.Err)
		case e.Type == hrana.StepError && int(e.Step) == c.begin:
			o.Begin.Err = stmtError(e.Err)
		case e.Type == hrana.StepError:
			o.Refused = false
			o.Results[0].Err = stmtError(e.Err)
		case e.Type == hrana.StepBegin && int(e.Step) == c.begin:
			o.Begin.Result = &exec.Result{}
		case e.Type == hrana.StepBegin && e.Step == r.step:
			o.Refused = false
			r.cols = append([]exec.Column(nil), e.Cols...)
			s.cursor = r
			o.Results[0].Result = &exec.Result{Cols: r.cols, Cursor: r}
			return o, nil
		}
	}
}

// largeFailed is failed for a cursor that has been cut, on the stream of that name.
func (s *Stream) largeFailed(ctx context.Context, p *Plan, name streamName, err error) *exec.Error {
	e := s.failed(ctx, err.(*exec.Error))
	if s.baton == "" && s.mayHold(p) {
		s.pool.endLost(name, new(loss), e, false, nil)
	}
	return e
}
