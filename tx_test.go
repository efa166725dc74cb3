package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// begin begins a transaction, which the test need not end.
func begin(t testing.TB, db tursoopt.Beginner, opts tursoopt.TxOptions) *sql.Tx {
	t.Helper()
	tx, err := tursoopt.BeginTx(context.Background(), db, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() }) // most tests end it themselves
	return tx
}

func TestTxRoundTrips(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		commit, rollback := (*sql.Tx).Commit, (*sql.Tx).Rollback
		for _, c := range []struct {
			name       string
			opts       tursoopt.TxOptions
			statements int
			end        func(*sql.Tx) error
			want       int
		}{
			{"nothing committed", tursoopt.TxOptions{}, 0, commit, 0},
			{"nothing rolled back", tursoopt.TxOptions{}, 0, rollback, 0},
			{"nothing read", tursoopt.TxOptions{ReadOnly: true}, 0, commit, 0},
			{"one statement", tursoopt.TxOptions{}, 1, commit, 2},
			{"three statements", tursoopt.TxOptions{}, 3, commit, 4},
			{"three rolled back", tursoopt.TxOptions{}, 3, rollback, 4},
			{"two reads", tursoopt.TxOptions{ReadOnly: true}, 2, commit, 3},
			// The lock is taken at once.
			{"immediate", tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, 1, commit, 3},
			{"exclusive", tursoopt.TxOptions{Lock: tursoopt.TxExclusive}, 0, commit, 2},
		} {
			n := queryInt(t, db, "SELECT count(*) FROM t")
			got := p.costs(func() {
				tx := begin(t, db, c.opts)
				for range c.statements {
					if c.opts.ReadOnly {
						queryInt(t, tx, "SELECT count(*) FROM t")
					} else {
						mustExec(t, tx, "INSERT INTO t VALUES (1)")
					}
				}
				if err := c.end(tx); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			})
			if got != c.want {
				t.Errorf("%s: %d requests, want %d", c.name, got, c.want)
			}
			if !c.opts.ReadOnly && c.name != "three rolled back" {
				n += int64(c.statements)
			}
			if left := queryInt(t, db, "SELECT count(*) FROM t"); left != n {
				t.Errorf("%s: %d rows, want %d", c.name, left, n)
			}
		}
	})
}

// What a failing first statement does to the transaction is SQLite's decision,
// although BEGIN travels with it.
func TestTxFirstStatementFails(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE u (a INTEGER PRIMARY KEY)")
		mustExec(t, db, "INSERT INTO u VALUES (1)")
		for _, first := range []string{
			"SELEKT 1",
			"SELECT * FROM missing",
			"INSERT INTO u VALUES (1)",
			"INSERT OR FAIL INTO u VALUES (2), (1)",
			"INSERT OR ABORT INTO u VALUES (3), (1)",
			"SELECT abs(-9223372036854775807 - 1)",
		} {
			for _, commits := range []bool{true, false} {
				tx := begin(t, db, tursoopt.TxOptions{})
				if _, err := tx.Exec(first); err == nil {
					t.Errorf("%s: no error", first)
				}
				mustExec(t, tx, "INSERT INTO u VALUES (10)")
				if n := queryInt(t, db, "SELECT count(*) FROM u WHERE a = 10"); n != 0 {
					t.Errorf("%s: what follows it commits by itself", first)
				}
				kept := int64(0)
				if commits {
					kept = 1
				}
				if err := end(tx, commits); err != nil {
					t.Errorf("%s, then the end (commit %v): %v", first, commits, err)
				}
				if n := queryInt(t, db, "SELECT count(*) FROM u WHERE a = 10"); n != kept {
					t.Errorf("%s, commit %v: %d rows are left", first, commits, n)
				}
				failed := int64(0)
				if commits && first == "INSERT OR FAIL INTO u VALUES (2), (1)" {
					failed = 1 // FAIL keeps what came before the violation
				}
				if n := queryInt(t, db, "SELECT count(*) FROM u WHERE a IN (2, 3)"); n != failed {
					t.Errorf("%s, commit %v: it leaves %d rows", first, commits, n)
				}
				mustExec(t, db, "DELETE FROM u WHERE a > 1")
			}
		}
	})
}

