package tursoopt_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

func textStats(t *testing.T, s tursoopt.CacheStats, sql string) tursoopt.CacheTextStats {
	t.Helper()
	for _, x := range s.Texts {
		if x.SQL == sql {
			return x
		}
	}
	t.Fatalf("no %q among %+v", sql, s.Texts)
	return tursoopt.CacheTextStats{}
}

func tableStats(t *testing.T, s tursoopt.CacheStats, table string) tursoopt.CacheTableStats {
	t.Helper()
	for _, x := range s.Tables {
		if x.Table == table {
			return x
		}
	}
	t.Fatalf("no %q among %+v", table, s.Tables)
	return tursoopt.CacheTableStats{}
}

// What is counted of a text is counted of the tables that it reads, and nothing that
// the text says of values is shown.
func TestCacheStatsByTextAndTable(t *testing.T) {
	e := newEnv(t, mode{native: true})
	p := e.tapped(t)
	db, ahead := clocked(func() *sql.DB { return e.open(t, "cache=64KiB", "cache_lease=1m") })
	mustExec(t, db, cacheSchema)
	const q, shown = "SELECT sum(b.n) FROM b JOIN a WHERE a.u <> 'S3CRET'", "SELECT sum(b.n) FROM b JOIN a WHERE a.u <> ?"
	// One miss that is kept, whose request takes a second, and two hits.
	if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	h := p.before(t, "S3CRET")
	first := make(chan struct{})
	go func() { defer close(first); queryInt(t, db, q) }()
	<-h.reached
	ahead.Add(int64(time.Second))
	h.verdict <- true
	<-first
	tursoopt.CacheWait(db)
	for range 2 {
		queryInt(t, db, q)
	}
	s := cacheStats(t, db)
	x := textStats(t, s, shown)
	want := tursoopt.CacheTally{Hits: 2, Misses: 1, Fills: 1, Entries: 1, Bytes: s.Bytes}
	if x.CacheTally != want || x.Saved != 2*time.Second || s.Bytes == 0 {
		t.Errorf("the text has %+v", x)
	}
	for _, table := range []string{"a", "b"} {
		if x := tableStats(t, s, table); x.CacheTally != want {
			t.Errorf("the table has %+v", x)
		}
	}
	for _, x := range s.Texts {
		if strings.Contains(x.SQL, "S3CRET") {
			t.Errorf("%q", x.SQL)
		}
	}
	if s.Texts[0].SQL != shown {
		t.Errorf("the first of %+v is not what has saved most", s.Texts)
	}

	// Misses by their causes.
	before := tableStats(t, s, "b").Writes
	mustExec(t, db, "UPDATE b SET n = 3 WHERE id = 1")
	queryInt(t, db, q)
	tursoopt.CacheWait(db)
	ahead.Add(int64(time.Minute))
	queryInt(t, db, q)
	tursoopt.CacheWait(db)
	s = cacheStats(t, db)
	if x := textStats(t, s, shown); x.Misses != 3 || x.Stale != 1 || x.Expired != 1 || x.Fills != 3 || x.Entries != 1 {
		t.Errorf("the text has %+v", x)
	}
	if x := tableStats(t, s, "b"); x.Misses != 3 || x.Stale != 1 || x.Expired != 1 || x.Fills != 3 || x.Writes != before+1 {
		t.Errorf("the table has %+v; there was one more write than %d", x, before)
	}

	// A read that shares another's request, and whose result is not kept because of a
	// write.
	ahead.Add(int64(time.Minute))
	h = p.after(t, "S3CRET")
	var both sync.WaitGroup
	both.Go(func() { queryInt(t, db, q) })
	<-h.reached
	both.Go(func() { queryInt(t, db, q) })
	await(t, "one that joins", func() bool { return cacheStats(t, db).Coalesced > 0 })
	mustExec(t, db, "UPDATE a SET n = 3")
	h.verdict <- true
	both.Wait()
	// One that is too large.
	mustExec(t, db, "UPDATE a SET u = printf('%.*c', 20000, 'x') WHERE id = 1")
	var u string
	if err := db.QueryRow("SELECT u FROM a WHERE id = 1").Scan(&u); err != nil {
		t.Fatal(err)
	}
	s = cacheStats(t, db)
	if x := textStats(t, s, shown); x.Coalesced != 1 || x.Refused != 1 {
		t.Errorf("the text has %+v", x)
	}
	if x := textStats(t, s, "SELECT u FROM a WHERE id = ?"); x.TooLarge != 1 || x.Fills != 0 {
		t.Errorf("the text has %+v", x)
	}
	if x := tableStats(t, s, "a"); x.Coalesced != 1 || x.Refused != 1 || x.TooLarge != 1 {
		t.Errorf("the table has %+v", x)
	}

	// What has to make room.
	for i := range 400 {
		queryInt(t, db, "SELECT count(*) FROM b WHERE n > ?", i)
	}
	tursoopt.CacheWait(db)
	s = cacheStats(t, db)
	x = textStats(t, s, "SELECT count(*) FROM b WHERE n > ?")
	if x.Evictions == 0 && textStats(t, s, shown).Evictions == 0 || s.Evictions == 0 {
		t.Errorf("nothing has been evicted: %+v", x)
	}
	if sum := x.Bytes + textStats(t, s, shown).Bytes; sum != s.Bytes || s.Bytes > 64<<10 {
		t.Errorf("the texts take %d bytes, all together %d", sum, s.Bytes)
	}
	if table, want := tableStats(t, s, "b"), x.Evictions+textStats(t, s, shown).Evictions; table.Evictions != want {
		t.Errorf("%d of the table are evicted, of its texts %d", table.Evictions, want)
	}

	// All together they are what the cache has counted, but for misses of what cannot
	// be cached.
	var sum tursoopt.CacheTally
	for _, x := range s.Texts {
		sum.Hits, sum.Misses, sum.Stale, sum.Expired = sum.Hits+x.Hits, sum.Misses+x.Misses, sum.Stale+x.Stale, sum.Expired+x.Expired
		sum.Coalesced, sum.Fills, sum.Refused, sum.TooLarge = sum.Coalesced+x.Coalesced, sum.Fills+x.Fills, sum.Refused+x.Refused, sum.TooLarge+x.TooLarge
		sum.Entries, sum.Bytes, sum.Evictions = sum.Entries+x.Entries, sum.Bytes+x.Bytes, sum.Evictions+x.Evictions
	}
	all := s.CacheTally
	if all.Misses < sum.Misses {
		t.Errorf("%d misses, of texts %d", all.Misses, sum.Misses)
	}
	if all.Misses = sum.Misses; all != sum {
		t.Errorf("the cache has %+v, its texts %+v", all, sum)
	}
}

