package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// cached opens an env's database with a cache whose lease is longer than any test.
func (e *env) cached(t testing.TB, params ...string) *sql.DB {
	t.Helper()
	return e.open(t, append(params, "cache=4MiB", "cache_lease=1h", "cache_ttl=2h")...)
}

// clocked opens a database whose leases go by a clock that stands still, but for what
// is added to ahead.
func clocked(open func() *sql.DB) (db *sql.DB, ahead *atomic.Int64) {
	ahead = new(atomic.Int64)
	tursoopt.CacheClock(func() (wall, mono int64) { return ahead.Load(), ahead.Load() })
	defer tursoopt.CacheClock(nil)
	return open(), ahead
}

func cacheStats(t testing.TB, db *sql.DB) tursoopt.CacheStats {
	t.Helper()
	s, ok := tursoopt.StatsOf(db)
	if !ok {
		t.Fatal("no statistics")
	}
	return s.Cache
}

// warm has a query answered by the cache from now on, and gives what it holds.
func warm(t testing.TB, db *sql.DB, query string, args ...any) int64 {
	t.Helper()
	if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	n := queryInt(t, db, query, args...)
	tursoopt.CacheWait(db)
	return n
}

// isHit tells whether a query is answered without a request, and gives the answer.
func isHit(t testing.TB, db *sql.DB, query string, args ...any) (n int64, hit bool) {
	t.Helper()
	before, _ := tursoopt.StatsOf(db)
	n = queryInt(t, db, query, args...)
	after, _ := tursoopt.StatsOf(db)
	hit = after.Cache.Hits > before.Cache.Hits
	// Pings and streams that are ended beside are requests, too.
	if sent := after.Lanes.Alone + after.Lanes.Shared - before.Lanes.Alone - before.Lanes.Shared; hit && sent != 0 {
		t.Errorf("%s: a hit has been sent %d times", query, sent)
	}
	return n, hit
}

const cacheSchema = `
CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, u TEXT UNIQUE);
CREATE TABLE b (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE parent (id INTEGER PRIMARY KEY, n INTEGER);
CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent(id) ON DELETE CASCADE, n INTEGER);
CREATE TABLE logged (id INTEGER PRIMARY KEY, n INTEGER);
CREATE TABLE log (n INTEGER);
CREATE TRIGGER t AFTER INSERT ON logged BEGIN INSERT INTO log VALUES (new.n); END;
CREATE VIEW v AS SELECT a.n AS n FROM a JOIN b ON a.id = b.id;
INSERT INTO a VALUES (1, 10, 'x'), (2, 20, 'y');
INSERT INTO b VALUES (1, 1), (2, 2);
INSERT INTO parent VALUES (1, 1), (2, 2);
INSERT INTO child VALUES (1, 1, 1), (2, 1, 1), (3, 2, 1);
`

