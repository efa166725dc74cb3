package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// A jam keeps the only lane of a database out, so that what is called meanwhile
// waits for it and shares what follows.
type jam struct {
	t   *testing.T
	e   *env
	tap *tap
	db  *sql.DB
	// from is how many requests there had been when the last jam began.
	from int
}

// newJam opens the env's database with one lane, behind a tap.
func newJam(t *testing.T, e *env, params ...string) *jam {
	t.Helper()
	tursoopt.LateAfter(time.Hour) // a held request is not late
	t.Cleanup(func() { tursoopt.LateAfter(0) })
	j := &jam{t: t, e: e, tap: e.tapped(t)}
	j.db = e.open(t, append(params, "lanes=1", "coalesce=on")...)
	if err := j.db.Ping(); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *jam) stats() tursoopt.LaneStats {
	s, _ := tursoopt.StatsOf(j.db)
	return s.Lanes
}

// behind makes calls one after the other while the lane is out, lets it go and
// returns when all have been answered, with what the requests said that came then.
func (j *jam) behind(calls ...func()) [][]byte {
	j.t.Helper()
	h := j.tap.before(j.t, "'JAM'")
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := j.db.QueryRow("SELECT 'JAM'").Scan(new(string)); err != nil {
			j.t.Errorf("the one before: %v", err)
		}
	})
	<-h.reached
	for i, call := range calls {
		wg.Go(call)
		j.await(fmt.Sprint(i+1, " wait"), func(s tursoopt.LaneStats) bool { return s.Waiting == i+1 })
	}
	j.from = j.tap.posts()
	h.release()
	wg.Wait()
	j.tap.mu.Lock()
	defer j.tap.mu.Unlock()
	return j.tap.seen[j.from:]
}

// await waits until the statistics say so.
func (j *jam) await(what string, ok func(tursoopt.LaneStats) bool) {
	j.t.Helper()
	awaitLanes(j.t, j.db, what, func(s tursoopt.Stats) bool { return ok(s.Lanes) })
}

func awaitLanes(t testing.TB, db *sql.DB, what string, ok func(tursoopt.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		s, _ := tursoopt.StatsOf(db)
		if ok(s) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s; the statistics are %+v", what, s)
		}
	}
}

