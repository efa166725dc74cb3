package tursoopt

import (
	"database/sql/driver"
	"reflect"
)

var (
	_ driver.Rows                           = baseRows{}
	_ driver.RowsNextResultSet              = baseRows{}
	_ driver.RowsColumnTypeDatabaseTypeName = baseRows{}
	_ driver.RowsColumnTypeLength           = baseRows{}
	_ driver.RowsColumnTypeNullable         = baseRows{}
	_ driver.RowsColumnTypePrecisionScale   = baseRows{}
	_ driver.RowsColumnTypeScanType         = baseRows{}
)

// baseRows are a base's rows, for what stands around them. What the base does not tell
// of its columns is what database/sql tells then.
type baseRows struct{ driver.Rows }

func (r baseRows) HasNextResultSet() bool {
	n, ok := r.Rows.(driver.RowsNextResultSet)
	return ok && n.HasNextResultSet()
}

func (r baseRows) NextResultSet() error {
	return r.Rows.(driver.RowsNextResultSet).NextResultSet()
}

func (r baseRows) ColumnTypeDatabaseTypeName(i int) string {
	if t, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return t.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

func (r baseRows) ColumnTypeLength(i int) (int64, bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypeLength); ok {
		return t.ColumnTypeLength(i)
	}
	return 0, false
}

func (r baseRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return t.ColumnTypeNullable(i)
	}
	return false, false
}

func (r baseRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypePrecisionScale); ok {
		return t.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}

func (r baseRows) ColumnTypeScanType(i int) reflect.Type {
	if t, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return t.ColumnTypeScanType(i)
	}
	return typeAny
}
