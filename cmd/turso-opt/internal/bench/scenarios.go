package bench

import (
	"slices"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// uncached is Ours without its statement cache.
var uncached = oursWith("ours, stmt_cache=0", func(c *tursoopt.Config) { c.StmtCache = -1 })

// Scenarios are all there are, in the order in which they run.
var Scenarios = slices.Concat(firstScenarios, compressScenarios, lastScenarios)

var firstScenarios = []*Scenario{
	{
		ID: "1", Name: "point", Title: "point SELECT, 1 goroutine, RTT 0",
		About: "One row by its primary key from 10,000, by one goroutine, with no network but the loopback device. " +
			"What is left is the work of client and server: the base opens a stream for every statement and closes it with a second request.",
		Setup: People, Work: PointSelect, Counted: 200,
		Figures: slices.Concat(
			[]Figure{ratio(Base, Ours, P50).atLeast(3)},
			both(P50, Base, Ours), both(P99, Base, Ours), both(Requests, Base, Ours), both(WireBytes, Base, Ours),
		),
	},
	manyReaders("2", 32, 18),
	manyReaders("3", 256, 40),
	{
		ID: "4", Name: "point-rtt", Title: "point SELECT, 1 goroutine, RTT 20 ms",
		About: "The same over a network of 20 ms. A single caller cannot be served in less than one round trip, and both drivers need just one: " +
			"the base's second request travels behind the caller's back. What turso-opt promises here is to add nothing.",
		RTT: 20 * time.Millisecond, Setup: People, Work: PointSelect,
		Figures: slices.Concat(
			[]Figure{
				of(Ours, P50).within(func(rtt time.Duration) float64 { return (rtt + time.Millisecond).Seconds() }),
				of(Ours, P99).within(func(rtt time.Duration) float64 { return 1.25 * rtt.Seconds() }),
			},
			[]Figure{of(Base, P50), of(Base, P99)}, both(Requests, Base, Ours),
		),
	},
	{
		ID: "5", Name: "client-cost", Title: "point SELECT, client cost",
		About: "What one point SELECT through database/sql costs the client's process in memory, database/sql's own part included. " +
			"The server is another process and no proxy runs in this one.",
		Setup: People, Work: PointSelect,
		Figures: slices.Concat(
			[]Figure{of(Ours, AllocBytes).atMost(4 << 10).always(), of(Ours, Allocs).atMost(40).always()},
			[]Figure{of(Base, AllocBytes), of(Base, Allocs)}, both(CPU, Base, Ours),
		),
	},
	manyWriters("6", 32, 15),
	manyWriters("7", 256, 40),
	{
		ID: "8", Name: "transaction", Title: "transaction of 3 updates, RTT 20 ms",
		About: "BEGIN, three UPDATEs by key, COMMIT. BEGIN travels with the first statement, so there are four round trips, one after the other; " +
			"the base makes five and closes its stream with a sixth request. A pipelined transaction does not wait for the outcome of each statement and takes one round trip in all.",
		RTT: 20 * time.Millisecond, Setup: People, Work: ThreeUpdates, Sides: []Side{Base, Ours, pipelined},
		Figures: slices.Concat(
			[]Figure{
				of(Ours, Requests).atMost(4).always(), of(pipelined, Requests).atMost(1).always(),
				ratio(Base, Ours, P50).atLeast(1.4), ratio(Base, pipelined, P50).atLeast(4),
			},
			[]Figure{of(Base, Requests)}, both(P50, Base, Ours, pipelined), both(WireBytes, Base, Ours, pipelined),
		),
	},
	bulkScenario,
	{
		ID: "10", Name: "scan", Title: "scan of 1,000 rows x 4",
		About: "A SELECT of 1,000 rows of four columns, every value scanned. The server's time is the same for both; " +
			"the rest is the size of the answer and the time to decode it.",
		Setup: People, Work: ScanList, Counted: 20,
		Figures: slices.Concat(
			[]Figure{ratio(Base, Ours, P50).atLeast(6)},
			both(P50, Base, Ours), both(WireBytes, Base, Ours), both(AllocBytes, Base, Ours), both(Allocs, Base, Ours),
		),
	},
	{
		ID: "11", Name: "large-scan", Title: "scan of 1,000,000 rows",
		About: "One SELECT of a million rows, about 60 MB of values, scanned to its end; the heap is looked at every millisecond. " +
			"The server refuses to answer more than 10 MB at once, which turso-opt answers by streaming; the server works harder for each row then.",
		Setup: million, Work: scanAll, Once: true, WatchHeap: true, Heavy: true,
		MayFail: map[string]string{Base.Name: "the server refuses results of more than 10 MB"},
		Figures: []Figure{of(Ours, PeakHeap).atMost(32e6).always(), of(Base, PeakHeap), of(Ours, P50).named("time"), of(Base, P50).named("time")},
	},
	keepAlive,
	poolScenario,
}

var lastScenarios = []*Scenario{
	{
		ID: "15", Name: "prepared", Title: "prepared point SELECT, client CPU",
		About: "The processor time that the client's process spends on one execution of a prepared statement, user and system together. " +
			"libsql-client-go takes the SQL text apart at every execution. stmt_cache=0 makes turso-opt do so too.",
		Setup: People, Work: preparedSelect, Sides: []Side{Base, Ours, uncached},
		Figures: slices.Concat(
			[]Figure{ratio(Ours, Base, CPU).atMost(0.35), ratio(uncached, Ours, CPU)},
			both(CPU, Base, Ours, uncached), both(Allocs, Base, Ours, uncached),
		),
	},
	cachedScenario,
	hitScenario,
	webScenario,
	webSlowScenario,
	scaling,
	keptScenario,
	{
		ID: "requests", Name: "autocommit", Title: "autocommit statements, HTTP requests",
		About: "Point SELECTs and INSERTs by turns, outside transactions, by one goroutine. A statement needs one request; " +
			"the base ends its stream with another.",
		Setup: People, Work: readAndInsert, Counted: 200, CountOnly: true,
		Figures: slices.Concat(
			[]Figure{of(Ours, Requests).atMost(1).always()},
			[]Figure{of(Base, Requests)}, both(WireBytes, Base, Ours),
		),
	},
	{
		ID: "dials", Name: "dials", Title: "connections dialled once warm, 32 goroutines",
		About: "Point SELECTs by 32 goroutines on pools that have done as much before, and the connections that are opened all the same. " +
			"The base uses the process's default HTTP client, which keeps two idle connections for each host. The goal is none; one in a thousand queries is let pass.",
		Setup: People, Work: PointSelect, Goroutines: 32, Counted: 100, CountOnly: true,
		Figures: slices.Concat(
			[]Figure{of(Ours, Dials).atMost(0.001).always()},
			[]Figure{of(Base, Dials)}, both(Requests, Base, Ours), both(Throughput, Base, Ours),
		),
	},
}
