package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A loss is a way in which a server ends transactions that nobody has ended.
type loss struct {
	name   string
	modes  []mode // of servers that can be made to
	happen func(t testing.TB, e *env)
}

var losses = []loss{
	{"expired", embeddedModes, func(t testing.TB, e *env) { e.embedded.ExpireStreams() }},
	{"invalid baton", embeddedModes, func(t testing.TB, e *env) { e.embedded.ForgetStreams() }},
	{"taken away", embeddedModes, func(t testing.TB, e *env) {
		if !e.embedded.TakeTransaction() {
			t.Error("there was no transaction to take")
		}
	}},
	{"restarted", sqldModes, func(t testing.TB, e *env) { restart(t, e) }},
}

// Native modes by their server: sqld, hranatest, those that have cursors.
var (
	sqldModes     = modesThat(func(m mode) bool { return m.real })
	embeddedModes = modesThat(func(m mode) bool { return !m.real })
	cursorModes   = modesThat(func(m mode) bool { return !m.v2 })
)

func modesThat(fit func(mode) bool) (modes []mode) {
	for _, m := range nativeModes {
		if fit(m) {
			modes = append(modes, m)
		}
	}
	return modes
}

// restart kills sqld as a power cut would, and starts it again.
func restart(t testing.TB, e *env) {
	t.Helper()
	e.sqld.Kill()
	if err := e.sqld.Restart(); err != nil {
		t.Fatal(err)
	}
}

// atOnce is inModes for bodies that wait for a server's clock: side by side,
// however few processors there are.
func atOnce(t *testing.T, modes []mode, body func(t *testing.T, e *env)) {
	t.Helper()
	var running sync.WaitGroup
	for i := range modes {
		running.Go(func() { inModes(t, modes[i:i+1], body) })
	}
	running.Wait()
}

// Nothing of a lost transaction is committed: neither what came before the loss
// nor any statement after it, which a server runs in autocommit if it is sent
// bare.
func TestTxLost(t *testing.T) {
	for _, l := range losses {
		t.Run(l.name, func(t *testing.T) {
			inModes(t, l.modes, func(t *testing.T, e *env) {
				db := e.open(t)
				mustExec(t, db, "CREATE TABLE t (a)")
				for _, next := range nextCalls {
					tx := begin(t, db, tursoopt.TxOptions{})
					mustExec(t, tx, "INSERT INTO t VALUES (1)")
					l.happen(t, e)
					txIsLost(t, tx, next)
					if n := db.Stats().OpenConnections; n != 0 {
						t.Errorf("%s: the connection is kept", next.name)
					}
					if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
						t.Errorf("%s: %d rows of the transaction are there", next.name, n)
					}
				}
			})
		})
	}
}

// A nextCall is what a program does with a transaction without knowing that it
// is lost.
type nextCall struct {
	name string
	call func(*sql.Tx) error
}

var nextCalls = []nextCall{
	{"exec", func(tx *sql.Tx) error { _, err := tx.Exec("INSERT INTO t VALUES (2)"); return err }},
	{"query", func(tx *sql.Tx) error { return tx.QueryRow("SELECT count(*) FROM t").Scan(new(int)) }},
	{"returning", func(tx *sql.Tx) error {
		return tx.QueryRow("INSERT INTO t VALUES (3) RETURNING a").Scan(new(int))
	}},
	{"script", func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES (4); INSERT INTO t VALUES (5)")
		return err
	}},
	{"savepoint", func(tx *sql.Tx) error { _, err := tx.Exec("SAVEPOINT s"); return err }},
	{"prepared", func(tx *sql.Tx) error {
		s, err := tx.Prepare("INSERT INTO t VALUES (?)")
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = s.Exec(6)
		return err
	}},
	{"commit", (*sql.Tx).Commit},
	{"rollback", (*sql.Tx).Rollback},
}

// txIsLost makes the next call and those that may follow it.
func txIsLost(t testing.TB, tx *sql.Tx, next nextCall) {
	t.Helper()
	err := next.call(tx)
	if !errors.Is(err, tursoopt.ErrTxLost) {
		t.Errorf("%s: %v", next.name, err)
	}
	if !tursoopt.Retryable(err) || tursoopt.OutcomeUnknown(err) {
		t.Errorf("%s: %v: retryable %v, outcome unknown %v", next.name, err,
			tursoopt.Retryable(err), tursoopt.OutcomeUnknown(err))
	}
	if next.name == "commit" || next.name == "rollback" {
		return
	}
	for _, more := range nextCalls[:len(nextCalls)-2] {
		if err := more.call(tx); !errors.Is(err, tursoopt.ErrTxLost) {
			t.Errorf("%s after %s: %v", more.name, next.name, err)
		}
	}
	if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
		t.Errorf("commit after %s: %v", next.name, err)
	}
}

