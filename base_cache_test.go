package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	sqlite3driver "github.com/ncruces/go-sqlite3/driver"

	tursoopt "github.com/turso-opt/turso-opt"
)

// What a connection of a base holds decides who may be answered on it, and what is kept of
// it.
func TestBaseCacheLooksAtConnections(t *testing.T) {
	e := newEnv(t, cachedBases[1])
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	// isKept tells whether q is answered on a connection without asking the base.
	isKept := func(on execer) bool {
		t.Helper()
		before := cacheStats(t, db).Hits
		queryInt(t, on, q)
		return cacheStats(t, db).Hits > before
	}
	fresh := func() *sql.Conn {
		t.Helper()
		warm(t, db, q)
		c := conn(t, db)
		if !isKept(c) {
			t.Fatalf("it is not kept: %+v", cacheStats(t, db))
		}
		return c
	}
	for _, c := range []struct {
		name    string
		queries []string
		kept    bool
	}{
		{"nothing", nil, true},
		{"a setting that changes nothing", []string{"PRAGMA busy_timeout = 1000", "PRAGMA synchronous = off"}, true},
		{"a setting that does", []string{"PRAGMA case_sensitive_like = 1"}, false},
		{"a transaction", []string{"BEGIN", "SELECT 1"}, false},
		{"one that has ended", []string{"BEGIN", "SELECT 1", "COMMIT"}, true},
		{"one that was rolled back", []string{"BEGIN", "UPDATE b SET n = 7", "ROLLBACK"}, true},
		{"a savepoint", []string{"SAVEPOINT s"}, false},
		{"one in another", []string{"SAVEPOINT s", "SAVEPOINT t", "RELEASE t"}, false},
		{"one that was gone back to", []string{"SAVEPOINT s", "ROLLBACK TO s"}, false},
		{"ones that have ended", []string{"SAVEPOINT s", "SAVEPOINT t", "RELEASE SAVEPOINT s"}, true},
		{"a transaction with one", []string{"BEGIN", "SAVEPOINT s", "RELEASE s"}, false},
		{"a script", []string{"BEGIN; SAVEPOINT s; RELEASE s; COMMIT"}, true},
		{"a script that begins one", []string{"BEGIN; SELECT 1"}, false},
		{"a temporary table", []string{"CREATE TEMP TABLE b (n)", "INSERT INTO b VALUES (1000)"}, false},
		{"an attached database", []string{"ATTACH ':memory:' AS other"}, false},
	} {
		pinned := fresh()
		for _, query := range c.queries {
			mustExec(t, pinned, query)
		}
		want := queryInt(t, pinned, q+" -- as it is there")
		if got := queryInt(t, pinned, q); got != want {
			t.Errorf("%s: %d, in the database %d", c.name, got, want)
		}
		if kept := isKept(pinned); kept != c.kept {
			t.Errorf("%s: answered from the cache: %v", c.name, kept)
		}
		// Others go on, and get what is in the database.
		if n := queryInt(t, db, q); n != 3 {
			t.Errorf("%s: others get %d", c.name, n)
		}
		_ = pinned.Raw(func(any) error { return driver.ErrBadConn }) // nobody gets this connection again
		_ = pinned.Close()
	}
}

