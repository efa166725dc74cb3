package tursoopt

import (
	"database/sql"
	"errors"
)

// BatchResults gives the results of a batch one after the other: each call of
// Exec, Query or QueryRow is about the next statement. It is not safe for
// concurrent use, and it holds a connection until Close.
type BatchResults struct {
	call *batchCall
	rows *sql.Rows
	next int // the result set that rows is at, -1 before the first
	read int // statements whose results have been asked for
	done bool
}

var errNoMore = errors.New("turso-opt: the batch has no more results")

// outcome is what became of the next statement. It is known, whatever happens to the
// rows.
func (r *BatchResults) outcome() (batchResult, error) {
	if r.done || r.read >= len(r.call.results) {
		return batchResult{}, errNoMore
	}
	res := r.call.results[r.read]
	r.read++
	return res, res.err
}

// advance goes to the result set of the statement whose outcome was read last.
func (r *BatchResults) advance() error {
	for r.next < r.read-1 {
		if r.next >= 0 && !r.rows.NextResultSet() {
			if err := r.rows.Err(); err != nil {
				// Its context has ended, which makes nothing of the statement undone.
				return &sentError{err}
			}
			return errNoMore
		}
		r.next++
	}
	return nil
}

// Exec reads the next statement's result; the rows it may have given are passed
// over. It is what the server has answered even if the context has ended since.
func (r *BatchResults) Exec() (sql.Result, error) {
	res, err := r.outcome()
	if err != nil {
		return nil, err
	}
	return res.result, nil
}

// Query reads the next statement's rows, which are valid until the next call. If the
// context has ended since the batch was sent there are none to be read, and the error
// is one of OutcomeUnknown: the statement has been executed.
func (r *BatchResults) Query() (*BatchRows, error) {
	if _, err := r.outcome(); err != nil {
		return nil, err
	}
	if err := r.advance(); err != nil {
		return nil, err
	}
	return &BatchRows{r: r, set: r.next}, nil
}

// QueryRow reads the next statement's first row; an error is told by Scan.
func (r *BatchResults) QueryRow() *BatchRow {
	rows, err := r.Query()
	return &BatchRow{rows, err}
}

// Close ends the reading and gives the connection back. Its error is the first
// that a statement failed with and nobody has read.
func (r *BatchResults) Close() error {
	if r.done {
		return nil
	}
	r.done = true
	var err error
	for _, res := range r.call.results[r.read:] {
		if res.err != nil {
			err = res.err
			break
		}
	}
	if r.rows != nil {
		err = errors.Join(err, r.rows.Close())
	}
	return err
}

// BatchRows are the rows of one statement of a batch; its methods are those of
// sql.Rows.
type BatchRows struct {
	r    *BatchResults
	set  int // the statement
	done bool
	err  error
}

// Next goes to the next row.
func (b *BatchRows) Next() bool {
	if b.done || b.set != b.r.read-1 || b.r.done {
		return false
	}
	if b.r.rows.Next() {
		return true
	}
	b.done, b.err = true, b.r.rows.Err()
	return false
}

var errMovedOn = errors.New("turso-opt: the batch has gone on to other results")

// Scan reads the current row.
func (b *BatchRows) Scan(dest ...any) error {
	if b.set != b.r.read-1 || b.r.done {
		return errMovedOn
	}
	return b.r.rows.Scan(dest...)
}

// Columns are the names of the columns.
func (b *BatchRows) Columns() ([]string, error) {
	if b.set != b.r.read-1 || b.r.done {
		return nil, errMovedOn
	}
	return b.r.rows.Columns()
}

// ColumnTypes are the types of the columns.
func (b *BatchRows) ColumnTypes() ([]*sql.ColumnType, error) {
	if b.set != b.r.read-1 || b.r.done {
		return nil, errMovedOn
	}
	return b.r.rows.ColumnTypes()
}

// Err is what ended Next, if it was not the last row.
func (b *BatchRows) Err() error { return b.err }

// Close passes over the rows that are left; the batch goes on.
func (b *BatchRows) Close() error {
	b.done = true
	return nil
}

// BatchRow is the first row of one statement of a batch.
type BatchRow struct {
	rows *BatchRows
	err  error
}

// Scan reads the row, or gives sql.ErrNoRows if there is none.
func (b *BatchRow) Scan(dest ...any) error {
	if b.err != nil {
		return b.err
	}
	defer b.rows.Close()
	if !b.rows.Next() {
		if err := b.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return b.rows.Scan(dest...)
}

// Err is the statement's error, without reading the row.
func (b *BatchRow) Err() error { return b.err }
