package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// A BaseConn is what sql.Conn.Raw gives on a base other than the native one.
// Base is the connection of the driver below, for what only that driver has. It
// must not be used after Raw's function has returned.
type BaseConn interface {
	driver.Conn
	Base() driver.Conn
}

var (
	_ BaseConn                  = (*baseConn)(nil)
	_ driver.ConnPrepareContext = (*baseConn)(nil)
	_ driver.ConnBeginTx        = (*baseConn)(nil)
	_ driver.ExecerContext      = (*baseConn)(nil)
	_ driver.QueryerContext     = (*baseConn)(nil)
	_ driver.NamedValueChecker  = (*baseConn)(nil)
	_ driver.Pinger             = (*baseConn)(nil)
	_ driver.SessionResetter    = (*baseConn)(nil)
	_ driver.Validator          = (*baseConn)(nil)
)

// baseConn is a connection of another driver. It has every optional interface,
// and where the driver below lacks one it does what database/sql does without,
// so that the driver behaves as it would alone. Statements and rows are the
// driver's own.
type baseConn struct {
	driver.Conn
	connector *Connector
	owned     *Connector // closed with the connection
	bad       bool
	inTx      bool      // in a transaction by BeginTx
	since     time.Time // since when it is in use; zero while it is not
}

func newBaseConn(c *Connector, dc driver.Conn) *baseConn {
	return &baseConn{Conn: dc, connector: c, since: c.uses.begin(c)}
}

// Base is the connection of the driver below.
func (c *baseConn) Base() driver.Conn { return c.Conn }

func (c *baseConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if p, ok := c.Conn.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	s, err := c.Conn.Prepare(query)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// The two legacy interfaces, which database/sql still honours.
type (
	legacyExecer interface {
		Exec(query string, args []driver.Value) (driver.Result, error)
	}
	legacyQueryer interface {
		Query(query string, args []driver.Value) (driver.Rows, error)
	}
)

func (c *baseConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	switch e := c.Conn.(type) {
	case driver.ExecerContext:
		return e.ExecContext(ctx, query, args)
	case legacyExecer:
		values, err := unnamed(ctx, args)
		if err != nil {
			return nil, err
		}
		return e.Exec(query, values)
	}
	return nil, driver.ErrSkip
}

func (c *baseConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if b := batchOf(args); b != nil {
		return c.queryBatch(ctx, b)
	}
	switch q := c.Conn.(type) {
	case driver.QueryerContext:
		return q.QueryContext(ctx, query, args)
	case legacyQueryer:
		values, err := unnamed(ctx, args)
		if err != nil {
			return nil, err
		}
		return q.Query(query, values)
	}
	return nil, driver.ErrSkip
}

// unnamed is args for a driver older than named arguments and contexts.
func unnamed(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i := range args {
		if args[i].Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		values[i] = args[i].Value
	}
	return values, ctx.Err()
}

func (c *baseConn) CheckNamedValue(nv *driver.NamedValue) error {
	if _, ok := nv.Value.(*batchCall); ok {
		return nil
	}
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(nv)
	}
	return driver.ErrSkip
}

func (c *baseConn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *baseConn) ResetSession(ctx context.Context) error {
	c.since = c.connector.uses.begin(c.connector)
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *baseConn) IsValid() bool {
	kick := c.connector.uses.end(c.since)
	c.since = time.Time{}
	if c.bad || kick {
		return false
	}
	if v, ok := c.Conn.(driver.Validator); ok {
		return v.IsValid()
	}
	return true
}

func (c *baseConn) Close() error {
	err := c.Conn.Close()
	if c.owned != nil {
		err = errors.Join(err, c.owned.Close())
	}
	return err
}

// BeginTx is the base's own, unless a lock is asked for: that is a BEGIN in
// SQLite's words.
func (c *baseConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	lock := txLock(ctx, c.connector.cfg)
	if lock > TxDeferred && !opts.ReadOnly {
		if err := checkIsolation(opts.Isolation); err != nil {
			return nil, err
		}
		return c.begin(ctx, lock)
	}
	var tx driver.Tx
	var err error
	if b, ok := c.Conn.(driver.ConnBeginTx); ok {
		tx, err = b.BeginTx(ctx, opts)
	} else {
		tx, err = c.legacyBegin(ctx, opts)
	}
	if err != nil {
		return nil, err
	}
	c.inTx = true
	return &baseTx{tx, c, ctx}, nil
}

// legacyBegin is what database/sql does for a driver without BeginTx.
func (c *baseConn) legacyBegin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.Isolation != driver.IsolationLevel(sql.LevelDefault) {
		return nil, errors.New("sql: driver does not support non-default isolation level")
	}
	if opts.ReadOnly {
		return nil, errors.New("sql: driver does not support read-only transactions")
	}
	tx, err := c.Conn.Begin() //nolint:staticcheck // it is all that this driver has
	if err == nil && ctx.Err() != nil {
		_ = tx.Rollback()
		return nil, ctx.Err()
	}
	return tx, err
}

// keptOnRollback tells whether database/sql would keep the base's connection
// after a context has ended its transaction.
func (c *baseConn) keptOnRollback() bool {
	_, resets := c.Conn.(driver.SessionResetter)
	_, validates := c.Conn.(driver.Validator)
	return resets && validates
}

// A baseTx is a transaction of the base. database/sql would not use a connection
// again after a rollback by context if the base lacks one of the two interfaces
// that decide it, of which baseConn has both.
type baseTx struct {
	driver.Tx
	conn *baseConn
	ctx  context.Context
}

func (t *baseTx) Commit() error {
	t.conn.inTx = false
	return t.Tx.Commit()
}

func (t *baseTx) Rollback() error {
	t.conn.inTx = false
	if t.ctx.Err() != nil && !t.conn.keptOnRollback() {
		t.conn.bad = true
	}
	return t.Tx.Rollback()
}

func (c *baseConn) begin(ctx context.Context, lock TxLock) (driver.Tx, error) {
	text := "BEGIN IMMEDIATE"
	if lock == TxExclusive {
		text = "BEGIN EXCLUSIVE"
	}
	if err := c.exec(ctx, text); err != nil {
		return nil, err
	}
	c.inTx = true
	return &baseTx{textTx{c}, c, ctx}, nil
}

// exec runs a text without arguments by whatever way the base has.
func (c *baseConn) exec(ctx context.Context, text string) error {
	_, err := c.ExecContext(ctx, text, nil)
	if err != driver.ErrSkip {
		return err
	}
	s, err := c.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	if e, ok := s.(driver.StmtExecContext); ok {
		_, err = e.ExecContext(ctx, nil)
	} else {
		_, err = s.Exec(nil) //nolint:staticcheck // it is all that this driver has
	}
	return errors.Join(err, s.Close())
}

// textTx is a transaction that was begun by a text and ends by one.
type textTx struct{ conn *baseConn }

func (t textTx) Commit() error   { return t.end("COMMIT") }
func (t textTx) Rollback() error { return t.end("ROLLBACK") }

func (t textTx) end(text string) error {
	ctx, cancel := t.conn.connector.bounded()
	defer cancel()
	err := t.conn.exec(ctx, text)
	if err != nil {
		// Whether the transaction is still open is not known.
		t.conn.bad = true
	}
	return err
}
