package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// What these tests open has connections that it trusts for ever and never pings, so
// that statements do meet dead ones, and little patience.
var trusting = []string{"keepalive=0", "stale_after=0", "ping_timeout=1s"}

// carried is how many requests with a text have reached the server.
func (p *tap) carried(text string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, body := range p.seen {
		if bytes.Contains(body, []byte(text)) {
			n++
		}
	}
	return n
}

func queryAll(t testing.TB, db execer, text string) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != 12 {
		t.Error(n, err)
	}
}

// Statements that nobody has set a time for meet connections that are dead, and
// nobody has told. All of them end, each is executed once, and that of a transaction
// in that transaction: sqld tells that it has not had the request.
func TestDeadConnectionIsLeft(t *testing.T) {
	t.Parallel()
	const insert = "INSERT INTO t VALUES (1)"
	paths := []struct {
		name string
		// any: it needs no word of the server's.
		any  bool
		rows int64
		// prepare gives what is to run once the connections are dead.
		prepare func(t *testing.T, db *sql.DB) func()
	}{
		{"read", true, 0, func(t *testing.T, db *sql.DB) func() { return func() { queryInt(t, db, "SELECT count(*) FROM t") } }},
		{"held", true, 0, func(t *testing.T, db *sql.DB) func() {
			c := conn(t, db)
			queryInt(t, c, "SELECT 1")
			queryInt(t, c, "SELECT count(*) FROM t")
			return func() { queryInt(t, c, "SELECT count(*) FROM t") }
		}},
		{"large", false, 0, func(t *testing.T, db *sql.DB) func() {
			const large = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<12) SELECT n, hex(zeroblob(500000)) FROM c"
			queryAll(t, db, large) // so that it is known
			return func() { queryAll(t, db, large) }
		}},
		{"write", false, 1, func(t *testing.T, db *sql.DB) func() {
			mustExec(t, db, "DELETE FROM t") // leaves a stream
			return func() { mustExec(t, db, insert) }
		}},
		{"transaction", false, 3, func(t *testing.T, db *sql.DB) func() {
			tx := begin(t, db, tursoopt.TxOptions{})
			mustExec(t, tx, insert)
			return func() {
				mustExec(t, tx, insert)
				mustExec(t, tx, insert)
				if err := tx.Commit(); err != nil {
					t.Error(err)
				}
			}
		}},
		{"commit", false, 1, func(t *testing.T, db *sql.DB) func() {
			tx := begin(t, db, tursoopt.TxOptions{})
			mustExec(t, tx, insert)
			return func() {
				if err := tx.Commit(); err != nil {
					t.Error(err)
				}
			}
		}},
		{"batch", false, 2, func(t *testing.T, db *sql.DB) func() {
			mustExec(t, db, "DELETE FROM t")
			return func() {
				b := new(tursoopt.Batch)
				b.Queue(insert)
				b.Queue(insert)
				res, err := tursoopt.SendBatch(context.Background(), db, b)
				if err != nil {
					t.Fatal(err)
				}
				if err := res.Close(); err != nil {
					t.Error(err)
				}
			}
		}},
	}
	for _, m := range []mode{nativeModes[0], nativeModes[3], nativeModes[5]} {
		for _, path := range paths {
			if !path.any && !m.real {
				continue
			}
			t.Run(strings.ReplaceAll(m.name+"/"+path.name, " ", "-"), func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, m)
				p := e.behind(t, netem.Conditions{})
				db := e.open(t, trusting...)
				mustExec(t, db, "CREATE TABLE t (a INTEGER)")
				queryInt(t, db, "SELECT count(*) FROM t")
				awaitStats(t, db, func(tursoopt.Stats) bool { return tursoopt.Negotiated(db) })
				run := path.prepare(t, db)
				p.Drop()
				run()
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != path.rows {
					t.Errorf("%d rows, want %d", n, path.rows)
				}
				if s := stats(t, db); s.KeepAlive.Moved == 0 {
					t.Errorf("no connection was dead: %+v, %+v", s.KeepAlive, s.Requests)
				}
			})
		}
	}
}

