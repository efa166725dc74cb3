package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/lane"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// TxOptions say how BeginTx begins a transaction.
type TxOptions struct {
	// ReadOnly refuses every statement that is not known to be a read; the
	// transaction always ends with a ROLLBACK.
	ReadOnly bool
	// Pipelined has Exec return at once: its statement travels with the next Query
	// or Commit, or when its Result is asked for anything. A transaction of
	// Execs costs one round trip in all. The first statement that fails ends the
	// transaction; Commit, or whatever comes first, reports it. Other bases run
	// the statements as usual.
	Pipelined bool
	// Lock is the lock to begin with; TxDefault is that of the Config. A read-only
	// transaction is always deferred.
	Lock TxLock

	// within bounds the transaction's end, which database/sql gives no context.
	within context.Context
	// begun is told of the Connector; nil if nobody wants to know.
	begun func(*Connector)
}

// A Beginner begins transactions: *sql.DB and *sql.Conn, and what embeds them.
type Beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// BeginTx begins a transaction with options that database/sql does not have. It
// is for databases of this driver; another driver gets ReadOnly only.
func BeginTx(ctx context.Context, db Beginner, opts TxOptions) (*sql.Tx, error) {
	if opts.Lock > TxExclusive {
		return nil, errTxLock
	}
	if opts.ReadOnly && opts.Lock > TxDeferred {
		return nil, errors.New("turso-opt: a read-only transaction takes no write lock")
	}
	ctx = context.WithValue(ctx, txOptionsKey{}, opts)
	return db.BeginTx(ctx, &sql.TxOptions{ReadOnly: opts.ReadOnly})
}

// txOptionsKey is the context key by which BeginTx reaches the connection.
type txOptionsKey struct{}

// txLock is the lock that a transaction begins with.
func txLock(ctx context.Context, cfg *Config) TxLock {
	if opts, ok := ctx.Value(txOptionsKey{}).(TxOptions); ok && opts.Lock != TxDefault {
		return opts.Lock
	}
	if cfg.TxLock != TxDefault {
		return cfg.TxLock
	}
	return TxDeferred
}

var errTxLock = errors.New("turso-opt: _txlock: want deferred, immediate or exclusive")

// errIsolation is for levels that SQLite does not have.
func errIsolation(l driver.IsolationLevel) error {
	return errors.New("turso-opt: isolation level " + sql.IsolationLevel(l).String() +
		" is not supported; transactions are always serializable")
}

func checkIsolation(l driver.IsolationLevel) error {
	switch sql.IsolationLevel(l) {
	case sql.LevelDefault, sql.LevelSerializable:
		return nil
	}
	return errIsolation(l)
}

// BeginTx begins a transaction. A deferred one costs no round trip: BEGIN
// travels with the first statement, which is where SQLite's deferred BEGIN
// does its first work anyway. The other locks are taken at once.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	s := &c.session
	c.use.begin(c.connector)
	if err := checkIsolation(opts.Isolation); err != nil {
		return nil, err
	}
	switch {
	case s.gone != nil:
		return nil, c.error(ctx, s.goneError(), "", -1)
	case s.inTx():
		return nil, c.error(ctx, &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: "SQLITE_ERROR",
			Message: "cannot start a transaction within a transaction"}, "", -1)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	s.goes, s.held = s.held, true
	if c.connector.cfg.Tracer != nil {
		s.begun = context.WithoutCancel(ctx)
	}
	lock := txLock(ctx, c.connector.cfg)
	if opts.ReadOnly {
		lock = TxDeferred
	}
	begin := map[TxLock]string{TxDeferred: "BEGIN", TxImmediate: "BEGIN IMMEDIATE", TxExclusive: "BEGIN EXCLUSIVE"}[lock]
	own, _ := ctx.Value(txOptionsKey{}).(TxOptions)
	if own.begun != nil {
		own.begun(c.connector)
	}
	if lock == TxDeferred || own.Pipelined {
		s.tx, s.api, s.readOnly, s.begin, s.within = txPending, true, opts.ReadOnly, begin, own.within
		if own.Pipelined {
			s.pipe = &pipe{}
		}
		return (*tx)(c), nil
	}
	t := c.trace(ctx, begin)
	err := c.beginNow(t.context(ctx), begin)
	t.ended(nil, err)
	if err != nil {
		return nil, err
	}
	s.api, s.within = true, own.within
	return (*tx)(c), nil
}

