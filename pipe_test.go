package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

func beginPipelined(t testing.TB, db *sql.DB, lock tursoopt.TxLock) *sql.Tx {
	t.Helper()
	tx, err := tursoopt.BeginTx(context.Background(), db, tursoopt.TxOptions{Pipelined: true, Lock: lock})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func sent(t testing.TB, db *sql.DB) uint64 {
	t.Helper()
	s, ok := tursoopt.StatsOf(db)
	if !ok {
		t.Fatal("no statistics")
	}
	return s.Requests.Sent
}

// openQuiet opens the env's database without pings, which would be counted.
func openQuiet(t testing.TB, e *env) *sql.DB {
	t.Helper()
	if e.native {
		return e.open(t, "keepalive=0")
	}
	return e.open(t)
}

func TestPipelinedTransactionIsOneRoundTrip(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := openQuiet(t, e)
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)")
		if e.native {
			waitNegotiated(t, db)
		}
		for _, lock := range []tursoopt.TxLock{tursoopt.TxDefault, tursoopt.TxDeferred, tursoopt.TxImmediate, tursoopt.TxExclusive} {
			mustExec(t, db, "DELETE FROM t")
			before := sent(t, db)
			tx := beginPipelined(t, db, lock)
			buf := []byte("first")
			first := mustExec(t, tx, "INSERT INTO t (a) VALUES (?)", buf)
			copy(buf, "wrong") // a caller may use its buffers again at once
			second := mustExec(t, tx, "INSERT INTO t (a) VALUES (?), (?)", "second", "third")
			third := mustExec(t, tx, "UPDATE t SET a = a WHERE id > ?", 1)
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if n := sent(t, db) - before; e.native && n != 1 {
				t.Errorf("lock %v: %d requests", lock, n)
			}
			for i, c := range []struct {
				res      sql.Result
				id, rows int64
			}{{first, 1, 1}, {second, 3, 2}, {third, 0, 2}} {
				id, err1 := c.res.LastInsertId()
				rows, err2 := c.res.RowsAffected()
				if i == 2 && !e.native {
					id = c.id // bases differ in what an UPDATE has
				}
				if err := errors.Join(err1, err2); err != nil || id != c.id || rows != c.rows {
					t.Errorf("lock %v, result %d: id %d, rows %d, %v", lock, i, id, rows, err)
				}
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a = CAST('first' AS BLOB)"); n != 1 {
				t.Errorf("the argument was read after Exec had returned")
			}
		}
	})
}

// A query takes what waits along, and sees it.
func TestPipelinedTransactionWithQueries(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t, "keepalive=0")
		mustExec(t, db, "CREATE TABLE t (a UNIQUE)")
		waitNegotiated(t, db)
		before := sent(t, db)
		tx := beginPipelined(t, db, tursoopt.TxDefault)
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		res := mustExec(t, tx, "INSERT INTO t VALUES (2)")
		if n := queryInt(t, tx, "SELECT count(*) FROM t"); n != 2 {
			t.Errorf("the query sees %d rows", n)
		}
		if id, err := res.LastInsertId(); id != 2 || err != nil {
			t.Errorf("LastInsertId = %d, %v", id, err)
		}
		late := mustExec(t, tx, "INSERT INTO t VALUES (3)")
		if n := sent(t, db) - before; n != 1 {
			t.Errorf("%d requests so far", n)
		}
		if n, err := late.RowsAffected(); n != 1 || err != nil {
			t.Errorf("RowsAffected = %d, %v", n, err)
		}
		mustExec(t, tx, "INSERT INTO t VALUES (4)")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := sent(t, db) - before; n != 3 {
			t.Errorf("%d requests in all", n)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 4 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestPipelinedTransactionFails(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a UNIQUE)")
		ctx := context.Background()
		for name, bad := range map[string]string{
			"constraint": "INSERT INTO t VALUES (1)",
			"rollback":   "INSERT OR ROLLBACK INTO t VALUES (1)",
			"unreadable": "INSERT INTO t VALUES (1",
			"unknown":    "INSER",
			"no table":   "INSERT INTO nowhere VALUES (1)",
		} {
			for _, queried := range []bool{false, true} {
				tx := beginPipelined(t, db, tursoopt.TxDefault)
				mustExec(t, tx, "INSERT INTO t VALUES (1)")
				_, early := tx.ExecContext(ctx, bad)
				var afterwards error
				if _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (2)"); err != nil && early == nil {
					t.Errorf("%s: an Exec that can wait has failed: %v", name, err)
				}
				if queried {
					afterwards = tx.QueryRowContext(ctx, "SELECT 1").Scan(new(int))
					if afterwards == nil {
						t.Errorf("%s: a query runs after what failed", name)
					}
					if _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (3)"); err == nil {
						t.Errorf("%s: an Exec is taken after what failed", name)
					}
				}
				err := tx.Commit()
				var x *tursoopt.Error
				if !errors.As(err, &x) || !strings.HasPrefix(x.SQL, strings.Fields(bad)[0]) {
					t.Errorf("%s: Commit says %v, which does not name the statement", name, err)
				} else if x.Statement > 0 && x.Statement != 1 {
					t.Errorf("%s: it names statement %d", name, x.Statement)
				}
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
					t.Errorf("%s: %d rows were committed", name, n)
				}
			}
		}
	})
}

