package tursoopt

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/lane"
	"github.com/turso-opt/turso-opt/internal/sqltext"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// A pipe holds the statements of a pipelined transaction that have not been
// sent. They run in order, each only if the one before it succeeded.
type pipe struct {
	call  call
	late  []*lateResult
	bytes int
	// ddl: a statement that waits, or has waited, may change the schema.
	ddl bool
	// count is how many statements went before those in call.
	count int
	// failed is what the transaction has failed with: nothing of it will be
	// committed.
	failed error
}

// fail notes that a statement has failed, if there is a pipe: from then on nothing
// runs, and nothing will be committed.
func (p *pipe) fail(err error) error {
	if p != nil && p.failed == nil {
		p.failed = err
	}
	return err
}

// Bounds of what waits in a pipe.
const (
	pipeStmts = 512
	pipeBytes = 1 << 20
)

// pipeable tells whether an Exec may wait.
func pipeable(t *sqltext.Text) bool {
	return len(t.Stmts) == 1 && !t.TxControl && !t.Stateful
}

// postpone adds an Exec to the pipe. The caller may change its arguments as soon
// as it returns.
func (c *conn) postpone(ctx context.Context, cl *call) (driver.Result, error) {
	p := c.session.pipe
	if p.failed != nil {
		return nil, p.failed
	}
	if e := c.session.refuse(cl.text); e != nil {
		return nil, c.error(ctx, e, cl.text.SQL, -1)
	}
	if len(p.late) >= pipeStmts || p.bytes >= pipeBytes {
		if err := c.flush(ctx); err != nil {
			return nil, err
		}
	}
	stmt := cl.stmts[0]
	stmt.Args = append([]exec.Value(nil), stmt.Args...)
	for i := range stmt.Args {
		v := &stmt.Args[i]
		if v.Blob != nil {
			v.Blob = bytes.Clone(v.Blob)
		}
		p.bytes += len(v.Blob) + len(v.Text) + 16
	}
	p.bytes += len(stmt.SQL)
	p.join(cl.text, stmt)
	if changes(&cl.text.Stmts[0]) {
		p.ddl, c.ownSchema = true, nil
	}
	r := &lateResult{conn: c, pipe: p}
	if c.connector.cfg.Tracer != nil {
		r.ctx = ctx
	}
	p.late = append(p.late, r)
	return r, nil
}

func (p *pipe) join(text *sqltext.Text, stmt exec.Stmt) {
	if p.call.text == nil {
		p.call.text = &sqltext.Text{ReadOnly: true}
	}
	t := p.call.text
	t.Stmts = append(t.Stmts, text.Stmts[0])
	t.ReadOnly = t.ReadOnly && text.ReadOnly
	p.call.stmts = append(p.call.stmts, stmt)
}

// take empties the pipe.
func (p *pipe) take() (cl call, late []*lateResult) {
	cl, late = p.call, p.late
	p.count += len(late)
	p.call, p.late, p.bytes = call{}, nil, 0
	return cl, late
}

// A lateResult is the result of an Exec in a pipe. What it is asked for has the
// pipe sent, if that has not happened.
type lateResult struct {
	conn   *conn
	pipe   *pipe
	ctx    context.Context // for a Tracer; nil if there is none
	done   bool
	result result
	err    error
}

var _ driver.Result = (*lateResult)(nil)

func (r *lateResult) LastInsertId() (int64, error) {
	r.wait()
	return r.result.lastInsertID, r.err
}

func (r *lateResult) RowsAffected() (int64, error) {
	r.wait()
	return r.result.rowsAffected, r.err
}

func (r *lateResult) wait() {
	if r.done {
		return
	}
	ctx, cancel := r.conn.connector.bounded()
	defer cancel()
	err := r.conn.flush(ctx)
	if r.done {
		return
	}
	if r.done, r.err = true, err; err == nil {
		r.err = errRolledBack // the connection has gone on without it
	}
}

