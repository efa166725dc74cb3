package bench

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// cacheOf gives a configuration a cache that nobody else's writes make old.
func cacheOf(bytes int64) func(*tursoopt.Config) {
	return func(c *tursoopt.Config) {
		c.Cache, c.CacheLease, c.CacheTTL = bytes, time.Hour, 2*time.Hour
	}
}

// Tables that only one side reads and writes: what others write is not what a
// cache that trusts its lease for an hour is told of.
func ownTables(names ...string) func(w World) []string {
	return func(w World) (all []string) {
		for _, name := range names {
			t := w.table(name)
			all = append(all,
				"CREATE TABLE "+t+" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL)",
				fmt.Sprintf("INSERT INTO %s SELECT i, 'person '||i, 0 FROM (%s)", t, numbers(w.rows(peopleRows))))
		}
		return all
	}
}

func (w World) selectVersion(name string) string {
	return "SELECT name, version FROM " + w.table(name) + " WHERE id = ?"
}

// acknowledged are the versions that writes to a table's rows have been told of, by
// their keys. Versions only grow.
func (w World) acknowledged(name string) []atomic.Int64 {
	rows, _ := w.written.LoadOrStore(name, make([]atomic.Int64, w.rows(peopleRows)+1))
	return rows.([]atomic.Int64)
}

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); old < n && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}

// readMostly reads rows of a table of versions by their keys and writes one of ten,
// some much more often than others. A read that began when a version had been
// acknowledged must not give one from before it.
func readMostly(name string) func(w World) Work {
	return func(w World) Work {
		keys, acked := newZipf(w.rows(peopleRows)), w.acknowledged(name)
		read := w.selectVersion(name)
		// Several who write one row at once do not overtake each other.
		write := "UPDATE " + w.table(name) + " SET version = max(version, ?) WHERE id = ?"
		return func(ctx context.Context, db *sql.DB, worker int) (Task, error) {
			// What is measured is how it goes on, not how it begins.
			if _, known := w.written.LoadOrStore(db, true); !known && name != plainTable {
				if err := readAll(ctx, db, read, len(acked)-1); err != nil {
					return Task{}, err
				}
			}
			r := rand.New(rand.NewPCG(uint64(worker), 4))
			stale := 0
			update := func(ctx context.Context, id int) error {
				next := time.Now().UnixNano()
				res, err := db.ExecContext(ctx, write, next, id)
				if err != nil {
					return err
				}
				raise(&acked[id], next)
				return changedOne(res)
			}
			return Task{Stale: func() int { return stale }, Do: func(ctx context.Context) error {
				id := keys.pick(r)
				if r.IntN(10) == 0 {
					return update(ctx, id)
				}
				least := acked[id].Load()
				var name string
				var version int64
				if err := db.QueryRowContext(ctx, read, id).Scan(&name, &version); err != nil {
					return err
				}
				if version < least {
					stale++
				}
				return checkPerson(id, name, float64(id)*0.5)
			}}, nil
		}
	}
}

// plainTable is that of the side without a cache.
const plainTable = "plain"

// The sides of scenario 16.
var (
	plainBase    = Base.by(again(readMostly(plainTable)))
	cachedOurs   = oursWith("ours, cache", cacheOf(64<<20)).by(readMostly("cached"))
	cachedGroups = oursWith("ours, cache, group_commit", func(c *tursoopt.Config) {
		cacheOf(64 << 20)(c)
		c.GroupCommit = true
	}).by(readMostly("grouped"))
	readMostlySides = []Side{plainBase, cachedOurs, cachedGroups}
)

