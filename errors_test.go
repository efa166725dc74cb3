package tursoopt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// SQLite's numbers come with every error of a statement, however little of them
// the server tells, and wherever the statement runs.
func TestErrorCodes(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		for _, text := range []string{
			"CREATE TABLE p (id INTEGER PRIMARY KEY)",
			"CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n NOT NULL DEFAULT 0, c CHECK (c < 10), p REFERENCES p (id))",
			"CREATE TABLE s (i INTEGER, b BLOB) STRICT",
			"CREATE TABLE k (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID",
			"CREATE TRIGGER no_s BEFORE DELETE ON s BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: so it says'); END",
			"CREATE TRIGGER no_t BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'not today'); END",
			"INSERT INTO t (id, u) VALUES (1, 'a')",
			"INSERT INTO s VALUES (1, NULL)",
			"INSERT INTO k VALUES (1, 2)",
		} {
			mustExec(t, db, text)
		}
		c := conn(t, db)
		tx := begin(t, db, tursoopt.TxOptions{})
		queryInt(t, tx, "SELECT 1")
		for _, run := range []execer{db, c, tx} {
			for _, w := range []struct {
				text           string
				code, extended int
				says           string
			}{
				{"INSERT INTO t (u) VALUES ('a')", 19, 2067, "t.u"},
				{"INSERT INTO t (id) VALUES (1)", 19, 2067, "t.id"},
				{"INSERT INTO k VALUES (1, 2)", 19, 2067, "k.a, k.b"},
				{"INSERT INTO t (n) VALUES (NULL)", 19, 1299, "t.n"},
				{"INSERT INTO t (c) VALUES (10)", 19, 275, "c < 10"},
				{"INSERT INTO t (p) VALUES (5)", 19, 787, "FOREIGN KEY"},
				{"INSERT INTO s VALUES ('text', NULL)", 19, 3091, "TEXT value in INTEGER column s.i"},
				{"DELETE FROM s", 19, 2067, "so it says"}, // RAISE can say anything
				{"DELETE FROM t", 19, 1811, "not today"},
				{"INSERT INTO t (id) VALUES ('x')", 20, 20, "datatype mismatch"},
				{"SELECT * FROM missing", 1, 1, "missing"},
				{"SELECT missing FROM t", 1, 1, "missing"},
				{"SELEKT 1", 1, 1, ""},
				{"SELECT abs(-9223372036854775807 - 1)", 1, 1, "integer overflow"},
				{"INSERT INTO t (u) VALUES (missing_function())", 1, 1, "missing_function"},
				{"SELECT json('{')", 1, 1, "malformed JSON"},
				{"CREATE TABLE t (a)", 1, 1, "already exists"},
				{"ROLLBACK TO missing", 1, 1, "missing"},
				{"SELECT zeroblob(2000000000)", 18, 18, "too big"},
			} {
				_, err := run.ExecContext(context.Background(), w.text)
				var x *tursoopt.Error
				if !errors.As(fmt.Errorf("wrapped: %w", errors.Join(err)), &x) {
					t.Errorf("%s: %v", w.text, err)
					continue
				}
				if x.Code != w.code || x.ExtendedCode != w.extended || !strings.Contains(x.Message, w.says) ||
					!strings.Contains(err.Error(), x.Message) {
					t.Errorf("%s: %d, %d, %v", w.text, x.Code, x.ExtendedCode, err)
				}
				if tursoopt.Retryable(err) || tursoopt.OutcomeUnknown(err) {
					t.Errorf("%s: %v is retryable %v, its outcome unknown %v", w.text, err,
						tursoopt.Retryable(err), tursoopt.OutcomeUnknown(err))
				}
			}
			_, err := run.ExecContext(context.Background(), "INSERT INTO s VALUES (2, ?)", make([]byte, 5<<20+1))
			if x := asError(err); x == nil || x.Code != 18 || x.ExtendedCode != 18 || tursoopt.Retryable(err) || tursoopt.OutcomeUnknown(err) {
				t.Errorf("a value beyond the server's limit: %v", err)
			}
		}
	})
}