// sqld takes a transaction away that is older than 5 s when another writer waits
// for it, and tells it once.
func TestTxTakenAway(t *testing.T) {
	t.Parallel()
	// A server has one transaction that can be taken, so each call has its own.
	atOnce(t, sqldModes, func(t *testing.T, e *env) {
		var calls sync.WaitGroup
		for _, next := range []nextCall{nextCalls[0], nextCalls[1], nextCalls[3], nextCalls[6], nextCalls[7]} {
			calls.Go(func() {
				t.Run(next.name, func(t *testing.T) {
					db := newEnv(t, e.mode).open(t)
					mustExec(t, db, "CREATE TABLE t (a)")
					mustExec(t, db, "CREATE TABLE other (a)")
					tx := begin(t, db, tursoopt.TxOptions{})
					mustExec(t, tx, "INSERT INTO t VALUES (1)")
					mustExec(t, db, "INSERT INTO other VALUES (1)") // waits, and takes it away
					txIsLost(t, tx, next)
					if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
						t.Errorf("%d rows of the transaction are there", n)
					}
				})
			})
		}
		calls.Wait()
	})
}

// The answer to a statement is lost on its way. The statement may have run, but
// whatever its transaction has done is never committed.
func TestTxAnswerLost(t *testing.T) {
	t.Parallel() // the lock of a lost stream costs 5 s
	atOnce(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		for _, first := range []bool{true, false} {
			tx := begin(t, db, tursoopt.TxOptions{})
			if !first {
				mustExec(t, tx, "INSERT INTO t VALUES (1)")
			}
			p.after(t, "VALUES (2)").cut()
			_, err := tx.Exec("INSERT INTO t VALUES (2)")
			if !errors.Is(err, tursoopt.ErrTxLost) || tursoopt.OutcomeUnknown(err) {
				t.Errorf("first statement %v: %v", first, err)
			}
			if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
				t.Errorf("commit: %v", err)
			}
			if n := db.Stats().OpenConnections; n != 0 {
				t.Error("the connection is kept")
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
				t.Errorf("%d rows are there", n)
			}
			if e.embedded != nil {
				e.embedded.ForgetStreams() // the lost stream's lock
			}
		}
	})
}

// Of a COMMIT without an answer nobody knows what it did.
func TestTxCommitAnswerLost(t *testing.T) {
	t.Parallel() // as above
	atOnce(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		for want, hold := range []func(testing.TB, string) *hold{p.before, p.after} {
			tx := begin(t, db, tursoopt.TxOptions{})
			mustExec(t, tx, "INSERT INTO t VALUES (1)")
			hold(t, "COMMIT").cut()
			err := tx.Commit()
			if !tursoopt.OutcomeUnknown(err) || tursoopt.Retryable(err) || errors.Is(err, tursoopt.ErrTxLost) {
				t.Errorf("commit: %v", err)
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != int64(want) {
				t.Errorf("%d rows are there, want %d", n, want)
			}
			if e.embedded != nil {
				e.embedded.ForgetStreams()
			}
			if n := db.Stats().OpenConnections; n != 1 { // the one that has counted
				t.Errorf("%d connections", n)
			}
		}
	})
}