// Whatever path a write takes, the reads that it changes are right afterwards, and
// some of those that it does not change are still there.
func TestCacheSeesOwnWrites(t *testing.T) {
	ctx := context.Background()
	reads := []string{
		"SELECT sum(n) FROM a", "SELECT n FROM a WHERE id = 1", "SELECT sum(n) FROM b", "SELECT count(*) FROM child",
		"SELECT count(*) FROM log", "SELECT sum(n) FROM v", "SELECT sum(n) FROM parent",
	}
	exec := func(query string, args ...any) func(*testing.T, *sql.DB) {
		return func(t *testing.T, db *sql.DB) { mustExec(t, db, query, args...) }
	}
	inTx := func(commit bool, opts tursoopt.TxOptions, queries ...string) func(*testing.T, *sql.DB) {
		return func(t *testing.T, db *sql.DB) {
			tx, err := tursoopt.BeginTx(ctx, db, opts)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range queries {
				mustExec(t, tx, q)
			}
			if commit {
				err = tx.Commit()
			} else {
				err = tx.Rollback()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	batch := func(independent bool) func(*testing.T, *sql.DB) {
		return func(t *testing.T, db *sql.DB) {
			b := &tursoopt.Batch{Independent: independent}
			b.Queue("UPDATE a SET n = n + 1 WHERE id = 1")
			b.Queue("UPDATE b SET n = n + 1")
			r, err := tursoopt.SendBatch(ctx, db, b)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	onConn := func(queries ...string) func(*testing.T, *sql.DB) {
		return func(t *testing.T, db *sql.DB) {
			c, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, q := range queries {
				mustExec(t, c, q)
			}
		}
	}
	cases := []struct {
		name    string
		write   func(*testing.T, *sql.DB)
		changes []int // of reads; the others must still be hits, unless all is nil
	}{
		{"by key", exec("UPDATE a SET n = n + 1 WHERE id = ?", 2), []int{0, 5}},
		{"by the key that is cached", exec("UPDATE a SET n = n + 1 WHERE id = ?", 1), []int{0, 1, 5}},
		{"a table", exec("UPDATE b SET n = n + 1"), []int{2, 5}},
		{"nothing at all", exec("UPDATE b SET n = n + 1 WHERE n = -1"), []int{2, 5}},
		{"a cascade", exec("DELETE FROM parent WHERE id = 1"), []int{3, 6}},
		{"a trigger", exec("INSERT INTO logged (n) VALUES (1)"), []int{4}},
		{"a replacement", exec("REPLACE INTO a VALUES (3, 5, 'y')"), []int{0, 1, 5}},
		{"an upsert", exec("INSERT INTO a VALUES (9, 5, 'x') ON CONFLICT (u) DO UPDATE SET n = 7"), []int{0, 1, 5}},
		{"a script", exec("UPDATE b SET n = 5 WHERE id = 1; UPDATE parent SET n = 5"), []int{2, 5, 6}},
		{"a script with a transaction", exec("BEGIN; UPDATE b SET n = 5 WHERE id = 1; COMMIT"), []int{2, 5}},
		{"a statement that returns", func(t *testing.T, db *sql.DB) {
			queryInt(t, db, "UPDATE b SET n = 8 WHERE id = 1 RETURNING n")
		}, []int{2, 5}},
		{"a prepared statement", func(t *testing.T, db *sql.DB) {
			s, err := db.Prepare("UPDATE b SET n = ?")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Exec(3); err != nil {
				t.Fatal(err)
			}
		}, []int{2, 5}},
		{"a transaction", inTx(true, tursoopt.TxOptions{}, "UPDATE b SET n = 9", "UPDATE parent SET n = 9"), []int{2, 5, 6}},
		{"an immediate transaction", inTx(true, tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, "UPDATE b SET n = 9"), []int{2, 5}},
		{"a pipelined transaction", inTx(true, tursoopt.TxOptions{Pipelined: true}, "UPDATE b SET n = 9", "UPDATE parent SET n = 9"), []int{2, 5, 6}},
		{"a transaction rolled back", inTx(false, tursoopt.TxOptions{}, "UPDATE b SET n = 9"), []int{}},
		{"a batch", batch(false), []int{0, 1, 2, 5}},
		{"an independent batch", batch(true), []int{0, 1, 2, 5}},
		{"a held connection", onConn("UPDATE parent SET n = 2", "UPDATE b SET n = 2"), []int{2, 5, 6}},
		{"BEGIN and COMMIT as texts", onConn("BEGIN", "UPDATE b SET n = 2", "COMMIT"), []int{2, 5}},
		{"savepoints", onConn("SAVEPOINT s", "UPDATE b SET n = 2", "RELEASE s"), []int{2, 5}},
		{"rows in bulk", func(t *testing.T, db *sql.DB) {
			_, err := tursoopt.BulkInsert(ctx, db, "b", []string{"id", "n"}, func(yield func([]any, error) bool) {
				yield([]any{7, 7}, nil)
			})
			if err != nil {
				t.Fatal(err)
			}
		}, []int{2, 5}},
		{"DDL", exec("CREATE TABLE another (x)"), nil},
		{"DDL in a transaction", inTx(true, tursoopt.TxOptions{}, "DROP VIEW v", "CREATE VIEW v AS SELECT 5 AS n"), nil},
		{"a setting", onConn("PRAGMA foreign_keys = off", "DELETE FROM parent WHERE id = 1"), nil},
	}
	check := func(t *testing.T, db *sql.DB, write func(*testing.T, *sql.DB), changes []int) {
		for i, q := range reads {
			if warm(t, db, q); i == 0 {
				continue
			}
			if _, hit := isHit(t, db, q); !hit {
				t.Fatalf("%s: it is not cached: %+v", q, cacheStats(t, db))
			}
		}
		write(t, db)
		for i, q := range reads {
			got, hit := isHit(t, db, q)
			var want int64
			if err := db.QueryRowContext(tursoopt.WithFresh(ctx), q).Scan(&want); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s = %d (hit: %v), in the database %d", q, got, hit, want)
			}
			if may := changes != nil && !slices.Contains(changes, i); may && !hit {
				t.Errorf("%s: it was dropped for nothing", q)
			}
		}
	}
	inModes(t, append(cachedBases, cacheModes...), func(t *testing.T, e *env) {
		for _, w := range cases {
			t.Run(w.name, func(t *testing.T) {
				db := e.cached(t)
				mustExec(t, db, "DROP VIEW IF EXISTS v; DROP TABLE IF EXISTS child; DROP TABLE IF EXISTS parent; DROP TABLE IF EXISTS a; DROP TABLE IF EXISTS b;"+
					"DROP TABLE IF EXISTS logged; DROP TABLE IF EXISTS log; DROP TABLE IF EXISTS another;"+cacheSchema)
				check(t, db, w.write, w.changes)
			})
		}
	})
}

// cacheModes are those in which all of the cache's tests run.
var cacheModes = []mode{
	{name: "sqld protobuf", native: true, real: true, params: "encoding=protobuf"},
	{name: "embedded sqld", native: true},
	{name: "embedded sqld, group commit", native: true, params: "group_commit=on"},
}

// cachedBases are the other bases, over which the same layer works.
var cachedBases = []mode{
	{name: "libsql-client-go", real: true, params: "base=libsql-client-go"},
	{name: "file", file: true, params: "_pragma=busy_timeout(60000)&_pragma=foreign_keys(1)&_pragma=journal_mode(wal)&_pragma=synchronous(off)"},
}

// Inside a transaction nothing is served or kept.
func TestCacheKeepsOutOfTransactions(t *testing.T) {
	inModes(t, append(cachedBases, nativeModes...), func(t *testing.T, e *env) {
		db := e.cached(t)
		mustExec(t, db, cacheSchema)
		const q = "SELECT sum(n) FROM b"
		if n := warm(t, db, q); n != 3 {
			t.Fatal(n)
		}
		if _, hit := isHit(t, db, q); !hit {
			t.Errorf("it is not cached: %+v", cacheStats(t, db))
		}
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "UPDATE b SET n = 50")
		if n := queryInt(t, tx, q); n != 100 {
			t.Errorf("the transaction reads %d", n)
		}
		if n := queryInt(t, db, q); n != 3 {
			t.Errorf("others read %d before the commit", n)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, db, q); n != 100 {
			t.Errorf("others read %d after the commit", n)
		}
	})
}

// What others change is seen when the lease has ended, or when the program asks
// for it.
func TestCacheAndOthers(t *testing.T) {
	inModes(t, cacheModes, func(t *testing.T, e *env) {
		db, other := e.cached(t), e.open(t)
		ctx := context.Background()
		mustExec(t, db, cacheSchema)
		const q = "SELECT sum(n) FROM b"
		warm(t, db, q)
		mustExec(t, other, "UPDATE b SET n = 4")
		if n, hit := isHit(t, db, q); !hit || n != 3 {
			t.Errorf("%d, hit %v: nothing has told the cache", n, hit)
		}
		var n int64
		if err := db.QueryRowContext(tursoopt.WithFresh(ctx), q).Scan(&n); err != nil || n != 8 {
			t.Errorf("a fresh read gives %d, %v", n, err)
		}
		mustExec(t, other, "UPDATE b SET n = 5")
		if err := db.QueryRowContext(tursoopt.WithMaxStale(ctx, 0), q).Scan(&n); err != nil || n != 10 {
			t.Errorf("a read that takes nothing stale gives %d, %v", n, err)
		}
		// Others' DDL shows itself in the next answer, whatever it is about.
		mustExec(t, other, "CREATE TRIGGER late AFTER UPDATE ON parent BEGIN UPDATE b SET n = 6; END")
		warm(t, db, q)
		mustExec(t, db, "UPDATE parent SET n = 0")
		if n := queryInt(t, db, q); n != 12 {
			t.Errorf("%d after a trigger that others have made", n)
		}
	})
}

func TestInvalidate(t *testing.T) {
	e := newEnv(t, mode{native: true})
	cfg, err := tursoopt.ParseDSN(e.dsn("cache=1MiB", "cache_lease=1h"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := tursoopt.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	for _, tables := range [][]string{{"B"}, nil} {
		warm(t, db, q)
		c.Invalidate("a")
		if _, hit := isHit(t, db, q); !hit {
			t.Error("another table's invalidation has dropped it")
		}
		c.Invalidate(tables...)
		if _, hit := isHit(t, db, q); hit {
			t.Errorf("it is served after Invalidate(%q)", tables)
		}
	}
}

// A lost write keeps its tables out of the cache until it is settled, by itself.
func TestCacheSettlesLostWrites(t *testing.T) {
	inModes(t, []mode{{name: "embedded sqld", native: true}, {name: "sqld", native: true, real: true}}, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.cached(t)
		mustExec(t, db, cacheSchema)
		const q = "SELECT sum(n) FROM b"
		warm(t, db, q)
		warm(t, db, "SELECT n FROM parent")
		mustExec(t, db, "UPDATE b SET n = n") // there is a stream for writes
		h := p.after(t, "n = 77")
		lost := make(chan error, 1)
		go func() { _, err := db.Exec("UPDATE b SET n = 77"); lost <- err }()
		<-h.reached
		if _, hit := isHit(t, db, q); hit {
			t.Error("a result is served that a write under way may have changed")
		}
		h.verdict <- false
		if err := <-lost; !tursoopt.OutcomeUnknown(err) {
			t.Fatalf("the lost write's error is %v", err)
		}
		if n := queryInt(t, db, q); n != 154 {
			t.Errorf("%d after a lost write that was executed", n)
		}
		if n := cacheStats(t, db); n.Lost != 1 {
			t.Errorf("after a lost write: %+v", n)
		}
		await(t, "the lost write to be settled", func() bool {
			if err := db.Ping(); err != nil {
				t.Fatal(err)
			}
			return cacheStats(t, db).Settled > 0
		})
		warm(t, db, q)
		if n, hit := isHit(t, db, q); !hit || n != 154 {
			t.Errorf("%d, hit %v, after the lost write was settled: %+v", n, hit, cacheStats(t, db))
		}
	})
}

func TestCacheAbandonedWrite(t *testing.T) {
	e := newEnv(t, mode{native: true})
	p := e.tapped(t)
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	warm(t, db, q)
	h := p.before(t, "n = 77")
	ctx, cancel := context.WithCancel(context.Background())
	lost := make(chan error, 1)
	go func() { _, err := db.ExecContext(ctx, "UPDATE b SET n = 77"); lost <- err }()
	<-h.reached
	cancel()
	if err := <-lost; !errors.Is(err, context.Canceled) || !tursoopt.OutcomeUnknown(err) {
		t.Fatal(err)
	}
	if n := warm(t, db, q); n != 3 {
		t.Fatalf("%d before it is executed", n)
	}
	if _, hit := isHit(t, db, q); hit {
		t.Error("a result is kept that the abandoned write is going to change")
	}
	h.verdict <- true
	for cacheStats(t, db).Settled == 0 {
		if err := db.Ping(); err != nil {
			t.Fatal(err)
		}
	}
	if n := queryInt(t, db, q); n != 154 {
		t.Errorf("%d after it was executed", n)
	}
}

// What a program does to a []byte that it was given is its own affair.
func TestCachedBytesAreNobodysToChange(t *testing.T) {
	inModes(t, append(cachedBases, mode{name: "embedded sqld", native: true}), func(t *testing.T, e *env) {
		db := e.cached(t)
		mustExec(t, db, "CREATE TABLE t (b BLOB, s TEXT); INSERT INTO t VALUES (x'616263', 'abc')")
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			rows, err := db.Query("SELECT b, s FROM t")
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var b, s sql.RawBytes
				if err := rows.Scan(&b, &s); err != nil {
					t.Fatal(err)
				}
				if string(b) != "abc" || string(s) != "abc" {
					t.Errorf("another reader has made it %q, %q", b, s)
				}
				clear(b)
				clear(s)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			tursoopt.CacheWait(db)
		}
		if n := cacheStats(t, db); n.Hits != 2 {
			t.Errorf("%+v", n)
		}
	})
}
