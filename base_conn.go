package tursoopt

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// A BaseConn is what sql.Conn.Raw gives on a base other than the native one.
// Base is the connection of the driver below, for what only that driver has. It
// must not be used after Raw's function has returned. A cache keeps nothing while it
// may be used, and answers nothing on this connection from then on.
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
// so that the driver behaves as it would alone. Rows are the driver's own, and
// so are statements, but for partial connections.
type baseConn struct {
	driver.Conn
	connector *Connector
	owned     *Connector // closed with the connection
	// partial: the driver cannot run both kinds of texts without preparing them.
	// See convert.
	partial bool
	bad     bool // not to be used again
	inTx    bool // in a transaction by BeginTx
	textTx  bool // in one by SQL, as far as compressed columns have to know
	ddl     bool // a transaction may have changed the schema
	// ownSchema is what compressed columns need of it then.
	ownSchema *compressSchema
	use       poolUse
	watch     *baseWatch // nil without a cache
}

func newBaseConn(c *Connector, dc driver.Conn) *baseConn {
	b := &baseConn{Conn: dc, connector: c}
	b.partial = !b.execs() || !b.queries()
	if c.reads != nil {
		b.watch = &baseWatch{rc: c.reads, conn: b}
	}
	return b
}

// execs and queries tell what the driver can run without preparing it.
func (c *baseConn) execs() bool {
	switch c.Conn.(type) {
	case driver.ExecerContext, legacyExecer:
		return true
	}
	return false
}

func (c *baseConn) queries() bool {
	switch c.Conn.(type) {
	case driver.QueryerContext, legacyQueryer:
		return true
	}
	return false
}

// Base is the connection of the driver below.
func (c *baseConn) Base() driver.Conn {
	c.watch.beginRaw()
	return c.Conn
}

func (c *baseConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if c.bad {
		return nil, driver.ErrBadConn
	}
	c.use.begin(c.connector)
	return c.prepareAs(ctx, query, c.watch)
}

// prepareAs prepares a text whose runs are watched; watch may be nil.
func (c *baseConn) prepareAs(ctx context.Context, query string, watch *baseWatch) (driver.Stmt, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if c.connector.compression != nil {
		s = &compressStmt{s, c, query}
	}
	if watch == nil && (!c.partial || c.connector.compression != nil) {
		return s, nil
	}
	return newBaseStmt(c, s, watch, query), nil
}

func (c *baseConn) prepare(ctx context.Context, query string) (driver.Stmt, error) {
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
	if c.bad {
		return nil, driver.ErrBadConn
	}
	c.use.begin(c.connector)
	if c.watch == nil || !c.execs() {
		return c.execText(ctx, query, args)
	}
	return c.watch.exec(ctx, c.connector.stmts.Get(query), args, func() (driver.Result, error) { return c.execText(ctx, query, args) })
}

// execText runs a text without looking at what it does.
func (c *baseConn) execText(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.partial && c.execs() {
		var err error
		if args, err = c.convert(args); err != nil {
			return nil, c.watch.refuse(err)
		}
	}
	if c.connector.compression != nil && c.execs() {
		if c.prepares(query, args) {
			return nil, driver.ErrSkip
		}
		var err error
		if args, err = c.compressArgs(ctx, query, args); err != nil {
			return nil, c.watch.refuse(err)
		}
		defer c.afterText(query)
	}
	switch e := c.Conn.(type) {
	case driver.ExecerContext:
		r, err := e.ExecContext(ctx, query, args)
		c.use.failed(err)
		return r, err
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
	if c.bad {
		return nil, driver.ErrBadConn
	}
	c.use.begin(c.connector)
	if b := batchOf(args); b != nil {
		return c.queryBatch(ctx, b)
	}
	if c.watch == nil {
		return c.queryText(ctx, query, args)
	}
	return c.watch.queryText(ctx, query, args)
}

// queryText runs a text without looking at what it does.
func (c *baseConn) queryText(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.partial && c.queries() {
		var err error
		if args, err = c.convert(args); err != nil {
			return nil, c.watch.refuse(err)
		}
	}
	if c.connector.compression != nil && c.queries() {
		if c.prepares(query, args) {
			return nil, driver.ErrSkip
		}
		var err error
		if args, err = c.compressArgs(ctx, query, args); err != nil {
			return nil, c.watch.refuse(err)
		}
		defer c.afterText(query)
	}
	switch q := c.Conn.(type) {
	case driver.QueryerContext:
		r, err := q.QueryContext(ctx, query, args)
		c.use.failed(err)
		return c.unpacked(r, err)
	case legacyQueryer:
		values, err := unnamed(ctx, args)
		if err != nil {
			return nil, err
		}
		return c.unpacked(q.Query(query, values))
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

// CheckNamedValue is asked about the arguments of texts and, where a statement
// has no opinion of its own, of statements.
func (c *baseConn) CheckNamedValue(nv *driver.NamedValue) error {
	if _, ok := nv.Value.(*batchCall); ok || c.partial {
		return nil
	}
	return c.check(nv)
}

// check is what the driver itself says of an argument.
func (c *baseConn) check(nv *driver.NamedValue) error {
	if z := c.connector.compression; z != nil {
		if err := z.checkBulk(nv); err != nil {
			return err
		}
		if ok, err := checkFramer(nv); ok {
			return err
		}
	}
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(nv)
	}
	return driver.ErrSkip
}

// convert does for the arguments of a text what database/sql does.
//
// A driver that cannot run a text has its statement converted for alone, and
// that may take what nobody else would. Above a partial connection database/sql
// takes it for one that can, so its conversion is put off: CheckNamedValue lets
// everything pass, and baseStmt asks the driver.
func (c *baseConn) convert(args []driver.NamedValue) ([]driver.NamedValue, error) {
	n := 0
	for _, nv := range args {
		nv.Ordinal = n + 1
		err := c.check(&nv)
		if err == driver.ErrSkip {
			nv.Value, err = driver.DefaultParameterConverter.ConvertValue(nv.Value)
		}
		switch {
		case err == driver.ErrRemoveArgument:
			continue
		case err != nil && nv.Name != "":
			return nil, fmt.Errorf("sql: converting argument with name %q type: %w", nv.Name, err)
		case err != nil:
			return nil, fmt.Errorf("sql: converting argument $%d type: %w", nv.Ordinal, err)
		}
		args[n] = nv
		n++
	}
	return args[:n], nil
}

func (c *baseConn) Ping(ctx context.Context) error {
	if c.bad {
		return driver.ErrBadConn
	}
	c.use.begin(c.connector)
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *baseConn) ResetSession(ctx context.Context) error {
	c.use.begin(c.connector)
	c.watch.reset()
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *baseConn) IsValid() bool {
	c.use.end()
	c.watch.endRaw()
	if c.bad {
		return false
	}
	if v, ok := c.Conn.(driver.Validator); ok {
		return v.IsValid()
	}
	return true
}

func (c *baseConn) Close() error {
	c.watch.endRaw()
	err := c.Conn.Close()
	c.use.end()
	if c.owned != nil {
		err = errors.Join(err, c.owned.Close())
	}
	return err
}