func end(tx *sql.Tx, commit bool) error {
	if commit {
		return tx.Commit()
	}
	return tx.Rollback()
}

// ON CONFLICT ROLLBACK ends the transaction in the server. What follows must not
// commit by itself, as it would on a bare connection.
func TestTxRolledBackBySQLite(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE u (a INTEGER PRIMARY KEY)")
		mustExec(t, db, "INSERT INTO u VALUES (1)")
		for _, before := range []int{0, 1} {
			for _, commits := range []bool{true, false} {
				tx := begin(t, db, tursoopt.TxOptions{})
				for range before {
					mustExec(t, tx, "INSERT INTO u VALUES (2)")
				}
				_, err := tx.Exec("INSERT OR ROLLBACK INTO u VALUES (1)")
				if e := asError(err); e == nil || e.Code != 19 {
					t.Fatalf("OR ROLLBACK: %v", err)
				}
				_, err = tx.Exec("INSERT INTO u VALUES (3)")
				if !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("the next statement: %v", err)
				}
				if e := asError(err); e == nil || e.Unwrap() == nil {
					t.Errorf("%v does not tell what ended the transaction", err)
				}
				if err := tx.QueryRow("SELECT 1").Scan(new(int)); !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("the next read: %v", err)
				}
				switch err := end(tx, commits); {
				case commits && !errors.Is(err, tursoopt.ErrTxLost):
					t.Errorf("commit: %v", err)
				case !commits && err != nil:
					t.Errorf("rollback: %v", err)
				}
				if n := queryInt(t, db, "SELECT count(*) FROM u WHERE a > 1"); n != 0 {
					t.Errorf("%d rows of it are there", n)
				}
			}
		}
	})
}

// asError is the driver's error in err.
func asError(err error) *tursoopt.Error {
	var e *tursoopt.Error
	errors.As(err, &e)
	return e
}

func TestTxLock(t *testing.T) {
	inModesBeside(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		locked := e.open(t, "_txlock=immediate")
		mustExec(t, db, "CREATE TABLE t (a)")
		want := int64(0)
		for _, c := range []struct {
			name string
			db   *sql.DB
			lock tursoopt.TxLock
			free bool // others may write
		}{
			{"deferred", db, tursoopt.TxDeferred, true},
			{"default", db, tursoopt.TxDefault, true},
			{"immediate", db, tursoopt.TxImmediate, false},
			{"exclusive", db, tursoopt.TxExclusive, false},
			{"by DSN", locked, tursoopt.TxDefault, false},
			{"DSN overruled", locked, tursoopt.TxDeferred, true},
		} {
			tx := begin(t, c.db, tursoopt.TxOptions{Lock: c.lock})
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			_, err := db.ExecContext(ctx, "INSERT INTO t VALUES (?)", c.name)
			cancel()
			if c.free && err != nil || !c.free && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: another writer: %v", c.name, err)
			}
			if c.free || tursoopt.OutcomeUnknown(err) {
				want++
			}
			if c.db == locked && !c.free && !tursoopt.OutcomeUnknown(err) {
				t.Errorf("%s: another connector's transaction has kept a write from being sent", c.name)
			}
			mustExec(t, tx, "INSERT INTO t VALUES ('own')")
			if err := tx.Commit(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		// A writer that has given up waiting inside the server was not called back;
		// one that waited at the gate has sent nothing.
		await(t, "the writes that waited", func() bool {
			return queryInt(t, db, "SELECT count(*) FROM t WHERE a <> 'own'") == want
		})
	})
}

