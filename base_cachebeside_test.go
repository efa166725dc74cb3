package tursoopt_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tursodatabase/libsql-client-go/libsql"

	tursoopt "github.com/turso-opt/turso-opt"
)

// revalidating is libsql-client-go's Connector, wrapped, with a lease that ends by a clock
// of the test's.
func revalidating(t *testing.T, e *env) (db *sql.DB, ahead *atomic.Int64) {
	t.Helper()
	ahead = new(atomic.Int64)
	tursoopt.CacheClock(func() (wall, mono int64) { return ahead.Load(), ahead.Load() })
	defer tursoopt.CacheClock(nil)
	base, err := libsql.NewConnector(e.url)
	if err != nil {
		t.Fatal(err)
	}
	return wrapCached(t, base, func(cfg *tursoopt.Config) {
		cfg.Timeout = -1 // nothing but its end ends what is under way
		cfg.CacheLease, cfg.CacheTTL, cfg.StaleWhileRevalidate = 10*time.Second, 200*time.Hour, 100*time.Hour
	}), ahead
}

// fetched waits until so many results more have been kept.
func fetched(t *testing.T, db *sql.DB, since uint64, n uint64) {
	t.Helper()
	for cacheStats(t, db).Fills < since+n {
		runtime.Gosched()
	}
	tursoopt.CacheWait(db)
}

// Nobody waits for what is fetched again, which is asked for once and not too much at
// once, is not counted as use of the pool, rests when it fails, and ends with the
// Connector.
func TestBaseCacheFetchesBeside(t *testing.T) {
	e := newEnv(t, mode{})
	p := e.tapped(t)
	db, ahead := revalidating(t, e)
	if _, err := tursoopt.TunePool(db, nil); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, cacheSchema)
	query := func(i int) string { return fmt.Sprintf("SELECT n + %d FROM b WHERE id = 1", i) }
	for i := range 6 {
		warm(t, db, query(i))
	}
	ahead.Add(int64(time.Hour))
	hit := func(i int) {
		t.Helper()
		before := cacheStats(t, db).Hits
		if n := queryInt(t, db, query(i)); n != int64(i)+1 || cacheStats(t, db).Hits != before+1 {
			t.Errorf("query %d gives %d, not from the cache", i, n)
		}
	}
	// asked is how often the queries have been asked for since.
	asked := func(since int) (n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, body := range p.seen[since:] {
			if bytes.Contains(body, []byte("SELECT n + ")) {
				n++
			}
		}
		return n
	}
	fills, used := cacheStats(t, db).Fills, tursoopt.PoolSeenOf(db)
	for n := range uint64(2) {
		ahead.Add(int64(time.Minute))
		hit(0)
		fetched(t, db, fills+n, 1)
		for tursoopt.Beside(db) > 0 {
			runtime.Gosched()
		}
	}
	if now := tursoopt.PoolSeenOf(db); now.Begun != used.Begun+2 || now.InUse != 0 {
		t.Errorf("the pool was used as in %+v, before the hit %+v", now, used)
	}

	since := p.posts()
	var holds []*hold
	for i := 1; i < 6; i++ {
		holds = append(holds, p.before(t, fmt.Sprintf("SELECT n + %d ", i)))
	}
	for i := range 10 {
		hit(i/2 + 1)
	}
	for _, h := range holds[:4] {
		<-h.reached
	}
	if n := asked(since); n != 4 || tursoopt.Beside(db) != 4 {
		t.Errorf("the base was asked %d times for 5 results, %d are under way", n, tursoopt.Beside(db))
	}
	fills = cacheStats(t, db).Fills
	holds[0].release()
	fetched(t, db, fills, 1)
	for tursoopt.Beside(db) == 4 {
		runtime.Gosched()
	}
	hit(5)
	<-holds[4].reached

	holds[1].cut()
	for tursoopt.Beside(db) == 4 {
		runtime.Gosched()
	}
	since = p.posts()
	hit(2)
	if n := tursoopt.Beside(db); n != 3 || asked(since) != 0 {
		t.Errorf("it is asked for again at once: %d are under way", n)
	}
	ahead.Add(int64(time.Second))
	again := p.before(t, "SELECT n + 2 ")
	hit(2)
	<-again.reached

	if err := db.Close(); err != nil || tursoopt.Beside(db) != 0 {
		t.Errorf("%v, %d are under way", err, tursoopt.Beside(db))
	}
	for _, h := range append(holds[2:], again) {
		<-h.left
	}
}

// What is fetched again is what was asked for, whatever becomes of the caller's arguments,
// and in the way in which it was asked for.
func TestBaseCacheFetchesTheSame(t *testing.T) {
	e := newEnv(t, mode{real: true})
	other := e.open(t)
	p := e.tapped(t)
	db, ahead := revalidating(t, e)
	mustExec(t, db, cacheSchema)
	const q = "SELECT n FROM b WHERE printf('%02X', id) = hex(?)"
	s, err := db.Prepare(q)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	arg := []byte{1}
	ask := map[string]func() int64{
		"text": func() int64 { return queryInt(t, db, q, arg) },
		"statement": func() (n int64) {
			if err := s.QueryRow(arg).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		},
	}
	warm(t, db, "SELECT sum(n) FROM b")
	for way, ask := range ask {
		arg[0] = 1
		was := ask()
		tursoopt.CacheWait(db)
		mustExec(t, other, "UPDATE b SET n = n + 10")
		ahead.Add(int64(time.Hour))
		h := p.before(t, "pragma_schema_version")
		fills := cacheStats(t, db).Fills
		if n := ask(); n != was {
			t.Errorf("%s: %d after the lease, before %d", way, n, was)
		}
		<-h.reached
		arg[0] = 2
		h.release()
		fetched(t, db, fills, 1)
		arg[0] = 1
		before := cacheStats(t, db)
		if n, now := ask(), cacheStats(t, db); n != was+10 || now.Hits != before.Hits+1 || now.Revalidated != before.Revalidated {
			t.Errorf("%s: %d when it was fetched again, of %d: %+v, before %+v", way, n, was+10, now, before)
		}
	}
}
