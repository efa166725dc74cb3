package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	tursoopt "github.com/turso-opt/turso-opt"
)

// numbers are n rows of an integer and a text.
func numbers(from, n int) iter.Seq2[[]any, error] {
	row := make([]any, 2) // one for all: BulkInsert must not keep it
	return func(yield func([]any, error) bool) {
		for i := from; i < from+n; i++ {
			row[0], row[1] = i, fmt.Sprintf("row %d", i)
			if !yield(row, nil) {
				return
			}
		}
	}
}

func TestBulkInsert(t *testing.T) {
	inModesBeside(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, `CREATE TABLE "odd ""table" (id INTEGER PRIMARY KEY, "a b" TEXT)`)
		columns := []string{"id", "a b"}
		var progress []int64
		n, err := tursoopt.BulkInsert(ctx, db, `odd "table`, columns, numbers(0, 12_345),
			tursoopt.BulkProgress(func(n int64) { progress = append(progress, n) }))
		if n != 12_345 || err != nil {
			t.Fatalf("inserted %d, %v", n, err)
		}
		if len(progress) < 3 || progress[len(progress)-1] != 12_345 {
			t.Errorf("progress %v", progress)
		}
		if sum := queryInt(t, db, `SELECT sum(id) FROM "odd ""table" WHERE "a b" = 'row ' || id`); sum != 12_344*12_345/2 {
			t.Errorf("the sum is %d", sum)
		}
		if n, err := tursoopt.BulkInsert(ctx, db, `odd "table`, columns, numbers(0, 0)); n != 0 || err != nil {
			t.Errorf("no rows: %d, %v", n, err)
		}
	})
}

// A thousand rows are one statement and one request, and many are few.
func TestBulkInsertRoundTrips(t *testing.T) {
	inModesBeside(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t, "keepalive=0")
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
		waitNegotiated(t, db)
		for _, c := range []struct {
			rows     int
			requests uint64
		}{{1000, 1}, {20_000, 5}} {
			before := sent(t, db)
			if _, err := tursoopt.BulkInsert(context.Background(), db, "t", []string{"id", "a"}, numbers(c.rows*10, c.rows)); err != nil {
				t.Fatal(err)
			}
			if n := sent(t, db) - before; n != c.requests {
				t.Errorf("%d rows: %d requests, want %d", c.rows, n, c.requests)
			}
		}
	})
}

func TestBulkInsertThatFails(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
		columns := []string{"id", "a"}
		oops := errors.New("oops")
		failing := func(n int) iter.Seq2[[]any, error] {
			return func(yield func([]any, error) bool) {
				for row := range numbers(0, n) {
					if !yield(row, nil) {
						return
					}
				}
				yield(nil, oops)
			}
		}
		count := func() int64 { return queryInt(t, db, "SELECT count(*) FROM t") }

		// All or nothing, however many chunks went before.
		n, err := tursoopt.BulkInsert(ctx, db, "t", columns, failing(350), tursoopt.BulkChunkRows(100))
		var be *tursoopt.BulkError
		if n != 0 || !errors.Is(err, oops) || !errors.As(err, &be) || be.Rows != 0 || be.Read != 350 || count() != 0 {
			t.Errorf("an iterator that fails: %d, %v, %d rows", n, err, count())
		}
		// Chunk by chunk what is in stays in, and is told.
		n, err = tursoopt.BulkInsert(ctx, db, "t", columns, failing(350), tursoopt.BulkChunkRows(100), tursoopt.BulkChunked())
		if n != 300 || !errors.As(err, &be) || be.Rows != 300 || count() != 300 {
			t.Errorf("chunked: %d, %v, %d rows", n, err, count())
		}
		// Row 300 is new, 299 is not.
		n, err = tursoopt.BulkInsert(ctx, db, "t", columns, numbers(1000, 100), tursoopt.BulkChunkRows(30))
		if n != 100 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		n, err = tursoopt.BulkInsert(ctx, db, "t", columns, numbers(900, 110), tursoopt.BulkChunkRows(30))
		if n != 0 || err == nil || count() != 400 {
			t.Errorf("a conflict: %d, %v, %d rows", n, err, count())
		}
		// Bad rows and bad calls.
		bad := func(rows ...[]any) iter.Seq2[[]any, error] {
			return func(yield func([]any, error) bool) {
				for _, r := range rows {
					if !yield(r, nil) {
						return
					}
				}
			}
		}
		for name, f := range map[string]func() (int64, error){
			"short row": func() (int64, error) {
				return tursoopt.BulkInsert(ctx, db, "t", columns, bad([]any{5000, "a"}, []any{5001}))
			},
			"bad value": func() (int64, error) {
				return tursoopt.BulkInsert(ctx, db, "t", columns, bad([]any{5000, struct{}{}}))
			},
			"no columns":  func() (int64, error) { return tursoopt.BulkInsert(ctx, db, "t", nil, numbers(0, 1)) },
			"no rows":     func() (int64, error) { return tursoopt.BulkInsert(ctx, db, "t", columns, nil) },
			"no table":    func() (int64, error) { return tursoopt.BulkInsert(ctx, db, "", columns, numbers(0, 1)) },
			"wrong table": func() (int64, error) { return tursoopt.BulkInsert(ctx, db, "nowhere", columns, numbers(0, 1)) },
			"two policies": func() (int64, error) {
				return tursoopt.BulkInsert(ctx, db, "t", columns, numbers(0, 1), tursoopt.BulkIgnore(), tursoopt.BulkUpsert([]string{"id"}))
			},
		} {
			if n, err := f(); err == nil || n != 0 {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		if count() != 400 {
			t.Errorf("%d rows after what failed", count())
		}
	})
}