func TestPipelinedTransactionRolledBack(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t, "keepalive=0")
		mustExec(t, db, "CREATE TABLE t (a)")
		waitNegotiated(t, db)
		before := sent(t, db)
		tx := beginPipelined(t, db, tursoopt.TxImmediate)
		res := mustExec(t, tx, "INSERT INTO t VALUES (1)")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if n := sent(t, db) - before; n != 0 {
			t.Errorf("%d requests for nothing", n)
		}
		if _, err := res.RowsAffected(); err == nil {
			t.Error("a statement that was never sent has a result")
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

// A query behind what waits, whose result exceeds what the server puts into one
// answer, harms nobody: where there are cursors it comes in one.
func TestPipelinedTransactionWithALargeResult(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		tx := beginPipelined(t, db, tursoopt.TxDefault)
		res := mustExec(t, tx, "INSERT INTO t VALUES (1)")
		rows, err := tx.Query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 12) SELECT (SELECT a FROM t), hex(zeroblob(500000)) FROM n")
		if err != nil {
			t.Fatal(err)
		}
		n, size := 0, 0
		for rows.Next() {
			var a int
			var s sql.RawBytes
			if err := rows.Scan(&a, &s); err != nil || a != 1 {
				t.Fatal(a, err)
			}
			n, size = n+1, size+len(s)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 12 || size != 12_000_000 {
			t.Errorf("%d rows of %d bytes, %v", n, size, err)
		}
		if n, err := res.RowsAffected(); n != 1 || err != nil {
			t.Errorf("RowsAffected = %d, %v", n, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// A pipelined transaction whose COMMIT has no answer is over: a connection that is
// held goes on without it.
func TestPipelinedTransactionWhoseCommitIsLost(t *testing.T) {
	inModes(t, []mode{nativeModes[3], nativeModes[6]}, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		ctx := context.Background()
		for i, hold := range []func(testing.TB, string) *hold{p.before, p.after, p.before, p.after} {
			want := i % 2
			mustExec(t, db, "DELETE FROM t")
			c := conn(t, db)
			tx, err := tursoopt.BeginTx(ctx, c, tursoopt.TxOptions{Pipelined: true})
			if err != nil {
				t.Fatal(err)
			}
			if i >= 2 {
				queryInt(t, tx, "SELECT count(*) FROM t") // it is open on the server
			}
			res := mustExec(t, tx, "INSERT INTO t VALUES (1)")
			hold(t, "COMMIT").cut()
			err = tx.Commit()
			_, own := res.RowsAffected()
			for _, err := range []error{err, own} {
				if !tursoopt.OutcomeUnknown(err) || tursoopt.Retryable(err) {
					t.Errorf("told %v", err)
				}
			}
			e.embedded.ForgetStreams() // a lost stream's lock
			mustExec(t, c, "INSERT INTO t VALUES (2)")
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != int64(want+1) {
				t.Errorf("%d rows, want %d", n, want+1)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// More than fits into one request goes in several, and still counts as one.
func TestPipelinedTransactionOfMany(t *testing.T) {
	inModesBeside(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a UNIQUE)")
		tx := beginPipelined(t, db, tursoopt.TxDefault)
		for i := range 2000 {
			mustExec(t, tx, "INSERT INTO t VALUES (?)", i)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows before the commit", n)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 2000 {
			t.Errorf("%d rows", n)
		}
	})
}

// A transaction that takes the lock together with its first read holds back all
// other writers. If it had to ask for the right to write only after that, it
// would wait for those who wait for it.
func TestPipelinedLockIsTakenByWriters(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
		mustExec(t, db, "INSERT INTO t VALUES (1, 0)")
		const writers, each = 24, 4
		increment := func() error {
			tx := beginPipelined(t, db, tursoopt.TxImmediate)
			defer tx.Rollback()
			var n int
			if err := tx.QueryRow("SELECT n FROM t WHERE id = 1").Scan(&n); err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE t SET n = ? WHERE id = 1", n+1); err != nil {
				return err
			}
			return tx.Commit()
		}
		atOnce := func() error {
			_, err := db.Exec("UPDATE t SET n = n + 1 WHERE id = 1")
			return err
		}
		var all sync.WaitGroup
		for i := range writers {
			do := atOnce
			if i%4 == 0 {
				do = increment
			}
			all.Go(func() {
				for range each {
					if err := do(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if n := queryInt(t, db, "SELECT n FROM t WHERE id = 1"); n != writers*each && !t.Failed() {
			t.Errorf("%d increments came to %d", writers*each, n)
		}
	})
}
