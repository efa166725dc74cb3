//go:build !race

// The race detector has sync.Pool forget on purpose.

package tursoopt_test

import (
	"runtime"
	"testing"
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
