package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// remoteModes are the native ones and libsql-client-go, whose behaviour is the
// one to keep.
var remoteModes = append(append([]mode(nil), nativeModes...), otherModes[0])

// A script's statements take their shares of the arguments; its result is the
// last row id and the sum of the rows affected.
func TestScriptExec(t *testing.T) {
	inModes(t, remoteModes, func(t *testing.T, e *env) {
		ctx := context.Background()
		db := e.open(t)
		for _, c := range []struct {
			name, text    string
			args          []any
			rowid, affect int64
			left          string // a and b of the rows
		}{
			{"without arguments", "INSERT INTO t (b) VALUES ('x'); INSERT INTO t (b) VALUES ('y'); UPDATE t SET b = b || '!'", nil, 2, 4, "1x! 2y!"},
			{"semicolons and comments", ";; INSERT INTO t (b) VALUES ('x;') -- one; two\n; /* ; */ INSERT INTO t (b) VALUES ('y');;", nil, 2, 2, "1x; 2y"},
			{"positional", "INSERT INTO t (a, b) VALUES (?, ?); INSERT INTO t (a, b) VALUES (?, ?)", []any{3, "x", 4, "y"}, 4, 2, "3x 4y"},
			{"numbered", "INSERT INTO t (a, b) VALUES (?1, ?2 || ?2); INSERT INTO t (a, b) VALUES (?2, ?1)", []any{3, "x", "y", 4}, 4, 2, "3xx 4y"},
			{"some take none", "INSERT INTO t (b) VALUES (?); INSERT INTO t (b) VALUES ('y'); INSERT INTO t (b) VALUES (?)", []any{"x", "z"}, 3, 3, "1x 2y 3z"},
			{"named", "INSERT INTO t (a, b) VALUES (:a, :b); INSERT INTO t (a, b) VALUES (@a + 1, $b)", []any{sql.Named("a", 3), sql.Named("b", "x")}, 4, 2, "3x 4x"},
			{"named by some", "INSERT INTO t (a, b) VALUES (:a, 'x'); INSERT INTO t (a, b) VALUES (9, :b)", []any{sql.Named("a", 3), sql.Named("b", "y")}, 9, 2, "3x 9y"},
			{"the last does not insert", "INSERT INTO t (a, b) VALUES (7, 'x'); DELETE FROM t WHERE a = 1; SELECT 1", nil, 7, 1, "7x"},
		} {
			mustExec(t, db, "DROP TABLE IF EXISTS t")
			mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
			res, err := db.ExecContext(ctx, c.text, c.args...)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			rowid, _ := res.LastInsertId()
			affected, _ := res.RowsAffected()
			if rowid != c.rowid || affected != c.affect {
				t.Errorf("%s: row id %d and %d rows affected, want %d and %d", c.name, rowid, affected, c.rowid, c.affect)
			}
			if left := contents(t, db); left != c.left {
				t.Errorf("%s: %q is left, want %q", c.name, left, c.left)
			}
		}
	})
}

// contents are the rows of t (a, b).
func contents(t testing.TB, db execer) string {
	t.Helper()
	var s sql.NullString
	err := db.QueryRowContext(context.Background(), "SELECT group_concat(a || b, ' ') FROM (SELECT a, b FROM t ORDER BY a)").Scan(&s)
	if err != nil {
		t.Fatal(err)
	}
	return s.String
}

