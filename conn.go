package tursoopt

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
)

// conn is database/sql's connection on the native base. It is a session, and
// holds no connection of its own to anything.
type conn struct {
	connector *Connector
	owned     *Connector // closed with the connection
	session   session
	bad       bool // not to be used again
	use       poolUse
	last      lastText
	// ownSchema is what compressed columns need of the schema, as the transaction
	// has changed it.
	ownSchema *compressSchema
}

func newConn(c *Connector) *conn {
	return &conn{connector: c, session: session{pool: c.pool, lanes: c.lanes}}
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext sends nothing: a server of this protocol keeps no prepared
// statements between requests. What is wrong with the text is told when it runs.
func (c *conn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return &stmt{conn: c, text: c.connector.stmts.Get(query)}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.execText(ctx, c.connector.stmts.Get(query), args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if b := batchOf(args); b != nil {
		return c.queryBatch(ctx, b)
	}
	if text := c.last.is(query); text != nil {
		if r := c.hit(ctx, text, args); r != nil {
			return r, nil
		}
	}
	text := c.connector.stmts.Get(query)
	c.remember(query, text)
	return c.queryText(ctx, text, args)
}

func (c *conn) execText(ctx context.Context, text *sqltext.Text, args []driver.NamedValue) (driver.Result, error) {
	var cl call
	if err := c.bind(ctx, &cl, text, args, false); err != nil {
		return nil, err
	}
	if c.session.pipe != nil {
		if pipeable(text) {
			return c.postpone(ctx, &cl)
		}
		if err := c.flush(ctx); err != nil {
			return nil, err
		}
	}
	results, err := c.run(ctx, &cl)
	if err != nil {
		return nil, c.session.pipe.fail(err)
	}
	var sum result
	for i := range results {
		switch r := &results[i]; {
		case r.Err != nil:
			return nil, c.session.pipe.fail(c.stmtError(ctx, &cl, i, r.Err))
		case r.Result != nil:
			if r.Result.Cursor != nil {
				_ = r.Result.Cursor.Close() // nobody reads the rows of an Exec
			}
			sum.rowsAffected += r.Result.RowsAffected
			if r.Result.LastInsertID != 0 {
				sum.lastInsertID = r.Result.LastInsertID
			}
		}
	}
	return sum, nil
}

func (c *conn) queryText(ctx context.Context, text *sqltext.Text, args []driver.NamedValue) (driver.Rows, error) {
	if r := c.hit(ctx, text, args); r != nil {
		return r, nil
	}
	var cl call
	if err := c.bind(ctx, &cl, text, args, true); err != nil {
		return nil, err
	}
	var results []exec.StmtResult
	var err error
	if c.session.pipe != nil {
		results, err = c.runPiped(ctx, &cl)
	} else {
		results, err = c.run(ctx, &cl)
	}
	if err != nil {
		return nil, c.session.pipe.fail(err)
	}
	if len(results) > 0 && results[0].Err != nil {
		return nil, c.session.pipe.fail(c.stmtError(ctx, &cl, 0, results[0].Err))
	}
	return newRows(ctx, c, &cl, results), nil
}

// run runs a call on the path that fits it. An error means that no statement of
// it has an outcome.
func (c *conn) run(ctx context.Context, cl *call) ([]exec.StmtResult, error) {
	if c.connector.cfg.Tracer == nil {
		return c.runUntraced(ctx, cl)
	}
	return c.runTraced(ctx, cl)
}

// runUntraced is run for callers who tell the Tracer themselves.
func (c *conn) runUntraced(ctx context.Context, cl *call) ([]exec.StmtResult, error) {
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
	if len(cl.stmts) == 0 {
		return nil, nil
	}
	way := route(cl.text, s.held, s.inTx())
	results, ok, err := c.runCached(ctx, cl, way)
	switch {
	case ok:
	case way == pathShared:
		results, err = c.runShared(ctx, cl)
	default:
		s.substitute(cl)
		var e *exec.Error
		if results, e = s.run(ctx, cl); e != nil {
			err = e
		}
		c.bad = c.bad || s.gone != nil || s.tx == txLost
		s.fillRowid(cl.stmts, results)
	}
	s.held = true
	c.schemaChanged(cl, err)
	if !cl.unasked {
		c.use.served(results)
	}
	if err != nil {
		var e *exec.Error
		if errors.As(err, &e) {
			return nil, c.error(ctx, e, cl.text.SQL, -1)
		}
		return nil, err
	}
	return results, nil
}

// runCached answers a call from the cache, or through it; ok is false if there is
// none, or it is not for the cache.
func (c *conn) runCached(ctx context.Context, cl *call, way path) (results []exec.StmtResult, ok bool, err error) {
	rc := c.connector.reads
	if rc == nil || !c.session.open() || !cl.cacheable() {
		return nil, false, nil
	}
	return rc.read(ctx, cl, way != pathShared)
}

// runShared runs a session's first statement on whatever stream is free.
func (c *conn) runShared(ctx context.Context, cl *call) ([]exec.StmtResult, error) {
	resp, err := c.connector.exec.Do(ctx, &exec.Request{Stmts: cl.stmts, Class: cl.class()})
	if err != nil {
		return nil, err
	}
	c.session.learn(&cl.text.Stmts[0], resp.Results[0])
	return resp.Results, nil
}

// schemaChanged is called after a call has run: if it may have changed the schema,
// what is known of tables may be of others now.
func (c *conn) schemaChanged(cl *call, err error) {
	if e := asExec(err); e == nil || e.Proof == exec.OutcomeUnknown {
		for i := range cl.text.Stmts {
			if changes(&cl.text.Stmts[i]) {
				c.session.ddl = true
				c.ownSchema = nil
			}
		}
	}
	c.forgetSchema()
}

// forgetSchema forgets what is known of tables if the session has changed them.
// Others see what a transaction has changed at its end, so then it is forgotten
// once more.
func (c *conn) forgetSchema() {
	if !c.session.ddl {
		return
	}
	c.session.ddl = c.session.inTx()
	c.connector.stmts.InvalidateNotes()
	if z := c.connector.compression; z != nil {
		z.forget()
	}
	c.connector.pool.SchemaChanged()
}

// CheckNamedValue converts arguments as SQLite stores them.
func (c *conn) CheckNamedValue(nv *driver.NamedValue) error { return c.connector.checkNamedValue(nv) }

// Ping asks the server to run SELECT 1, so that it proves the path, the token
// and the database. It does not touch the session. Without a deadline it takes
// at most Config.Timeout.
func (c *conn) Ping(ctx context.Context) error {
	c.use.begin(c.connector)
	if c.connector.closed.Load() {
		return ErrClosed
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = bound(ctx, c.connector.cfg.timeout())
		defer cancel()
	}
	const ping = "SELECT 1"
	resp, err := c.connector.exec.Do(ctx, &exec.Request{
		Stmts: []exec.Stmt{{SQL: ping, Note: new(exec.Note)}}, Class: exec.Read,
	})
	if err != nil {
		return c.error(ctx, err.(*exec.Error), ping, -1)
	}
	return c.error(ctx, resp.Results[0].Err, ping, 0)
}

// ResetSession makes the connection one that nobody has used.
func (c *conn) ResetSession(context.Context) error {
	c.session.reset()
	if c.connector.closed.Load() {
		return driver.ErrBadConn
	}
	c.use.begin(c.connector)
	return nil
}

// IsValid is called when the connection goes back to the pool, which is when
// the session's stream is wanted elsewhere.
func (c *conn) IsValid() bool {
	c.session.reset()
	c.use.end()
	return !c.bad && !c.connector.closed.Load()
}

// Close ends the session. The server is told so beside.
func (c *conn) Close() error {
	c.session.reset()
	c.use.end()
	c.bad = true
	if c.owned != nil {
		return c.owned.Close()
	}
	return nil
}

// error is e for the caller: the context's own where that is what has happened.
func (c *conn) error(ctx context.Context, e *exec.Error, sqlText string, stmt int) error {
	if e == nil {
		return nil
	}
	c.use.failed(e)
	return told(ctx, e, sqlText, stmt)
}

func told(ctx context.Context, e *exec.Error, sqlText string, stmt int) error {
	if err := ctx.Err(); err != nil && errors.Is(e, err) && e.Code == "" {
		return ctxError(err, e.Proof == exec.OutcomeUnknown)
	}
	return newError(e, sqlText, stmt)
}

// stmtError is the error of one of a call's statements.
func (c *conn) stmtError(ctx context.Context, cl *call, i int, e *exec.Error) error {
	return c.error(ctx, e, cl.text.Stmts[i].SQL, i)
}
