package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// An Execer runs statements: *sql.DB, *sql.Conn, *sql.Tx, and what wraps them.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Sizes of one statement of a BulkInsert. Larger ones save nothing that can be
// measured, and keep other writers waiting for longer.
const (
	bulkRows  = 5000
	bulkBytes = 1 << 20
	// bulkValues bounds the parameters of a statement that lists its values:
	// SQLite allows 32766.
	bulkValues = 32766
)

// A BulkOption changes how BulkInsert inserts.
type BulkOption func(*bulk)

// BulkChunked commits each chunk of rows by itself, instead of all of them in
// one transaction. What is in when an error comes stays in; BulkError tells how
// many rows that are.
func BulkChunked() BulkOption { return func(b *bulk) { b.chunked = true } }

// BulkChunkRows is how many rows one statement inserts at most, by default 5000.
// A chunk also ends at about 1 MiB.
func BulkChunkRows(n int) BulkOption { return func(b *bulk) { b.chunkRows = n } }

// BulkIgnore leaves out rows that violate a uniqueness constraint (OR IGNORE).
func BulkIgnore() BulkOption { return func(b *bulk) { b.or = " OR IGNORE" } }

// BulkReplace has rows replace those that they conflict with (OR REPLACE).
func BulkReplace() BulkOption { return func(b *bulk) { b.or = " OR REPLACE" } }

// BulkUpsert updates the columns of the row that is there already if one with the
// same key exists (ON CONFLICT DO UPDATE). Without columns to update it leaves
// that row as it is.
func BulkUpsert(key []string, update ...string) BulkOption {
	return func(b *bulk) {
		var s strings.Builder
		s.WriteString(" ON CONFLICT(" + quoteAll(key) + ") DO ")
		if len(update) == 0 {
			s.WriteString("NOTHING")
		}
		for i, col := range update {
			if i == 0 {
				s.WriteString("UPDATE SET ")
			} else {
				s.WriteString(", ")
			}
			s.WriteString(quote(col) + "=excluded." + quote(col))
		}
		b.upsert = s.String()
	}
}

// BulkProgress calls f after each chunk, with the number of rows read so far. It
// is called on the goroutine of BulkInsert.
func BulkProgress(f func(rows int64)) BulkOption { return func(b *bulk) { b.progress = f } }

// A BulkError is what ended a BulkInsert.
type BulkError struct {
	// Rows is how many rows are in the database for certain; inside a *sql.Tx, in
	// the transaction.
	Rows int64
	// Read is how many rows had been read when it ended.
	Read int64
	Err  error
}

func (e *BulkError) Error() string {
	return fmt.Sprintf("turso-opt: bulk insert: %d rows are in, %d were read: %v", e.Rows, e.Read, e.Err)
}

func (e *BulkError) Unwrap() error { return e.Err }

// BulkInsert inserts rows into a table with as few round trips as it can, and
// returns how many rows the database says it has inserted or changed. All of it
// is one transaction unless BulkChunked is given; a few thousand rows fit into
// one statement and so into one round trip. Inside a *sql.Tx it is part of that.
//
// Each row has one value for each column, as an argument of Exec would be; the
// slice may be reused for the next row. If rows gives an error, BulkInsert ends
// with it and, unless chunked, nothing is inserted. Its own errors are
// *BulkErrors.
func BulkInsert(ctx context.Context, e Execer, table string, columns []string, rows iter.Seq2[[]any, error], opts ...BulkOption) (int64, error) {
	b := &bulk{e: e, table: table, columns: columns, chunkRows: bulkRows}
	for _, o := range opts {
		o(b)
	}
	if err := b.check(); err != nil {
		return 0, err
	}
	if rows == nil {
		return 0, errors.New("turso-opt: bulk insert: no rows")
	}
	err := b.run(ctx, rows)
	if err != nil {
		return b.in, &BulkError{Rows: b.in, Read: b.read, Err: err}
	}
	return b.in, nil
}

// bulk is a BulkInsert under way.
type bulk struct {
	e         Execer
	table     string
	columns   []string
	chunked   bool
	chunkRows int
	or        string
	upsert    string
	progress  func(int64)

	tx   *sql.Tx // its own
	buf  chunk
	read int64
	in   int64 // rows that count
	sent int64 // rows in a transaction that is not yet committed
	// noJSON: the database has no json_each, or compresses a column.
	noJSON bool
}

func (b *bulk) check() error {
	switch {
	case b.table == "":
		return errors.New("turso-opt: bulk insert: no table")
	case len(b.columns) == 0:
		return errors.New("turso-opt: bulk insert: no columns")
	case len(b.columns) > bulkValues:
		return fmt.Errorf("turso-opt: bulk insert: %d columns are more than SQLite allows", len(b.columns))
	case b.chunkRows < 1:
		return errors.New("turso-opt: bulk insert: a chunk has one row at least")
	case b.or != "" && b.upsert != "":
		return errors.New("turso-opt: bulk insert: one conflict policy, please")
	}
	return nil
}