// A read transaction that turns to writing on an old snapshot is told at once,
// and running the whole transaction again is all it takes.
func TestErrorBusy(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		tries := 0
		run := func() error {
			tx := begin(t, db, tursoopt.TxOptions{})
			defer tx.Rollback()
			queryInt(t, tx, "SELECT count(*) FROM t")
			if tries++; tries == 1 {
				mustExec(t, db, "INSERT INTO t VALUES (1)")
			}
			if _, err := tx.Exec("INSERT INTO t VALUES (2)"); err != nil {
				return err
			}
			return tx.Commit()
		}
		err := run()
		if x := asError(err); x == nil || x.Code != 5 || !tursoopt.Retryable(err) || tursoopt.OutcomeUnknown(err) {
			t.Errorf("%v", err)
		}
		if err := run(); err != nil {
			t.Error(err)
		}
	})
}

// GORM's dialectors find the extended code in the error's JSON.
func TestErrorJSON(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a UNIQUE)")
		mustExec(t, db, "INSERT INTO t VALUES (1)")
		_, err := db.Exec("INSERT INTO t VALUES (1)")
		text, jsonErr := json.Marshal(err)
		var fields struct {
			Code, ExtendedCode int
			Message            string
		}
		if jsonErr != nil || json.Unmarshal(text, &fields) != nil || fields.Code != 19 || fields.ExtendedCode != 2067 || fields.Message == "" {
			t.Errorf("%s, %v", text, jsonErr)
		}
	})
}

// Errors name the statement, with its literals replaced, and where in a script
// it stands.
func TestErrorStatement(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a UNIQUE)")
		mustExec(t, db, "INSERT INTO t VALUES ('hidden')")
		for _, c := range []struct {
			text, sql string
			statement int
		}{
			{"INSERT INTO t VALUES ('hidden')", "INSERT INTO t VALUES (?)", 0},
			{"SELECT 77; INSERT INTO t /* hidden */ VALUES ('hidden'); SELECT 78", "INSERT INTO t VALUES (?)", 1},
		} {
			_, err := db.Exec(c.text)
			x := asError(err)
			if x == nil || x.SQL != c.sql || x.Statement != c.statement {
				t.Errorf("%s: %+v", c.text, x)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, x), "hidden") {
				t.Errorf("%+v tells a literal", x)
			}
		}
	})
}

// A verdict is what an error says about running the statement again.
type verdict struct{ unknown, retryable, txLost bool }

func verdictOf(err error) verdict {
	return verdict{tursoopt.OutcomeUnknown(err), tursoopt.Retryable(err), errors.Is(err, tursoopt.ErrTxLost)}
}

