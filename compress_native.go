package tursoopt

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// bind makes a call of a text and its arguments, with those compressed that land
// in compressed columns.
func (c *conn) bind(ctx context.Context, cl *call, text *sqltext.Text, args []driver.NamedValue, wantRows bool) error {
	_, err := c.bindAfter(ctx, cl, text, args, wantRows, nil)
	return err
}

// bindAfter is bind for a text that is sent behind others, which make of the schema
// what later is, nil if nothing; it gives what the text makes of it in turn.
func (c *conn) bindAfter(ctx context.Context, cl *call, text *sqltext.Text, args []driver.NamedValue, wantRows bool, later *compressSchema) (*compressSchema, error) {
	z := c.connector.compression
	if z == nil {
		return nil, cl.bind(text, args, wantRows)
	}
	args, err := z.escape(args)
	if err != nil {
		return nil, err
	}
	if err := cl.bind(text, args, wantRows); err != nil {
		return nil, err
	}
	uses, later, err := z.uses(ctx, text, c.asker(), later)
	if err != nil {
		return nil, err
	}
	for i := range cl.stmts {
		z.apply(uses[i], cl.stmts[i].Args)
	}
	return later, nil
}

// asker asks beside the session, unless that has changed the schema in its
// transaction, which nobody sees from outside.
func (c *conn) asker() asker {
	if !c.session.inTx() {
		c.ownSchema = nil
	} else if c.session.ddl || c.session.pipe.changes() {
		return asker{c.askInside, &c.ownSchema}
	}
	return asker{query: c.askBeside}
}

// changes tells whether a statement that waits may change the schema.
func (p *pipe) changes() bool {
	return p != nil && p.ddl
}

func (c *conn) askBeside(ctx context.Context, query string) ([][]exec.Value, error) {
	resp, err := c.connector.exec.Do(ctx, &exec.Request{
		Stmts: []exec.Stmt{{SQL: query, WantRows: true, Note: new(exec.Note)}}, Class: exec.Read,
	})
	if err != nil {
		if e := asExec(err); e != nil {
			return nil, c.error(ctx, e, query, -1)
		}
		return nil, err
	}
	return c.schemaRows(ctx, query, resp.Results[0])
}

func (c *conn) askInside(ctx context.Context, query string) ([][]exec.Value, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	var cl call
	if err := cl.bind(c.connector.stmts.Get(query), nil, true); err != nil {
		return nil, err
	}
	results, err := c.runUntraced(ctx, &cl)
	if err != nil {
		return nil, err
	}
	return c.schemaRows(ctx, query, results[0])
}

func (c *conn) schemaRows(ctx context.Context, query string, r exec.StmtResult) ([][]exec.Value, error) {
	if r.Result == nil {
		return nil, c.error(ctx, r.Err, query, 0)
	}
	if r.Result.Cursor != nil {
		_ = r.Result.Cursor.Close()
		return nil, errors.New("the schema is too large")
	}
	rows := make([][]exec.Value, r.Result.Rows.Len())
	for i := range rows {
		for j := range r.Result.Rows.Width() {
			rows[i] = append(rows[i], r.Result.Rows.Value(i, j))
		}
	}
	return rows, nil
}

// A frameCell is a blob of a result that begins like a frame.
type frameCell []byte

// unpack gives the value of a frame.
func (r *rows) unpack(col int, b frameCell) (driver.Value, error) {
	v, err := r.conn.connector.compression.unpack(r.cols[col].Name, b)
	if s, ok := v.(string); ok && r.times != nil && r.times[col] {
		if at, ok := parseTime(s); ok {
			return at, nil
		}
	}
	return v, err
}