// Nothing of a transaction whose end is not certain is lost or served: a statement that has
// rolled back on its own leaves those behind it to commit by themselves.
func TestBaseCacheAfterARollbackByAStatement(t *testing.T) {
	e := newEnv(t, cachedBases[1])
	db := e.cached(t)
	ctx := context.Background()
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	warm(t, db, q)
	c := conn(t, db)
	mustExec(t, c, "BEGIN")
	mustExec(t, c, "UPDATE b SET n = 100")
	if _, err := c.ExecContext(ctx, "INSERT OR ROLLBACK INTO b VALUES (1, 1)"); err == nil {
		t.Fatal("a row is there twice")
	}
	for i := range int64(3) {
		warm(t, db, q)
		mustExec(t, c, "UPDATE b SET n = ? WHERE id = 1", 50+i) // which commits
		if n := queryInt(t, db, q); n != 52+i {
			t.Errorf("%d after a statement that has committed", n)
		}
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err == nil {
		t.Fatal("there is a transaction")
	}
	warm(t, db, q)
	if _, hit := isHit(t, db, q); !hit {
		t.Errorf("nothing is kept any more: %+v", cacheStats(t, db))
	}
	before := cacheStats(t, db).Hits
	if queryInt(t, c, q); cacheStats(t, db).Hits == before {
		t.Error("the connection is left out although no transaction is open on it")
	}
}

// Rows that are open on a connection hold a snapshot, which what is read beside them would
// come from.
func TestBaseCacheBesideOpenRows(t *testing.T) {
	e := newEnv(t, cachedBases[1])
	db := e.cached(t)
	ctx := context.Background()
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	warm(t, db, "SELECT sum(n) FROM a")
	c := conn(t, db)
	rows, err := c.QueryContext(tursoopt.WithNoStore(ctx), "SELECT n FROM b WHERE n > abs(random() % 1) - 1")
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	mustExec(t, db, "UPDATE b SET n = 50")
	if n := queryInt(t, c, q); n != 3 {
		t.Fatalf("%d: the snapshot is not old, and nothing is shown", n)
	}
	tursoopt.CacheWait(db)
	if n := queryInt(t, db, q); n != 100 {
		t.Errorf("others get %d of an old snapshot", n)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	tursoopt.CacheWait(db)
	if n := queryInt(t, c, q); n != 100 {
		t.Errorf("%d after the rows were closed", n)
	}
}

// A statement that gives rows has written when they have been read.
func TestBaseCacheReturning(t *testing.T) {
	e := newEnv(t, cachedBases[1])
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	warm(t, db, q)
	rows, err := db.Query("UPDATE b SET n = n + 10 RETURNING id")
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	if n := queryInt(t, db, q); n != 3 {
		t.Fatalf("%d: it has committed already, and nothing is shown", n)
	}
	tursoopt.CacheWait(db)
	for rows.Next() {
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	if n := queryInt(t, db, q); n != 23 {
		t.Errorf("%d after the rows were read", n)
	}
	// What is written beside them on the connection commits with them.
	const other = "SELECT sum(n) FROM a"
	c := conn(t, db)
	rows, err = c.QueryContext(context.Background(), "UPDATE b SET n = n + 10 RETURNING id")
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	mustExec(t, c, "UPDATE a SET n = 50")
	if n := warm(t, db, other); n != 30 {
		t.Fatalf("%d: it has committed already, and nothing is shown", n)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if n := queryInt(t, db, other); n != 100 {
		t.Errorf("%d after the rows were closed", n)
	}
}

// Whoever has the driver's own connection may do what nobody sees.
func TestBaseCacheAndRaw(t *testing.T) {
	e := newEnv(t, cachedBases[1])
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	warm(t, db, q)
	c := conn(t, db)
	err := c.Raw(func(dc any) error {
		own := dc.(tursoopt.BaseConn).Base().(sqlite3driver.Conn).Raw()
		queryInt(t, db, q) // not to be kept
		return own.Exec("UPDATE b SET n = 60; DROP VIEW v; CREATE VIEW v AS SELECT n FROM parent")
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	tursoopt.CacheWait(db)
	if n := queryInt(t, db, q); n != 120 {
		t.Errorf("%d after a write by the driver's own means", n)
	}
	db.SetMaxIdleConns(0) // the connection is not one like others any more
	db.SetMaxIdleConns(2)
	warm(t, db, "SELECT sum(n) FROM v")
	mustExec(t, db, "UPDATE parent SET n = 30")
	if n := queryInt(t, db, "SELECT sum(n) FROM v"); n != 60 {
		t.Errorf("%d after a view was made another", n)
	}
	warm(t, db, q)
	if _, hit := isHit(t, db, q); !hit {
		t.Errorf("nothing is kept any more: %+v", cacheStats(t, db))
	}
}

// Own DDL is seen at once, whatever way it goes: what a view is made of, and what triggers
// change, is known before the next read is kept.
func TestBaseCacheAndOwnDDL(t *testing.T) {
	inModes(t, cachedBases, func(t *testing.T, e *env) {
		db := e.cached(t)
		mustExec(t, db, cacheSchema)
		const q = "SELECT sum(n) FROM v"
		texts := func(table string) []string { return []string{"DROP VIEW v", "CREATE VIEW v AS SELECT n FROM " + table} }
		for table, change := range map[string]func(...string){
			"parent": func(texts ...string) { mustExec(t, db, strings.Join(texts, ";")) },
			"child": func(texts ...string) {
				for _, text := range texts {
					mustExec(t, db, text)
				}
			},
			"logged": func(texts ...string) {
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range texts {
					mustExec(t, tx, text)
				}
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
			},
			"a": func(texts ...string) {
				for _, text := range texts {
					s, err := db.Prepare(text)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := s.Exec(); err != nil {
						t.Fatal(err)
					}
					_ = s.Close()
				}
			},
		} {
			mustExec(t, db, "DELETE FROM "+table)
			warm(t, db, "SELECT count(*) FROM v")
			change(texts(table)...)
			if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
				t.Fatal(err)
			}
			for i := range int64(3) {
				mustExec(t, db, "INSERT INTO "+table+" (id, n) VALUES (?, 1)", 10+i)
				warm(t, db, q)
				if n, hit := isHit(t, db, q); n != i+1 || !hit {
					t.Errorf("%s: %d, hit %v, of %d rows", table, n, hit, i+1)
				}
			}
		}
	})
}

// A transaction that a text has begun and nobody has ended goes with the connection, or is
// ended by the base when another takes it: nothing that is written then is missing.
func TestBaseCacheAndForgottenTransactions(t *testing.T) {
	inModes(t, cachedBases, func(t *testing.T, e *env) {
		db := e.cached(t)
		db.SetMaxOpenConns(1)
		mustExec(t, db, cacheSchema)
		const q = "SELECT sum(n) FROM b"
		warm(t, db, q)
		mustExec(t, db, "BEGIN")
		for i := range int64(3) {
			mustExec(t, db, "UPDATE b SET n = ? WHERE id = 1", 10+i)
			if n := queryInt(t, db, q); n != 12+i {
				t.Errorf("%d after a write", n)
			}
		}
		// The base has one connection at a time, so that this is another.
		db.SetMaxIdleConns(0)
		want := int64(14)
		if e.file {
			want = 3 // the transaction has gone with it
		}
		if n := queryInt(t, db, q); n != want {
			t.Errorf("%d on another connection", n)
		}
	})
}

// Others' DDL is noticed within a lease: until then an own write may be missing from
// answers, and no answer is older than a lease.
func TestBaseCacheAndOthersDDL(t *testing.T) {
	inModes(t, cachedBases, func(t *testing.T, e *env) {
		db, ahead := clocked(func() *sql.DB { return e.open(t, "cache=1MiB", "cache_lease=10s", "cache_ttl=1h") })
		other := e.open(t)
		ctx := context.Background()
		mustExec(t, db, cacheSchema)
		const q = "SELECT sum(n) FROM b"
		warm(t, db, q)
		mustExec(t, other, "CREATE TRIGGER late AFTER UPDATE ON parent BEGIN UPDATE b SET n = n + 1; END")
		mustExec(t, db, "UPDATE parent SET n = 7 WHERE id = 1")
		if n, hit := isHit(t, db, q); !hit || n != 3 {
			t.Errorf("%d, hit %v: nothing has told the cache, and this test shows nothing", n, hit)
		}
		// A lease after it was read, whatever is known.
		ahead.Add(int64(10 * time.Second))
		if n, hit := isHit(t, db, q); hit || n != 5 {
			t.Errorf("%d, hit %v, when the lease has ended", n, hit)
		}
		// The read has found out, and own writes are never missing again.
		mustExec(t, db, "UPDATE parent SET n = 8 WHERE id = 1")
		if n := queryInt(t, db, q); n != 7 {
			t.Errorf("%d after an own write through a trigger of others", n)
		}
		// Where nobody reads, a write does not trust what is known for longer than a lease.
		mustExec(t, other, "DROP TRIGGER late; CREATE TRIGGER late AFTER UPDATE ON parent BEGIN UPDATE a SET n = n + 1; END")
		const qa = "SELECT sum(n) FROM a"
		warm(t, db, qa)
		ahead.Add(int64(10 * time.Second))
		mustExec(t, db, "UPDATE parent SET n = 9 WHERE id = 1")
		var n int64
		if err := db.QueryRowContext(tursoopt.WithMaxStale(ctx, time.Hour), qa).Scan(&n); err != nil || n != 32 {
			t.Errorf("%d, %v, after an own write a lease after others' DDL", n, err)
		}
		if s := cacheStats(t, db); s.SchemaChanges == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The version of the schema is asked for once in half a lease, and nothing else is asked beside
// the program's own statements.
func TestBaseCacheRoundTrips(t *testing.T) {
	tally := &tallied{Connector: sqliteFile(t)}
	var ahead atomic.Int64
	tursoopt.CacheClock(func() (wall, mono int64) { return ahead.Load(), ahead.Load() })
	c, err := tursoopt.Wrap(tally, &tursoopt.Config{Cache: 1 << 20, CacheLease: 10 * time.Second})
	tursoopt.CacheClock(nil)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	asked := func(what string, want int64, do func()) {
		t.Helper()
		before := tally.asked.Load()
		do()
		tursoopt.CacheWait(db)
		if n := tally.asked.Load() - before; n != want {
			t.Errorf("%s: the base was asked %d times, not %d", what, n, want)
		}
	}
	read := func(id int) func() { return func() { queryInt(t, db, "SELECT n FROM b WHERE id = ?", id) } }
	asked("what it speaks, and a script", 2, func() { mustExec(t, db, cacheSchema+"INSERT INTO b VALUES (3, 3)") })
	asked("the first read", 3, read(1)) // with two questions about the schema
	asked("a hit", 0, read(1))
	asked("a miss", 1, read(2))
	asked("a write", 1, func() { mustExec(t, db, "UPDATE b SET n = 5 WHERE id = 1") })
	asked("a read after it", 1, read(1))
	asked("a hit of another row", 0, read(2))
	ahead.Add(int64(5 * time.Second))
	asked("a hit when the schema is half a lease old", 0, read(1))
	asked("a miss", 2, read(3))
}

// A base whose connections are not all alike has nothing kept, and says why.
func TestBaseCacheOfUnlikeConnections(t *testing.T) {
	for name, c := range map[string]struct {
		dsn  string
		init func(*sqlite3.Conn) error
		says string
	}{
		"in memory":   {"file::memory:", nil, "in memory"},
		"attached":    {"", func(c *sqlite3.Conn) error { return c.Exec("ATTACH ':memory:' AS other") }, "attached"},
		"temporary":   {"", func(c *sqlite3.Conn) error { return c.Exec("CREATE TEMP TABLE t (n)") }, "temporary"},
		"uncommitted": {"", func(c *sqlite3.Conn) error { return c.Exec("PRAGMA read_uncommitted = 1") }, "not committed"},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := c.dsn
			if dsn == "" {
				dsn = "file:" + filepath.Join(t.TempDir(), "test.db")
			}
			base := sqliteConnector(t, dsn)
			if c.init != nil {
				base = hooked{base, c.init}
			}
			var log bytes.Buffer
			db := wrapCached(t, base, func(cfg *tursoopt.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			db.SetMaxOpenConns(1)
			mustExec(t, db, "CREATE TABLE b (n)")
			for range 3 {
				queryInt(t, db, "SELECT count(*) FROM b")
				tursoopt.CacheWait(db)
			}
			if s := cacheStats(t, db); s.Fills != 0 || s.Hits != 0 {
				t.Errorf("%+v", s)
			}
			if n := strings.Count(log.String(), c.says); n != 1 {
				t.Errorf("the log says %d times why: %s", n, log.String())
			}
		})
	}
}

// Many who want the same at once ask the base once, and nobody joins a read from before a
// write.
func TestBaseCacheFlights(t *testing.T) {
	e := newEnv(t, mode{params: "base=libsql-client-go"})
	p := e.tapped(t)
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	h := p.after(t, q)
	led := make(chan int64, 1)
	go func() { led <- queryInt(t, db, q) }()
	<-h.reached
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if n := queryInt(t, db, q); n != 3 {
				t.Errorf("a follower has got %d", n)
			}
		})
	}
	for cacheStats(t, db).Coalesced < 4 {
		runtime.Gosched()
	}
	mustExec(t, db, "UPDATE b SET n = 50")
	if n := queryInt(t, db, q); n != 100 {
		t.Errorf("a read after the write has got %d", n)
	}
	h.verdict <- true
	all.Wait()
	if n := <-led; n != 3 {
		t.Errorf("the leader has got %d", n)
	}
	tursoopt.CacheWait(db)
	if n := queryInt(t, db, q); n != 100 {
		t.Errorf("a read after all has got %d", n)
	}
}

// A WebSocket is one connection for as long as its session lives, and nothing resets it.
func TestBaseCacheOverAWebSocket(t *testing.T) {
	e := newEnv(t, mode{real: true})
	db, err := sql.Open("turso-opt", strings.Replace(e.url, "http", "ws", 1)+"?cache=1MiB&cache_lease=1h")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // whose error is libsql-client-go's: it misses the server's farewell
	mustExec(t, db, "CREATE TABLE b (id INTEGER PRIMARY KEY, n INTEGER)")
	mustExec(t, db, "INSERT INTO b VALUES (1, 1), (2, 2)")
	const q = "SELECT sum(n) FROM b"
	for i, write := range []func(){
		func() { mustExec(t, db, "UPDATE b SET n = ? WHERE id = ?", 10, 1) },
		func() {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, tx, "UPDATE b SET n = 20 WHERE id = 1")
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		},
		func() {
			if _, err := db.Exec("INSERT INTO b VALUES (1, 1)"); err == nil || cacheStats(t, db).Lost != 0 {
				t.Errorf("a row that is there: %v, %+v", err, cacheStats(t, db))
			}
		},
	} {
		warm(t, db, q)
		if _, hit := isHit(t, db, q); !hit {
			t.Errorf("before write %d it is not kept: %+v", i, cacheStats(t, db))
		}
		write()
		if n, want := queryInt(t, db, q), []int64{12, 22, 22}[i]; n != want {
			t.Errorf("%d after write %d, not %d", n, i, want)
		}
	}
}

// A lost write keeps its tables out of the cache for as long as nobody knows.
func TestBaseCacheLostWrites(t *testing.T) {
	tursoopt.LostFor(time.Minute)
	defer tursoopt.LostFor(0)
	e := newEnv(t, mode{params: "base=libsql-client-go"})
	p := e.tapped(t)
	db, ahead := clocked(func() *sql.DB { return e.cached(t) })
	mustExec(t, db, cacheSchema)
	const q, other = "SELECT sum(n) FROM b", "SELECT sum(n) FROM parent"
	warm(t, db, q)
	warm(t, db, other)
	// One that the database has refused is not lost.
	if _, err := db.Exec("INSERT INTO b VALUES (1, 1)"); err == nil || cacheStats(t, db).Lost != 0 {
		t.Fatalf("%v, %+v", err, cacheStats(t, db))
	}
	h := p.after(t, "n = 77")
	ctx, cancel := context.WithCancel(context.Background())
	lost := make(chan error, 1)
	go func() { _, err := db.ExecContext(ctx, "UPDATE b SET n = 77"); lost <- err }()
	<-h.reached
	if _, hit := isHit(t, db, q); hit {
		t.Error("a result is served that a write under way may have changed")
	}
	cancel()
	if err := <-lost; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	h.verdict <- false
	if s := cacheStats(t, db); s.Lost != 1 {
		t.Errorf("%+v", s)
	}
	ahead.Add(int64(time.Minute) - 1)
	for range 2 {
		if n := warm(t, db, q); n != 154 {
			t.Fatalf("%d after it was executed", n)
		}
	}
	if _, hit := isHit(t, db, q); hit {
		t.Error("a result is kept although nobody knows what becomes of the write")
	}
	if _, hit := isHit(t, db, other); !hit {
		t.Error("another table's result was dropped")
	}
	if s := cacheStats(t, db); s.Settled != 0 || s.GaveUp != 0 {
		t.Errorf("%+v", s)
	}
	ahead.Add(1)
	warm(t, db, q)
	warm(t, db, q)
	if n, hit := isHit(t, db, q); !hit || n != 154 {
		t.Errorf("%d, hit %v, after a minute: %+v", n, hit, cacheStats(t, db))
	}
}
