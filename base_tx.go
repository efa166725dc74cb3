package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// BeginTx is the base's own, unless a lock is asked for: that is a BEGIN in
// SQLite's words.
func (c *baseConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.bad {
		return nil, driver.ErrBadConn
	}
	c.use.begin(c.connector)
	lock := txLock(ctx, c.connector.cfg)
	if lock > TxDeferred && !opts.ReadOnly {
		if err := checkIsolation(opts.Isolation); err != nil {
			return nil, err
		}
		return c.begin(ctx, lock)
	}
	var tx driver.Tx
	var err error
	_ = c.watch.control(beginText, func() error {
		if b, ok := c.Conn.(driver.ConnBeginTx); ok {
			tx, err = b.BeginTx(ctx, opts)
		} else {
			tx, err = c.legacyBegin(ctx, opts)
		}
		return err
	})
	c.use.failed(err)
	if err != nil {
		return nil, err
	}
	c.inTx = true
	return &baseTx{tx, c, ctx, c.watch}, nil
}

// legacyBegin is what database/sql does for a driver without BeginTx.
func (c *baseConn) legacyBegin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.Isolation != driver.IsolationLevel(sql.LevelDefault) {
		return nil, errors.New("sql: driver does not support non-default isolation level")
	}
	if opts.ReadOnly {
		return nil, errors.New("sql: driver does not support read-only transactions")
	}
	//lint:ignore SA1019 it is all that this driver has
	tx, err := c.Conn.Begin()
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
	// watch is told of its end; nil without a cache, and where a text ends it.
	watch *baseWatch
}

func (t *baseTx) Commit() error {
	defer t.conn.afterTx()
	return t.watch.control(commitText, t.Tx.Commit)
}

func (t *baseTx) Rollback() error {
	err := t.watch.control(rollbackText, t.Tx.Rollback)
	t.conn.afterTx()
	if t.ctx.Err() != nil && !t.conn.keptOnRollback() {
		t.conn.bad = true
	}
	return err
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
	return &baseTx{textTx{c}, c, ctx, nil}, nil
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
	_, err = execStmt(ctx, s, nil)
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
