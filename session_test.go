package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// What is set on a connection stays there, and nobody else gets it.
func TestSessionState(t *testing.T) {
	inModes(t, append(nativeModes[:len(nativeModes):len(nativeModes)], otherModes[0]), func(t *testing.T, e *env) {
		db := e.open(t)
		c, other := conn(t, db), conn(t, db)
		mustExec(t, c, "PRAGMA foreign_keys = off")
		for range 3 {
			if n := queryInt(t, c, "PRAGMA foreign_keys"); n != 0 {
				t.Error("the setting is gone")
			}
			if n := queryInt(t, other, "PRAGMA foreign_keys"); n != 1 {
				t.Error("another connection has it")
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if n := queryInt(t, db, "PRAGMA foreign_keys"); n != 1 {
				t.Error("it has come back with a pooled connection")
			}
		}
		// A statement that sets something by itself sets it for nobody.
		mustExec(t, db, "PRAGMA foreign_keys = off")
		if n := queryInt(t, db, "PRAGMA foreign_keys"); n != 1 {
			t.Error("it has outlived its statement")
		}
	})
}

// BEGIN and its kin as texts work on a pinned connection as they do in SQLite.
func TestSessionTextualTx(t *testing.T) {
	modes := append(nativeModes[:len(nativeModes):len(nativeModes)], otherModes...)
	inModes(t, modes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		c := conn(t, db)
		step := func(text string, want ...int64) {
			t.Helper()
			mustExec(t, c, text)
			var got []int64
			rows, err := c.QueryContext(context.Background(), "SELECT a FROM t ORDER BY a")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var a int64
				if err := rows.Scan(&a); err != nil {
					t.Fatal(err)
				}
				got = append(got, a)
			}
			if err := rows.Err(); err != nil || !equal(got, want) {
				t.Errorf("after %s: %v, %v, want %v", text, got, err, want)
			}
		}
		outside := func(want int64) {
			t.Helper()
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != want {
				t.Errorf("others see %d rows, want %d", n, want)
			}
		}
		step("BEGIN")
		step("INSERT INTO t VALUES (1)", 1)
		outside(0)
		step("SAVEPOINT s", 1)
		step("INSERT INTO t VALUES (2)", 1, 2)
		step("ROLLBACK TO s", 1)
		step("INSERT INTO t VALUES (3)", 1, 3)
		step("RELEASE s", 1, 3)
		outside(0)
		step("COMMIT", 1, 3)
		outside(2)
		step("begin immediate", 1, 3)
		step("DELETE FROM t")
		step("ROLLBACK", 1, 3)
		step("SAVEPOINT outer", 1, 3) // begins a transaction, too
		step("INSERT INTO t VALUES (4)", 1, 3, 4)
		outside(2)
		step("RELEASE outer", 1, 3, 4)
		outside(3)
		step("SAVEPOINT outer", 1, 3, 4)
		step("DELETE FROM t")
		step("ROLLBACK TO outer", 1, 3, 4)
		step("END TRANSACTION", 1, 3, 4)
		for _, text := range []string{"COMMIT", "ROLLBACK", "RELEASE outer"} {
			if _, err := c.ExecContext(context.Background(), text); err == nil {
				t.Errorf("%s outside of a transaction: no error", text)
			}
		}
		step("BEGIN", 1, 3, 4)
		if _, err := c.ExecContext(context.Background(), "BEGIN"); err == nil {
			t.Error("BEGIN within a transaction: no error")
		}
		step("DELETE FROM t WHERE a = 1", 3, 4)
		step("COMMIT", 3, 4)
		outside(2)
	})
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// A transaction that a text has begun, and nobody has ended, ends when the
// connection goes back: its lock is free for the next writer at once.
func TestSessionLeftInTx(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		c := conn(t, db)
		mustExec(t, c, "BEGIN")
		mustExec(t, c, "INSERT INTO t VALUES (1)")
		var h *hold
		if e.v2 {
			h = p.before(t, "ROLLBACK")
			h.release()
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if h != nil {
			<-h.reached
		}
		mustExec(t, db, "INSERT INTO t VALUES (2)")
		if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a = 1"); n != 0 {
			t.Error("it was committed")
		}
		if c := conn(t, db); queryInt(t, c, "SELECT count(*) FROM t") != 1 {
			t.Error("the next user of the connection is in the transaction")
		}
	})
}

