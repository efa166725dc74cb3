package tursoopt

import (
	"context"
	"database/sql/driver"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/lane"
	"github.com/turso-opt/turso-opt/internal/sqltext"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// queryBatch runs a batch and gives a result set for each of its items.
func (c *conn) queryBatch(ctx context.Context, b *batchCall) (driver.Rows, error) {
	b.taken = true
	calls, err := b.bind(ctx, c)
	if err != nil {
		return nil, err
	}
	// What a pipelined transaction has not sent comes before it.
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	whole := joined(calls)
	t := c.traceEach(ctx, whole, nil)
	results, err := c.runBatch(ctx, whole, b.batch.Independent)
	t.ended(results, err)
	if err != nil {
		return nil, c.session.pipe.fail(err)
	}
	b.tell(c, ctx, calls, results)
	sets := make([]exec.StmtResult, len(results))
	for i := range results {
		// What failed has no rows, and its error is told by BatchResults.
		if sets[i].Result = results[i].Result; sets[i].Result == nil {
			sets[i].Result = &exec.Result{}
		}
	}
	return newRows(ctx, c, whole, sets), nil
}

// joined makes one call of the items' calls.
func joined(calls []call) *call {
	text := &sqltext.Text{ReadOnly: true}
	whole := &call{text: text}
	for i := range calls {
		t := calls[i].text
		text.Stmts = append(text.Stmts, t.Stmts[0])
		text.ReadOnly = text.ReadOnly && t.ReadOnly
		text.Stateful = text.Stateful || t.Stateful
		whole.stmts = append(whole.stmts, calls[i].stmts[0])
	}
	text.SQL = batchText
	return whole
}

// runBatch runs a batch on the session's stream, or on one that is free.
func (c *conn) runBatch(ctx context.Context, cl *call, independent bool) ([]exec.StmtResult, error) {
	s := &c.session
	c.use.begin(c.connector)
	if c.connector.closed.Load() {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e := s.refuse(cl.text); e != nil {
		c.bad = c.bad || s.gone != nil || s.tx == txLost
		return nil, c.error(ctx, e, cl.text.SQL, -1)
	}
	s.substitute(cl)
	results, e := s.runBatch(ctx, cl, independent)
	c.bad = c.bad || s.gone != nil || s.tx == txLost
	s.fillRowid(cl.stmts, results)
	s.held = true
	c.use.served(results)
	if e != nil {
		c.schemaChanged(cl, e)
		return nil, c.error(ctx, e, cl.text.SQL, -1)
	}
	c.schemaChanged(cl, nil)
	return results, nil
}

// runBatch runs a batch in the state that the session is in. Its result has an
// entry for each item.
func (s *session) runBatch(ctx context.Context, c *call, independent bool) ([]exec.StmtResult, *exec.Error) {
	if c.class() == exec.Write && writes(c.text) {
		if err := s.enterGate(ctx); err != nil {
			return nil, err
		}
		defer s.leaveUnlessOpen()
	}
	p := s.batchPlan(c, independent)
	var o *stream.Outcome
	var err error
	s.lanes.WhileLocked(ctx, func(ctx context.Context) (locked bool) {
		o, err = s.send(ctx, c.class(), p)
		return err == nil && lane.Locked(o.Begin.Err) // after which nothing has run
	})
	if err != nil {
		return nil, s.failed(ctx, c, err.(*exec.Error))
	}
	if e := s.observeBatch(c, o); e != nil {
		return nil, e
	}
	switch {
	case o.Whole != nil && s.canRepeat(c, o.Whole):
		// None of it has run, or all of it are reads: which item it is, or how much
		// each brings, is found one by one.
		return s.batchEach(ctx, c)
	case o.Whole != nil:
		return nil, o.Whole
	case independent:
		return s.fetchLarge(ctx, c, o.Results), nil
	}
	return o.Results, commitError(o)
}

// canRepeat tells whether a batch that failed as a whole may run again.
func (s *session) canRepeat(c *call, e *exec.Error) bool {
	if s.tx == txEnded || s.tx == txLost || s.gone != nil {
		return false
	}
	return e.Proof == exec.NotExecuted || stream.TooLarge(e) && c.text.ReadOnly
}

// commitError is why a batch whose items have all succeeded does not count.
func commitError(o *stream.Outcome) *exec.Error {
	for i := range o.Results {
		if o.Results[i].Err != nil {
			return nil // it has been undone, and the item says why
		}
	}
	switch e := o.Tail.Err; {
	case e != nil && o.State != stream.Autocommit && o.State != stream.InTransaction:
		e.Proof = exec.OutcomeUnknown
		return e
	case e != nil:
		return e
	case o.Begin.Err != nil:
		return o.Begin.Err
	case o.Tail.Result == nil:
		return &exec.Error{Source: exec.FromProtocol, Message: "the server has skipped the end of the batch"}
	}
	return nil
}

func (s *session) batchPlan(c *call, independent bool) *stream.Plan {
	p := &stream.Plan{Stmts: c.stmts, Shape: stream.Atomic, AskState: true, Ends: s.commits(c), Odd: odd(c.text)}
	if independent {
		p.Shape, p.AskState = stream.Separate, s.inTx()
	}
	p.Close = s.closes(c)
	switch s.tx {
	case txPending:
		p.Begin, p.Nested = s.begin, true
	case txOpen:
		p.Guard, p.Nested = true, true
	default:
		if !independent {
			p.Begin = beginFor(c.text)
		}
	}
	return p
}

// beginFor is how a batch's own transaction begins: with the write lock if it
// writes, since a read that turns to writing may find its snapshot too old.
func beginFor(t *sqltext.Text) string {
	if writes(t) {
		return "BEGIN IMMEDIATE"
	}
	return "BEGIN"
}

// observeBatch is observe for a batch, whose own transaction is not the
// session's.
func (s *session) observeBatch(c *call, o *stream.Outcome) *exec.Error {
	if s.inTx() {
		return s.observe(c, o)
	}
	for i := range o.Results {
		s.learn(&c.text.Stmts[i], o.Results[i])
	}
	if o.State == stream.InTransaction {
		// Its end has failed; the end of the stream ends it.
		s.abandon(&exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Message: "a batch's transaction could not be ended"})
		return nil
	}
	s.keepSettings(c, o)
	return nil
}

// fetchLarge runs those reads of an independent batch again whose results were
// too large for the answer that they shared. What one of them fails with is its own:
// the others have their results, and nobody must run them again for that.
func (s *session) fetchLarge(ctx context.Context, c *call, results []exec.StmtResult) []exec.StmtResult {
	for i := range results {
		if !stream.TooLarge(results[i].Err) || !c.text.Stmts[i].ReadOnly {
			continue
		}
		c.stmts[i].Note.Large.Store(true)
		if r, err := s.runNow(ctx, c.item(i)); err == nil {
			results[i] = r[0]
		} else {
			results[i].Err = err
		}
	}
	return results
}

// item is one of a call's statements as a call.
func (c *call) item(i int) *call {
	st := &c.text.Stmts[i]
	return &call{
		text:  &sqltext.Text{SQL: st.SQL, Stmts: c.text.Stmts[i : i+1], ReadOnly: st.ReadOnly, Stateful: st.Stateful},
		stmts: c.stmts[i : i+1],
	}
}

// batchEach runs an atomic batch statement by statement.
func (s *session) batchEach(ctx context.Context, c *call) (results []exec.StmtResult, err *exec.Error) {
	if !s.inTx() {
		// The transaction is the batch's own. One that was there before stays what it
		// has become: its owner must not go on without it unawares.
		defer func() {
			switch {
			case err != nil:
				s.abandonTx(err)
			case s.tx == txLost:
				s.abandonTx(s.cause)
			}
		}()
	}
	enter, keep, undo := "SAVEPOINT turso_opt_batch", []string{"RELEASE turso_opt_batch"},
		[]string{"ROLLBACK TO turso_opt_batch", "RELEASE turso_opt_batch"}
	if !s.inTx() {
		enter, keep, undo = beginFor(c.text), []string{"COMMIT"}, []string{"ROLLBACK"}
	}
	if err := s.runTexts(ctx, enter); err != nil {
		return nil, err
	}
	results = make([]exec.StmtResult, len(c.stmts))
	end := keep
	for i := range c.stmts {
		r, err := s.runNow(ctx, c.item(i))
		if err != nil {
			return nil, err
		}
		if results[i] = r[0]; r[0].Err != nil {
			end = undo
			break
		}
	}
	if s.tx != txOpen {
		return results, nil // the statement that failed has ended it
	}
	return results, s.runTexts(ctx, end...)
}

// abandonTx gives up a transaction of a batch's own whose state is not known.
func (s *session) abandonTx(cause *exec.Error) {
	if s.inTx() && s.own != nil {
		s.abandon(cause)
		s.endTx()
	}
}

// runTexts runs statements without arguments, of which each must succeed.
func (s *session) runTexts(ctx context.Context, texts ...string) *exec.Error {
	for _, sql := range texts {
		text := sqltext.Parse(sql)
		r, err := s.runNow(ctx, &call{text: text, stmts: []exec.Stmt{{SQL: sql, Note: text.Stmts[0].Note}}})
		if err != nil {
			return err
		}
		if r[0].Err != nil {
			return r[0].Err
		}
	}
	return nil
}
