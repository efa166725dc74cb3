package hranatest

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A query is a statement that is ready to be executed: parsed, with arguments
// that are of one sort.
type query struct {
	command
	args  []exec.Value
	named []hrana.NamedArg
	// wantRows is false if the rows are not to be sent.
	wantRows bool
}

// inserts and updates tell what a result says about rows.
func (q *query) inserts() bool {
	return q.kind == sqltext.Insert || q.kind == sqltext.Replace
}

func (q *query) updates() bool {
	return q.inserts() || q.kind == sqltext.Update || q.kind == sqltext.Delete
}

// A sink takes a statement's rows as they come.
type sink interface {
	// begin is told the columns and gives the table that the rows go to.
	begin(cols []exec.Column) (*exec.Table, error)
	// row is called when a row is complete, with its size as sqld estimates it.
	row(size int) error
}

// execute runs one statement; c is locked. The error is a *refusal if it is the
// statement's alone, otherwise it ends the request.
func (c *conn) execute(ctx context.Context, q *query, s sink) (*exec.Result, error) {
	c.engine.statements.Add(1)
	start := time.Now()
	c.interruptBy(ctx)
	stmt, _, err := c.db.Prepare(q.sql)
	if err != nil {
		if bad := syntaxErrorOf(err, q.sql); bad != nil && strings.IndexByte(q.sql, 0) < 0 {
			return nil, bad.refusal(q.sql, bad.at)
		}
		return nil, sqliteRefusal(err, q.sql)
	}
	if stmt == nil {
		return nil, errNoStmt
	}
	defer c.settle()
	defer stmt.Close()
	table, err := s.begin(columns(stmt))
	if err != nil {
		return nil, err
	}
	if err := bind(stmt, q); err != nil {
		return nil, err
	}
	total := c.db.TotalChanges()
	if !stmt.ReadOnly() {
		if !c.engine.gate.enter(c) {
			return nil, errServerClosed
		}
		// It may have waited for its turn longer than its client.
		c.interruptBy(ctx)
	}
	rows := 0
	for stmt.Step() {
		rows++
		if !q.wantRows {
			continue
		}
		size, err := appendRow(table, stmt)
		if err != nil {
			return nil, err
		}
		if err := s.row(size); err != nil {
			return nil, err
		}
	}
	if err := stmt.Err(); err != nil {
		return nil, sqliteRefusal(err, q.sql)
	}
	written := int(c.db.TotalChanges() - total)
	res := &exec.Result{
		RowsRead:    uint64(max(rows, written, scanned(stmt))),
		RowsWritten: uint64(written),
		ServerTime:  time.Since(start),
	}
	if q.updates() {
		res.RowsAffected = c.db.Changes()
	}
	if q.inserts() {
		res.LastInsertID = c.db.LastInsertRowID()
	}
	if q.sets {
		c.set = true
	}
	return res, nil
}

// scanned is how many rows scans of whole tables have read. What is read by an
// index SQLite does not count; libSQL, which does, knows more.
func scanned(stmt *sqlite3.Stmt) int {
	steps := stmt.Status(sqlite3.STMTSTATUS_FULLSCAN_STEP, false)
	if steps > 0 {
		steps++ // the first row takes none
	}
	return steps
}

// interruptBy has the statement broken off when ctx ends. If it has ended
// before, the statement is run all the same, as sqld does: a client that goes
// away stops what is running, and what was to come after it may still run.
func (c *conn) interruptBy(ctx context.Context) {
	if ctx.Err() != nil {
		ctx = c.engine.lifetime
	}
	c.db.SetInterrupt(ctx)
}

func columns(stmt *sqlite3.Stmt) []exec.Column {
	n := stmt.ColumnCount()
	if n == 0 {
		return nil
	}
	cols := make([]exec.Column, n)
	for i := range cols {
		cols[i] = exec.Column{Name: stmt.ColumnName(i), Decltype: stmt.ColumnDeclType(i)}
	}
	return cols
}

// appendRow adds stmt's row to t. Its size is sqld's estimate of the row in
// JSON; blobs count as they are, without base64.
func appendRow(t *exec.Table, stmt *sqlite3.Stmt) (size int, err error) {
	for i := range t.Width() {
		switch stmt.ColumnType(i) {
		case sqlite3.INTEGER:
			v := stmt.ColumnInt64(i)
			t.AppendInt(v)
			size += len(`{"type":"integer","value":""}`) + digits(v)
		case sqlite3.FLOAT:
			v := stmt.ColumnFloat(i)
			t.AppendFloat(v)
			size += len(`{"type":"float","value":"}`) + decimals(v)
		case sqlite3.TEXT:
			text := stmt.ColumnRawText(i)
			if !utf8.Valid(text) {
				return 0, internal(invalidUTF8(text))
			}
			t.AppendBytes(exec.Text, text)
			size += len(`{"type":"text","value":""}`) + len(text)
		case sqlite3.BLOB:
			blob := stmt.ColumnRawBlob(i)
			t.AppendBytes(exec.Blob, blob)
			size += len(blob)
		default:
			t.AppendNull()
			size += len(`{"type":"null"}`)
		}
	}
	t.EndRow()
	return size, nil
}

// decimals is the length of a float as Rust writes it, which is never with an
// exponent.
func decimals(v float64) int {
	if math.IsInf(v, 1) {
		return len("inf")
	} else if math.IsInf(v, -1) {
		return len("-inf")
	}
	var buf [32]byte
	return len(strconv.AppendFloat(buf[:0], v, 'f', -1, 64))
}

func digits(v int64) int {
	n := 1
	for ; v <= -10 || v >= 10; v /= 10 {
		n++
	}
	if v < 0 {
		n++
	}
	return n
}
