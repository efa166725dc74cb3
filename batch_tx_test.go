package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A batch comes after what a pipelined transaction has not sent, and does not run
// if that fails. What fails in a batch is told there, and the transaction goes on.
func TestBatchInPipelinedTransaction(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a UNIQUE)")
		for _, independent := range []bool{false, true} {
			mustExec(t, db, "DELETE FROM t")
			tx := beginPipelined(t, db, tursoopt.TxDefault)
			mustExec(t, tx, "INSERT INTO t VALUES (1)")
			res := send(t, tx, batch(independent, item("UPDATE t SET a = 2"), item("SELECT a FROM t")))
			if r, err := res.Exec(); err != nil {
				t.Error(err)
			} else if n, _ := r.RowsAffected(); n != 1 {
				t.Errorf("the batch has updated %d rows", n)
			}
			var a int
			if err := errors.Join(res.QueryRow().Scan(&a), res.Close()); err != nil || a != 2 {
				t.Errorf("the batch sees %d, %v", a, err)
			}
			res = send(t, tx, batch(independent, item("INSERT INTO t VALUES (2)")))
			if err := res.Close(); err == nil {
				t.Error("the unique constraint has not failed")
			}
			mustExec(t, tx, "INSERT INTO t VALUES (3)")
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if n := queryInt(t, db, "SELECT sum(a) FROM t"); n != 5 {
				t.Errorf("independent %v: the sum is %d, want 5", independent, n)
			}
			if !e.native {
				continue // where the Exec itself fails
			}
			tx = beginPipelined(t, db, tursoopt.TxDefault)
			mustExec(t, tx, "INSERT INTO t VALUES (2)")
			if err := sendAndClose(context.Background(), tx, batch(independent, item("DELETE FROM t"))); err == nil {
				t.Error("a batch runs after what failed")
			}
			if err := tx.Commit(); err == nil || !strings.Contains(err.Error(), "UNIQUE") {
				t.Errorf("Commit says %v", err)
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 2 {
				t.Errorf("%d rows after a transaction that failed", n)
			}
		}
	})
}

// refusingModes have servers that refuse a batch as a whole if they cannot read one
// item of it, and that a test can have forget the lock of a lost stream.
var refusingModes = modesThat(func(m mode) bool { return !m.real && !m.v2 })

// unreadable is a batch that such a server refuses, so that its items run one by one.
func unreadable() *tursoopt.Batch {
	return batch(false, item("INSERT INTO t VALUES ('item')"), item("INSER"))
}

// sendAndClose gives the first error of a batch.
func sendAndClose(ctx context.Context, q tursoopt.Queryer, b *tursoopt.Batch) error {
	res, err := tursoopt.SendBatch(ctx, q, b)
	if err != nil {
		return err
	}
	return res.Close()
}

// A transaction is lost while a batch runs in it item by item. Nothing that comes
// after on its connection commits by itself, until the transaction is ended.
func TestBatchInATransactionThatIsLost(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name  string
		modes []mode
		// lose makes the item's own request the one by which the transaction is lost.
		lose func(e *env, h *hold)
	}{
		{"broken", refusingModes, func(_ *env, h *hold) { h.cut() }},
		{"taken away", refusingModes, func(e *env, h *hold) {
			e.embedded.TakeTransaction()
			h.release()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inModes(t, c.modes, func(t *testing.T, e *env) {
				p := e.tapped(t)
				db := e.open(t)
				mustExec(t, db, "CREATE TABLE t (a)")
				run := func(on execer) {
					t.Helper()
					mustExec(t, on, "INSERT INTO t VALUES ('before')")
					p.before(t, "'item'").release() // the batch as a whole
					h := p.before(t, "'item'")
					done := make(chan error, 1)
					go func() { done <- sendAndClose(ctx, on, unreadable()) }()
					select {
					case <-h.reached:
					case err := <-done:
						t.Fatalf("the items have not run one by one: %v", err)
					}
					c.lose(e, h)
					if err := <-done; !errors.Is(err, tursoopt.ErrTxLost) {
						t.Errorf("the batch: %v", err)
					}
					if _, err := on.ExecContext(ctx, "INSERT INTO t VALUES ('after')"); !errors.Is(err, tursoopt.ErrTxLost) {
						t.Errorf("a statement after it: %v", err)
					}
					if e.embedded != nil {
						e.embedded.ForgetStreams() // a lost stream's lock
					}
				}
				textual := conn(t, db)
				mustExec(t, textual, "BEGIN")
				run(textual)
				mustExec(t, textual, "ROLLBACK")
				mustExec(t, textual, "INSERT INTO t VALUES ('at last')")

				tx := begin(t, db, tursoopt.TxOptions{})
				run(tx)
				if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("commit: %v", err)
				}
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 1 {
					t.Errorf("%d rows, want 1", n)
				}
			})
		})
	}
}

