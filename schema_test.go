package tursoopt_test

import (
	"context"
	"slices"
	"testing"
)

// A stream that is used again gives the columns of now, whoever has changed the
// schema meanwhile: sqld would give those that its connection knew before.
func TestSchemaChangedByOthers(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		if e.file {
			return // its driver's affair
		}
		db, other := e.open(t, "lanes=1"), e.open(t)
		if !e.native {
			db = e.open(t)
		}
		mustExec(t, other, "CREATE TABLE t (a INT)")
		mustExec(t, other, "INSERT INTO t VALUES (1)")
		read := func(q execer, query string) []string {
			t.Helper()
			rows, err := q.QueryContext(context.Background(), query)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var got []string
			types, err := rows.ColumnTypes()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range types {
				got = append(got, c.Name())
				if e.native {
					got = append(got, c.DatabaseTypeName())
				}
			}
			values := make([]any, len(types))
			for i := range values {
				values[i] = new(any)
			}
			for rows.Next() {
				if err := rows.Scan(values...); err != nil {
					t.Fatal(err)
				}
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			return got
		}
		columns := func(c ...string) []string {
			if e.native {
				return c
			}
			names := []string{}
			for i := 0; i < len(c); i += 2 {
				names = append(names, c[i])
			}
			return names
		}
		const star = "SELECT *, typeof(a) FROM t"
		for range 2 {
			if got := read(db, star); !slices.Equal(got, columns("a", "INT", "typeof(a)", "")) {
				t.Errorf("before: %q", got)
			}
		}
		mustExec(t, other, "ALTER TABLE t ADD COLUMN b TEXT")
		if got := read(db, star); !slices.Equal(got, columns("a", "INT", "b", "TEXT", "typeof(a)", "")) {
			t.Errorf("a read: %q", got)
		}
		mustExec(t, other, "ALTER TABLE t ADD COLUMN c REAL")
		want := columns("a", "INT", "b", "TEXT", "c", "REAL", "typeof(a)", "")
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if got := read(tx, star); !slices.Equal(got, want) {
			t.Errorf("the first of a transaction: %q", got)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		mustExec(t, other, "ALTER TABLE t ADD COLUMN d BLOB")
		if got := read(db, "INSERT INTO t (a) VALUES (2) RETURNING *"); !slices.Equal(got, columns("a", "INT", "b", "TEXT", "c", "REAL", "d", "BLOB")) {
			t.Errorf("RETURNING: %q", got)
		}
	})
}