// await waits for what another goroutine or the server brings about.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestTxReadOnly(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		mustExec(t, db, "INSERT INTO t VALUES (1)")
		tx := begin(t, db, tursoopt.TxOptions{ReadOnly: true})
		queryInt(t, tx, "SELECT a FROM t")
		for _, write := range []string{
			"INSERT INTO t VALUES (2)", "UPDATE t SET a = 2", "DELETE FROM t", "REPLACE INTO t VALUES (2)",
			"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "CREATE TABLE u (a)", "DROP TABLE t",
			"ALTER TABLE t ADD COLUMN b", "PRAGMA user_version = 3", "PRAGMA foreign_keys = off", "REINDEX", "VACUUM",
			"ATTACH 'x' AS y", "BEGIN", "COMMIT", "SELECT 1; DELETE FROM t",
		} {
			cost := p.costs(func() {
				_, err := tx.Exec(write)
				if e := asError(err); e == nil || e.Code != 8 {
					t.Errorf("%s: %v", write, err)
				}
			})
			if cost != 0 {
				t.Errorf("%s: %d requests", write, cost)
			}
		}
		if _, err := tx.Query("INSERT INTO t VALUES (2) RETURNING a"); asError(err) == nil {
			t.Errorf("RETURNING: %v", err)
		}
		for _, read := range []string{
			"SAVEPOINT s", "SELECT a FROM t", "PRAGMA table_info(t)", "EXPLAIN SELECT 1", "VALUES (1)",
			"WITH x AS (SELECT 1) SELECT * FROM x", "ROLLBACK TO s", "RELEASE s",
		} {
			if _, err := tx.Exec(read); err != nil {
				t.Errorf("%s: %v", read, err)
			}
		}
		before := p.posts()
		if err := tx.Commit(); err != nil {
			t.Errorf("commit: %v", err)
		}
		if !p.mentions(before, "ROLLBACK") || p.mentions(before, "COMMIT") {
			t.Error("the end was not a ROLLBACK")
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a = 1"); n != 1 {
			t.Errorf("%d rows", n)
		}
		// The next transaction on the connection is not read-only.
		tx = begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO t VALUES (2)")
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
	})
}

func TestTxOptionsRefused(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		ctx := context.Background()
		for level := sql.LevelDefault; level <= sql.LevelLinearizable; level++ {
			tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: level})
			if ok := level == sql.LevelDefault || level == sql.LevelSerializable; ok != (err == nil) {
				t.Errorf("%v: %v", level, err)
			}
			if err == nil {
				_ = tx.Rollback()
			}
		}
		if _, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{ReadOnly: true, Lock: tursoopt.TxImmediate}); err == nil {
			t.Error("a read-only transaction took the write lock")
		}
		if _, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxExclusive + 1}); err == nil {
			t.Error("an unknown lock was accepted")
		}
		c := conn(t, db)
		begin(t, c, tursoopt.TxOptions{})
		if _, err := c.BeginTx(ctx, nil); err == nil {
			t.Error("a transaction began within another")
		}
		if n := p.posts(); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// A COMMIT that fails leaves nothing open that others would wait for.
func TestTxCommitFails(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE p (id INTEGER PRIMARY KEY)")
		mustExec(t, db, "CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)")
		tx := begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO c VALUES (1)")
		err := tx.Commit()
		if e := asError(err); e == nil || e.ExtendedCode != 787 {
			t.Errorf("commit: %v", err)
		}
		if tursoopt.OutcomeUnknown(err) {
			t.Errorf("%v: the outcome is known", err)
		}
		if n := db.Stats().OpenConnections; n != 1 {
			t.Errorf("%d connections: it was rolled back, and could be kept", n)
		}
		mustExec(t, db, "INSERT INTO p VALUES (2)") // would wait for a lock
		if n := queryInt(t, db, "SELECT count(*) FROM c"); n != 0 {
			t.Errorf("%d rows are there", n)
		}
	})
}

// Commit and Rollback have no context: the DSN's timeout bounds them.
func TestTxEndTimeout(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t, "timeout=200ms")
		mustExec(t, db, "CREATE TABLE t (a)")
		for _, commits := range []bool{false, true} {
			tx := begin(t, db, tursoopt.TxOptions{})
			mustExec(t, tx, "INSERT INTO t VALUES (1)")
			word := "ROLLBACK"
			if commits {
				word = "COMMIT"
			}
			h := p.before(t, word)
			began := time.Now()
			err := end(tx, commits)
			if took := time.Since(began); took >= hung {
				t.Fatalf("commit %v has taken %v", commits, took)
			}
			<-h.reached
			if !errors.Is(err, context.DeadlineExceeded) || !tursoopt.OutcomeUnknown(err) {
				t.Errorf("commit %v: %v", commits, err)
			}
			if n := db.Stats().OpenConnections; n != 0 {
				t.Errorf("commit %v: the connection is kept", commits)
			}
			h.release()
		}
	})
}
