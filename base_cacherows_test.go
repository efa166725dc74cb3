package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// Whoever gets a kept answer sees of it what he would see of the base's, in whatever way
// he has asked.
func TestBaseCacheGivesWhatTheBaseGives(t *testing.T) {
	inModes(t, cachedBases, func(t *testing.T, e *env) {
		db, plain := e.cached(t), e.open(t)
		mustExec(t, db, `CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT NOT NULL, b BLOB, f REAL, at DATETIME, ok BOOLEAN, d DECIMAL(5, 2), n);
			INSERT INTO t VALUES (1, 'a', x'00ff', 1.5, '2024-01-02 03:04:05', 1, 2.5, NULL), (2, '', x'', -0.0, NULL, 0, 3, 'x'), (3, 'c', NULL, 9e99, 5, NULL, 'y', 7)`)
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
		for _, q := range []struct {
			query string
			args  []any
		}{
			{"SELECT * FROM t ORDER BY id", nil},
			{"SELECT * FROM t WHERE id = ?", []any{1}},
			{"SELECT *, typeof(?) FROM t WHERE id = :id", []any{"x", 1}},
			{"SELECT typeof(:x), :x FROM t WHERE id = 1", []any{sql.Named("x", 1.0)}},
			{"SELECT s FROM t WHERE id = 99", nil},
			{"SELECT typeof(?), typeof(?) FROM t WHERE id = 1", []any{[]byte("x"), nil}},
		} {
			for _, prepared := range []bool{false, true} {
				want := seeRows(t, plain, prepared, q.query, q.args...)
				for i := range 3 {
					before := cacheStats(t, db).Hits
					got := seeRows(t, db, prepared, q.query, q.args...)
					tursoopt.CacheWait(db)
					if got != want {
						t.Errorf("%s, %v, time %d:\n%s\nof the base:\n%s", q.query, prepared, i, got, want)
					}
					if hit := cacheStats(t, db).Hits > before; hit != (i > 0) && !strings.Contains(want, "error") {
						t.Errorf("%s, %v, time %d: hit %v", q.query, prepared, i, hit)
					}
				}
			}
		}
		// Types are told apart.
		for range 2 {
			for arg, want := range map[any]string{1: "integer", 1.0: "real", "1": "text", true: "integer", nil: "null"} {
				var got string
				if err := db.QueryRow("SELECT typeof(?)", arg).Scan(&got); err != nil || got != want {
					t.Errorf("typeof(%T) = %q, %v", arg, got, err)
				}
			}
		}
	})
}

// seeRows is all that a query shows.
func seeRows(t *testing.T, db *sql.DB, prepared bool, query string, args ...any) string {
	t.Helper()
	var rows *sql.Rows
	var err error
	if prepared {
		s, perr := db.Prepare(query)
		if perr != nil {
			t.Fatal(perr)
		}
		defer s.Close()
		rows, err = s.Query(args...)
	} else {
		rows, err = db.Query(query, args...)
	}
	if err != nil {
		return "error " + err.Error()
	}
	defer rows.Close()
	var b strings.Builder
	show := func() {
		types, err := rows.ColumnTypes()
		fmt.Fprintln(&b, err)
		for _, c := range types {
			length, hasLength := c.Length()
			null, hasNull := c.Nullable()
			precision, scale, hasPrecision := c.DecimalSize()
			fmt.Fprintln(&b, c.Name(), c.DatabaseTypeName(), c.ScanType(), length, hasLength, null, hasNull, precision, scale, hasPrecision)
		}
	}
	show()
	for n := 0; rows.Next(); n++ {
		if n == 0 {
			show()
		}
		cols, _ := rows.Columns()
		values, dest := make([]any, len(cols)), make([]any, len(cols))
		for i := range dest {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(&b, "%T(%v) ", v, v)
			if x, ok := v.([]byte); ok {
				clear(x) // nobody's but ours
			}
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintln(&b, rows.Err(), rows.NextResultSet(), rows.Close())
	return b.String()
}

// What is too large is given as it comes, and not kept.
func TestBaseCacheAndLargeResults(t *testing.T) {
	inModes(t, cachedBases, func(t *testing.T, e *env) {
		db := e.open(t, "cache=64KiB", "cache_lease=1h")
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"+
			" SELECT i, printf('%.*c', 100, 'x') FROM n")
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
		const q = "SELECT id, s FROM t ORDER BY id"
		for range 3 {
			rows, err := db.Query(q)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for rows.Next() {
				var id int
				var s string
				if err := rows.Scan(&id, &s); err != nil || id != n+1 || len(s) != 100 {
					t.Fatalf("row %d is %d, %q, %v", n, id, s, err)
				}
				if n++; n == 200 { // a write beside it does not change what is read
					mustExec(t, db, "UPDATE t SET id = id WHERE id = 1")
				}
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 400 {
				t.Fatalf("%d rows, %v", n, err)
			}
		}
		tursoopt.CacheWait(db)
		if s := cacheStats(t, db); s.Fills != 0 || s.Misses != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// Compressed columns are kept as what they stand for, and are written by the same texts.
func TestBaseCacheAndCompression(t *testing.T) {
	inModes(t, cachedBases, func(t *testing.T, e *env) {
		db := e.cached(t, "compress_columns=docs.body,docs.raw", "compress_min=0")
		mustExec(t, db, "CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT, raw BLOB)")
		value := func(n int) (string, []byte) {
			s := strings.Repeat(fmt.Sprintf("value %d, ", n), 100)
			return s, []byte(s + "raw")
		}
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
		body, raw := value(0)
		mustExec(t, db, "INSERT INTO docs VALUES (1, ?, ?)", body, raw)
		for n := range 3 {
			for i := range 3 {
				var gotBody string
				var gotRaw []byte
				before := cacheStats(t, db).Hits
				if err := db.QueryRow("SELECT body, raw FROM docs WHERE id = ?", 1).Scan(&gotBody, &gotRaw); err != nil {
					t.Fatal(err)
				}
				tursoopt.CacheWait(db)
				if body, raw := value(n); gotBody != body || !bytes.Equal(gotRaw, raw) {
					t.Errorf("round %d, time %d: %.20q, %.20q", n, i, gotBody, gotRaw)
				}
				if hit := cacheStats(t, db).Hits > before; hit != (i > 0) {
					t.Errorf("round %d, time %d: hit %v", n, i, hit)
				}
			}
			body, raw := value(n + 1)
			mustExec(t, db, "UPDATE docs SET body = ?, raw = ? WHERE id = ?", body, raw, 1)
		}
		// What the guard refuses has not been sent: nothing is lost by it.
		if _, err := db.Exec("UPDATE docs SET body = upper(body)"); err == nil {
			t.Error("a text that would change a frame is not refused")
		}
		if n := cacheStats(t, db); n.Lost != 0 {
			t.Errorf("%+v", n)
		}
		if s, _ := tursoopt.StatsOf(db); s.Compression.Columns[0].Stored < 4 {
			t.Errorf("nothing was compressed: %+v", s.Compression)
		}
	})
}