func (b *bulk) run(ctx context.Context, rows iter.Seq2[[]any, error]) (err error) {
	defer func() {
		if b.tx != nil {
			err = errors.Join(err, ignoreDone(b.tx.Rollback()))
		}
	}()
	b.buf.reset(len(b.columns))
	for row, err := range rows {
		if err != nil {
			return err
		}
		if b.buf.full(b.chunkRows) {
			if err := b.flush(ctx, true); err != nil {
				return err
			}
		}
		b.read++
		if err := b.buf.add(row); err != nil {
			return fmt.Errorf("row %d: %w", b.read, err)
		}
	}
	if err := b.flush(ctx, false); err != nil {
		return err
	}
	if b.tx == nil {
		return nil
	}
	err = b.tx.Commit()
	b.tx = nil
	if err != nil {
		return err
	}
	b.in, b.sent = b.in+b.sent, 0
	return nil
}

// ignoreDone passes over what a Rollback says of a transaction that has ended.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) || errors.Is(err, ErrTxLost) {
		return nil
	}
	return err
}

// flush sends a chunk. If more will come, and all is to be one transaction, it
// begins one with the first.
func (b *bulk) flush(ctx context.Context, more bool) error {
	if b.buf.rows == 0 {
		return nil
	}
	if more && b.tx == nil && !b.chunked && !inTransaction(b.e) {
		db, ok := b.e.(Beginner)
		if !ok {
			return errors.New("so many rows need a transaction, which this Execer cannot begin; use BulkChunked")
		}
		tx, err := BeginTx(ctx, db, TxOptions{Lock: TxDeferred})
		if err != nil {
			return err
		}
		b.tx = tx
	}
	e := b.e
	if b.tx != nil {
		e = b.tx
	}
	n, err := b.send(ctx, e)
	if b.tx != nil {
		b.sent += n
	} else {
		b.in += n
	}
	if err != nil {
		return err
	}
	b.buf.reset(len(b.columns))
	if b.progress != nil {
		b.progress(b.read)
	}
	return nil
}

// inTransaction tells whether e is a transaction, *sql.Tx or what wraps it.
func inTransaction(e Execer) bool {
	_, ok := e.(interface {
		Commit() error
		Rollback() error
	})
	return ok
}

// send inserts the chunk by one statement, or by several if it must list its
// values and they are too many.
func (b *bulk) send(ctx context.Context, e Execer) (int64, error) {
	if !b.buf.blobs && !b.noJSON {
		n, err := affected(e.ExecContext(ctx, b.fromJSON(), bulkJSON{b.buf.json(), b.table, b.columns}))
		if err == nil || !lacksJSON(err) && !errors.Is(err, errListed) {
			return n, err
		}
		b.noJSON = true
	}
	width := len(b.columns)
	var sum int64
	if b.buf.rows*width > bulkValues && b.tx == nil && !b.chunked && !inTransaction(b.e) {
		return b.sendInTx(ctx)
	}
	for values := b.buf.values; len(values) > 0; {
		rows := min(len(values)/width, bulkValues/width)
		n, err := affected(e.ExecContext(ctx, b.listed(rows), values[:rows*width]...))
		if err != nil {
			return sum, err
		}
		sum += n
		values = values[rows*width:]
	}
	return sum, nil
}

// sendInTx is send for a chunk of several statements outside of a transaction.
func (b *bulk) sendInTx(ctx context.Context) (int64, error) {
	db, ok := b.e.(Beginner)
	if !ok {
		return 0, errors.New("so many values need a transaction, which this Execer cannot begin; use BulkChunked")
	}
	tx, err := BeginTx(ctx, db, TxOptions{Lock: TxDeferred})
	if err != nil {
		return 0, err
	}
	b.tx = tx
	return b.send(ctx, tx)
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// A bulkJSON is a chunk as one text. It tells a Connector that compresses a column
// of it, which it could not within the text.
type bulkJSON struct {
	text    string
	table   string
	columns []string
}

// Value is for drivers other than this one.
func (j bulkJSON) Value() (driver.Value, error) { return j.text, nil }

// errListed has a chunk sent as a list of values.
var errListed = errors.New("turso-opt: values of a compressed column travel by themselves")

// lacksJSON tells whether a database without json_each has said so.
func lacksJSON(err error) bool {
	return strings.Contains(err.Error(), "no such table: json_each") || strings.Contains(err.Error(), "no such function: json")
}

func (b *bulk) into() string {
	return "INSERT" + b.or + " INTO " + quoteTable(b.table) + " (" + quoteAll(b.columns) + ") "
}

// fromJSON takes all rows as one text: the server reads it four times as fast as
// a list of parameters, and the statement is the same whatever the number of
// rows. "WHERE 1" keeps ON CONFLICT from being read as a join's ON.
func (b *bulk) fromJSON() string {
	var s strings.Builder
	s.WriteString(b.into() + "SELECT ")
	for i := range b.columns {
		if i > 0 {
			s.WriteString(", ")
		}
		fmt.Fprintf(&s, "value->>%d", i)
	}
	s.WriteString(" FROM json_each(?) WHERE 1" + b.upsert)
	return s.String()
}

func (b *bulk) listed(rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(b.columns)), ",") + ")"
	return b.into() + "VALUES " + strings.TrimSuffix(strings.Repeat(row+",", rows), ",") + b.upsert
}

// quote makes an identifier of a name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteTable quotes a table's name, which may be preceded by a schema's.
func quoteTable(name string) string {
	if schema, table, ok := strings.Cut(name, "."); ok {
		return quote(schema) + "." + quote(table)
	}
	return quote(name)
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}