// That a server has taken a transaction away it tells once, and whoever was told
// may not be the one who needs to know. No statement relies on having been told.
func TestTxLostUntold(t *testing.T) {
	// The tap rewrites JSON, and needs the stream that it has used.
	for _, m := range modesThat(func(m mode) bool { return !m.real && !m.nullBatons }) {
		m.params = "encoding=json"
		inModes(t, []mode{m}, func(t *testing.T, e *env) {
			p := e.tapped(t)
			db := e.open(t)
			mustExec(t, db, "CREATE TABLE t (a)")
			for _, next := range nextCalls {
				for _, byText := range []bool{false, true} {
					if byText && (next.name == "commit" || next.name == "rollback") {
						continue
					}
					c := conn(t, db)
					tx := &sql.Tx{}
					if byText {
						mustExec(t, c, "BEGIN")
						mustExec(t, c, "INSERT INTO t VALUES (1)")
					} else {
						tx = begin(t, c, tursoopt.TxOptions{})
						mustExec(t, tx, "INSERT INTO t VALUES (1)")
					}
					if !e.embedded.TakeTransaction() {
						t.Fatal("there was no transaction")
					}
					p.spend()
					if byText {
						for _, text := range []string{"INSERT INTO t VALUES (2)", "COMMIT"} {
							if _, err := c.ExecContext(context.Background(), text); !errors.Is(err, tursoopt.ErrTxLost) {
								t.Errorf("%s: %v", text, err)
							}
						}
					} else {
						txIsLost(t, tx, next)
					}
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
						t.Errorf("%s: %d rows of the transaction are there", next.name, n)
					}
				}
			}
		})
	}
}

// A sql.Conn whose transaction is lost goes on, once its program knows.
func TestTxLostOnConn(t *testing.T) {
	for _, l := range losses {
		t.Run(l.name, func(t *testing.T) {
			inModes(t, l.modes, func(t *testing.T, e *env) {
				ctx := context.Background()
				db := e.open(t)
				mustExec(t, db, "CREATE TABLE t (a)")
				c := conn(t, db)
				for round, byText := range []bool{false, false, true} {
					var tx *sql.Tx
					if byText {
						mustExec(t, c, "BEGIN")
						mustExec(t, c, "INSERT INTO t VALUES (1)")
					} else {
						tx = begin(t, c, tursoopt.TxOptions{})
						mustExec(t, tx, "INSERT INTO t VALUES (1)")
					}
					l.happen(t, e)
					if byText {
						for _, text := range []string{"INSERT INTO t VALUES (2)", "SELECT 1", "COMMIT", "BEGIN"} {
							if _, err := c.ExecContext(ctx, text); !errors.Is(err, tursoopt.ErrTxLost) {
								t.Errorf("%s: %v", text, err)
							}
						}
						mustExec(t, c, "ROLLBACK")
					} else {
						if round > 0 {
							if _, err := tx.Exec("INSERT INTO t VALUES (2)"); !errors.Is(err, tursoopt.ErrTxLost) {
								t.Errorf("%v", err)
							}
						}
						if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
							t.Errorf("commit: %v", err)
						}
					}
					if n := queryInt(t, c, "SELECT count(*) FROM t"); n != 0 {
						t.Errorf("by text %v: %d rows are there", byText, n)
					}
					mustExec(t, c, "DELETE FROM t")
				}
			})
		})
	}
}

// A server may take a transaction away between a statement and its answer to
// whether the transaction is open. No statement has ended it then, so it is lost.
func TestTxTakenBehindAStatement(t *testing.T) {
	inModes(t, modesThat(func(m mode) bool { return !m.real && !m.v2 }), func(t *testing.T, e *env) {
		p := e.tapped(t)
		var armed atomic.Bool
		p.proxy.ModifyResponse = func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			if r.Request.Method == http.MethodPost && armed.Swap(false) {
				// Version 3 asks; version 2 has a BEGIN that fails if the transaction is open,
				// and would be rolled back if not.
				none := `{"cols":[],"rows":[],"affected_row_count":0,"last_insert_rowid":null,"replication_index":null}`
				closed := regexp.MustCompile(`"step_results":\[null,null\],"step_errors":\[\{[^}]*\},null\]`).
					ReplaceAll(body, []byte(`"step_results":[`+none+`,`+none+`],"step_errors":[null,null]`))
				closed = bytes.ReplaceAll(closed, []byte(`"is_autocommit":false`), []byte(`"is_autocommit":true`))
				if bytes.Equal(closed, body) || !e.embedded.TakeTransaction() {
					t.Errorf("no transaction to take: %s", body)
				}
				body = closed
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		}
		db := e.open(t, "encoding=json")
		mustExec(t, db, "CREATE TABLE t (a)")
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		armed.Store(true)
		mustExec(t, tx, "INSERT INTO t VALUES (2)")
		if _, err := tx.Exec("INSERT INTO t VALUES (3)"); !errors.Is(err, tursoopt.ErrTxLost) {
			t.Errorf("a statement behind the loss: %v", err)
		}
		if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
			t.Errorf("Commit: %v", err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows of it are there", n)
		}
	})
}
