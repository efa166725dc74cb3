package tursoopt

import (
	"context"
	"errors"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/lane"
	"github.com/turso-opt/turso-opt/internal/sqltext"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// txState is where a session's transaction stands.
type txState uint8

const (
	txNone txState = iota
	// txPending: begun, and the server does not know yet.
	txPending
	// txOpen: open on the server, as far as it has told.
	txOpen
	// txEnded: SQLite has rolled it back because of an error (ON CONFLICT
	// ROLLBACK), or its own text has ended it. What follows must not run.
	txEnded
	// txLost: the server has ended it, or it went with the stream. Nothing of it
	// is ever committed.
	txLost
)

// A session is what a connection remembers since ResetSession. One goroutine at
// a time uses it.
type session struct {
	pool *stream.Pool
	own  *stream.Stream // nil until a statement needs one
	held bool           // a text has run
	goes bool           // held before its transaction has begun: it goes on after it
	// settings: own holds what a new stream would not have, beside a transaction.
	settings bool
	gone     *exec.Error // how own was lost together with what it held

	tx       txState
	api      bool        // by BeginTx, not by a text
	readOnly bool        // of a transaction by BeginTx
	begin    string      // how a pending transaction will begin
	cause    *exec.Error // of its end; nil if its own text has ended it
	pipe     *pipe       // what a pipelined transaction has not sent; nil otherwise
	ddl      bool        // it may have changed the schema
	// within bounds the end of a transaction, beside Config.Timeout; may be nil.
	within context.Context
	// begun is the context of BeginTx for a Tracer; nil without one.
	begun context.Context
	// lanes is whose gate writers ask to enter, pass the right to be in, and
	// entering says that it has just been given; see writegate.go.
	lanes    *lane.Lanes
	pass     *lane.Pass
	entering bool

	// What last_insert_rowid() and changes() give, wherever the statements that
	// set them have run.
	rowid, changes           int64
	rowidUnsure, changesLost bool
}

// reset makes it a new session. A stream without state goes back to the pool.
func (s *session) reset() {
	if s.own != nil {
		if s.tx == txNone && !s.settings && s.gone == nil {
			s.pool.Release(s.own)
		} else {
			s.endStream()
		}
	}
	s.leaveGate()
	*s = session{pool: s.pool, lanes: s.lanes}
}

// stream is the session's own.
func (s *session) stream() *stream.Stream {
	if s.own == nil {
		s.own = s.pool.Session()
	}
	return s.own
}

// inTx tells whether statements belong to a transaction, also one that cannot
// go on.
func (s *session) inTx() bool { return s.tx != txNone }

// refuse says why a text cannot run in the state that the session is in.
func (s *session) refuse(t *sqltext.Text) *exec.Error {
	switch {
	case s.tx == txLost, s.tx == txEnded:
		if !s.api && t.Kind() == sqltext.Rollback {
			return nil // it ends what is left of a transaction that a text began
		}
		return s.txLostError()
	case s.gone != nil:
		return s.goneError()
	case s.readOnly && !t.ReadOnly:
		for i := range t.Stmts {
			switch st := &t.Stmts[i]; st.Kind {
			case sqltext.Savepoint, sqltext.Release, sqltext.RollbackTo:
			default:
				if !st.ReadOnly {
					return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: "SQLITE_READONLY",
						Message: "the transaction is read-only, and this statement is not known to be a read"}
				}
			}
		}
	}
	return nil
}

// txLostError is for what comes after the end of a transaction.
func (s *session) txLostError() *exec.Error {
	e := &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted}
	switch {
	case s.tx == txEnded && s.cause == nil:
		e.Code, e.Message = "SQLITE_ERROR", "no transaction is active: a statement has ended it"
		return e
	case s.cause != nil:
		e.Err = s.cause
	}
	e.Code = exec.CodeTxLost
	e.Message = "the transaction is not open any more; nothing of it is or will be committed"
	return e
}

// goneError is for what needs the state that was lost.
func (s *session) goneError() *exec.Error {
	return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeSessionLost,
		Message: "the server has dropped what this connection had set up", Err: s.gone}
}

// loseTx notes that the transaction is lost, and how.
func (s *session) loseTx(cause *exec.Error) {
	s.tx, s.cause = txLost, cause
	s.leaveGate()
}

