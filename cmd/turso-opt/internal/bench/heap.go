package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	tursoopt "github.com/turso-opt/turso-opt"
)

// maxKept is the most results that are kept.
const maxKept = 100_000

var (
	keepingSide = oursWith("ours, cache", cacheOf(256<<20))
	// keptResults are the points of the curve of the heap.
	keptResults = keepingSide.across(keepResults, 1, 10, 100, 1_000, 10_000, maxKept)
	mostKept    = keptResults[len(keptResults)-1]
)

// heapShare is the heap over what the cache says that it takes.
var heapShare = Metric{"heap / what the cache accounts for", steepestFall(Heap, keptResults).Unit, false, func(s Sample) float64 { return s.Weight / s.Accounted }}

var heapPerResult = Metric{"heap per result", Heap.Unit, false, func(s Sample) float64 { return s.Weight / maxKept }}

var keptScenario = &Scenario{
	ID: "heap", Name: "cache-heap", Title: "heap from 1 to 100,000 cached results",
	About: "Results of one row and two columns, each found by its primary key, are put into a cache of 256 MiB; the heap is what is live after a collection, less what was live before the first query. " +
		"With one result that is what a cache takes when it is empty: the copy of the schema, the epochs, and ristretto's counters for as many entries as 256 MiB may hold. From there on it is to grow no faster than the results.",
	Setup: manyPeople, Sides: keptResults, Once: true, Work: keepResults(1), Axis: "cached results", Plotted: &Heap,
	Figures: slices.Concat(
		[]Figure{steepestRise(Heap, keptResults).atMost(1.25).always(), of(mostKept, heapShare).atMost(1.25).always()},
		[]Figure{of(mostKept, heapPerResult)}, both(Heap, keptResults...),
	),
}

func manyPeople(w World) []string { return w.fill("people", w.rows(maxKept)) }

// keepResults has the cache hold that many results, and weighs the heap.
func keepResults(n int) func(w World) Work {
	return func(w World) Work {
		query, n := w.selectPerson(), min(n, w.rows(maxKept))
		return func(_ context.Context, db *sql.DB, _ int) (Task, error) {
			before, _ := w.written.LoadOrStore("heap", liveHeap())
			return Task{
				Do: func(ctx context.Context) error { return keepRows(ctx, db, query, n) },
				Weigh: func() (heap, accounted float64) {
					s, _ := tursoopt.StatsOf(db)
					return max(liveHeap()-before.(float64), 1), float64(s.Cache.Bytes)
				},
			}, nil
		}
	}
}

// keepRows asks for the first n rows until all are kept. A result may not be kept the
// first time: the store drops what comes too fast.
func keepRows(ctx context.Context, db *sql.DB, query string, n int) error {
	var kept uint64
	for range 50 {
		if err := readAll(ctx, db, query, n); err != nil {
			return err
		}
		s, _ := tursoopt.StatsOf(db)
		if kept = s.Cache.Entries; kept >= uint64(n) {
			return nil
		}
	}
	return fmt.Errorf("of %d results %d are kept", n, kept)
}

// readers is how many goroutines read all rows of a table.
const readers = 64

// readAll reads the first n rows of a table by their keys.
func readAll(ctx context.Context, db *sql.DB, query string, n int) error {
	var all sync.WaitGroup
	errs := make([]error, readers)
	for k := range errs {
		all.Go(func() {
			var name string
			var score float64
			for id := 1 + k; id <= n && errs[k] == nil; id += readers {
				errs[k] = db.QueryRowContext(ctx, query, id).Scan(&name, &score)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// liveHeap is what is reachable, in bytes.
func liveHeap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what a finalizer or a sync.Pool held until the first
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