// flush sends what is in the pipe. Its error is that of the first statement that
// failed, now or before.
func (c *conn) flush(ctx context.Context) error {
	p := c.session.pipe
	if p == nil || p.failed != nil || len(p.late) == 0 {
		if p != nil {
			return p.failed
		}
		return nil
	}
	from := p.count
	cl, late := p.take()
	t := c.tracePiped(ctx, &cl, late)
	results, err := c.runJoined(ctx, &cl)
	t.ended(results, err)
	return c.deliver(ctx, p, &cl, late, from, results, err)
}

// runJoined runs the statements of a pipe. If the server cannot read one of
// them, it has run none and does not say which it is: then they run one by one.
func (c *conn) runJoined(ctx context.Context, cl *call) ([]exec.StmtResult, error) {
	results, err := c.runUntraced(ctx, cl)
	if err != nil || len(results) < 2 || !unread(results[0].Err) {
		return results, err
	}
	return c.runOneByOne(ctx, cl)
}

// unread tells whether the server has refused to read a statement.
func unread(e *exec.Error) bool {
	return e != nil && e.Proof == exec.NotExecuted && e.Source == exec.FromStatement
}

// runOneByOne runs a call's statements in requests of their own, up to the first
// that fails.
func (c *conn) runOneByOne(ctx context.Context, cl *call) ([]exec.StmtResult, error) {
	results := make([]exec.StmtResult, len(cl.stmts))
	for i := range cl.stmts {
		r, err := c.runUntraced(ctx, cl.item(i))
		if err != nil {
			return nil, err
		}
		if results[i] = r[0]; r[0].Err != nil {
			break
		}
	}
	return results, nil
}

// deliver gives each Exec its own result.
func (c *conn) deliver(ctx context.Context, p *pipe, cl *call, late []*lateResult, from int, results []exec.StmtResult, err error) error {
	for i, r := range late {
		r.done = true
		switch {
		case err != nil:
			r.err = err
		case results[i].Err != nil:
			err = c.error(ctx, results[i].Err, cl.text.Stmts[i].SQL, from+i)
			r.err = err
		case results[i].Result != nil:
			r.result = result{results[i].Result.LastInsertID, results[i].Result.RowsAffected}
		default:
			err = c.error(ctx, c.session.txLostError(), "", -1) // its guard found no transaction
			r.err = err
		}
	}
	if err != nil {
		p.failed = err
	}
	return err
}

// runPiped runs a query behind what is in the pipe, in the same request.
func (c *conn) runPiped(ctx context.Context, q *call) ([]exec.StmtResult, error) {
	p := c.session.pipe
	if p.failed != nil {
		return nil, p.failed
	}
	if len(p.late) == 0 || !pipeable(q.text) || q.stmts[0].Note.Large.Load() || q.text.Stmts[0].ConnFuncs {
		if err := c.flush(ctx); err != nil {
			return nil, err
		}
		return c.run(ctx, q)
	}
	from := p.count
	cl, late := p.take()
	whole := pipe{call: cl}
	whole.join(q.text, q.stmts[0])
	whole.call.apart = q.text.ReadOnly
	t := c.tracePiped(ctx, &whole.call, late)
	results, err := c.runJoined(ctx, &whole.call)
	defer func() { t.ended(results, err) }()
	if err := c.deliver(ctx, p, &whole.call, late, from, results, err); err != nil {
		return nil, err
	}
	switch r := results[len(late)]; {
	case stream.TooLarge(r.Err) && q.text.ReadOnly:
		q.stmts[0].Note.Large.Store(true)
		var own []exec.StmtResult
		own, err = c.runUntraced(ctx, q)
		results = append(results[:len(late):len(late)], own...)
		return own, err
	case r.Err == nil && r.Result == nil:
		err = c.error(ctx, c.session.txLostError(), "", -1) // its guard found no transaction
		return nil, err
	}
	return results[len(late):], nil
}