var cachedScenario = &Scenario{
	ID: "16", Name: "cache", Title: "cache-first reads, 90/10, Zipf, 64 goroutines, RTT 20 ms",
	About: "Of ten operations nine read one of 10,000 rows by its primary key and one writes such a row; which one is chosen by Zipf(0.99), so that some are wanted, and written, much more often than others. " +
		"Nobody else writes, and the lease is set to an hour. A write ends what is cached of its row only, when it is acknowledged, and has that asked for again if it had been served: with one write in ten about one read in ten has to go to the server, " +
		"however large the cache, and those who read a row that is written all the time wait for it. What reaches the server is read out of the requests that pass the emulated network, statement by statement. A side with a cache has read each row once before anything is measured. Every reader checks that what it gets is no older than " +
		"the last version that had been acknowledged when it asked. The base keeps up to 100 connections; its writes, of which about six are on their way at a time, are tried again when the database is locked.",
	RTT: 20 * time.Millisecond, Goroutines: 64, Sides: readMostlySides, Setup: ownTables(plainTable, "cached", "grouped"), Work: readMostly(plainTable),
	Watch:   watchedReads(plainTable, "cached", "grouped"),
	MayFail: map[string]string{plainBase.Name: lockedUp},
	Figures: slices.Concat(
		[]Figure{
			ratio(cachedOurs, plainBase, Watched).atMost(0.15).always(),
			ratio(cachedOurs, plainBase, Throughput).atLeast(10),
			of(cachedOurs, Stale).atMost(0).always(), of(cachedGroups, Stale).atMost(0).always(),
			ratio(cachedGroups, plainBase, Throughput),
		},
		both(Watched, readMostlySides...), both(Throughput, readMostlySides...), both(P50, readMostlySides...), both(P99, readMostlySides...),
		both(Requests, readMostlySides...), both(WireBytes, readMostlySides...),
	),
}

// watchedReads are the texts of readMostly's reads.
func watchedReads(names ...string) func(w World) []string {
	return func(w World) (texts []string) {
		for _, name := range names {
			texts = append(texts, w.selectVersion(name))
		}
		return texts
	}
}

// hotKeys is how many rows are asked for again and again in scenario 17, of which a
// hundred are asked for by one operation's call, so that reading the clock does not
// count.
const (
	hotKeys  = 1_000
	hotBurst = 100
)

// hotSelect is PointSelect on rows that a cache holds.
func hotSelect(w World) Work {
	query, n := w.selectPerson(), min(hotKeys, w.rows(peopleRows))
	return func(_ context.Context, db *sql.DB, _ int) (Task, error) {
		var name string
		var score float64
		next, did := 0, 0
		return Task{Did: func() int { return did }, Do: func(ctx context.Context) error {
			for range hotBurst {
				id := 1 + next%n
				next++
				if err := db.QueryRowContext(ctx, query, id).Scan(&name, &score); err != nil {
					return err
				}
				if err := checkPerson(id, name, score); err != nil {
					return err
				}
				did++
			}
			return nil
		}}, nil
	}
}

// The sides of scenario 17.
var (
	idleSide = Side{Name: "no-op driver", open: openIdle}
	hitSide  = oursWith("ours, cache", cacheOf(64<<20))
)

var (
	timePerOp = Metric{"time per op", P50.Unit, false, func(s Sample) float64 { return perOp(s, s.Elapsed.Seconds()) }}
	// moreAllocs is how many more allocations a makes than b.
	moreAllocs = func(a, b Side) Figure {
		f := Figure{Name: "allocations more than the " + b.Name + " makes, " + a.Name, Unit: Allocs.Unit}
		f.read = func(o *observed) Value {
			return spread(Allocs.Of(merge(o.rounds[a.Name]))-Allocs.Of(merge(o.rounds[b.Name])), nil)
		}
		return f
	}
)

var hitScenario = &Scenario{
	ID: "17", Name: "cache-hit", Title: "cache hit, 1 goroutine",
	About: "One row of two columns by its primary key, from 1,000 that are in the cache, through database/sql, beside a driver that does nothing: it has the same rows ready and gives them. " +
		"What is left is the search for the text and for the result, two clocks for the lease, and what it takes to be sure that nothing has been written since. " +
		"The comparison with an embedded replica needs cgo: bench/peers/run.sh makes it.",
	Setup: People, Sides: []Side{idleSide, hitSide}, Work: hotSelect,
	Figures: slices.Concat(
		[]Figure{ratio(hitSide, idleSide, timePerOp).atMost(1.5).always(), moreAllocs(hitSide, idleSide).atMost(2).always()},
		both(timePerOp, idleSide, hitSide), both(Allocs, idleSide, hitSide), both(AllocBytes, idleSide, hitSide), both(CPU, idleSide, hitSide),
	),
}