// What each way to fail proves, for statements of their own, in a transaction,
// and for its end.
func TestErrorVerdicts(t *testing.T) {
	unknown, refused, retry, lost := verdict{unknown: true}, verdict{}, verdict{retryable: true}, verdict{retryable: true, txLost: true}
	inModes(t, embeddedModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		queryInt(t, db, "SELECT 1")
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, c := range []struct {
			name                        string
			fault                       hranatest.Fault
			read, write, inTx, txCommit verdict
			status                      int
			executed                    bool
		}{
			{"dropped before", hranatest.DropBefore, unknown, unknown, lost, unknown, 0, false},
			{"dropped after", hranatest.DropAfter, unknown, unknown, lost, unknown, 0, true},
			{"truncated", hranatest.Truncate, unknown, unknown, lost, unknown, 0, true},
			{"garbage", hranatest.Garbage, unknown, unknown, lost, unknown, 0, true},
			{"another shape", hranatest.WrongShape, unknown, unknown, lost, unknown, 0, true},
			{"401", hranatest.Status(401, 0), refused, refused, lost, lost, 401, false},
			{"403", hranatest.Status(403, 0), unknown, unknown, lost, unknown, 403, false},
			{"404", hranatest.Status(404, 0), refused, refused, lost, lost, 404, false},
			{"429", hranatest.Status(429, time.Hour), retry, retry, lost, lost, 429, false},
			{"500", hranatest.Status(500, 0), unknown, unknown, lost, unknown, 500, false},
			{"502", hranatest.Status(502, 0), unknown, unknown, lost, unknown, 502, false},
			{"503", hranatest.Status(503, time.Hour), unknown, unknown, lost, unknown, 503, false},
			{"504", hranatest.Status(504, 0), unknown, unknown, lost, unknown, 504, false},
		} {
			check := func(what string, err error, want verdict) {
				t.Helper()
				if err == nil || verdictOf(err) != want {
					t.Errorf("%s, %s: %v: %+v, want %+v", c.name, what, err, verdictOf(err), want)
				}
				if x := asError(err); x == nil || !want.txLost && x.HTTPStatus != c.status {
					t.Errorf("%s, %s: %v: status is not %d", c.name, what, err, c.status)
				}
			}
			faulty := func(call func() error) error {
				e.embedded.Inject(-1, c.fault)
				defer e.embedded.Behave()
				return call()
			}
			check("read", faulty(func() error { return db.QueryRowContext(ctx, "SELECT 1").Scan(new(int)) }), c.read)
			before := queryInt(t, db, "SELECT count(*) FROM t")
			err := faulty(func() error { _, err := db.ExecContext(ctx, "INSERT INTO t VALUES (1)"); return err })
			check("write", err, c.write)
			if x := asError(err); c.status == 429 && (x == nil || x.RetryAfter != time.Hour) {
				t.Errorf("%s: retry after is not an hour: %v", c.name, err)
			}
			want := before
			if c.executed {
				want++ // once
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != want {
				t.Errorf("%s: %d rows were written", c.name, n-before)
			}
			tx := begin(t, db, tursoopt.TxOptions{})
			mustExec(t, tx, "INSERT INTO t VALUES (2)")
			check("in a transaction", faulty(func() error { _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (3)"); return err }), c.inTx)
			if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
				t.Errorf("%s: commit after it: %v", c.name, err)
			}
			e.embedded.ForgetStreams() // and the lock of the lost one
			tx = begin(t, db, tursoopt.TxOptions{})
			mustExec(t, tx, "INSERT INTO t VALUES (4)")
			check("commit", faulty(tx.Commit), c.txCommit)
			e.embedded.ForgetStreams()
			if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a IN (2, 3)"); n != 0 {
				t.Errorf("%s: %d rows of a lost transaction", c.name, n)
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a = 4"); n != 0 && !c.txCommit.unknown {
				t.Errorf("%s: it was committed", c.name)
			}
			mustExec(t, db, "DELETE FROM t")
		}
	})
}

// What the caller asked for is answered by the driver itself, and what it joins
// or wraps keeps its verdict.
func TestErrorVerdictsOfOthers(t *testing.T) {
	for _, err := range []error{nil, errors.New("x"), context.Canceled, context.DeadlineExceeded, tursoopt.ErrSessionLost} {
		if verdictOf(err) != (verdict{}) {
			t.Errorf("%v: %+v", err, verdictOf(err))
		}
	}
	lost := &tursoopt.Error{ServerCode: "TRANSACTION_TIMEOUT"}
	if !errors.Is(fmt.Errorf("while: %w", lost), tursoopt.ErrTxLost) || errors.Is(lost, tursoopt.ErrSessionLost) || errors.Is(lost, tursoopt.ErrClosed) {
		t.Error("errors.Is does not find a lost transaction")
	}
}

// A broken connection or a dropped stream costs a read nothing but time.
func TestErrorReadsSurvive(t *testing.T) {
	inModes(t, embeddedModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		queryInt(t, db, "SELECT 1")
		for name, f := range map[string]hranatest.Fault{
			"dropped before": hranatest.DropBefore, "dropped after": hranatest.DropAfter, "truncated": hranatest.Truncate,
		} {
			e.embedded.Inject(1, f)
			if err := db.QueryRow("SELECT 1").Scan(new(int)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if stats, ok := tursoopt.StatsOf(db); !ok || stats.Requests.Retries < 3 {
			t.Errorf("%d retries are counted", stats.Requests.Retries)
		}
	})
}