// Arguments that do not fit are found before anything is sent.
func TestScriptArguments(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		for _, c := range []struct {
			text string
			args []any
		}{
			{"SELECT ?; SELECT ?", []any{1}},
			{"SELECT ?; SELECT ?", []any{1, 2, 3}},
			{"SELECT 1; SELECT 2", []any{1}},
			{"SELECT :a; SELECT :b", []any{sql.Named("a", 1)}},
			{"SELECT :a; SELECT :a", []any{sql.Named("a", 1), sql.Named("b", 1)}},
			{"SELECT ?2; SELECT 1", []any{1}},
			{" -- nothing", []any{1}},
		} {
			if _, err := db.Exec(c.text, c.args...); err == nil {
				t.Errorf("%s with %d arguments: no error", c.text, len(c.args))
			}
		}
		for _, nothing := range []string{"", " ", ";", "-- nothing", "/* nothing */ ; "} {
			if _, err := db.Exec(nothing); err != nil {
				t.Errorf("%q: %v", nothing, err)
			}
			rows, err := db.Query(nothing)
			if err != nil {
				t.Errorf("query of %q: %v", nothing, err)
				continue
			}
			if rows.Next() || rows.Err() != nil || rows.Close() != nil {
				t.Errorf("%q gives rows, or %v", nothing, rows.Err())
			}
		}
		if n := p.posts(); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// A script costs one request, in a transaction too, and stops at its first
// error, which names the statement. What came before stays: a script is not a
// transaction.
func TestScriptFails(t *testing.T) {
	const script = "INSERT INTO t VALUES (2, 'x'); INSERT INTO t VALUES (1, 'again'); INSERT INTO t VALUES (3, 'y')"
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		mustExec(t, db, "INSERT INTO t VALUES (1, 'o')")
		fails := func(run execer) {
			t.Helper()
			cost := p.costs(func() {
				_, err := run.ExecContext(context.Background(), script)
				e := asError(err)
				if e == nil || e.Code != 19 || e.Statement != 1 || e.SQL != "INSERT INTO t VALUES (?, ?)" {
					t.Errorf("%v: %+v", err, e)
				}
			})
			if cost != 1 {
				t.Errorf("%d requests", cost)
			}
			if left := contents(t, run); left != "1o 2x" {
				t.Errorf("%q is left", left)
			}
		}
		fails(db)
		mustExec(t, db, "DELETE FROM t WHERE a > 1")
		fails(conn(t, db))
		mustExec(t, db, "DELETE FROM t WHERE a > 1")
		for _, commits := range []bool{false, true} {
			for _, first := range []bool{false, true} {
				tx := begin(t, db, tursoopt.TxOptions{})
				if !first {
					mustExec(t, tx, "DELETE FROM t WHERE a > 1")
				}
				fails(tx)
				mustExec(t, tx, "INSERT INTO t VALUES (4, 'z')")
				if left := contents(t, db); left != "1o" {
					t.Errorf("others see %q", left)
				}
				if err := end(tx, commits); err != nil {
					t.Error(err)
				}
				want := "1o"
				if commits {
					want = "1o 2x 4z"
				}
				if left := contents(t, db); left != want {
					t.Errorf("after the end (commit %v): %q is left", commits, left)
				}
				mustExec(t, db, "DELETE FROM t WHERE a > 1")
			}
		}
		// A statement that the server cannot read keeps all others from running.
		_, err := db.Exec("INSERT INTO t VALUES (5, 'x'); INSERT INTO t VALUES 6")
		if e := asError(err); e == nil || e.Code != 1 {
			t.Errorf("%v", err)
		}
	})
}

// A script may be a transaction, or parts of one.
func TestScriptTx(t *testing.T) {
	inModes(t, remoteModes, func(t *testing.T, e *env) {
		ctx := context.Background()
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		mustExec(t, db, "BEGIN; INSERT INTO t VALUES (1, 'x'); INSERT INTO t VALUES (2, 'x'); COMMIT")
		if left := contents(t, db); left != "1x 2x" {
			t.Errorf("%q is left", left)
		}
		// Failing halfway it leaves nothing, and nothing open.
		if _, err := db.Exec("BEGIN; INSERT INTO t VALUES (3, 'x'); INSERT INTO t VALUES (1, 'x'); COMMIT"); err == nil {
			t.Error("no error")
		}
		if left := contents(t, db); left != "1x 2x" {
			t.Errorf("%q is left", left)
		}
		c := conn(t, db)
		if _, err := c.ExecContext(ctx, "BEGIN; INSERT INTO t VALUES (3, 'x'); INSERT INTO t VALUES (1, 'x'); COMMIT"); err == nil {
			t.Error("no error")
		}
		mustExec(t, c, "INSERT INTO t VALUES (4, 'x')")
		if left := contents(t, db); left != "1x 2x 4x" {
			t.Errorf("%q is left", left)
		}
		// Begun by one script, ended by another.
		mustExec(t, c, "INSERT INTO t VALUES (5, 'x'); BEGIN; INSERT INTO t VALUES (6, 'x')")
		if left := contents(t, db); left != "1x 2x 4x 5x" {
			t.Errorf("others see %q", left)
		}
		mustExec(t, c, "INSERT INTO t VALUES (7, 'x'); COMMIT; INSERT INTO t VALUES (8, 'x')")
		if left := contents(t, db); left != "1x 2x 4x 5x 6x 7x 8x" {
			t.Errorf("%q is left", left)
		}
		mustExec(t, c, "BEGIN; DELETE FROM t; ROLLBACK; BEGIN; DELETE FROM t WHERE a < 8")
		mustExec(t, c, "SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; RELEASE s")
		mustExec(t, c, "COMMIT")
		if left := contents(t, db); left != "8x" {
			t.Errorf("%q is left", left)
		}
	})
}

