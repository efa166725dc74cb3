package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

func batch(independent bool, items ...[]any) *tursoopt.Batch {
	b := &tursoopt.Batch{Independent: independent}
	for _, it := range items {
		b.Queue(it[0].(string), it[1:]...)
	}
	return b
}

func item(query string, args ...any) []any { return append([]any{query}, args...) }

func send(t testing.TB, q tursoopt.Queryer, b *tursoopt.Batch) *tursoopt.BatchResults {
	t.Helper()
	res, err := tursoopt.SendBatch(context.Background(), q, b)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestBatchGivesEachItsResult(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		for _, independent := range []bool{false, true} {
			db := e.open(t)
			mustExec(t, db, "DROP TABLE IF EXISTS t")
			mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB)")
			res := send(t, db, batch(independent,
				item("INSERT INTO t (a, b) VALUES (?, ?), (?, ?)", "x", []byte{0, 1}, "y", nil),
				item("SELECT id, a, b FROM t ORDER BY id"),
				item("UPDATE t SET a = :a WHERE id = :id", sql.Named("id", 2), sql.Named("a", "z")),
				item("SELECT a FROM t WHERE id = ?", 2),
				item("SELECT a FROM t WHERE id = ?", 99),
				item("DELETE FROM t RETURNING id"),
			))
			if r, err := res.Exec(); err != nil {
				t.Error(err)
			} else if n, _ := r.RowsAffected(); n != 2 {
				t.Errorf("%d rows inserted", n)
			} else if id, _ := r.LastInsertId(); id != 2 {
				t.Errorf("the last rowid is %d", id)
			}
			rows, err := res.Query()
			if err != nil {
				t.Fatal(err)
			}
			if cols, err := rows.Columns(); err != nil || !slices.Equal(cols, []string{"id", "a", "b"}) {
				t.Errorf("columns %q, %v", cols, err)
			}
			if !rows.Next() {
				t.Fatalf("no row: %v", rows.Err())
			}
			var id int
			var a string
			var b []byte
			if err := rows.Scan(&id, &a, &b); err != nil || id != 1 || a != "x" || string(b) != "\x00\x01" {
				t.Errorf("row %d %q %x, %v", id, a, b, err)
			}
			// The second row is passed over by going on.
			if r, err := res.Exec(); err != nil {
				t.Error(err)
			} else if n, _ := r.RowsAffected(); n != 1 {
				t.Errorf("%d rows updated", n)
			}
			if rows.Next() || rows.Scan(&id, &a, &b) == nil {
				t.Error("rows that have been left can still be read")
			}
			if err := res.QueryRow().Scan(&a); err != nil || a != "z" {
				t.Errorf("a = %q, %v", a, err)
			}
			if err := res.QueryRow().Scan(&a); !errors.Is(err, sql.ErrNoRows) {
				t.Errorf("no row: %v", err)
			}
			if err := res.QueryRow().Scan(&id); err != nil || id != 1 {
				t.Errorf("returned %d, %v", id, err)
			}
			if _, err := res.Exec(); err == nil {
				t.Error("a seventh result")
			}
			if err := errors.Join(res.Close(), res.Close()); err != nil {
				t.Error(err)
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
				t.Errorf("%d rows are left", n)
			}
		}
	})
}

func TestBatchIsAllOrNothing(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a TEXT UNIQUE)")
		for name, bad := range map[string]string{
			"constraint": "INSERT INTO t VALUES ('one')",
			"rollback":   "INSERT OR ROLLBACK INTO t VALUES ('one')",
			"unreadable": "INSERT INTO",
			"no table":   "INSERT INTO nowhere VALUES (1)",
		} {
			res := send(t, db, batch(false,
				item("INSERT INTO t VALUES ('one')"), item("SELECT count(*) FROM t"), item(bad), item("INSERT INTO t VALUES ('three')")))
			_, first := res.Exec()
			var n int
			second := res.QueryRow().Scan(&n)
			_, third := res.Exec()
			var x *tursoopt.Error
			if first == nil || second == nil || third == nil || !strings.Contains(first.Error(), "item 2") {
				t.Errorf("%s: the errors are %v, %v and %v", name, first, second, third)
			}
			if e.native && (!errors.As(third, &x) || x.Statement != 2) {
				t.Errorf("%s: the error does not name the item: %#v", name, third)
			}
			if err := res.Close(); err == nil || !strings.Contains(err.Error(), "not run") {
				t.Errorf("%s: Close says %v, not what the fourth item failed with", name, err)
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
				t.Errorf("%s: %d rows are left", name, n)
			}
		}
	})
}