// beginNow begins a transaction with a request of its own.
func (c *conn) beginNow(ctx context.Context, begin string) error {
	s := &c.session
	if e := s.enterGate(ctx); e != nil {
		return c.error(ctx, e, "", -1)
	}
	defer s.leaveUnlessOpen()
	var o *stream.Outcome
	var err error
	s.lanes.WhileLocked(ctx, func(ctx context.Context) (locked bool) {
		o, err = s.send(ctx, exec.Write, &stream.Plan{Begin: begin})
		return err == nil && lane.Locked(o.Begin.Err)
	})
	if err != nil {
		e := *err.(*exec.Error)
		if ctx.Err() == nil {
			e.Proof = exec.NotExecuted // whether it has run or not, a BEGIN commits nothing
		}
		if s.loseStream(&e) && s.gone != nil {
			c.bad = true
			return c.error(ctx, s.goneError(), "", -1)
		}
		return c.error(ctx, &e, "", -1)
	}
	if o.Begin.Err != nil {
		return c.error(ctx, o.Begin.Err, begin, -1)
	}
	s.tx = txOpen
	s.own.Pin()
	return nil
}

// Begin is BeginTx for callers older than it.
func (c *conn) Begin() (driver.Tx, error) {
	ctx, cancel := c.connector.bounded()
	defer cancel()
	return c.BeginTx(ctx, driver.TxOptions{})
}

var _ driver.Tx = (*tx)(nil)

// tx is the transaction of a connection: the session has all of its state.
type tx conn

// Commit costs one round trip, none if nothing was sent. An error that is not
// OutcomeUnknown means that nothing was committed.
func (t *tx) Commit() error {
	if t.session.readOnly {
		return t.end(stream.Rollback)
	}
	return t.end(stream.Commit)
}

// Rollback costs one round trip, none if nothing was sent.
func (t *tx) Rollback() error { return t.end(stream.Rollback) }

func (t *tx) end(tail stream.Tail) error {
	c, s := (*conn)(t), &t.session
	within := s.endWithin()
	if c.connector.cfg.Tracer == nil || !s.endAsks(tail) {
		return t.endNow(within, tail)
	}
	text := "COMMIT"
	if tail == stream.Rollback {
		text = "ROLLBACK"
	}
	tr := c.trace(within, text)
	err := t.endNow(tr.context(within), tail)
	tr.ended(nil, err)
	return err
}

// endWithin is the context of a transaction's end, which has none of its own.
func (s *session) endWithin() context.Context {
	switch {
	case s.within != nil:
		return s.within
	case s.begun != nil:
		return s.begun
	}
	return context.Background()
}

// endAsks tells whether the end of a transaction asks the server for something.
func (s *session) endAsks(tail stream.Tail) bool {
	switch p := s.pipe; {
	case p != nil && p.failed != nil:
		return false // what it asks for then is told by itself
	case p != nil && len(p.late) > 0 && tail == stream.Commit:
		return true
	}
	return s.tx == txOpen
}

func (t *tx) endNow(within context.Context, tail stream.Tail) error {
	c, s := (*conn)(t), &t.session
	defer c.forgetSchema()
	ctx, cancel := bound(within, c.connector.cfg.timeout())
	defer cancel()
	if p := s.pipe; p != nil {
		s.pipe = nil
		if done, err := c.endPipe(ctx, p, tail); done {
			return err
		}
	}
	switch s.tx {
	case txPending:
		s.endTx()
		return nil
	case txEnded, txLost:
		over := s.txLostError()
		c.bad = c.bad || s.tx == txLost
		done := tail == stream.Rollback && s.tx == txEnded && s.cause != nil // by SQLite
		s.endTx()
		if done {
			return nil
		}
		return c.error(ctx, over, "", -1)
	}
	o, err := s.send(ctx, exec.Write, &stream.Plan{Guard: true, Tail: tail, AskState: true, Close: !s.needsStream()})
	if err != nil {
		return c.endFailed(ctx, err.(*exec.Error))
	}
	failed := o.Tail.Err
	switch {
	case o.Refused, stream.TxTimeout(failed):
		c.bad = true
		s.loseTx(failed)
		failed = s.txLostError()
	case failed != nil && o.State != stream.Autocommit:
		// It is not known to be rolled back, and nobody will come back to it.
		c.bad = true
		s.abandon(failed)
	}
	s.endTx()
	return c.error(ctx, failed, "", -1)
}

// endFailed is for an end without an answer.
func (c *conn) endFailed(ctx context.Context, e *exec.Error) error {
	s := &c.session
	c.bad = true
	s.loseStream(e)
	s.loseTx(e)
	if e.Proof == exec.NotExecuted && e.Code != exec.CodeClosed && ctx.Err() == nil {
		// The server has not looked at it: the stream, and the transaction on it,
		// were gone before, or are given up now.
		e = s.txLostError()
	}
	s.abandon(e)
	s.endTx()
	return c.error(ctx, e, "", -1)
}

// errRolledBack is the result of an Exec that a pipelined transaction has not
// sent before it was rolled back.
var errRolledBack = errors.New("turso-opt: the transaction was rolled back before the statement was sent")