// A transaction by BeginTx that its own text ends is over: nothing that follows
// commits by itself.
func TestScriptEndsTx(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		for _, c := range []struct{ text, left string }{
			{"COMMIT", "1x"}, {"ROLLBACK", ""}, {"END", "1x"},
			{"INSERT INTO t VALUES (2, 'y'); COMMIT", "1x 2y"},
			{"ROLLBACK; INSERT INTO t VALUES (2, 'y')", "2y"},
		} {
			for _, commits := range []bool{true, false} {
				tx := begin(t, db, tursoopt.TxOptions{})
				mustExec(t, tx, "INSERT INTO t VALUES (1, 'x')")
				mustExec(t, tx, c.text)
				_, err := tx.Exec("INSERT INTO t VALUES (3, 'z')")
				if err == nil || errors.Is(err, tursoopt.ErrTxLost) || tursoopt.Retryable(err) {
					t.Errorf("after %s: %v", c.text, err)
				}
				if err := end(tx, commits); err == nil || tursoopt.Retryable(err) {
					t.Errorf("the end after %s (commit %v): %v", c.text, commits, err)
				}
				if left := contents(t, db); left != c.left {
					t.Errorf("%s: %q is left, want %q", c.text, left, c.left)
				}
				mustExec(t, db, "DELETE FROM t")
			}
		}
	})
}

// Each statement of a query has its result set.
func TestScriptQuery(t *testing.T) {
	inModes(t, remoteModes, func(t *testing.T, e *env) {
		ctx := context.Background()
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		mustExec(t, db, "INSERT INTO t VALUES (1, 'x'), (2, 'y')")
		for _, run := range []execer{db, conn(t, db), begin(t, db, tursoopt.TxOptions{})} {
			rows, err := run.QueryContext(ctx, "SELECT a FROM t ORDER BY a; SELECT b, a FROM t WHERE a = ?; SELECT 'none' WHERE 0", 2)
			if err != nil {
				t.Fatal(err)
			}
			var a, b int
			var s string
			if !rows.Next() || rows.Scan(&a) != nil || !rows.Next() || rows.Scan(&b) != nil || rows.Next() || a != 1 || b != 2 {
				t.Errorf("first set: %d, %d, %v", a, b, rows.Err())
			}
			if !rows.NextResultSet() {
				t.Fatalf("there is no second set: %v", rows.Err())
			}
			if cols, err := rows.Columns(); err != nil || len(cols) != 2 || cols[0] != "b" {
				t.Errorf("its columns are %q, %v", cols, err)
			}
			if !rows.Next() || rows.Scan(&s, &a) != nil || s != "y" || a != 2 || rows.Next() {
				t.Errorf("second set: %q, %d, %v", s, a, rows.Err())
			}
			if !rows.NextResultSet() || rows.Next() {
				t.Errorf("third set: %v", rows.Err())
			}
			if rows.NextResultSet() || rows.Err() != nil {
				t.Errorf("there is a fourth set, or %v", rows.Err())
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
			// Sets may be skipped.
			rows, err = run.QueryContext(ctx, "SELECT a FROM t; SELECT 'second'")
			if err != nil {
				t.Fatal(err)
			}
			if !rows.NextResultSet() || !rows.Next() || rows.Scan(&s) != nil || s != "second" {
				t.Errorf("after skipping one: %q, %v", s, rows.Err())
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// An error in a later statement comes when its result set is asked for; those
// before it can be read.
func TestScriptQueryFails(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		ctx := context.Background()
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		mustExec(t, db, "INSERT INTO t VALUES (1, 'x')")
		for _, run := range []execer{db, conn(t, db), begin(t, db, tursoopt.TxOptions{})} {
			rows, err := run.QueryContext(ctx, "SELECT a FROM t; INSERT INTO t VALUES (1, 'again'); SELECT 3")
			if err != nil {
				t.Fatal(err)
			}
			var a int
			if !rows.Next() || rows.Scan(&a) != nil || a != 1 || rows.Next() {
				t.Errorf("first set: %d, %v", a, rows.Err())
			}
			if rows.NextResultSet() {
				t.Error("the statement that failed has a result")
			}
			if e := asError(rows.Err()); e == nil || e.ExtendedCode != 2067 || e.Statement != 1 {
				t.Errorf("its error is %v", rows.Err())
			}
			if rows.NextResultSet() || rows.Next() {
				t.Error("what follows it has a result")
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
			if _, err := run.QueryContext(ctx, "INSERT INTO t VALUES (1, 'again'); SELECT 1"); asError(err) == nil || asError(err).Statement != 0 {
				t.Errorf("a failing first statement: %v", err)
			}
		}
	})
}