// Each of the lanes' statistics is fed: what it counts is made to happen.
func TestLaneStats(t *testing.T) {
	e := newEnv(t, mode{name: "embedded sqld"})
	j := newJam(t, e, "group_commit=on", "keepalive=0")
	mustExec(t, j.db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
	mustExec(t, j.db, "CREATE TABLE jam (a)")
	read := func(n int) func() {
		return func() {
			if got := queryInt(t, j.db, "SELECT ?", n); got != int64(n) {
				t.Errorf("got %d, want %d", got, n)
			}
		}
	}
	before := j.stats()
	read(1)()
	if s := j.stats(); s.Alone != before.Alone+1 || s.Shared != before.Shared || s.Lanes != 1 {
		t.Errorf("after a lone read: %+v, before %+v", s, before)
	}
	before = j.stats()
	j.behind(read(1), read(2), read(3))
	if s := j.stats(); s.Shared != before.Shared+3 || s.Requests != before.Requests+1 || s.Alone != before.Alone+1 || s.Waiting != 0 {
		t.Errorf("after three shared reads: %+v, before %+v", s, before)
	}

	// Again: output that is not valid fails the whole request.
	const cast = "SELECT CAST(? AS TEXT)"
	if err := j.db.QueryRow(cast, []byte("good")).Scan(new(string)); err != nil {
		t.Fatal(err)
	}
	before = j.stats()
	j.behind(read(1), func() {
		if err := j.db.QueryRow(cast, []byte("\xff")).Scan(new(string)); err == nil {
			t.Error("output that is not valid has no error")
		}
	})
	if s := j.stats(); s.Again != before.Again+2 {
		t.Errorf("after a request that has failed: %+v, before %+v", s, before)
	}

	// Backoffs. The streams that are ended for a refusal take some of the others.
	waitNegotiated(t, j.db)
	e.embedded.Inject(3, tooMany)
	before = j.stats()
	read(1)()
	if s := j.stats(); s.Backoffs == before.Backoffs || s.Backoffs > before.Backoffs+3 {
		t.Errorf("after three refusals: %+v, before %+v", s, before)
	}
	e.embedded.Behave()

	// Grouped, Groups: other writes are in the server, and these wait.
	mustExec(t, j.db, "INSERT INTO t (b) VALUES (?)", 0)
	mustExec(t, j.db, "INSERT INTO t (b) VALUES (?)", 0)
	group := func(n int, text string, args ...any) {
		t.Helper()
		before = j.stats()
		var calls []func()
		for range n {
			calls = append(calls, func() { _, _ = j.db.Exec(text, args...) })
		}
		j.grouped(calls...)
	}
	group(3, "INSERT INTO t (b) VALUES (?)", 1)
	if s := j.stats(); s.Grouped != before.Grouped+3 || s.Groups != before.Groups+1 || s.Writing != 0 {
		t.Errorf("after three writes in a transaction: %+v, before %+v", s, before)
	}
	// Ungrouped: a trigger ends the transaction.
	mustExec(t, j.db, "CREATE TABLE r (a)")
	mustExec(t, j.db, "INSERT INTO r VALUES (?)", 1)
	mustExec(t, j.db, "CREATE TRIGGER no BEFORE INSERT ON r WHEN new.a = 7 BEGIN SELECT RAISE(ROLLBACK, 'no'); END")
	mustExec(t, j.db, "INSERT INTO r VALUES (?)", 2)
	group(2, "INSERT INTO r VALUES (?)", 7)
	if s := j.stats(); s.Ungrouped != before.Ungrouped+2 || s.Groups != before.Groups {
		t.Errorf("after a group that was rolled back: %+v, before %+v", s, before)
	}
}

// Late, Hedged and Locked take requests that are slow.
func TestLaneStatsOfSlowRequests(t *testing.T) {
	e := newEnv(t, mode{name: "embedded sqld"})
	j := newJam(t, e)
	tursoopt.LateAfter(0)
	db := e.open(t, "lanes=1")
	var wg sync.WaitGroup
	run := func(text string, args ...any) {
		wg.Go(func() {
			if err := db.QueryRow(text, args...).Scan(new(any)); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
	for range 2 {
		mustExec(t, db, "SELECT ?", 1)
	}
	// One keeps the lane; another waits for it and gets its place.
	late := j.tap.before(t, "'LATE'")
	run("SELECT 'LATE'")
	<-late.reached
	run("SELECT ?", 1)
	awaitLanes(t, db, "the lane is late", func(s tursoopt.Stats) bool { return s.Lanes.Late == 1 })
	late.release()
	wg.Wait()

	// Two share a request that is held; they are sent again by themselves.
	first := j.tap.before(t, "'FIRST'")
	run("SELECT 'FIRST'")
	<-first.reached
	shared := j.tap.before(t, "ROLLBACK")
	run("SELECT ?", 1)
	run("SELECT ?", 2)
	awaitLanes(t, db, "two wait, or share", func(s tursoopt.Stats) bool { return s.Lanes.Waiting == 2 || s.Lanes.Shared >= 2 })
	first.release()
	<-shared.reached
	awaitLanes(t, db, "they are sent again", func(s tursoopt.Stats) bool { return s.Lanes.Hedged == 2 })
	wg.Wait() // without the request that they shared
	shared.cut()
}

// A database that somebody beside the server has locked is tried again, in
// transactions too.
func TestALockedDatabaseIsTriedAgain(t *testing.T) {
	t.Parallel() // SQLite waits for five seconds before it says so
	for name, write := range map[string]func(db *sql.DB) error{
		"autocommit": func(db *sql.DB) error { _, err := db.Exec("INSERT INTO t VALUES (?)", 1); return err },
		"held connection": func(db *sql.DB) error {
			c := conn(t, db)
			mustExec(t, c, "SELECT 1")
			_, err := c.ExecContext(context.Background(), "INSERT INTO t VALUES (?)", 1)
			return err
		},
		"transaction": func(db *sql.DB) error {
			return inTx(context.Background(), db, func(tx *sql.Tx) error { _, err := tx.Exec("INSERT INTO t VALUES (1)"); return err })
		},
		"BEGIN IMMEDIATE": func(db *sql.DB) error {
			tx, err := tursoopt.BeginTx(context.Background(), db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
			if err != nil {
				return err
			}
			return tx.Commit()
		},
		"pipelined": func(db *sql.DB) error {
			tx := beginPipelined(t, db, tursoopt.TxImmediate)
			if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
				return err
			}
			return tx.Commit()
		},
		"pipelined read": func(db *sql.DB) error {
			tx := beginPipelined(t, db, tursoopt.TxImmediate)
			defer tx.Rollback()
			return tx.QueryRow("SELECT 1").Scan(new(int))
		},
		"batch": func(db *sql.DB) error {
			b := &tursoopt.Batch{}
			b.Queue("INSERT INTO t VALUES (1)")
			b.Queue("SELECT count(*) FROM t")
			res, err := tursoopt.SendBatch(context.Background(), db, b)
			if err != nil {
				return err
			}
			return res.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "shared.db")
			e := &env{url: hranatest.NewServer(t, hranatest.Options{Path: path}).URL()}
			rec := &record{}
			db := e.openConfig(t, func(c *tursoopt.Config) { c.Tracer = rec })
			mustExec(t, db, "CREATE TABLE t (a)")
			lock := conn(t, (&env{url: "file:" + path}).open(t))
			mustExec(t, lock, "BEGIN IMMEDIATE")
			done := make(chan error, 1)
			go func() { done <- write(db) }()
			awaitLanes(t, db, "it is locked", func(s tursoopt.Stats) bool { return s.Lanes.Locked > 0 })
			mustExec(t, lock, "COMMIT")
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n := stats(t, db).Requests.Retries; uint64(rec.retried()) != n || n == 0 {
				t.Errorf("the Tracer was told of %d retries, %d were counted", rec.retried(), n)
			}
		})
	}
}

// Writers that end in any way give their places at the gate back.
func TestGatePlacesComeBack(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		writing := func(n int, what string) {
			t.Helper()
			awaitLanes(t, db, fmt.Sprintf("%d inside after %s", n, what), func(s tursoopt.Stats) bool { return s.Lanes.Writing == n })
		}
		cancelled := func(what, text string, call func(ctx context.Context) error) {
			t.Helper()
			ctx, cancel := context.WithCancel(ctx)
			h := p.before(t, text)
			done := make(chan error)
			go func() { done <- call(ctx) }()
			<-h.reached
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", what, err)
			}
			writing(1, what+", under way")
			h.release()
			writing(0, what)
		}

		tx := begin(t, db, tursoopt.TxOptions{})
		queryInt(t, tx, "SELECT count(*) FROM t")
		writing(0, "a read in a transaction")
		mustExec(t, tx, "INSERT INTO t (b) VALUES (1)")
		writing(1, "a write in a transaction")
		mustExec(t, tx, "INSERT INTO t (b) VALUES (1)")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		writing(0, "a commit")

		tx = begin(t, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
		writing(1, "BEGIN IMMEDIATE")
		_ = tx.Rollback()
		writing(0, "a rollback")

		tx = begin(t, db, tursoopt.TxOptions{})
		if _, err := tx.Exec("INSERT INTO t VALUES ("); err == nil {
			t.Error("no error")
		}
		if !e.v2 { // which begins all the same
			writing(0, "a write that could not be read, and has no lock")
		}
		_ = tx.Rollback()

		c := conn(t, db)
		mustExec(t, c, "BEGIN IMMEDIATE")
		writing(1, "a textual BEGIN IMMEDIATE")
		mustExec(t, c, "COMMIT")
		writing(0, "a textual COMMIT")
		mustExec(t, c, "BEGIN")
		mustExec(t, c, "INSERT INTO t (b) VALUES (2)")
		writing(1, "a textual transaction")
		c.Close()
		writing(0, "a connection closed in a transaction")

		cancelled("a write", "'W1'", func(ctx context.Context) error {
			_, err := db.ExecContext(ctx, "INSERT INTO t (b) VALUES ('W1')")
			return err
		})
		c = conn(t, db)
		mustExec(t, c, "SELECT 1")
		cancelled("a write on a held connection", "'W2'", func(ctx context.Context) error {
			_, err := c.ExecContext(ctx, "INSERT INTO t (b) VALUES ('W2')")
			return err
		})
		c.Close()
		// The context of the statement, not of the transaction.
		tx = begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO t (b) VALUES (1)")
		cancelled("a write in a transaction", "'W3'", func(ctx context.Context) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO t (b) VALUES ('W3')")
			return err
		})
		_ = tx.Rollback()
		cancelled("BEGIN IMMEDIATE", "BEGIN IMMEDIATE", func(ctx context.Context) error {
			_, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
			return err
		})
		cancelled("a batch", "'W4'", func(ctx context.Context) error {
			b := &tursoopt.Batch{}
			b.Queue("INSERT INTO t (b) VALUES ('W4')")
			b.Queue("INSERT INTO t (b) VALUES (2)")
			_, err := tursoopt.SendBatch(ctx, db, b)
			return err
		})

		// A pipelined transaction.
		ptx, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Pipelined: true})
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, ptx, "INSERT INTO t (b) VALUES (3)")
		if err := ptx.Commit(); err != nil {
			t.Fatal(err)
		}
		writing(0, "a pipelined transaction")
		// Who waits at the gate and leaves has no place.
		var held []*hold
		var wg sync.WaitGroup
		s, _ := tursoopt.StatsOf(db)
		for i := range s.Lanes.Writers {
			held = append(held, p.before(t, fmt.Sprintf("'H%d'", i)))
			wg.Go(func() { mustExec(t, db, fmt.Sprintf("UPDATE t SET b = 'H%d' WHERE a = -1", i)) })
		}
		for _, h := range held {
			<-h.reached
		}
		short, leave := context.WithTimeout(ctx, time.Millisecond)
		defer leave()
		if _, err := db.ExecContext(short, "INSERT INTO t (b) VALUES (1)"); !errors.Is(err, context.DeadlineExceeded) || tursoopt.OutcomeUnknown(err) {
			t.Errorf("who left at the gate got %v", err)
		}
		for _, h := range held {
			h.release()
		}
		wg.Wait()
		writing(0, "all")
		// The connection breaks, and the lock stays behind for a while.
		tx = begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO t (b) VALUES (1)")
		p.before(t, "'W5'").cut()
		if _, err := tx.Exec("INSERT INTO t (b) VALUES ('W5')"); err == nil {
			t.Error("no error from a broken connection")
		}
		_ = tx.Rollback()
		writing(0, "a transaction whose connection broke")
	})
}

