//go:build !race

// The race detector has sync.Pool forget on purpose.

package tursoopt_test

import (
	"database/sql"
	"runtime"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A point query through database/sql stays within 40 allocations and 4 KB, where
// libsql-client-go makes 447, 38 KB of them. The server is another process.
func TestPointQueryAllocations(t *testing.T) {
	const (
		maxAllocs = 40
		maxBytes  = 4 << 10
		runs      = 500
	)
	for _, m := range nativeModes[:2] {
		db := benchUsers(t, m)
		var name string
		var score float64
		query := func() {
			if err := db.QueryRow(pointQuery, 4711%1000).Scan(&name, &score); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			query() // streams, connections and caches come into being
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			query()
		}
		runtime.ReadMemStats(&after)
		allocs, bytes := (after.Mallocs-before.Mallocs)/runs, (after.TotalAlloc-before.TotalAlloc)/runs
		t.Logf("%s: %d allocations, %d bytes", m.name, allocs, bytes)
		if allocs > maxAllocs || bytes > maxBytes {
			t.Errorf("%s: %d allocations and %d bytes, more than %d and %d", m.name, allocs, bytes, maxAllocs, maxBytes)
		}
	}
}

// What a hit allocates is what database/sql does for any query, and two more at most:
// not one for each value, and not what a request takes.
func TestCacheHitAllocations(t *testing.T) {
	db := keptUsers(t, 50)
	idle := sql.OpenDB(idleConnector{})
	defer idle.Close()
	const wide = "SELECT name, score FROM users WHERE id = ? AND name <> ? AND email <> ?"
	scan := func(db *sql.DB, query string, args ...any) func() {
		var name string
		var score float64
		return func() {
			if err := db.QueryRow(query, args...).Scan(&name, &score); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		query string
		args  []any
	}{{pointQuery, []any{7}}, {pointQuery, []any{4711 % 50}}, {wide, []any{30, "nobody", "nowhere"}}} {
		floor := testing.AllocsPerRun(200, scan(idle, c.query, c.args...))
		kept := scan(db, c.query, c.args...)
		kept()
		tursoopt.CacheWait(db)
		before := cacheStats(t, db).Hits
		if n := testing.AllocsPerRun(200, kept); n > floor+2 {
			t.Errorf("%s: a hit makes %g allocations, a driver that does nothing %g", c.query, n, floor)
		} else {
			t.Logf("%g and %g", n, floor)
		}
		if hits := cacheStats(t, db).Hits - before; hits < 200 {
			t.Errorf("%s: only %d hits", c.query, hits)
		}
	}
}

// Without a Tracer nothing is allocated for one: not on the way of a statement, and not
// where it could be.
func TestNoTracerCostsNothing(t *testing.T) {
	db := newEnv(t, embeddedModes[0]).open(t)
	if n := testing.AllocsPerRun(100, tursoopt.Untraced(db)); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