func TestIndependentBatch(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a TEXT UNIQUE)")
		res := send(t, db, batch(true,
			item("INSERT INTO t VALUES ('one')"), item("INSERT INTO t VALUES ('one')"), item("INSERT"), item("INSERT INTO t VALUES ('two')")))
		var errs []bool
		for range 4 {
			_, err := res.Exec()
			errs = append(errs, err != nil)
		}
		if !slices.Equal(errs, []bool{false, true, true, false}) {
			t.Errorf("failed: %v", errs)
		}
		if err := res.Close(); err != nil {
			t.Errorf("Close after all has been read: %v", err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
}

// Inside a transaction an atomic batch that fails leaves what was before.
func TestBatchInTransaction(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a TEXT UNIQUE)")
		for _, begun := range []bool{false, true} {
			mustExec(t, db, "DELETE FROM t")
			tx, err := db.BeginTx(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			want := int64(2)
			if begun {
				mustExec(t, tx, "INSERT INTO t VALUES ('before')")
				want++
			}
			res := send(t, tx, batch(false, item("INSERT INTO t VALUES ('gone')"), item("INSERT INTO t VALUES ('gone')")))
			if err := res.Close(); err == nil {
				t.Error("the batch has not failed")
			}
			res = send(t, tx, batch(false, item("INSERT INTO t VALUES ('a')"), item("SELECT count(*) FROM t")))
			if err := res.Close(); err != nil {
				t.Error(err)
			}
			res = send(t, tx, batch(true, item("INSERT INTO t VALUES ('a')"), item("INSERT INTO t VALUES ('b')")))
			if err := res.Close(); err == nil {
				t.Error("the unique constraint has not failed")
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != want {
				t.Errorf("%d rows, want %d", n, want)
			}
		}
	})
}

func TestBatchRefusals(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		for name, b := range map[string]*tursoopt.Batch{
			"two statements":  batch(false, item("SELECT 1; SELECT 2")),
			"no statement":    batch(false, item("-- nothing")),
			"transaction":     batch(true, item("SELECT 1"), item("COMMIT")),
			"wrong arguments": batch(false, item("SELECT ?")),
			"bad argument":    batch(false, item("SELECT ?", struct{}{})),
		} {
			res, err := tursoopt.SendBatch(ctx, db, b)
			if err == nil {
				// Only a base finds these when it runs the item.
				if err = res.Close(); err == nil || e.native {
					t.Errorf("%s: refused with %v at Close only", name, err)
				}
			}
		}
		if err := send(t, db, &tursoopt.Batch{}).Close(); err != nil {
			t.Errorf("an empty batch: %v", err)
		}
		if !e.file {
			return
		}
		other, err := sql.Open("sqlite3", e.url)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		libsql, err := sql.Open("libsql", "http://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		defer libsql.Close()
		for _, other := range []*sql.DB{other, libsql} {
			if _, err := tursoopt.SendBatch(ctx, other, batch(false, item("SELECT 1"))); err == nil || !strings.Contains(err.Error(), "not one of this driver") {
				t.Errorf("a database of another driver is sent a batch: %v", err)
			}
		}
		if _, err := tursoopt.SendBatch(ctx, db, nil); err == nil {
			t.Error("no batch is sent")
		}
	})
}

// A batch is one request, whatever is in it and wherever it runs.
func TestBatchCostsOneRequest(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t, "keepalive=0")
		mustExec(t, db, "CREATE TABLE t (a)")
		mustExec(t, db, "SELECT 1") // the server's encodings are known now
		requests := func() uint64 {
			s, ok := tursoopt.StatsOf(db)
			if !ok {
				t.Fatal("no statistics")
			}
			return s.Requests.Sent
		}
		waitNegotiated(t, db)
		b := batch(false)
		for i := range 50 {
			b.Queue("INSERT INTO t VALUES (?)", i)
			b.Queue("SELECT sum(a) FROM t")
		}
		for _, independent := range []bool{false, true} {
			b.Independent = independent
			before := requests()
			if err := send(t, db, b).Close(); err != nil {
				t.Fatal(err)
			}
			if n := requests() - before; n != 1 {
				t.Errorf("independent %v: %d requests", independent, n)
			}
		}
		before := requests()
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(send(t, tx, b).Close(), send(t, tx, b).Close(), tx.Commit()); err != nil {
			t.Fatal(err)
		}
		if n := requests() - before; n != 3 {
			t.Errorf("two batches in a transaction: %d requests, want 3", n)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 200 {
			t.Errorf("%d rows", n)
		}
	})
}