// Connections that are held have all of a server's streams, and writers that have
// none have been let in before them: those who wait for a stream do not keep out
// those who have one, and everybody has written in the end.
func TestWhoWaitsForAStreamKeepsNobodyOut(t *testing.T) {
	const streams, writers = 8, 12
	for _, params := range []string{"", "group_commit=on"} {
		t.Run(params, func(t *testing.T) {
			e := &env{url: hranatest.NewServer(t, hranatest.Options{MaxStreams: streams, OpenTimeout: time.Millisecond}).URL()}
			setup := e.open(t)
			mustExec(t, setup, "CREATE TABLE t (who TEXT)")
			setup.Close()
			db := e.open(t, "keepalive=0", params)
			db.SetMaxIdleConns(0) // a connection that is closed gives its stream back
			held := make([]*sql.Conn, streams)
			for i := range held {
				held[i] = conn(t, db)
				for range 2 { // the second has it take a stream of its own
					queryInt(t, held[i], "SELECT count(*) FROM t")
				}
			}
			var all sync.WaitGroup
			for range writers {
				all.Go(func() {
					if _, err := db.Exec("INSERT INTO t VALUES ('waits')"); err != nil {
						t.Error(err)
					}
				})
			}
			awaitLanes(t, db, "the server has no stream for a writer", func(s tursoopt.Stats) bool { return s.Lanes.Backoffs > 0 })
			for _, c := range held {
				mustExec(t, c, "INSERT INTO t VALUES ('has one')")
			}
			for _, c := range held {
				c.Close()
			}
			all.Wait()
			if n := queryInt(t, db, "SELECT count(*) FROM t"); int(n) != len(held)+writers {
				t.Errorf("%d rows, want %d", n, len(held)+writers)
			}
		})
	}
}
