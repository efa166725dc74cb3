package tursoopt_test

import (
	"context"
	"database/sql"
	"reflect"
	"testing"
)

// A wantType is what is known of a column that is declared so.
type wantType struct {
	decl string
	name string
	scan reflect.Type
	// length is -1 where there is none.
	length           int64
	precision, scale int64 // -1 where there is none
}

var columnTypes = []wantType{
	{"INTEGER", "INTEGER", reflect.TypeFor[sql.NullInt64](), -1, -1, -1},
	{"bigint", "BIGINT", reflect.TypeFor[sql.NullInt64](), -1, -1, -1},
	{"UNSIGNED BIG INT", "UNSIGNED BIG INT", reflect.TypeFor[sql.NullInt64](), -1, -1, -1},
	{"int(11)", "INT", reflect.TypeFor[sql.NullInt64](), -1, -1, -1},
	{"BOOLEAN", "BOOLEAN", reflect.TypeFor[sql.NullBool](), -1, -1, -1},
	{"bool", "BOOL", reflect.TypeFor[sql.NullBool](), -1, -1, -1},
	{"TEXT", "TEXT", reflect.TypeFor[sql.NullString](), -1, -1, -1},
	{"varchar(255)", "VARCHAR", reflect.TypeFor[sql.NullString](), 255, -1, -1},
	{"NVARCHAR ( 40 )", "NVARCHAR", reflect.TypeFor[sql.NullString](), 40, -1, -1},
	{"CLOB", "CLOB", reflect.TypeFor[sql.NullString](), -1, -1, -1},
	{"BLOB", "BLOB", reflect.TypeFor[[]byte](), -1, -1, -1},
	{"F32_BLOB(3)", "F32_BLOB", reflect.TypeFor[[]byte](), 3, -1, -1},
	{"REAL", "REAL", reflect.TypeFor[sql.NullFloat64](), -1, -1, -1},
	{"double precision", "DOUBLE PRECISION", reflect.TypeFor[sql.NullFloat64](), -1, -1, -1},
	{`"DOUBLE (8) PRECISION"`, "DOUBLE PRECISION", reflect.TypeFor[sql.NullFloat64](), -1, -1, -1},
	{"FLOAT", "FLOAT", reflect.TypeFor[sql.NullFloat64](), -1, -1, -1},
	{"decimal(10,5)", "DECIMAL", reflect.TypeFor[any](), -1, 10, 5},
	{"NUMERIC(7)", "NUMERIC", reflect.TypeFor[any](), -1, 7, 0},
	{"NUMERIC", "NUMERIC", reflect.TypeFor[any](), -1, -1, -1},
	{"DATE", "DATE", reflect.TypeFor[sql.NullTime](), -1, -1, -1},
	{"datetime", "DATETIME", reflect.TypeFor[sql.NullTime](), -1, -1, -1},
	{"TIMESTAMP(3)", "TIMESTAMP", reflect.TypeFor[sql.NullTime](), -1, -1, -1},
	{"timestamp with time zone", "TIMESTAMP WITH TIME ZONE", reflect.TypeFor[sql.NullTime](), -1, -1, -1},
	{"TIME", "TIME", reflect.TypeFor[any](), -1, -1, -1},
	{"JSON", "JSON", reflect.TypeFor[any](), -1, -1, -1},
	{"whatever", "WHATEVER", reflect.TypeFor[any](), -1, -1, -1},
	{"", "", reflect.TypeFor[any](), -1, -1, -1},
}

func checkColumnType(t *testing.T, got *sql.ColumnType, want wantType) {
	t.Helper()
	if got.DatabaseTypeName() != want.name || got.ScanType() != want.scan {
		t.Errorf("%q is a %q scanned into %v", want.decl, got.DatabaseTypeName(), got.ScanType())
	}
	if length, ok := got.Length(); ok != (want.length >= 0) || ok && length != want.length {
		t.Errorf("%q has the length %d, %v", want.decl, length, ok)
	}
	if p, s, ok := got.DecimalSize(); ok != (want.precision >= 0) || ok && (p != want.precision || s != want.scale) {
		t.Errorf("%q has the size %d, %d, %v", want.decl, p, s, ok)
	}
	if nullable, ok := got.Nullable(); ok {
		t.Errorf("%q is said to be nullable: %v", want.decl, nullable)
	}
}

