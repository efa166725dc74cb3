package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	tursoopt "github.com/turso-opt/turso-opt"
)

// leavesNothing runs f and looks for goroutines that it has left behind. Those
// of the test's servers and taps end with the test.
func leavesNothing(t testing.TB, f func()) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	f()
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")); err != nil {
		t.Error(err)
	}
}

// Close in the middle of anything leaves no goroutine, and whoever still holds
// something of the DB gets an error.
func TestCloseInTheMiddle(t *testing.T) {
	ctx := context.Background()
	type held struct {
		db   *sql.DB
		conn *sql.Conn
		tx   *sql.Tx
		rows *sql.Rows
	}
	for _, c := range []struct {
		name string
		hold func(t *testing.T, h *held)
	}{
		{"nothing used", func(*testing.T, *held) {}},
		{"idle", func(t *testing.T, h *held) { mustExec(t, h.db, "INSERT INTO t VALUES (1)") }},
		{"a held connection", func(t *testing.T, h *held) {
			h.conn = conn(t, h.db)
			mustExec(t, h.conn, "SELECT 1")
			mustExec(t, h.conn, "SELECT 2")
		}},
		{"settings", func(t *testing.T, h *held) {
			h.conn = conn(t, h.db)
			mustExec(t, h.conn, "PRAGMA foreign_keys = off")
		}},
		{"a transaction", func(t *testing.T, h *held) {
			h.tx = begin(t, h.db, tursoopt.TxOptions{})
			mustExec(t, h.tx, "INSERT INTO t VALUES (2)")
		}},
		{"a transaction not yet sent", func(t *testing.T, h *held) { h.tx = begin(t, h.db, tursoopt.TxOptions{}) }},
		{"a transaction by text", func(t *testing.T, h *held) {
			h.conn = conn(t, h.db)
			mustExec(t, h.conn, "BEGIN IMMEDIATE")
		}},
		{"rows", func(t *testing.T, h *held) {
			rows, err := h.db.QueryContext(ctx, "SELECT 1; SELECT 2")
			if err != nil {
				t.Fatal(err)
			}
			h.rows = rows
			rows.Next()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inModes(t, nativeModes, func(t *testing.T, e *env) {
				first := e.open(t)
				mustExec(t, first, "CREATE TABLE t (a)")
				if err := first.Close(); err != nil {
					t.Fatal(err)
				}
				leavesNothing(t, func() {
					h := &held{db: e.open(t)}
					c.hold(t, h)
					if err := h.db.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
					if err := h.db.Ping(); err == nil {
						t.Error("the DB still works")
					}
					if h.conn != nil {
						_, err := h.conn.ExecContext(ctx, "INSERT INTO t VALUES (3)")
						if !errors.Is(err, tursoopt.ErrClosed) || tursoopt.Retryable(err) {
							t.Errorf("on the connection: %v", err)
						}
						_ = h.conn.Close()
					}
					if h.tx != nil {
						if _, err := h.tx.Exec("INSERT INTO t VALUES (4)"); !errors.Is(err, tursoopt.ErrClosed) {
							t.Errorf("in the transaction: %v", err)
						}
						_ = h.tx.Rollback()
					}
					if h.rows != nil {
						_ = h.rows.Close()
					}
				})
				other := e.open(t)
				mustExec(t, other, "INSERT INTO t VALUES (5)") // no lock is left
				if n := queryInt(t, other, "SELECT count(*) FROM t WHERE a BETWEEN 2 AND 4"); n != 0 {
					t.Errorf("%d rows of what was not ended", n)
				}
			})
		})
	}
}

// Requests on their way when Close comes get five seconds to end.
func TestCloseWaits(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		h := p.before(t, "MARK")
		returned, closed := make(chan error, 1), make(chan error, 1)
		go func() { _, err := db.Exec("INSERT INTO t VALUES ('MARK')"); returned <- err }()
		<-h.reached
		go func() { closed <- db.Close() }()
		select {
		case err := <-closed:
			t.Fatalf("Close did not wait: %v", err)
		case <-time.After(50 * time.Millisecond): // a wrong Close comes within this
		}
		h.release()
		if err := errors.Join(<-returned, <-closed); err != nil {
			t.Error(err)
		}
		if n := queryInt(t, e.open(t), "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// What takes longer is cancelled.
func TestCloseCancels(t *testing.T) {
	t.Parallel() // it waits for the five seconds
	atOnce(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		h := p.before(t, "MARK")
		returned := make(chan error, 1)
		go func() { _, err := db.Exec("INSERT INTO t VALUES ('MARK')"); returned <- err }()
		<-h.reached
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-returned; !tursoopt.OutcomeUnknown(err) {
			t.Errorf("the statement: %v", err)
		}
		h.cut()
	})
}
