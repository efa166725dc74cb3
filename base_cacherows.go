package tursoopt

import (
	"bytes"
	"context"
	"database/sql/driver"
	"io"
	"reflect"
	"time"
)

// A baseResult is what a base's rows have given, as it is kept: nobody changes it.
type baseResult struct {
	columns []string
	values  []driver.Value // row by row
	rows    int            // counted here, since a row may have no columns
	// types are what the base says of its columns before the first row, and first
	// what it says at the first: some look at the values. nil if it says nothing.
	types, first []columnType
	size         int64
}

// A columnType is what a base says of a column; what it does not say is what
// database/sql says then.
type columnType struct {
	name              string
	length            int64
	hasLength         bool
	nullable, hasNull bool
	precision, scale  int64
	hasPrecision      bool
	scan              reflect.Type
}

// Size is part of cache.Result.
func (r *baseResult) Size() int64 { return r.size }

// What parts of a result take in memory, in bytes.
const (
	valueSize  = 16 // an interface, without what it points to
	boxSize    = 24 // what it points to, at most, without a text's bytes
	columnSize = 16
	typeSize   = 96
	ownSize    = 160
)

// takeRows reads rows to their end, which is whole, or to an error of theirs. It is not whole if
// it would be larger than largest, if a value is of a type that may change, and if
// there are more result sets: the rows then go on behind what has been read.
func takeRows(rows driver.Rows, largest int64) (r *baseResult, whole bool, err error) {
	r = &baseResult{columns: append([]string(nil), rows.Columns()...), size: ownSize}
	for _, name := range r.columns {
		r.size += columnSize + int64(len(name))
	}
	r.types = columnTypes(rows, len(r.columns))
	for {
		at := len(r.values)
		r.values = append(r.values, make([]driver.Value, len(r.columns))...)
		if err = rows.Next(r.values[at:]); err != nil {
			r.values = r.values[:at]
			break
		}
		r.rows++
		if r.rows == 1 {
			r.first = columnTypes(rows, len(r.columns))
			r.size += typeSize * int64(len(r.types)+len(r.first))
		}
		known := true
		for i, v := range r.values[at:] {
			r.size += valueSize + boxSize
			switch x := v.(type) {
			case nil, int64, float64, bool, time.Time:
			case string:
				r.size += int64(len(x))
			case []byte:
				r.values[at+i] = bytes.Clone(x) // the driver's until its next row
				r.size += int64(len(x))
			default:
				known = false
			}
		}
		if !known || r.size > largest {
			return r, false, nil
		}
	}
	if err != io.EOF {
		return r, true, err
	}
	if n, ok := rows.(driver.RowsNextResultSet); ok && n.HasNextResultSet() {
		return r, false, nil
	}
	r.values = append(make([]driver.Value, 0, len(r.values)), r.values...)
	return r, true, nil
}

// columnTypes asks for all that rows say of their columns; nil if that is nothing.
func columnTypes(rows driver.Rows, n int) []columnType {
	switch rows.(type) {
	case driver.RowsColumnTypeDatabaseTypeName, driver.RowsColumnTypeLength, driver.RowsColumnTypeNullable,
		driver.RowsColumnTypePrecisionScale, driver.RowsColumnTypeScanType:
	default:
		return nil
	}
	b := baseRows{rows}
	types := make([]columnType, n)
	for i := range types {
		t := &types[i]
		t.name = b.ColumnTypeDatabaseTypeName(i)
		t.length, t.hasLength = b.ColumnTypeLength(i)
		t.nullable, t.hasNull = b.ColumnTypeNullable(i)
		t.precision, t.scale, t.hasPrecision = b.ColumnTypePrecisionScale(i)
		t.scan = b.ColumnTypeScanType(i)
	}
	return types
}

// keptRows are the rows of a baseResult.
type keptRows struct {
	*baseResult
	row int
	// err is what comes in place of the end, and closing what Close gives.
	err, closing error
}

var (
	_ driver.Rows                           = (*keptRows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*keptRows)(nil)
	_ driver.RowsColumnTypeLength           = (*keptRows)(nil)
	_ driver.RowsColumnTypeNullable         = (*keptRows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*keptRows)(nil)
	_ driver.RowsColumnTypeScanType         = (*keptRows)(nil)
)

func (r *keptRows) Columns() []string { return append([]string(nil), r.columns...) }

func (r *keptRows) Next(dest []driver.Value) error {
	if r.row == r.rows {
		if r.err != nil {
			return r.err
		}
		return io.EOF
	}
	n := len(r.columns)
	for i, v := range r.values[r.row*n : (r.row+1)*n] {
		if b, ok := v.([]byte); ok {
			v = append([]byte{}, b...) // a Scanner and RawBytes get it as it is
		}
		dest[i] = v
	}
	r.row++
	return nil
}

// Close gives the base's error.
func (r *keptRows) Close() error {
	r.row = r.rows
	return r.closing
}

// column is what is known of a column where the rows stand.
func (r *keptRows) column(i int) columnType {
	switch {
	case r.row > 0 && r.first != nil:
		return r.first[i]
	case r.types != nil:
		return r.types[i]
	}
	return columnType{scan: typeAny}
}

func (r *keptRows) ColumnTypeDatabaseTypeName(i int) string { return r.column(i).name }
func (r *keptRows) ColumnTypeScanType(i int) reflect.Type   { return r.column(i).scan }

func (r *keptRows) ColumnTypeLength(i int) (int64, bool) {
	t := r.column(i)
	return t.length, t.hasLength
}

func (r *keptRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	t := r.column(i)
	return t.nullable, t.hasNull
}

func (r *keptRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	t := r.column(i)
	return t.precision, t.scale, t.hasPrecision
}

// headRows are a base's rows of which the first have been read.
type headRows struct {
	baseRows
	head *baseResult
	row  int
}

func (r *headRows) Next(dest []driver.Value) error {
	if r.row == r.head.rows {
		return r.Rows.Next(dest)
	}
	n := len(r.head.columns)
	copy(dest, r.head.values[r.row*n:(r.row+1)*n])
	r.row++
	return nil
}

// stmtRows are the rows of a statement that ends with them.
type stmtRows struct {
	baseRows
	stmt driver.Stmt
}

// Close closes the rows first, as database/sql does.
func (r *stmtRows) Close() error {
	err := r.Rows.Close()
	_ = r.stmt.Close()
	return err
}

// watchedRows are rows that are open on a connection, and may be a write that has not ended
// yet: SQLite runs a statement as its rows are read.
type watchedRows struct {
	baseRows
	ctx  context.Context
	run  baseRun
	err  error // what has ended them, nil after the last row too
	read bool  // they have ended
	over bool
}

func (w *baseWatch) follow(ctx context.Context, rows driver.Rows, r baseRun) driver.Rows {
	w.rows++
	if r.write != nil {
		w.writing++
	}
	return &watchedRows{baseRows: baseRows{rows}, ctx: ctx, run: r}
}

func (r *watchedRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err != nil {
		r.read = true
		if err != io.EOF {
			r.err = err
		}
	}
	return err
}

func (r *watchedRows) Close() error {
	err := r.Rows.Close()
	if r.over {
		return err
	}
	r.over = true
	w := r.run.watch
	if w.rows--; r.run.write != nil {
		w.writing--
	}
	switch {
	case r.err != nil:
	case err != nil:
		r.err = err
	case !r.read:
		r.err = r.ctx.Err()
	}
	r.run.end(r.ctx, r.err)
	return err
}