// A request that is only late is no reason to give up what the server has had: a
// write is waited for, and is executed once whatever becomes of its first request,
// and a read is asked for twice at most.
func TestLateAnswersAreWaitedFor(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[0])
	p := e.tapped(t)
	db := e.open(t, trusting...)
	mustExec(t, db, "CREATE TABLE t (a INTEGER)")
	queryInt(t, db, "SELECT count(*) FROM t")
	const write, read = "INSERT INTO t VALUES (7)", "SELECT 7"
	writing := func() error { _, err := db.ExecContext(context.Background(), write); return err }
	reading := func() error { return db.QueryRowContext(context.Background(), read).Scan(new(int)) }
	for _, c := range []struct {
		name, text string
		execute    func() error
		hold       func(testing.TB, string) *hold
		twice      bool // it is sent again, and what is held is not waited for
	}{
		{"a write on its way", write, writing, p.before, true},
		{"a write that has been executed", write, writing, p.after, false},
		{"a read on its way", read, reading, p.before, true},
		{"a read that has been executed", read, reading, p.after, true},
	} {
		mustExec(t, db, "DELETE FROM t") // leaves a stream
		held, before, posts := c.hold(t, c.text), p.carried(c.text), p.posts()
		done := make(chan error, 1)
		go func() { done <- c.execute() }()
		<-held.reached
		if !c.twice {
			await(t, "the server to be asked for the write", func() bool { return p.posts() >= posts+2 })
			select {
			case err := <-done:
				t.Errorf("%s: %v", c.name, err)
			case <-time.After(3 * time.Second): // it is not sent again after more time either
			}
			held.release()
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		held.release() // what was late arrives
		want := 1
		if c.twice {
			want = 2
		}
		if n := p.carried(c.text) - before; n != want {
			t.Errorf("%s: sent %d times", c.name, n)
		}
		await(t, "the late request to be over", func() bool {
			select {
			case <-held.over:
				return true
			default:
				return false
			}
		})
		if n := queryInt(t, db, "SELECT count(*) FROM t"); c.text == write && n != 1 {
			t.Errorf("%s: %d rows", c.name, n)
		}
	}
	// One that is slow is asked for twice, however long it takes.
	first, second := p.after(t, read), p.after(t, read)
	before, done := p.carried(read), make(chan error, 1)
	go func() { done <- reading() }()
	<-first.reached
	<-second.reached
	time.Sleep(3 * time.Second) // three times as long as is patient
	first.release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := p.carried(read) - before; n != 2 {
		t.Errorf("a slow read is sent %d times", n)
	}
}

// Of two lanes one has a request on a path that has gone silent. Many callers go on
// beside it as if nothing were, and it is moved too, though nothing is ever heard of
// that path again.
func TestSilentPathBlocksNobodyElse(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[0])
	p := e.tapped(t)
	db := e.open(t, append(trusting, "lanes=2")...)
	read(t, db, 1)
	silent := p.before(t, "'SILENT'")
	moved := make(chan error, 1)
	go func() { moved <- db.QueryRow("SELECT 'SILENT'").Scan(new(string)) }()
	<-silent.reached
	read(t, db, 64)
	if err := <-moved; err != nil {
		t.Error(err)
	}
	if s := stats(t, db); s.KeepAlive.Moved != 1 {
		t.Errorf("%+v", s.KeepAlive)
	}
}

// All paths go silent, again and again, while many callers read on two lanes: those
// whose requests are there are moved, and the rest wait for nobody else.
func TestDeadPathsUnderLoad(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[0])
	p := e.behind(t, netem.Conditions{RTT: 10 * time.Millisecond})
	db := e.open(t, append(trusting, "lanes=2")...)
	read(t, db, 1)
	for range 3 {
		done := make(chan struct{})
		go func() { defer close(done); read(t, db, 64) }()
		p.Drop()
		<-done
	}
	if s := stats(t, db); s.KeepAlive.Moved == 0 || s.KeepAlive.Moved+s.Lanes.Hedged > 3*64 {
		t.Errorf("%+v, %+v", s.KeepAlive, s.Lanes)
	}
}

// read has callers read eight times each.
func read(t *testing.T, db *sql.DB, callers int) {
	t.Helper()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range 8 {
				var n int
				if err := db.QueryRow("SELECT 3 WHERE 1 = ?", 1).Scan(&n); err != nil || n != 3 {
					t.Error(n, err)
				}
			}
		})
	}
	all.Wait()
}