func TestBulkInsertConflicts(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		columns := []string{"id", "a"}
		for name, c := range map[string]struct {
			opt  tursoopt.BulkOption
			n    int64
			kept string
		}{
			"ignore":  {tursoopt.BulkIgnore(), 5, "old"},
			"replace": {tursoopt.BulkReplace(), 10, "row 3"},
			"update":  {tursoopt.BulkUpsert([]string{"id"}, "a"), 10, "row 3"},
			"nothing": {tursoopt.BulkUpsert([]string{"id"}), 5, "old"},
		} {
			mustExec(t, db, "DROP TABLE IF EXISTS t")
			mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
			for i := range 5 {
				mustExec(t, db, "INSERT INTO t VALUES (?, 'old')", i)
			}
			n, err := tursoopt.BulkInsert(ctx, db, "t", columns, numbers(0, 10), c.opt)
			if n != c.n || err != nil {
				t.Errorf("%s: %d, %v, want %d", name, n, err, c.n)
			}
			var a string
			if err := db.QueryRow("SELECT a FROM t WHERE id = 3").Scan(&a); err != nil || a != c.kept {
				t.Errorf("%s: row 3 is %q, %v", name, a, err)
			}
		}
	})
}

// Inside a transaction, a bulk insert is part of it.
func TestBulkInsertInTransaction(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		n, err := tursoopt.BulkInsert(context.Background(), tx, "t", []string{"id", "a"}, numbers(0, 250), tursoopt.BulkChunkRows(100))
		if n != 250 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n := queryInt(t, tx, "SELECT count(*) FROM t"); n != 250 {
			t.Errorf("%d rows inside", n)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows after the rollback", n)
		}
	})
}

// Every value arrives as if it had been inserted alone, by JSON or as a
// parameter.
func TestBulkInsertValues(t *testing.T) {
	inModesBeside(t, []mode{nativeModes[0], nativeModes[1], nativeModes[3]}, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE one (n INTEGER PRIMARY KEY, a, b INT, c REAL, d TEXT, e DATETIME)")
		mustExec(t, db, "CREATE TABLE bulk (n INTEGER PRIMARY KEY, a, b INT, c REAL, d TEXT, e DATETIME)")
		text := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "plain", "12", "1e3", "null", "\"\\/\b\f\n\r\t\x01\x1f\x7f", "é€😀\u2028", "{\"a\":1}", "[1]", "a\x00b"}).Draw(t, "s") + rapid.String().Draw(t, "t")
		})
		value := rapid.OneOf(
			rapid.Just[any](nil),
			rapid.Map(rapid.Int64(), func(v int64) any { return v }),
			rapid.SampledFrom([]any{int64(math.MaxInt64), int64(math.MinInt64), true, false}),
			rapid.Map(rapid.Float64(), func(v float64) any { return v }),
			rapid.SampledFrom([]any{math.Copysign(0, -1), 1.0, 1e300, 5e-324, math.Inf(1), math.Inf(-1), math.NaN()}),
			rapid.Map(text, func(s string) any { return s }),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) any { return b }),
			rapid.Just[any](time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC)),
		)
		rapid.Check(t, func(rt *rapid.T) {
			width := 5
			rows := rapid.SliceOfN(rapid.SliceOfN(value, width, width), 1, 8).Draw(rt, "rows")
			if rapid.Bool().Draw(rt, "no blobs") {
				for _, r := range rows {
					for i := range r {
						if _, ok := r[i].([]byte); ok {
							r[i] = nil
						}
					}
				}
			}
			mustExec(t, db, "DELETE FROM one; DELETE FROM bulk")
			tx, err := db.Begin()
			if err != nil {
				rt.Fatal(err)
			}
			for _, r := range rows {
				mustExec(t, tx, "INSERT INTO one (a, b, c, d, e) VALUES (?, ?, ?, ?, ?)", r...)
			}
			if err := tx.Commit(); err != nil {
				rt.Fatal(err)
			}
			seq := func(yield func([]any, error) bool) {
				for _, r := range rows {
					if !yield(r, nil) {
						return
					}
				}
			}
			if n, err := tursoopt.BulkInsert(context.Background(), db, "bulk", []string{"a", "b", "c", "d", "e"}, seq); err != nil || n != int64(len(rows)) {
				rt.Fatalf("%d, %v", n, err)
			}
			one, bulk := dump(t, db, "one"), dump(t, db, "bulk")
			if !bytes.Equal(one, bulk) {
				rt.Fatalf("inserted one by one:\n%s\nin bulk:\n%s", one, bulk)
			}
		})
	})
}

// dump writes a table's values with their types as SQLite sees them.
func dump(t testing.TB, db *sql.DB, table string) []byte {
	t.Helper()
	rows, err := db.Query("SELECT n, typeof(a), quote(a), typeof(b), quote(b), typeof(c), quote(c), typeof(d), hex(d), typeof(e), quote(e) FROM " + table + " ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out bytes.Buffer
	for rows.Next() {
		v := make([]string, 11)
		p := make([]any, len(v))
		for i := range v {
			p[i] = &v[i]
		}
		if err := rows.Scan(p...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%q\n", v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