// A batch whose own transaction is lost while its items run one by one leaves a held
// connection as it was.
func TestABatchOfItsOwnThatIsLost(t *testing.T) {
	inModes(t, refusingModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		c := conn(t, db)
		p.before(t, "'item'").release()
		p.before(t, "'item'").cut()
		if err := sendAndClose(context.Background(), c, unreadable()); err == nil || !strings.Contains(err.Error(), "connection") {
			t.Errorf("the batch: %v", err)
		}
		if e.embedded != nil {
			e.embedded.ForgetStreams()
		}
		mustExec(t, c, "INSERT INTO t VALUES ('after')")
		if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a = 'after'"); n != 1 {
			t.Errorf("%d rows: what came after the batch is not committed", n)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

// A batch nests in a transaction that a text has begun.
func TestBatchInATextualTransaction(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a UNIQUE)")
		for _, end := range []string{"COMMIT", "ROLLBACK"} {
			mustExec(t, db, "DELETE FROM t")
			c := conn(t, db)
			mustExec(t, c, "BEGIN")
			mustExec(t, c, "INSERT INTO t VALUES (1)")
			if err := send(t, c, batch(false, item("INSERT INTO t VALUES (2)"), item("INSERT INTO t VALUES (1)"))).Close(); err == nil {
				t.Error("the unique constraint has not failed")
			}
			if err := send(t, c, batch(false, item("INSERT INTO t VALUES (3)"), item("INSERT INTO t VALUES (4)"))).Close(); err != nil {
				t.Error(err)
			}
			mustExec(t, c, end)
			want := map[string]int64{"COMMIT": 3}[end]
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != want {
				t.Errorf("%s: %d rows, want %d", end, n, want)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A leaver ends a context when it is asked for its value.
type leaver struct{ leave context.CancelFunc }

func (l leaver) Value() (driver.Value, error) {
	l.leave()
	return int64(2), nil
}

// The context ends in the middle of a batch. Whoever goes on with the transaction
// commits all of the batch or nothing.
func TestBatchInATransactionWhoseContextEnds(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		tx, err := db.BeginTx(context.Background(), &sql.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "INSERT INTO t VALUES (0)")
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		err = sendAndClose(ctx, tx, batch(false, item("INSERT INTO t VALUES (1)"), item("INSERT INTO t VALUES (?)", leaver{leave})))
		if err == nil {
			t.Error("the batch has not failed")
		}
		_ = tx.Commit()
		if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a > 0"); n != 0 {
			t.Errorf("%d rows of the batch are there", n)
		}
	})
}

// What was too large for the answer that all items of an independent batch share is
// fetched by itself. If that fails, the others keep their results: an error for all
// would have what they wrote be written again.
func TestIndependentBatchWhoseLargeResultFails(t *testing.T) {
	inModes(t, cursorModes[:1], func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		const big = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 12) SELECT hex(zeroblob(500000)) FROM n"
		p.before(t, "zeroblob").release()
		p.before(t, "zeroblob").cut()
		p.before(t, "zeroblob").cut()
		p.before(t, "zeroblob").cut()
		res := send(t, db, batch(true, item("INSERT INTO t VALUES (1)"), item(big), item("SELECT count(*) FROM t")))
		var n int
		_, first := res.Exec()
		_, second := res.Query()
		third := res.QueryRow().Scan(&n)
		if first != nil || second == nil || third != nil || n != 1 {
			t.Errorf("%v, %v, %v; %d rows", first, second, third, n)
		}
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	})
}