func TestColumnTypes(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		for _, want := range columnTypes {
			mustExec(t, db, "DROP TABLE IF EXISTS t")
			mustExec(t, db, "CREATE TABLE t (c "+want.decl+")")
			mustExec(t, db, "INSERT INTO t VALUES (?), (NULL)", 1)
			rows, err := db.QueryContext(ctx, "SELECT c, c AS other, c || '' FROM t WHERE c IS NULL")
			if err != nil {
				t.Fatalf("%q: %v", want.decl, err)
			}
			types, err := rows.ColumnTypes()
			if err != nil {
				t.Fatal(err)
			}
			checkColumnType(t, types[0], want)
			checkColumnType(t, types[1], want)
			checkColumnType(t, types[2], wantType{"an expression", "", reflect.TypeFor[any](), -1, -1, -1})
			if types[0].Name() != "c" || types[1].Name() != "other" || types[2].Name() != "c || ''" {
				t.Errorf("the columns are called %q, %q, %q", types[0].Name(), types[1].Name(), types[2].Name())
			}
			if !rows.Next() {
				t.Fatal(rows.Err())
			}
			var skip any
			if err := rows.Scan(reflect.New(types[0].ScanType()).Interface(), &skip, &skip); err != nil {
				t.Errorf("%q: NULL does not go into %v: %v", want.decl, types[0].ScanType(), err)
			}
			_ = rows.Close()
		}
	})
}

// The types stand before any row is there, and through a view, and the declared
// values go into the scan types.
func TestColumnTypesOfNoRowsAndViews(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (i INTEGER, b BOOLEAN, s VARCHAR(9), x BLOB, r REAL, at DATETIME)")
		mustExec(t, db, "CREATE VIEW v AS SELECT i, b, s, x, r, at FROM t")
		for range 2 {
			for _, from := range []string{"t", "v", "(SELECT * FROM v)"} {
				rows, err := db.Query("SELECT * FROM " + from)
				if err != nil {
					t.Fatal(err)
				}
				types, err := rows.ColumnTypes()
				if err != nil {
					t.Fatal(err)
				}
				dest := make([]any, len(types))
				for i, want := range []string{"INTEGER", "BOOLEAN", "VARCHAR", "BLOB", "REAL", "DATETIME"} {
					if types[i].DatabaseTypeName() != want {
						t.Errorf("column %d of %s is a %q", i, from, types[i].DatabaseTypeName())
					}
					dest[i] = reflect.New(types[i].ScanType()).Interface()
				}
				for rows.Next() {
					if err := rows.Scan(dest...); err != nil {
						t.Error(err)
					}
				}
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
			}
			mustExec(t, db, "INSERT INTO t VALUES (1, 1, 'x', x'00', 1.5, '2024-01-02 03:04:05'), (NULL, 0, NULL, NULL, NULL, NULL)")
		}
	})
}

// With parse_time=off a column of times is text.
func TestColumnTypesOfTimesAsText(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t, "parse_time=off")
		mustExec(t, db, "CREATE TABLE t (at DATETIME)")
		rows, err := db.Query("SELECT at FROM t")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			t.Fatal(err)
		}
		checkColumnType(t, types[0], wantType{"DATETIME", "DATETIME", reflect.TypeFor[sql.NullString](), -1, -1, -1})
	})
}

// On another base they are the base's own, which has none.
func TestColumnTypesOfBase(t *testing.T) {
	inModes(t, otherModes[:1], func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (c VARCHAR(5))")
		rows, err := db.Query("SELECT c FROM t")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			t.Fatal(err)
		}
		checkColumnType(t, types[0], wantType{"nothing", "", reflect.TypeFor[any](), -1, -1, -1})
	})
}