// endPipe ends a pipelined transaction together with what is in its pipe. It
// reports false if there was nothing to send with the end.
func (c *conn) endPipe(ctx context.Context, p *pipe, tail stream.Tail) (done bool, err error) {
	s := &c.session
	switch {
	case p.failed != nil:
		// What it failed with has been told, or is by Commit; the server is told to
		// roll back.
		rollback := (*tx)(c).end(stream.Rollback)
		if tail == stream.Commit {
			return true, p.failed
		}
		return true, rollback
	case len(p.late) == 0:
		return false, nil
	case tail == stream.Rollback:
		for _, r := range p.late {
			r.done, r.err = true, errRolledBack
		}
		return false, nil
	}
	from := p.count
	cl, late := p.take()
	t := c.tracePiped(ctx, &cl, late)
	results, end, e := s.commitPipe(ctx, &cl)
	c.use.served(results)
	if unread(e) && s.inTx() {
		return true, c.endOneByOne(ctx, t, p, &cl, late, from)
	}
	c.bad = c.bad || s.gone != nil || e != nil && (e.Code == exec.CodeTxLost || e.Proof == exec.OutcomeUnknown)
	s.fillRowid(cl.stmts, results)
	if e != nil {
		c.schemaChanged(&cl, e)
		if s.tx == txOpen || s.tx == txPending {
			_ = (*tx)(c).endNow(s.endWithin(), stream.Rollback) // it never got as far as its COMMIT
		}
		err = c.error(ctx, e, "", -1)
	} else {
		c.schemaChanged(&cl, nil)
		err = c.error(ctx, end, "", -1)
	}
	t.ended(results, err)
	return true, c.deliver(ctx, p, &cl, late, from, results, err)
}

// endOneByOne is endPipe for statements of which the server cannot read one.
func (c *conn) endOneByOne(ctx context.Context, t *tracing, p *pipe, cl *call, late []*lateResult, from int) error {
	results, err := c.runOneByOne(ctx, cl)
	t.ended(results, err)
	if err := c.deliver(ctx, p, cl, late, from, results, err); err != nil {
		_ = (*tx)(c).endNow(c.session.endWithin(), stream.Rollback) // what matters has been told
		return err
	}
	return (*tx)(c).endNow(c.session.endWithin(), stream.Commit)
}

// commitPipe runs the last statements of a transaction and its COMMIT in one
// request; if one of them fails all is rolled back in the same. end is what the
// COMMIT failed with.
func (s *session) commitPipe(ctx context.Context, c *call) (results []exec.StmtResult, end, err *exec.Error) {
	if writes(c.text) {
		if err := s.enterGate(ctx); err != nil {
			return nil, nil, err
		}
	}
	p := &stream.Plan{Stmts: c.stmts, Shape: stream.Atomic, AskState: true, Guard: s.tx == txOpen, Close: !s.settings}
	if s.tx == txPending {
		p.Begin = s.begin
	}
	var o *stream.Outcome
	var rerr error
	s.lanes.WhileLocked(ctx, func(ctx context.Context) (locked bool) {
		o, rerr = s.send(ctx, exec.Write, p)
		return rerr == nil && lane.Locked(o.Begin.Err) // after which nothing has run
	})
	if rerr != nil {
		e := rerr.(*exec.Error)
		unknown := e.Proof == exec.OutcomeUnknown
		s.loseStream(e)
		s.loseTx(e)
		if !unknown { // otherwise the COMMIT was in it
			e = s.txLostError()
		}
		s.abandonTx(e)
		return nil, nil, e
	}
	for i := range o.Results {
		s.learn(&c.text.Stmts[i], o.Results[i])
	}
	switch {
	case o.Refused:
		s.loseTx(nil)
		err = s.txLostError()
		s.abandonTx(err)
		return nil, nil, err
	case o.Whole != nil:
		err = o.Whole
	default:
		end = commitError(o)
	}
	switch {
	case unread(err) && (s.tx == txPending && o.State != stream.InTransaction || s.tx == txOpen && o.State == stream.InTransaction):
		return nil, nil, err // as it was before
	case o.State == stream.Autocommit:
		s.endTx()
		return o.Results, end, err
	}
	// Still open, or nobody knows: it ends with its stream.
	s.abandonTx(cmp.Or(err, end, &exec.Error{Source: exec.FromProtocol, Message: "the server does not say whether the transaction is open"}))
	return o.Results, end, err
}