// The functions that ask for what the connection did last see what this session
// did, whichever streams its statements have used, and nobody else's.
func TestSessionLastChanges(t *testing.T) {
	inModes(t, allModes[:len(allModes)-1], func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		mustExec(t, db, "INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)")
		for range 2 { // streams are used again
			c := conn(t, db)
			want := func(rowid, changes int64) {
				t.Helper()
				if n := queryInt(t, c, "SELECT last_insert_rowid()"); n != rowid {
					t.Errorf("last_insert_rowid() = %d, want %d", n, rowid)
				}
				if n := queryInt(t, c, "SELECT changes()"); n != changes {
					t.Errorf("changes() = %d, want %d", n, changes)
				}
			}
			want(0, 0)
			mustExec(t, c, "INSERT INTO t VALUES (70, 0)")
			mustExec(t, db, "INSERT INTO t VALUES (80, 0)") // somebody else's
			want(70, 1)
			mustExec(t, c, "UPDATE t SET b = 1 WHERE a < 4")
			want(70, 3)
			mustExec(t, c, "INSERT INTO t VALUES (?, last_insert_rowid() + changes())", 90)
			want(90, 1)
			if n := queryInt(t, c, "SELECT b FROM t WHERE a = 90"); n != 73 {
				t.Errorf("in an INSERT they gave %d", n)
			}
			// Where the stream does not last, neither does what only the server counts.
			if n := queryInt(t, c, "SELECT total_changes()"); n != 5 && !e.nullBatons {
				t.Errorf("total_changes() = %d, want 5", n)
			}
			mustExec(t, c, "DELETE FROM t WHERE a > 60")
			want(90, 3)
			tx := begin(t, c, tursoopt.TxOptions{})
			mustExec(t, tx, "INSERT INTO t VALUES (95, 0)")
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			want(95, 1)
			rows, err := c.QueryContext(context.Background(), "SELECT last_insert_rowid(), Changes ( )")
			if err != nil {
				t.Fatal(err)
			}
			if names, err := rows.Columns(); err != nil || names[0] != "last_insert_rowid()" || names[1] != "Changes ( )" {
				t.Errorf("the columns are %q, %v", names, err)
			}
			if err := errors.Join(rows.Close(), c.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A connection without state does not notice that the server has dropped its
// stream, or has been restarted.
func TestSessionWithoutStateGoesOn(t *testing.T) {
	drops := []loss{losses[0], losses[1], losses[3]}
	for _, l := range drops {
		t.Run(l.name, func(t *testing.T) {
			inModes(t, l.modes, func(t *testing.T, e *env) {
				ctx := context.Background()
				db := e.open(t)
				mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
				c := conn(t, db)
				prepared, err := c.PrepareContext(ctx, "INSERT INTO t VALUES (?)")
				if err != nil {
					t.Fatal(err)
				}
				defer prepared.Close()
				mustExec(t, c, "INSERT INTO t VALUES (7)")
				queryInt(t, c, "SELECT 1") // from here on it has a stream of its own
				next := []func() error{
					func() error { _, err := c.ExecContext(ctx, "INSERT INTO t VALUES (10)"); return err },
					func() error { return c.QueryRowContext(ctx, "SELECT last_insert_rowid()").Scan(new(int)) },
					func() error { _, err := prepared.Exec(11); return err },
					func() error {
						_, err := c.ExecContext(ctx, "INSERT INTO t VALUES (12); INSERT INTO t VALUES (13)")
						return err
					},
					func() error { _, err := c.ExecContext(ctx, "PRAGMA foreign_keys = on"); return err },
					func() error { _, err := db.Exec("INSERT INTO t VALUES (14)"); return err },
					func() error { return db.QueryRow("SELECT 1").Scan(new(int)) },
					func() error { return db.Ping() },
					func() error {
						tx, err := c.BeginTx(ctx, nil)
						if err != nil {
							return err
						}
						_, err = tx.Exec("INSERT INTO t VALUES (15)")
						return errors.Join(err, tx.Commit())
					},
					func() error {
						tx, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
						if err != nil {
							return err
						}
						_, err = tx.Exec("INSERT INTO t VALUES (16)")
						return errors.Join(err, tx.Commit())
					},
				}
				for i, call := range next {
					if i != 5 { // the PRAGMA before it is state
						l.happen(t, e)
					} else {
						_ = c.Close()
						c = conn(t, db)
					}
					// What has asked beside, of a server that was slow to start, may have found it down.
					awaitLanes(t, db, "the server is back", func(s tursoopt.Stats) bool { return !s.Circuit.Open })
					if err := call(); err != nil {
						t.Errorf("call %d: %v", i, err)
					}
				}
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 8 {
					t.Errorf("%d rows", n)
				}
			})
		})
	}
}

// What was set on a stream that is lost must not be missing in silence:
// foreign_keys=off, an idle time and a new stream would delete rows that nobody
// asked to delete.
func TestSessionLost(t *testing.T) {
	drops := []loss{losses[0], losses[1], losses[3]}
	for _, l := range drops {
		t.Run(l.name, func(t *testing.T) {
			inModes(t, l.modes, func(t *testing.T, e *env) {
				ctx := context.Background()
				db := e.open(t)
				mustExec(t, db, "CREATE TABLE p (id INTEGER PRIMARY KEY)")
				mustExec(t, db, "CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE)")
				mustExec(t, db, "INSERT INTO p VALUES (1)")
				mustExec(t, db, "INSERT INTO c VALUES (1)")
				for _, first := range []func(*sql.Conn) error{
					func(c *sql.Conn) error { _, err := c.ExecContext(ctx, "DELETE FROM p"); return err },
					func(c *sql.Conn) error { return c.QueryRowContext(ctx, "SELECT 1").Scan(new(int)) },
					func(c *sql.Conn) error {
						tx, err := c.BeginTx(ctx, nil)
						if err != nil {
							return err
						}
						defer tx.Rollback()
						_, err = tx.Exec("DELETE FROM p")
						return err
					},
					func(c *sql.Conn) error {
						_, err := tursoopt.BeginTx(ctx, c, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
						return err
					},
				} {
					c := conn(t, db)
					mustExec(t, c, "PRAGMA foreign_keys = off")
					l.happen(t, e)
					for _, call := range []func(*sql.Conn) error{first, first, func(c *sql.Conn) error {
						_, err := c.ExecContext(ctx, "ROLLBACK")
						return err
					}} {
						err := call(c)
						if !errors.Is(err, tursoopt.ErrSessionLost) || tursoopt.OutcomeUnknown(err) {
							t.Errorf("after the loss: %v", err)
						}
					}
					before := db.Stats().OpenConnections
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					if now := db.Stats().OpenConnections; now != before-1 {
						t.Errorf("%d connections were open, now %d", before, now)
					}
				}
				if n := queryInt(t, db, "SELECT count(*) FROM c"); n != 1 {
					t.Errorf("%d rows: a cascade has run", n)
				}
			})
		})
	}
}

// With a setting and a transaction on it, a lost stream is told as both, one
// after the other.
func TestSessionLostInTx(t *testing.T) {
	inModes(t, embeddedModes, func(t *testing.T, e *env) {
		ctx := context.Background()
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		for _, byText := range []bool{false, true} {
			c := conn(t, db)
			mustExec(t, c, "PRAGMA foreign_keys = off")
			if byText {
				mustExec(t, c, "BEGIN")
				mustExec(t, c, "INSERT INTO t VALUES (1)")
				e.embedded.ForgetStreams()
				_, err := c.ExecContext(ctx, "INSERT INTO t VALUES (2)")
				if !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("in the transaction: %v", err)
				}
				mustExec(t, c, "ROLLBACK")
			} else {
				tx := begin(t, c, tursoopt.TxOptions{})
				mustExec(t, tx, "INSERT INTO t VALUES (1)")
				e.embedded.ForgetStreams()
				if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("commit: %v", err)
				}
			}
			if _, err := c.ExecContext(ctx, "INSERT INTO t VALUES (3)"); !errors.Is(err, tursoopt.ErrSessionLost) {
				t.Errorf("by text %v, after the transaction: %v", byText, err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows are there", n)
		}
	})
}

// ATTACH is for the server to allow. Where it refuses, which costs the stream,
// the session goes on.
func TestSessionAttachRefused(t *testing.T) {
	inModes(t, sqldModes, func(t *testing.T, e *env) {
		db := e.open(t)
		c := conn(t, db)
		for range 2 {
			_, err := c.ExecContext(context.Background(), `ATTACH "other" AS o`)
			if e := asError(err); e == nil || e.HTTPStatus != 403 {
				t.Errorf("attach: %v", err)
			}
			if n := queryInt(t, c, "SELECT 1"); n != 1 {
				t.Error("the session is gone")
			}
		}
	})
}