// Invalidations are counted by what has caused them.
func TestCacheStatsByCause(t *testing.T) {
	t.Parallel()
	e := newEnv(t, mode{native: true})
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	warm(t, db, "SELECT sum(n) FROM b")
	s := cacheStats(t, db)
	mustExec(t, db, "UPDATE b SET n = 1 WHERE id = 1; UPDATE b SET n = 2")
	if now := cacheStats(t, db); now.ByWrites != s.ByWrites+1 || now.ByUnknownWrites != s.ByUnknownWrites || now.Invalidations != s.Invalidations+1 {
		t.Errorf("after a request that writes: %+v, before %+v", now, s)
	}
	s = cacheStats(t, db)
	mustExec(t, db, "CREATE TABLE another (x)")
	if now := cacheStats(t, db); now.ByUnknownWrites != s.ByUnknownWrites+1 || now.SchemaChanges != s.SchemaChanges+1 || now.Invalidations != s.Invalidations+1 {
		t.Errorf("after DDL: %+v, before %+v", now, s)
	}
}

// A table's answers live for as long as is said of it, those of several tables for the
// shortest time, and those of some are never kept. It is not parallel, and neither is
// another that sets the clock: a cache that is opened meanwhile would have it too.
func TestCacheTableTTL(t *testing.T) {
	inModes(t, append(cachedBases[1:], cacheModes[1:]...), func(t *testing.T, e *env) {
		db, ahead := clocked(func() *sql.DB {
			return e.open(t, "cache=4MiB", "cache_lease=2h", "cache_ttl=10m", "cache_table_ttl=A:5s,parent:off,child:1h")
		})
		mustExec(t, db, cacheSchema)
		queries := []struct {
			query string
			ttl   time.Duration
		}{
			{"SELECT sum(n) FROM a", 5 * time.Second},
			{"SELECT n FROM a WHERE id = 1", 5 * time.Second},
			{"SELECT sum(n) FROM v", 5 * time.Second},
			{"SELECT sum(n) FROM b", 10 * time.Minute},
			{"SELECT count(*) FROM child JOIN b", 10 * time.Minute},
			{"SELECT count(*) FROM child", time.Hour},
			{"SELECT sum(n) FROM parent", 0},
			{"SELECT count(*) FROM parent JOIN b", 0},
		}
		for _, q := range queries {
			warm(t, db, q.query)
		}
		for _, pass := range []time.Duration{5*time.Second - 1, 5 * time.Second, 10*time.Minute - 1, 10 * time.Minute, time.Hour - 1, time.Hour} {
			ahead.Store(int64(pass))
			for _, q := range queries {
				// Not kept, so that all are as old.
				ctx := tursoopt.WithNoStore(tursoopt.WithMaxStale(context.Background(), 2*time.Hour))
				before := cacheStats(t, db).Hits
				if err := db.QueryRowContext(ctx, q.query).Scan(new(int64)); err != nil {
					t.Fatal(err)
				}
				if hit := cacheStats(t, db).Hits > before; hit != (pass < q.ttl) {
					t.Errorf("%s: hit %v after %v", q.query, hit, pass)
				}
			}
		}
	})
}
