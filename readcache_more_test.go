package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// Many who want the same at once make one request, and one of them who leaves does
// not fail the others, not even if it is his.
func TestCacheSingleFlight(t *testing.T) {
	e := newEnv(t, mode{native: true})
	p := e.tapped(t)
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	const q, followers = "SELECT sum(n) FROM b", 8
	first, second := p.before(t, q), p.before(t, q)
	ctx, cancel := context.WithCancel(context.Background())
	led := make(chan error, 1)
	go func() { led <- db.QueryRowContext(ctx, q).Scan(new(int)) }()
	<-first.reached
	before := cacheStats(t, db).Coalesced
	var all sync.WaitGroup
	for range followers {
		all.Go(func() {
			var n int
			if err := db.QueryRow(q).Scan(&n); err != nil || n != 3 {
				t.Errorf("a follower has got %d, %v", n, err)
			}
		})
	}
	for cacheStats(t, db).Coalesced-before < followers {
		runtime.Gosched() // until all have joined
	}
	cancel()
	if err := <-led; !errors.Is(err, context.Canceled) {
		t.Errorf("the leader has got %v", err)
	}
	<-second.reached // another of them leads now
	for cacheStats(t, db).Coalesced-before < followers+followers-1 {
		runtime.Gosched() // until all others have joined again
	}
	requests := p.posts()
	second.verdict <- true
	all.Wait()
	if n := p.posts() - requests; n > 0 {
		t.Errorf("the followers have made %d requests of their own", n)
	}
	first.verdict <- true
}

// A write ends the chance to join: the flight may bring what was before it.
func TestCacheFlightsEndWithWrites(t *testing.T) {
	e := newEnv(t, mode{native: true})
	p := e.tapped(t)
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	const q = "SELECT sum(n) FROM b"
	h := p.after(t, q)
	led := make(chan int64, 1)
	go func() { led <- queryInt(t, db, q) }()
	<-h.reached
	mustExec(t, db, "UPDATE b SET n = 50")
	if n := queryInt(t, db, q); n != 100 {
		t.Errorf("a read after the write has got %d", n)
	}
	h.verdict <- true
	if n := <-led; n != 3 {
		t.Errorf("the read from before the write has got %d", n)
	}
	tursoopt.CacheWait(db)
	if n := queryInt(t, db, q); n != 100 {
		t.Errorf("a read after both has got %d", n)
	}
}

// When the lease has ended the old answer is given once more, and a new one
// fetched; but none that is older than cache_ttl.
func TestCacheRevalidates(t *testing.T) {
	inModes(t, append(cachedBases, mode{name: "embedded sqld", native: true}), testRevalidates)
}

