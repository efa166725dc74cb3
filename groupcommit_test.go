package tursoopt_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// grouped has writes share a transaction: others are inside until all of them
// wait. It returns what the requests said that came then.
func (j *jam) grouped(calls ...func()) [][]byte {
	j.t.Helper()
	const text = "UPDATE jam SET a = 'HOLD'"
	mustExec(j.t, j.db, text) // known to succeed
	var before, wg sync.WaitGroup
	// On the way through the tap the gate may have come to let two in.
	var holds []*hold
	for range min(2, j.stats().Writers) {
		h := j.tap.before(j.t, "'HOLD'")
		holds = append(holds, h)
		before.Go(func() { mustExec(j.t, j.db, text) })
		<-h.reached
	}
	for i, call := range calls {
		wg.Go(call)
		j.await(fmt.Sprint(i+1, " writes wait"), func(s tursoopt.LaneStats) bool { return s.Waiting == i+1 })
	}
	j.from = j.tap.posts()
	// One place is enough for them. The connection that another gives back would be
	// theirs if they happen to wait for one just then.
	holds[0].release()
	wg.Wait()
	for _, h := range holds {
		h.release()
	}
	before.Wait()
	j.tap.mu.Lock()
	defer j.tap.mu.Unlock()
	return j.tap.seen[j.from:]
}

// newGroupJam is newJam for writes.
func newGroupJam(t *testing.T, e *env, params ...string) *jam {
	t.Helper()
	j := newJam(t, e, append(params, "group_commit=on")...)
	mustExec(t, j.db, "CREATE TABLE jam (a)")
	return j
}

// learn runs a write until it is known that it may share.
func (j *jam) learn(text string, args ...any) {
	j.t.Helper()
	for range 2 {
		mustExec(j.t, j.db, text, args...)
	}
}

var groupModes = []mode{
	{name: "sqld protobuf", native: true, real: true, params: "encoding=protobuf"},
	{name: "sqld json", native: true, real: true, params: "encoding=json"},
	{name: "embedded sqld", native: true},
	{name: "embedded cloud", native: true, profile: hranatest.Cloud},
	{name: "embedded cloud without batons", native: true, profile: hranatest.Cloud, nullBatons: true},
}

