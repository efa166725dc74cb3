package tursoopt

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"math"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/frame"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

var (
	_ driver.Rows                           = (*rows)(nil)
	_ driver.RowsNextResultSet              = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeLength           = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
)

// rows are the result sets of a call, one for each of its statements.
type rows struct {
	ctx  context.Context // of the query: it bounds what still has to arrive
	conn *conn
	sets []exec.StmtResult
	set  int
	text *sqltext.Text      // whose statements they are of, for errors
	only [1]exec.StmtResult // backs sets of a hit
	// restore gives the columns of a set their names; nil where they have them.
	restore []func(string) string

	cols   []exec.Column
	times  []bool // columns whose text is parsed as a time; nil if there is none
	table  *exec.Table
	boxed  []any // table's cells as they leave the driver; nil where each is made anew
	row    int
	cursor exec.Cursor // gives the next tables; nil if there are none
	// shared: the table is never written again and small, so that strings may
	// keep it alive instead of being copied.
	shared bool
	packed bool      // blobs that begin like a frame are frames
	name   [2]string // backs the first Columns, where they are few
	named  bool
	// kept: the cells are others' too, so that what a program may write to is copied.
	kept bool
}

// sharedArena is the size in bytes up to which a result's strings are not
// copied out of it: one string that a program keeps would keep them all.
const sharedArena = 16 << 10

// noRows is what is left after Close.
var noRows exec.Table

func newRows(ctx context.Context, c *conn, cl *call, results []exec.StmtResult) *rows {
	r := &rows{ctx: ctx, conn: c, text: cl.text, sets: results, restore: cl.restore, packed: c.connector.compression != nil, kept: cl.kept}
	if len(results) == 0 {
		r.sets = []exec.StmtResult{{Result: &exec.Result{}}}
	}
	r.open(r.sets[0].Result)
	return r
}

// open begins a result set.
func (r *rows) open(res *exec.Result) {
	r.cols, r.row, r.times = res.Cols, 0, nil
	if r.set < len(r.restore) && r.restore[r.set] != nil {
		r.cols = make([]exec.Column, len(res.Cols))
		for i, col := range res.Cols {
			r.cols[i] = exec.Column{Name: r.restore[r.set](col.Name), Decltype: col.Decltype}
		}
	}
	r.table, r.cursor, r.boxed = &res.Rows, res.Cursor, nil
	if res.Boxed != nil {
		r.boxed = *res.Boxed
	}
	r.shared = res.Cursor == nil && res.Rows.Used() <= sharedArena
	if res.Cursor != nil {
		r.table = new(exec.Table)
	}
	if !r.conn.connector.cfg.parseTime() {
		return
	}
	for i := range r.cols {
		if isTimeType(r.cols[i].Decltype) {
			if r.times == nil {
				r.times = make([]bool, len(r.cols))
			}
			r.times[i] = true
		}
	}
}

func (r *rows) Columns() []string {
	var names []string
	if n := len(r.cols); n <= len(r.name) && !r.named {
		names, r.named = r.name[:n:n], true // once: a caller may change what it gets
	} else {
		names = make([]string, n)
	}
	for i := range r.cols {
		names[i] = r.cols[i].Name
	}
	return names
}

func (r *rows) Next(dest []driver.Value) error {
	for r.row >= r.table.Len() {
		if r.cursor == nil {
			return io.EOF
		}
		switch err := r.cursor.Next(r.table); {
		case err == io.EOF:
			return io.EOF
		case err != nil:
			e := asExec(err)
			if e == nil {
				return err
			}
			return r.conn.error(r.ctx, e, r.text.Stmts[r.set].SQL, r.set)
		}
		r.row = 0
	}
	for i := range dest {
		v := r.value(i)
		switch x := v.(type) {
		case float64:
			if math.IsNaN(x) {
				return r.notFinite(i)
			}
		case frameCell:
			var err error
			if v, err = r.unpack(i, x); err != nil {
				return err
			}
		}
		dest[i] = v
	}
	r.row++
	return nil
}

// notFinite is for NaN, which SQLite does not have: the JSON codec gives it for
// an infinity, of which JSON does not say which one it is. Told to the program
// as a number, it would come back as NULL.
func (r *rows) notFinite(col int) error {
	return fmt.Errorf("turso-opt: column %s holds an infinity, and JSON does not say which; "+
		"ask for it by encoding=protobuf, or as text by printf('%%g', ...)", r.cols[col].Name)
}

func (r *rows) value(col int) driver.Value {
	t := r.table
	if r.boxed != nil && (r.times == nil || !r.times[col]) {
		if v := r.boxed[r.row*t.Width()+col]; v != nil {
			return v
		}
	}
	switch t.Kind(r.row, col) {
	case exec.Integer:
		return t.Int(r.row, col)
	case exec.Float:
		return t.Float(r.row, col)
	case exec.Text:
		if r.times != nil && r.times[col] {
			if at, ok := parseTime(t.String(r.row, col)); ok {
				return at
			}
		}
		if r.shared {
			return t.String(r.row, col)
		}
		return string(t.Bytes(r.row, col))
	case exec.Blob:
		// database/sql copies it, unless the caller asks for RawBytes.
		b := t.Bytes(r.row, col)
		if b == nil {
			b = []byte{}
		}
		if r.kept {
			b = bytes.Clone(b) // a Scanner and RawBytes get it as it is
		}
		if r.packed && frame.Is(b) {
			return frameCell(b)
		}
		return b
	}
	return nil
}

func (r *rows) HasNextResultSet() bool { return r.set+1 < len(r.sets) }

// NextResultSet goes on to the next statement's result. Its error is that of
// the statement.
func (r *rows) NextResultSet() error {
	if !r.HasNextResultSet() {
		return io.EOF
	}
	r.closeCursor()
	r.set++
	s := r.sets[r.set]
	switch {
	case s.Err != nil:
		r.open(&exec.Result{})
		r.sets = r.sets[:r.set+1] // those behind it were skipped
		return r.conn.error(r.ctx, s.Err, r.text.Stmts[r.set].SQL, r.set)
	case s.Result == nil:
		r.sets = r.sets[:r.set+1]
		return io.EOF
	}
	r.open(s.Result)
	return nil
}

func (r *rows) closeCursor() {
	if r.cursor != nil {
		_ = r.cursor.Close() // it only stops the transfer
		r.cursor = nil
	}
}

// Close stops the transfer of rows that are still on their way.
func (r *rows) Close() error {
	for i := r.set + 1; i < len(r.sets); i++ {
		if res := r.sets[i].Result; res != nil && res.Cursor != nil {
			_ = res.Cursor.Close()
		}
	}
	r.closeCursor()
	r.table, r.row, r.boxed = &noRows, 0, nil
	return nil
}