func testRevalidates(t *testing.T, e *env) {
	db, ahead := clocked(func() *sql.DB {
		return e.open(t, "cache=1MiB", "cache_lease=3s", "stale_while_revalidate=1h", "cache_ttl=30m")
	})
	other := e.open(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT sum(n) FROM b"
	warm(t, db, q)
	mustExec(t, other, "UPDATE b SET n = 4")
	ahead.Add(int64(3*time.Second) - 1)
	if n, hit := isHit(t, db, q); !hit || n != 3 || cacheStats(t, db).Revalidated != 0 {
		t.Errorf("%d, hit %v within the lease", n, hit)
	}
	revalidated := func(want int64, when string) {
		t.Helper()
		before := cacheStats(t, db)
		if n := queryInt(t, db, q); n != want {
			t.Errorf("%d when %s", n, when)
		}
		if now := cacheStats(t, db); now.Hits != before.Hits+1 || now.Revalidated != before.Revalidated+1 {
			t.Fatalf("%+v when %s, %+v before", now, when, before)
		}
		for cacheStats(t, db).Fills == before.Fills {
			runtime.Gosched()
		}
		tursoopt.CacheWait(db)
	}
	ahead.Add(1)
	revalidated(3, "the lease has just ended")
	if n, hit := isHit(t, db, q); !hit || n != 8 {
		t.Errorf("%d, hit %v after it was fetched again", n, hit)
	}
	mustExec(t, other, "UPDATE b SET n = 6")
	ahead.Add(int64(30*time.Minute) - 1)
	revalidated(8, "it is nearly as old as cache_ttl")
	mustExec(t, other, "UPDATE b SET n = 7")
	ahead.Add(int64(30 * time.Minute))
	if n, hit := isHit(t, db, q); hit || n != 14 {
		t.Errorf("%d, hit %v, older than cache_ttl", n, hit)
	}
	mustExec(t, db, "UPDATE b SET n = 5")
	if n := queryInt(t, db, q); n != 10 {
		t.Errorf("%d after a write: only others' may be missing", n)
	}
}

// Without a cache a lease ends by the clock, and others' writes are seen.
func TestCacheLeaseBoundsOthers(t *testing.T) {
	inModes(t, append(cachedBases, cacheModes...), func(t *testing.T, e *env) {
		db, ahead := clocked(func() *sql.DB { return e.open(t, "cache=1MiB", "cache_lease=2s") })
		other := e.open(t)
		mustExec(t, db, cacheSchema)
		queries := []string{"SELECT sum(n) FROM b", "SELECT n FROM b WHERE id = 1", "SELECT sum(n) FROM v"}
		for _, q := range queries {
			warm(t, db, q)
		}
		mustExec(t, other, "UPDATE b SET n = 40; UPDATE a SET n = 30")
		ahead.Add(int64(2 * time.Second))
		for i, want := range []int64{80, 40, 60} {
			if n, hit := isHit(t, db, queries[i]); hit || n != want {
				t.Errorf("%s = %d, hit %v, when the lease has ended", queries[i], n, hit)
			}
		}
	})
}

// What a read must not be kept for.
func TestCacheKeepsOnlyFunctionsOfTables(t *testing.T) {
	inModes(t, append(cachedBases, cacheModes...), func(t *testing.T, e *env) {
		db := e.cached(t)
		mustExec(t, db, cacheSchema)
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{
			"SELECT random()", "SELECT strftime('%s', 'now') + 0", "SELECT count(*) FROM sqlite_schema", "PRAGMA user_version",
			"SELECT n FROM a WHERE id = last_insert_rowid() + 1", "SELECT schema_version FROM pragma_schema_version",
			"SELECT count(*) FROM a WHERE n > abs(random())",
		} {
			for range 2 {
				_, _ = db.Exec("SELECT 1")
				rows, err := db.Query(q)
				if err != nil {
					t.Fatal(err)
				}
				for rows.Next() {
				}
				if err := errors.Join(rows.Err(), rows.Close()); err != nil {
					t.Fatal(err)
				}
				tursoopt.CacheWait(db)
			}
		}
		if n := cacheStats(t, db); n.Fills != 0 || n.Hits != 0 {
			t.Errorf("%+v", n)
		}
		ctx := tursoopt.WithNoStore(context.Background())
		if err := db.QueryRowContext(ctx, "SELECT sum(n) FROM a").Scan(new(int)); err != nil {
			t.Fatal(err)
		}
		if n := cacheStats(t, db); n.Fills != 0 {
			t.Errorf("a read that is not to be kept was: %+v", n)
		}
		if err := db.QueryRow("SELECT n FROM a WHERE id = 99").Scan(new(int)); !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		tursoopt.CacheWait(db)
		if err := db.QueryRow("SELECT n FROM a WHERE id = 99 -- who asks").Scan(new(int)); !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		if n := cacheStats(t, db); n.Hits != 1 {
			t.Errorf("a result without rows, or one under another comment, is not kept: %+v", n)
		}
	})
}

// A result that is too large for one answer does not show the version of the schema,
// and nobody else can read it: it is not kept, and once that is known nobody waits for
// another's.
func TestCacheDoesNotKeepLargeResults(t *testing.T) {
	t.Parallel()
	inModes(t, cacheModes[:2], func(t *testing.T, e *env) {
		db, other := e.open(t, "cache=1GiB", "cache_lease=1h"), e.open(t)
		makeLarge(t, db)
		const q = "SELECT * FROM v"
		mustExec(t, db, "CREATE VIEW v AS "+large)
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
		readLarge(t, query(t, db, q), 1, largeRows)
		// The view becomes another, whose result depends on another table.
		mustExec(t, other, "BEGIN IMMEDIATE; DROP VIEW v; ALTER TABLE big RENAME TO bigger; CREATE VIEW v AS "+strings.Replace(large, "big", "bigger", 1)+"; COMMIT")
		first := query(t, db, q)
		readLarge(t, first, 1, 10)
		readLarge(t, query(t, db, q), 1, largeRows) // while the first is read
		readLarge(t, first, 11, largeRows)
		mustExec(t, db, "DELETE FROM bigger WHERE a > 1")
		if n := len(queryAny(t, db, q)); n != 3 {
			t.Errorf("%d values after a write to the table that the view reads now", n)
		}
		if n := cacheStats(t, db); n.Hits != 0 || n.Coalesced != 0 {
			t.Errorf("%+v", n)
		}
		for _, x := range cacheStats(t, db).Texts {
			if x.SQL == q && x.Fills != 0 {
				t.Errorf("%+v", x)
			}
		}
	})
}

// Everybody sees the types of arguments apart.
func TestCacheTellsArgumentsApart(t *testing.T) {
	e := newEnv(t, mode{native: true})
	db := e.cached(t)
	if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, c := range []struct {
			arg  any
			want string
		}{{1, "integer"}, {1.0, "real"}, {"1", "text"}, {[]byte("1"), "blob"}, {nil, "null"}} {
			var got string
			if err := db.QueryRow("SELECT typeof(?)", c.arg).Scan(&got); err != nil || got != c.want {
				t.Errorf("typeof(%T) = %q, %v", c.arg, got, err)
			}
		}
		tursoopt.CacheWait(db)
	}
	if n := cacheStats(t, db); n.Hits != 5 {
		t.Errorf("%+v", n)
	}
}

// keptUsers is benchUsers with a cache that holds those of the first keys.
func keptUsers(tb testing.TB, keys int) *sql.DB {
	tb.Helper()
	db := newEnv(tb, mode{native: true}).cached(tb)
	mustExec(tb, db, "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, score REAL, email TEXT)")
	mustExec(tb, db, `INSERT INTO users WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
		SELECT i, 'user ' || i, i / 4.0, 'user' || i || '@example.com' FROM n`)
	if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
		tb.Fatal(err)
	}
	var name string
	var score float64
	for id := range keys {
		if err := db.QueryRow(pointQuery, id+1).Scan(&name, &score); err != nil {
			tb.Fatal(err)
		}
	}
	tursoopt.CacheWait(db)
	return db
}

// BenchmarkCacheHit is a point query that needs no request. Its floor is
// BenchmarkFloorDatabaseSQL, what the same query takes on a driver that does nothing.
func BenchmarkCacheHit(b *testing.B) {
	const keys = 200
	db := keptUsers(b, keys)
	var name string
	var score float64
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := db.QueryRow(pointQuery, i%keys+1).Scan(&name, &score); err != nil {
			b.Fatal(err)
		}
	}
	if s := cacheStats(b, db); s.Misses > keys {
		b.Errorf("%+v", s)
	}
}