// loseStream notes what an error means for the session's stream, and reports
// whether it is lost.
func (s *session) loseStream(e *exec.Error) bool {
	if !e.StreamLost && e.Code != exec.CodeSessionLost {
		return false
	}
	if s.settings {
		s.gone = e
	}
	return true
}

// abandon gives up the stream, of which nobody knows what is open on it.
func (s *session) abandon(cause *exec.Error) {
	s.endStream()
	if s.settings && s.gone == nil {
		s.gone = cause
	}
}

// runNow is run for who may.
func (s *session) runNow(ctx context.Context, c *call) ([]exec.StmtResult, *exec.Error) {
	if s.tx == txEnded || s.tx == txLost {
		if c.text.Kind() != sqltext.Rollback {
			return nil, s.txLostError() // it has been lost since refuse was asked
		}
		// There is nothing left to roll back.
		s.endTx()
		return []exec.StmtResult{{Result: &exec.Result{}}}, nil
	}
	large := c.class() == exec.Read && len(c.stmts) == 1
	var o *stream.Outcome
	var err error
	if large && c.stmts[0].Note.Large.Load() {
		o, err = s.large(ctx, c)
	} else {
		o, err = s.send(ctx, c.class(), s.plan(c))
		if err == nil && large && stream.TooLarge(o.Results[0].Err) {
			c.stmts[0].Note.Large.Store(true)
			s.observe(c, o) // the transaction may have begun
			o, err = s.large(ctx, c)
		}
	}
	if err != nil {
		return nil, s.failed(ctx, c, err.(*exec.Error))
	}
	if e := s.observe(c, o); e != nil {
		return nil, e
	}
	if len(c.stmts) > 1 && c.text.ReadOnly && stream.TooLarge(o.Results[0].Err) {
		return s.runEach(ctx, c)
	}
	return o.Results, nil
}

// runEach runs a script of reads, whose results do not fit into one response,
// statement by statement.
func (s *session) runEach(ctx context.Context, c *call) ([]exec.StmtResult, *exec.Error) {
	results := make([]exec.StmtResult, 0, len(c.stmts))
	for i := range c.stmts {
		one := &call{
			text:  &sqltext.Text{SQL: c.stmts[i].SQL, Stmts: c.text.Stmts[i : i+1], ReadOnly: true},
			stmts: c.stmts[i : i+1],
		}
		r, err := s.runNow(ctx, one)
		if err != nil {
			return nil, err
		}
		if results = append(results, r[0]); r[0].Err != nil {
			break
		}
	}
	return results, nil
}

// large runs a read whose result does not fit into one response.
func (s *session) large(ctx context.Context, c *call) (*stream.Outcome, error) {
	begin := ""
	if s.tx == txPending {
		begin = s.begin
	}
	return s.patiently(ctx, exec.Read, func(ctx context.Context) (*stream.Outcome, error) {
		return s.stream().Large(ctx, &c.stmts[0], begin, s.tx == txOpen)
	})
}

// plan is what a call needs in the state that the session is in. In a
// transaction the server is always asked whether it is still open afterwards:
// an error may have ended it.
func (s *session) plan(c *call) *stream.Plan {
	p := &stream.Plan{Stmts: c.stmts, Apart: c.apart, Ends: s.commits(c), Odd: odd(c.text)}
	switch s.tx {
	case txPending:
		p.Begin, p.AskState = s.begin, true
	case txOpen:
		p.Guard, p.AskState = true, true
		for i := range c.text.Stmts[:len(c.text.Stmts)-1] {
			p.GuardFirst = p.GuardFirst || mayEndTx(c.text.Stmts[i].Kind)
		}
	default:
		p.Undo = len(c.stmts) > 1
		p.AskState = c.text.TxControl
		p.Close = s.closes(c)
	}
	return p
}

// closes tells whether the stream ends with a call: nobody else could use one
// that has been written on as if it were new, and what this session may ask of it
// is known from the results.
func (s *session) closes(c *call) bool {
	return !s.held && !s.inTx() && !s.settings && !c.text.ReadOnly && !c.text.Stateful && !c.text.TxControl
}

