package tursoopt

import (
	"context"
	"database/sql/driver"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/frame"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// checkFramer converts an argument that gives a frame, so that it can be told from
// a blob that looks like one; ok is false if it is not one.
func checkFramer(nv *driver.NamedValue) (ok bool, err error) {
	switch x := nv.Value.(type) {
	case framedBlob:
		return true, nil
	case framer:
		v, err := driver.DefaultParameterConverter.ConvertValue(x)
		if b, blob := v.([]byte); blob && b != nil {
			v = framedBlob(b)
		}
		nv.Value = v
		return true, err
	}
	return false, nil
}

// prepares tells whether a text goes the way of a statement. A driver may skip a
// text only after it has seen the arguments, which would then be compressed, and
// counted, twice.
func (c *baseConn) prepares(query string, args []driver.NamedValue) bool {
	return len(args) > 0 && len(c.connector.stmts.Get(query).Stmts) == 1
}

// compressArgs is args with those compressed that land in compressed columns; the
// error refuses the text.
func (c *baseConn) compressArgs(ctx context.Context, query string, args []driver.NamedValue) ([]driver.NamedValue, error) {
	z := c.connector.compression
	text := c.connector.stmts.Get(query)
	args, err := z.escape(args)
	if err != nil {
		return nil, err
	}
	args = append([]driver.NamedValue(nil), args...)
	uses, _, err := z.uses(ctx, text, c.asker(), nil)
	if err != nil {
		return nil, err
	}
	for i, u := range uses {
		st := &text.Stmts[i]
		for _, l := range u.lands {
			if len(text.Stmts) > 1 {
				z.columns[l.Column].skip(skipScript) // which argument it gets is the driver's affair
				continue
			}
			z.applyTo(args, st.Params[l.Param-1], l.Column, u.asIs[l.Param])
		}
		z.missed(u)
	}
	for i := range args {
		if b, ok := args[i].Value.(framedBlob); ok {
			args[i].Value = []byte(b)
		}
	}
	return args, nil
}

// applyTo compresses the argument of a parameter.
func (z *compression) applyTo(args []driver.NamedValue, p sqltext.Param, column, asIs string) {
	for i := range args {
		a := &args[i]
		named := a.Name != "" && len(p.Name) > 1 && p.Name[0] != '?' && p.Name[1:] == a.Name
		if !named && (a.Name != "" || a.Ordinal != p.Index) {
			continue
		}
		var f []byte
		switch x := a.Value.(type) {
		case string:
			f = z.pack(column, asIs, frame.Text, bytesOf(x))
		case []byte:
			if x != nil {
				f = z.pack(column, asIs, frame.Blob, x)
			}
		case framedBlob:
			z.columns[column].skip(skipFrame)
		}
		if f != nil {
			a.Value = framedBlob(f)
		}
	}
}

// afterText is called when a text has run. What a transaction has changed others
// see at its end.
func (c *baseConn) afterText(query string) {
	z := c.connector.compression
	if z == nil {
		return
	}
	text := c.connector.stmts.Get(query)
	for i := range text.Stmts {
		st := &text.Stmts[i]
		switch {
		case changes(st):
			c.ddl, c.ownSchema = true, nil
			z.forget()
		case st.Kind == sqltext.RollbackTo, st.Kind == sqltext.Release:
			c.ownSchema = nil
			z.forget()
		case st.Kind == sqltext.Begin, st.Kind == sqltext.Savepoint:
			c.textTx = true
		case st.Kind == sqltext.Commit, st.Kind == sqltext.Rollback:
			c.afterTx()
		}
	}
}

// afterTx is called when a transaction has ended.
func (c *baseConn) afterTx() {
	if z := c.connector.compression; z != nil && c.ddl {
		z.forget()
	}
	c.inTx, c.textTx, c.ddl, c.ownSchema = false, false, false, nil
}

// asker asks on the connection.
func (c *baseConn) asker() asker {
	a := asker{query: c.askSchema}
	if c.ddl && (c.inTx || c.textTx) {
		a.own = &c.ownSchema
	}
	return a
}

// askSchema runs a query on the connection.
func (c *baseConn) askSchema(ctx context.Context, query string) ([][]exec.Value, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r, err := queryStmt(ctx, s, nil)
	if err != nil {
		return nil, err
	}
	set, err := readSet(r)
	if err != nil {
		return nil, err
	}
	rows := make([][]exec.Value, len(set.rows))
	for i, row := range set.rows {
		for _, v := range row {
			if b, ok := v.([]byte); ok {
				v = string(b) // some drivers give text so
			}
			value, err := toValue(v)
			if err != nil {
				return nil, err
			}
			rows[i] = append(rows[i], value)
		}
	}
	return rows, nil
}

// A compressStmt is a statement of a base whose values are compressed.
type compressStmt struct {
	driver.Stmt
	conn  *baseConn
	query string
}

var (
	_ driver.StmtExecContext   = (*compressStmt)(nil)
	_ driver.StmtQueryContext  = (*compressStmt)(nil)
	_ driver.NamedValueChecker = (*compressStmt)(nil)
)

func (s *compressStmt) CheckNamedValue(nv *driver.NamedValue) error {
	if ok, err := checkFramer(nv); ok {
		return err
	}
	if n, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(nv)
	}
	return s.conn.check(nv)
}

func (s *compressStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	args, err := s.conn.compressArgs(ctx, s.query, args)
	if err != nil {
		return nil, s.conn.watch.refuse(err)
	}
	defer s.conn.afterText(s.query)
	return execStmt(ctx, s.Stmt, args)
}

func (s *compressStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	args, err := s.conn.compressArgs(ctx, s.query, args)
	if err != nil {
		return nil, s.conn.watch.refuse(err)
	}
	defer s.conn.afterText(s.query)
	return s.conn.unpacked(queryStmt(ctx, s.Stmt, args))
}

// unpacked has the frames in rows given as their values.
func (c *baseConn) unpacked(r driver.Rows, err error) (driver.Rows, error) {
	if err != nil || c.connector.compression == nil {
		return r, err
	}
	return &compressRows{baseRows: baseRows{r}, z: c.connector.compression}, nil
}

// compressRows are a base's rows whose frames are given as their values.
type compressRows struct {
	baseRows
	z       *compression
	columns []string
}

func (r *compressRows) Next(dest []driver.Value) error {
	if err := r.Rows.Next(dest); err != nil {
		return err
	}
	for i, v := range dest {
		b, ok := v.([]byte)
		if !ok || !frame.Is(b) {
			continue
		}
		if r.columns == nil {
			r.columns = r.Columns()
		}
		var err error
		if dest[i], err = r.z.unpack(r.columns[i], b); err != nil {
			return err
		}
	}
	return nil
}

func (r *compressRows) NextResultSet() error {
	r.columns = nil
	return r.baseRows.NextResultSet()
}
