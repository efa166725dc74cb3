package bench

import (
	"fmt"
	"slices"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// The sides of the scenarios in which callers share requests.
var (
	// rawPoints is the raw pipe for PointSelect.
	rawPoints = Side{Name: "raw pipe", raw: pointStatements}
	// fewConns is the base with as many connections as sqld's queue of writers
	// bears for a while; with 100 it locks up for good.
	fewConns = Side{Name: "base, 8 connections", open: openBase, conns: 8, work: again(Insert)}
	grouped  = oursWith("ours, group_commit", func(c *tursoopt.Config) { c.GroupCommit = true })
	// pipelined does not wait for each statement of a transaction.
	pipelined = Ours.named("ours, pipelined").by(pipelinedUpdates)
)

// lockedUp is why a side whose writers wait inside the server may fail. sqld
// checkpoints after a commit that finds 1,000 pages in the log. One checkpoint in
// ten truncates it, for which it wakes all writers that wait, and can lose some of
// them: connection_manager.rs in tursodatabase/libsql.
const lockedUp = "sqld's queue of writers can lock up for good"

// pointStatements are what PointSelect sends.
func pointStatements(w World, worker int) func() hrana.Stmt {
	key, text := w.keys(worker), w.selectPerson()
	return func() hrana.Stmt {
		return hrana.Stmt{SQL: text, Args: []exec.Value{{Kind: exec.Integer, Int: int64(key())}}, WantRows: true}
	}
}

// manyReaders is a point SELECT by many goroutines.
func manyReaders(id string, goroutines int, times float64) *Scenario {
	return &Scenario{
		ID: id, Name: fmt.Sprintf("point-%d", goroutines), Title: fmt.Sprintf("point SELECT, %d goroutines, RTT 0", goroutines),
		About: "One row by its primary key, by many goroutines at once. Reads that come while others are on their way share the next request. " +
			"The raw pipe is net/http with requests made beforehand, as many statements in each as ours had, whose answers are read and thrown away: " +
			"no decoding, no database/sql. It sends as many requests at a time as proved quickest, and never more statements than there are goroutines to ask for them.",
		Goroutines: goroutines, Sides: []Side{Base, Ours, rawPoints}, Setup: People, Work: PointSelect,
		Figures: slices.Concat(
			[]Figure{ratio(Ours, Base, Throughput).atLeast(times), ratio(Ours, rawPoints, Throughput).atLeast(0.7)},
			both(Throughput, Base, Ours, rawPoints), []Figure{of(Ours, Packing)},
			both(P50, Base, Ours), both(P99, Base, Ours), both(CPU, Base, Ours, rawPoints),
		),
	}
}

// manyWriters is an autocommit INSERT by many goroutines.
func manyWriters(id string, goroutines int, times float64) *Scenario {
	return &Scenario{
		ID: id, Name: fmt.Sprintf("insert-%d", goroutines), Title: fmt.Sprintf("autocommit INSERT, %d goroutines, group commit", goroutines),
		About: "One row at a time, each committed before its caller goes on. With group_commit=on, writes that come at the same time share a transaction; " +
			"without it turso-opt only keeps them from waiting inside the server. The base has 8 connections, since more of them lock up the server's queue of " +
			"writers for good, and tries again when the database is locked.",
		Goroutines: goroutines, Sides: []Side{fewConns, grouped, Ours}, Setup: People, Work: Insert, Counted: max(256/goroutines, 4),
		MayFail: map[string]string{fewConns.Name: lockedUp},
		Figures: slices.Concat(
			[]Figure{ratio(grouped, fewConns, Throughput).atLeast(times)},
			both(Throughput, fewConns, grouped, Ours), both(P50, fewConns, grouped, Ours),
			both(P99, fewConns, grouped, Ours), both(Requests, fewConns, grouped, Ours),
		),
	}
}

// Metrics of bulkRows rows, of which each is an operation.
var (
	thousandTime = Metric{"time for 1,000 rows", ui.Seconds, false, func(s Sample) float64 {
		return perOp(s, bulkRows*s.Elapsed.Seconds())
	}}
	thousandRequests = Metric{"HTTP requests for 1,000 rows", ui.Count, true, func(s Sample) float64 {
		return perOp(s, bulkRows*float64(s.Counts.Requests))
	}}
)

var (
	oneByOne = Base.by(rowByRow)
	inBulk   = Ours.by(bulkInsert)
)

var bulkScenario = &Scenario{
	ID: "9", Name: "bulk-insert", Title: "1,000 rows inserted with BulkInsert, RTT 20 ms",
	About: "1,000 rows of three columns. BulkInsert sends them in one request, which is also their transaction. The base inserts them one by one, in one transaction, " +
		"and waits a round trip for each; its time is measured on as many rows as there is time for and scaled to 1,000, BEGIN and COMMIT left out.",
	RTT: 20 * time.Millisecond, Sides: []Side{oneByOne, inBulk}, Setup: People, Work: bulkInsert,
	Figures: slices.Concat(
		[]Figure{ratio(oneByOne, inBulk, thousandTime).atLeast(500)},
		both(thousandTime, oneByOne, inBulk), both(thousandRequests, oneByOne, inBulk),
	),
}

// The sides of the mixed web workload.
var (
	webBase = fewConns.by(again(mixedWeb(inTx(baseBegins))))
	// webOurs runs the base's program.
	webOurs    = Ours.by(mixedWeb(inTx(oursBegins)))
	webBatched = Ours.named("ours, batches").by(mixedWeb(inBatch))
	webGrouped = grouped.named("ours, batches, group_commit").by(mixedWeb(inBatch))
	// webAll has everything on that may be, with the lease that others' writes need.
	webAll = oursWith("ours, everything on", func(c *tursoopt.Config) {
		c.GroupCommit, c.Cache = true, 64<<20
	}).by(mixedWeb(inBatch))
	webSides = []Side{webBase, webOurs, webBatched, webGrouped, webAll}
)

const webAbout = "64 goroutines without think time on 1,000 users and 10,000 posts, users and posts picked by Zipf: 60 % reads by key, 15 % joins of up to 20 rows, " +
	"5 % aggregates, 12 % updates and inserts, 5 % transactions of a read and two writes, 3 % lists of 100 rows. An op is a statement; BEGIN and COMMIT are requests, but no ops. " +
	"Transactions take the write lock at once on all sides: those that read before they take it fail under this load whenever anybody else has written. " +
	"\"ours\" runs the base's program, the others send each transaction as one batch; \"everything on\" has group commit and a cache of 64 MiB with its lease of a second. The base has 8 connections, since more of them lock up the server's queue of writers for good. "

var webScenario = &Scenario{
	ID: "18", Name: "web", Title: "mixed web workload, 64 goroutines, HTTP requests",
	About: webAbout + "Requests are shared by those who wait. With transactions whose statements are sent one by one nearly all goroutines wait for the write lock, " +
		"and few reads are there to share a request.",
	Setup: Web, Goroutines: 64, Sides: webSides, Work: mixedWeb(inBatch), Counted: 40,
	MayFail: map[string]string{webBase.Name: lockedUp},
	Figures: slices.Concat(
		[]Figure{ratio(webBatched, webBase, Requests).atMost(0.2), ratio(webGrouped, webBase, Requests).atMost(0.2), ratio(webAll, webBase, Requests).atMost(0.2), ratio(webOurs, webBase, Requests)},
		both(Requests, webSides...), both(WireBytes, webSides...), both(Dials, webSides...),
		both(Throughput, webSides...), both(P50, webSides...), both(P99, webSides...),
	),
}

var webSlowScenario = &Scenario{
	ID: "19", Name: "web-rtt", Title: "mixed web workload, 64 goroutines, RTT 20 ms",
	About: webAbout + "On this path a transaction whose statements are sent one by one holds SQLite's only write lock for four round trips, and all other writers " +
		"wait: that bounds every program that does so, whatever its driver. A batch holds it for none.",
	RTT: 20 * time.Millisecond, Setup: Web, Goroutines: 64, Sides: webSides, Work: mixedWeb(inBatch),
	MayFail: map[string]string{webBase.Name: lockedUp},
	Figures: slices.Concat(
		[]Figure{ratio(webAll, webBase, Throughput).atLeast(15), ratio(webAll, webBase, P99).atMost(1)},
		[]Figure{ratio(webGrouped, webBase, Throughput), ratio(webOurs, webBase, Throughput)},
		both(Throughput, webSides...), both(P50, webSides...), both(P99, webSides...), both(Requests, webSides...), both(WireBytes, webSides...),
	),
}

// The points of the curve of throughput over goroutines.
var (
	crowds     = []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
	baseCrowds = Base.points(crowds...)
	ourCrowds  = Ours.points(crowds...)
)

var scaling = &Scenario{
	ID: "scaling", Name: "scaling", Title: "point SELECT, throughput from 1 to 512 goroutines",
	About: "How throughput grows with the number of callers. It is to grow, and never to fall off a cliff: no number of goroutines may have much less than a smaller one had. " +
		"The base has at most 100 connections.",
	Goroutines: slices.Max(crowds), Sides: slices.Concat(baseCrowds, ourCrowds), Setup: People, Work: PointSelect,
	Figures: slices.Concat(
		[]Figure{steepestFall(Throughput, ourCrowds).atLeast(0.75), steepestFall(Throughput, baseCrowds)},
		both(Throughput, ourCrowds...), both(Throughput, baseCrowds...),
	),
}