// failed notes what a request without an outcome means for the session, and
// gives the error to report.
func (s *session) failed(ctx context.Context, c *call, e *exec.Error) *exec.Error {
	unknown := e.Proof != exec.NotExecuted
	switch {
	case !s.loseStream(e):
	case s.tx == txOpen, s.tx == txPending && unknown:
		s.loseTx(e)
		if ctx.Err() != nil && errors.Is(e, ctx.Err()) || unknown && s.commits(c) {
			return e // the caller asked for the one; the other may have committed
		}
		return s.txLostError()
	case s.gone != nil && !unknown:
		return s.goneError()
	}
	return e
}

// odd tells whether a text leaves more on its stream than a transaction.
func odd(t *sqltext.Text) bool {
	if !t.Stateful {
		return false
	}
	for i := range t.Stmts {
		if t.Stmts[i].Stateful && !controls(t.Stmts[i].Kind) {
			return true
		}
	}
	return false
}

// commits tells whether a call itself ends the transaction it runs in.
func (s *session) commits(c *call) bool {
	for i := range c.text.Stmts {
		if mayEndTx(c.text.Stmts[i].Kind) {
			return true
		}
	}
	return false
}

// observe takes from an outcome what it says of the transaction and the state
// that later statements need. Its error stands for the whole call.
func (s *session) observe(c *call, o *stream.Outcome) *exec.Error {
	if o.Refused {
		s.loseTx(nil)
		return s.txLostError()
	}
	if s.tx == txPending && o.Begin.Err != nil {
		return o.Begin.Err
	}
	var failed, taken *exec.Error
	for i := range o.Results {
		s.learn(&c.text.Stmts[i], o.Results[i])
		e := o.Results[i].Err
		if failed == nil {
			failed = e
		}
		if stream.TxTimeout(e) {
			taken = e
		}
	}
	if taken != nil && s.inTx() {
		s.loseTx(taken)
		return nil
	}
	s.transition(c, o, failed)
	s.keepSettings(c, o)
	return nil
}

// keepSettings pins the stream if a statement may have left more on it than a
// transaction.
func (s *session) keepSettings(c *call, o *stream.Outcome) {
	if !c.text.Stateful {
		return
	}
	for i := range o.Results {
		r := &o.Results[i]
		ran := r.Result != nil || r.Err != nil && r.Err.Proof != exec.NotExecuted
		switch st := &c.text.Stmts[i]; st.Kind {
		case sqltext.Begin, sqltext.Commit, sqltext.Rollback, sqltext.Savepoint, sqltext.Release, sqltext.RollbackTo:
		default:
			if st.Stateful && ran {
				s.settings = true
				s.own.Pin()
				return
			}
		}
	}
}

// transition moves the transaction to the state that the server has told.
func (s *session) transition(c *call, o *stream.Outcome, failed *exec.Error) {
	state := o.State
	if state == stream.Unknown {
		if s.tx == txNone && !c.text.TxControl {
			return
		}
		state = s.guess(c, o)
	}
	switch {
	case state == stream.InTransaction:
		if s.tx != txOpen {
			s.tx = txOpen
			s.own.Pin()
		}
	case s.tx == txPending && o.Begin.Result == nil:
		// Nothing ran (the server could not read a statement): it has not begun.
	case s.inTx() && failed == nil && !s.commits(c):
		// No statement of ours has ended it: the server has taken it away between the
		// last of them and its telling the state.
		s.loseTx(nil)
	case s.api && s.inTx():
		s.tx, s.cause = txEnded, failed
		s.leaveGate()
		s.unpin()
	default:
		s.endTx()
	}
}

// guess is for a server that does not tell the state.
func (s *session) guess(c *call, o *stream.Outcome) stream.State {
	open := s.tx == txOpen || s.tx == txPending && o.Begin.Result != nil
	for i := range o.Results {
		if o.Results[i].Result == nil {
			continue
		}
		switch c.text.Stmts[i].Kind {
		case sqltext.Begin, sqltext.Savepoint:
			open = true
		case sqltext.Commit, sqltext.Rollback:
			open = false
		}
	}
	if open {
		return stream.InTransaction
	}
	return stream.Autocommit
}

// endTx ends a transaction of which nothing is left on the server.
func (s *session) endTx() {
	s.tx, s.api, s.readOnly, s.begin, s.cause, s.within, s.begun = txNone, false, false, "", nil, nil, nil
	s.leaveGate()
	s.unpin()
}

func (s *session) unpin() {
	if s.own != nil && !s.settings && s.gone == nil {
		s.own.Unpin()
	}
}
