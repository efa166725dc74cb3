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
	z := c.connector.compression
	if z == nil {
		return cl.bind(text, args, wantRows)
	}
	args, err := z.escape(args)
	if err != nil {
		return err
	}
	if err := cl.bind(text, args, wantRows); err != nil {
		return err
	}
	for i := range cl.stmts {
		u, err := z.use(ctx, &text.Stmts[i], c.askSchema)
		if err != nil {
			return err
		}
		z.apply(u, cl.stmts[i].Args)
	}
	return nil
}

// askSchema runs a query beside the session. What the session has changed in a
// transaction nobody sees there, so it is not asked for then.
func (c *conn) askSchema(ctx context.Context, query string) ([][]exec.Value, error) {
	if c.session.ddl && c.session.inTx() {
		return nil, errors.New("the schema is being changed")
	}
	resp, err := c.connector.exec.Do(ctx, &exec.Request{
		Stmts: []exec.Stmt{{SQL: query, WantRows: true, Note: new(exec.Note)}}, Class: exec.Read,
	})
	if err != nil {
		return nil, err
	}
	r := resp.Results[0]
	if r.Result == nil {
		return nil, r.Err
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