// Writes share one transaction; counts and row ids are each caller's own.
func TestGroupCommit(t *testing.T) {
	inModes(t, groupModes, func(t *testing.T, e *env) {
		j := newGroupJam(t, e)
		mustExec(t, j.db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		const insert, update, remove = "INSERT INTO t (b) VALUES (?), (?)", "UPDATE t SET b = -1 WHERE b = ?", "DELETE FROM t WHERE b = ?"
		j.learn(insert, 0, 0)
		j.learn(update, 999)
		j.learn(remove, 998)
		mustExec(t, j.db, "INSERT INTO t VALUES (500, 'one'), (501, 'two'), (502, 'two')")
		var mu sync.Mutex
		ids := map[int64]int{}
		check := func(res sql.Result, err error, rows int64, rowid bool) int64 {
			if err != nil {
				t.Error(err)
				return 0
			}
			if n, _ := res.RowsAffected(); n != rows {
				t.Errorf("%d rows affected, want %d", n, rows)
			}
			id, _ := res.LastInsertId()
			if rowid != (id != 0) {
				t.Errorf("row id %d", id)
			}
			return id
		}
		var calls []func()
		for i := range 10 {
			calls = append(calls, func() {
				res, err := j.db.Exec(insert, 1000+i, 1000+i)
				id := check(res, err, 2, true)
				mu.Lock()
				ids[id] = i
				mu.Unlock()
			})
		}
		calls = append(calls,
			func() { res, err := j.db.Exec(update, "one"); check(res, err, 1, false) },
			func() { res, err := j.db.Exec(remove, "two"); check(res, err, 2, false) },
			func() { res, err := j.db.Exec(update, "nothing"); check(res, err, 0, false) },
		)
		before := j.stats()
		j.grouped(calls...)
		if s := j.stats(); s.Groups != before.Groups+1 || s.Grouped != before.Grouped+13 {
			t.Errorf("they have not shared: %+v, before %+v", s, before)
		}
		if len(ids) != 10 {
			t.Fatalf("row ids %v", ids)
		}
		for id, i := range ids {
			if n := queryInt(t, j.db, "SELECT b FROM t WHERE a = ?", id); n != int64(1000+i) {
				t.Errorf("the row %d is that of %d, want %d", id, n, 1000+i)
			}
		}
	})
}

// Nobody is told before the commit: while the answer to the group is on its way,
// its rows are there and no caller has returned.
func TestNobodyIsToldBeforeTheCommit(t *testing.T) {
	e := newEnv(t, mode{name: "sqld", native: true, real: true})
	url := e.url
	j := newGroupJam(t, e)
	mustExec(t, j.db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
	j.db.Exec("INSERT INTO t VALUES (?)", -1)
	j.db.Exec("INSERT INTO t VALUES (?)", -2)
	var told atomic.Int32
	var calls []func()
	for i := range 5 {
		calls = append(calls, func() {
			if _, err := j.db.Exec("INSERT INTO t VALUES (?)", i); err != nil {
				t.Error(err)
			}
			told.Add(1)
		})
	}
	h := j.tap.after(t, "INSERT INTO t VALUES")
	go func() {
		<-h.reached
		direct := (&env{url: url}).open(t)
		if n := queryInt(t, direct, "SELECT count(*) FROM t"); n != 7 {
			t.Errorf("the server has %d rows", n)
		}
		if told.Load() != 0 {
			t.Error("somebody was told")
		}
		h.release()
	}()
	j.grouped(calls...)
	if told.Load() != 5 {
		t.Errorf("%d were told", told.Load())
	}
}

// What fails for one fails for it alone, in each way in which a write can fail.
func TestAFailureInAGroupIsItsOwners(t *testing.T) {
	inModes(t, groupModes, func(t *testing.T, e *env) {
		j := newGroupJam(t, e)
		for _, text := range []string{
			"CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE, c CHECK (c > 0))",
			"CREATE TABLE r (a INTEGER PRIMARY KEY, b)",
			"CREATE TRIGGER no BEFORE INSERT ON r WHEN new.b < 0 BEGIN SELECT RAISE(ROLLBACK, 'not negative'); END",
			"CREATE TABLE o (a INTEGER PRIMARY KEY, b UNIQUE ON CONFLICT ROLLBACK)",
			"CREATE TABLE child (a INTEGER PRIMARY KEY, b REFERENCES t)",
			"INSERT INTO t VALUES (1, 'taken', 1)",
			"INSERT INTO o VALUES (1, 'taken')",
		} {
			mustExec(t, j.db, text)
		}
		for name, c := range map[string]struct {
			text string
			good []any
			bad  []any
			want string
			// breaks: it ends the transaction of all.
			breaks bool
		}{
			"UNIQUE":               {"INSERT INTO t (b, c) VALUES (?, ?)", []any{nil, 1}, []any{"taken", 1}, "UNIQUE constraint failed: t.b", false},
			"CHECK":                {"INSERT INTO t (b, c) VALUES (NULL, ?)", []any{1}, []any{-1}, "CHECK constraint failed", false},
			"FOREIGN KEY":          {"INSERT INTO child (b) VALUES (?)", []any{1}, []any{77777}, "FOREIGN KEY constraint failed", false},
			"OR FAIL":              {"INSERT OR FAIL INTO t (b, c) VALUES (?, 1)", []any{nil}, []any{"taken"}, "UNIQUE constraint failed", false},
			"an error":             {"UPDATE t SET c = abs(?)", []any{5}, []any{int64(-1 << 63)}, "integer overflow", false},
			"RAISE(ROLLBACK)":      {"INSERT INTO r (b) VALUES (?)", []any{1}, []any{-1}, "not negative", true},
			"ON CONFLICT ROLLBACK": {"INSERT INTO o (b) VALUES (?)", []any{nil}, []any{"taken"}, "UNIQUE constraint failed: o.b", true},
			"OR ROLLBACK":          {"INSERT OR ROLLBACK INTO t (b, c) VALUES (?, 1)", []any{nil}, []any{"taken"}, "UNIQUE constraint failed", true},
		} {
			if e.profile == hranatest.Cloud && name == "FOREIGN KEY" {
				continue
			}
			mustExec(t, j.db, "CREATE TABLE IF NOT EXISTS plain (a INTEGER PRIMARY KEY, b)")
			mustExec(t, j.db, "DELETE FROM plain")
			j.learn("INSERT INTO plain (b) VALUES (?)", 0)
			j.learn(c.text, c.good...)
			var calls []func()
			for i := range 6 {
				if i == 3 {
					calls = append(calls, func() {
						_, err := j.db.Exec(c.text, c.bad...)
						if err == nil || !strings.Contains(err.Error(), c.want) || tursoopt.OutcomeUnknown(err) {
							t.Errorf("%s: got %v", name, err)
						}
					})
					continue
				}
				calls = append(calls, func() {
					res, err := j.db.Exec("INSERT INTO plain (b) VALUES (?)", i+1)
					if err != nil {
						t.Errorf("%s: an innocent write: %v", name, err)
						return
					}
					id, _ := res.LastInsertId()
					if n := queryInt(t, j.db, "SELECT b FROM plain WHERE a = ?", id); n != int64(i+1) {
						t.Errorf("%s: the row %d is that of %d, want %d", name, id, n, i+1)
					}
				})
			}
			before := j.stats()
			j.grouped(calls...)
			s := j.stats()
			if broke := s.Ungrouped > before.Ungrouped; broke != c.breaks {
				t.Errorf("%s: run one by one: %v; %+v, before %+v", name, broke, s, before)
			}
			if n := queryInt(t, j.db, "SELECT count(*) FROM plain"); n != 7 {
				t.Errorf("%s: %d rows, want 7", name, n)
			}
			if !c.breaks {
				continue
			}
			// Next time it is known, and goes by itself.
			var wg sync.WaitGroup
			before = s
			for range 4 {
				wg.Go(func() { _, _ = j.db.Exec(c.text, c.bad...) })
			}
			wg.Wait()
			if s := j.stats(); s.Ungrouped != before.Ungrouped || s.Grouped != before.Grouped {
				t.Errorf("%s: what breaks groups shares again: %+v, before %+v", name, s, before)
			}
		}
	})
}

// Where a row of one caller could make another's valid, or a trigger would see a
// stranger's row id, nothing is shared.
func TestSchemasThatForbidSharing(t *testing.T) {
	for name, schema := range map[string][]string{
		"DEFERRABLE":                 {"CREATE TABLE p (a INTEGER PRIMARY KEY)", "CREATE TABLE c (a REFERENCES p DEFERRABLE INITIALLY DEFERRED)"},
		"deferred in lower case":     {"CREATE TABLE p (a INTEGER PRIMARY KEY)", "CREATE TABLE c (a REFERENCES p deferrable initially deferred)"},
		"last_insert_rowid()":        {"CREATE TABLE l (a)", "CREATE TRIGGER g AFTER UPDATE ON t BEGIN INSERT INTO l VALUES (last_insert_rowid()); END"},
		"changes() in a view":        {"CREATE VIEW v AS SELECT changes() AS n"},
		"total_changes() by default": {"CREATE TABLE l (a DEFAULT (total_changes( )))"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, mode{name: "sqld", native: true, real: true})
			j := newGroupJam(t, e)
			mustExec(t, j.db, "CREATE TABLE t (a INTEGER PRIMARY KEY, changes)")
			write := func(n int) func() {
				return func() {
					if _, err := j.db.Exec("INSERT INTO t (changes) VALUES (?)", n); err != nil {
						t.Error(err)
					}
				}
			}
			j.learn("INSERT INTO t (changes) VALUES (?)", -1)
			j.grouped(write(1), write(2))
			if s := j.stats(); s.Grouped != 2 {
				t.Errorf("they do not share in a schema that allows it: %+v", s)
			}
			// The schema changes behind the driver's back.
			other := e.open(t)
			for _, text := range schema {
				mustExec(t, other, text)
			}
			j.grouped(write(3), write(4)) // finds it out
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(write(5 + i))
			}
			wg.Wait()
			if s := j.stats(); s.Grouped != 2 || s.Ungrouped < 2 {
				t.Errorf("they share: %+v", s)
			}
			if n := queryInt(t, j.db, "SELECT count(*) FROM t"); n != 14 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// On a server without version 3 writes travel one by one.
func TestGroupCommitOnVersion2(t *testing.T) {
	e := newEnv(t, mode{name: "embedded v2", native: true, profile: hranatest.V2, v2: true})
	j := newGroupJam(t, e)
	mustExec(t, j.db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
	j.learn("INSERT INTO t (b) VALUES (?)", 0)
	var calls []func()
	for i := range 5 {
		calls = append(calls, func() {
			if _, err := j.db.Exec("INSERT INTO t (b) VALUES (?)", i); err != nil {
				t.Error(err)
			}
		})
	}
	j.grouped(calls...)
	if s := j.stats(); s.Grouped != 0 || s.Ungrouped != 5 {
		t.Errorf("%+v", s)
	}
	if n := queryInt(t, j.db, "SELECT count(*) FROM t"); n != 7 {
		t.Errorf("%d rows", n)
	}
}

// The connection breaks in the middle of the group's answer, or before the server
// has it: nobody is told what is not so, and what is unknown is in at most once.
func TestAGroupWhoseConnectionBreaks(t *testing.T) {
	for _, after := range []bool{false, true} {
		e := newEnv(t, mode{name: "sqld", native: true, real: true})
		j := newGroupJam(t, e)
		mustExec(t, j.db, "CREATE TABLE t (a)")
		j.learn("INSERT INTO t VALUES (?)", -1)
		var calls []func()
		for i := range 5 {
			calls = append(calls, func() {
				if _, err := j.db.Exec("INSERT INTO t VALUES (?)", i); !tursoopt.OutcomeUnknown(err) || tursoopt.Retryable(err) {
					t.Errorf("got %v", err)
				}
			})
		}
		j.tap.hold(t, "INSERT INTO t VALUES", after).cut()
		j.grouped(calls...)
		want := int64(0)
		if after {
			want = 5
		}
		if n := queryInt(t, j.db, "SELECT count(*) FROM t WHERE a >= 0"); n != want {
			t.Errorf("%d rows, want %d", n, want)
		}
	}
}

// A ledger of what writers were told: unknown may be in it once, the rest is
// certain.
type ledger struct {
	mu                     sync.Mutex
	told                   map[int]error
	acked, failed, unknown int
}

func (l *ledger) note(id int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told[id] = err
	switch {
	case err == nil:
		l.acked++
	case tursoopt.OutcomeUnknown(err):
		l.unknown++
	default:
		l.failed++
	}
}

// audit holds the ledger against the table.
func (l *ledger) audit(t *testing.T, db *sql.DB) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	rows, err := db.Query("SELECT id, count(*) FROM ledger GROUP BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	times := map[int]int{}
	for rows.Next() {
		var id, n int
		if err := rows.Scan(&id, &n); err != nil {
			t.Fatal(err)
		}
		times[id] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for id, err := range l.told {
		n := times[id]
		switch {
		case n > 1:
			t.Errorf("write %d is there %d times (told %v)", id, n, err)
		case err == nil && n != 1:
			t.Errorf("write %d was acknowledged and is not there", id)
		case err != nil && !tursoopt.OutcomeUnknown(err) && n != 0:
			t.Errorf("write %d has failed (%v) and is there", id, err)
		}
		delete(times, id)
	}
	for id := range times {
		t.Errorf("write %d is there, and nobody wrote it", id)
	}
}

// openLedger makes the table. Its amounts must not be negative, and 13 ends the
// transaction that it is in.
func openLedger(t *testing.T, e *env) *ledger {
	t.Helper()
	db := e.open(t)
	mustExec(t, db, "CREATE TABLE ledger (id, amount CHECK (amount >= 0))")
	mustExec(t, db, "CREATE TRIGGER thirteen BEFORE INSERT ON ledger WHEN new.amount = 13 BEGIN SELECT RAISE(ROLLBACK, 'thirteen'); END")
	return &ledger{told: map[int]error{}}
}

// Sharing makes no more writes unknown: where one in five of the requests that hold
// writes is executed and its answer spoilt, in whatever way, so is one in five of the
// writes, whether they share requests or not.
func TestUnknownOutcomesWithGroupCommit(t *testing.T) {
	const rounds, writes = 20, 8
	spoilt := []hranatest.Fault{hranatest.DropAfter, hranatest.Truncate, hranatest.Garbage, hranatest.WrongShape}
	for _, params := range []string{"group_commit=off", "group_commit=on"} {
		var requests atomic.Int64
		var server *hranatest.Server
		server = hranatest.NewServer(t, hranatest.Options{OnRequest: func(r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte("INSERT INTO t")) {
				if n := int(requests.Add(1)); n%5 == 0 {
					server.Inject(1, spoilt[n/5%len(spoilt)])
				}
			}
		}})
		j := newJam(t, &env{url: server.URL()}, "encoding=json", params)
		mustExec(t, j.db, "CREATE TABLE jam (a)")
		mustExec(t, j.db, "CREATE TABLE t (a)")
		j.learn("INSERT INTO t VALUES (?)", -1)
		requests.Store(0)
		l := &ledger{told: map[int]error{}}
		for round := range rounds {
			var calls []func()
			for i := range writes {
				calls = append(calls, func() {
					id := round*writes + i
					_, err := j.db.Exec("INSERT INTO t VALUES (?)", id)
					l.note(id, err)
				})
			}
			if params == "group_commit=on" {
				j.grouped(calls...)
				continue
			}
			for _, call := range calls {
				call()
			}
		}
		want, all := int64(rounds), rounds*writes
		if params == "group_commit=off" {
			want = int64(all)
		}
		if n := requests.Load(); n != want {
			t.Errorf("%s: %d requests for %d writes, want %d", params, n, all, want)
		}
		if l.unknown != all/5 || l.acked != all-all/5 || l.failed != 0 {
			t.Errorf("%s: of %d writes %d are unknown, %d acknowledged, %d failed", params, all, l.unknown, l.acked, l.failed)
		}
		if n := queryInt(t, j.db, "SELECT count(*) FROM t WHERE a >= 0"); n != int64(all) {
			t.Errorf("%s: %d rows, want %d", params, n, all)
		}
	}
}