// waitNegotiated returns when the driver has asked the server what it speaks:
// that happens beside the first statements.
func waitNegotiated(t testing.TB, db *sql.DB) {
	t.Helper()
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !tursoopt.Negotiated(db); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the driver does not find out what the server speaks")
		}
	}
}

// A read whose result exceeds what the server puts into one answer comes all the
// same, where the server has cursors.
func TestBatchWithLargeResults(t *testing.T) {
	inModesBeside(t, nativeModes, func(t *testing.T, e *env) {
		if e.v2 {
			return // without cursors there is no way
		}
		db := e.open(t)
		const big = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 12) SELECT hex(zeroblob(500000)) FROM n"
		for _, independent := range []bool{false, true} {
			res := send(t, db, batch(independent, item("SELECT 1"), item(big), item("SELECT 2")))
			var n, rows, bytes int
			if err := res.QueryRow().Scan(&n); err != nil || n != 1 {
				t.Errorf("first: %d, %v", n, err)
			}
			r, err := res.Query()
			if err != nil {
				t.Fatal(err)
			}
			for r.Next() {
				var s string
				if err := r.Scan(&s); err != nil {
					t.Fatal(err)
				}
				rows, bytes = rows+1, bytes+len(s)
			}
			if r.Err() != nil || rows != 12 || bytes != 12_000_000 {
				t.Errorf("%d rows, %d bytes, %v", rows, bytes, r.Err())
			}
			if err := res.QueryRow().Scan(&n); err != nil || n != 2 {
				t.Errorf("last: %d, %v", n, err)
			}
			if err := res.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestBatchReadTwice(t *testing.T) {
	e := newEnv(t, nativeModes[3])
	db := e.open(t)
	b := batch(false)
	for i := range 3 {
		b.Queue(fmt.Sprintf("SELECT %d", i))
	}
	for range 2 {
		res := send(t, db, b)
		for i := range b.Len() {
			var n int
			if err := res.QueryRow().Scan(&n); err != nil || n != i {
				t.Errorf("%d, %v, want %d", n, err, i)
			}
		}
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The pool's controller learns from a batch how long the server works, and from what
// a pipelined transaction sends with its COMMIT, as from any other statement. A batch
// is a use of the connection that it comes first on.
func TestPoolSeesBatches(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		db := e.openConfig(t, func(*tursoopt.Config) {})
		for i, independent := range []bool{false, true} {
			b := &tursoopt.Batch{Independent: independent}
			b.Queue("SELECT 1")
			b.Queue("SELECT 2")
			results, err := tursoopt.SendBatch(context.Background(), db, b)
			if err != nil {
				t.Fatal(err)
			}
			if s := tursoopt.PoolSeenOf(db); s.InUse != 1 {
				t.Errorf("while the results are read: %+v", s)
			}
			if err := results.Close(); err != nil {
				t.Fatal(err)
			}
			if s := tursoopt.PoolSeenOf(db); s.Answered != 2*(i+1) || s.Begun != i+1 || s.Finished != i+1 {
				t.Errorf("after %d batches of two statements: %+v", i+1, s)
			}
		}
		before := tursoopt.PoolSeenOf(db)
		tx, err := tursoopt.BeginTx(context.Background(), db, tursoopt.TxOptions{Pipelined: true})
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "CREATE TABLE t (a)")
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if s := tursoopt.PoolSeenOf(db); s.Answered != before.Answered+2 {
			t.Errorf("after a transaction of two statements: %+v, before %+v", s, before)
		}
	})
}

// What a statement of a batch has done is told also when the context ends before it
// is read: a write that is in must not look as if it had failed.
func TestBatchOutlivesItsContext(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
		ctx, cancel := context.WithCancel(context.Background())
		b := &tursoopt.Batch{Independent: true}
		for range 4 {
			b.Queue("INSERT INTO t (a) VALUES (NULL) RETURNING a")
		}
		results, err := tursoopt.SendBatch(ctx, db, b)
		if err != nil {
			t.Fatal(err)
		}
		defer results.Close()
		cancel()
		for end := time.Now().Add(20 * time.Second); db.Stats().InUse > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("database/sql has not noticed the end of the context")
			}
		}
		for i := range 2 {
			res, err := results.Exec()
			if err != nil {
				t.Fatalf("statement %d: %v", i, err)
			}
			if id, _ := res.LastInsertId(); id != int64(i+1) {
				t.Errorf("statement %d: row id %d", i, id)
			}
		}
		if _, err := results.Query(); !errors.Is(err, context.Canceled) || !tursoopt.OutcomeUnknown(err) {
			t.Errorf("the rows of a statement that was executed: %v", err)
		}
		if _, err := results.Exec(); err != nil {
			t.Errorf("the one after it: %v", err)
		}
	})
}
