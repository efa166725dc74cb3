package lane

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
	"github.com/turso-opt/turso-opt/internal/stream"
)

var _ exec.Executor = (*Lanes)(nil)

// Streams is what lanes send on: a stream.Pool.
type Streams interface {
	exec.Executor
	Share(ctx context.Context, stmts []exec.Stmt, separate bool) (results []exec.StmtResult, whole *exec.Error, err error)
	CommitGroup(ctx context.Context, group *stream.Group) (outcome *stream.GroupOutcome, ok bool, err error)
	Go(f func(ctx context.Context)) bool
}

var _ Streams = (*stream.Pool)(nil)

// Config is what Lanes need.
type Config struct {
	Streams Streams
	// Coalesce lets reads share requests.
	Coalesce bool
	// GroupCommit lets writes share requests and a transaction.
	GroupCommit bool
	// Lanes is the number of lanes for reads; 0 has it adapt.
	Lanes int
	// Budget is what may be sent again because of the server's troubles; nil for
	// nothing.
	Budget *limit.Budget
	// Outage tells of a server that is down; nil for none.
	Outage Outage
	// Late is the least time after which a request is late; 0 for LateAfter.
	Late time.Duration
	// Slow is the server time from which a statement travels alone; 0 for SlowAfter.
	Slow time.Duration
	// Retry is told when something is about to be sent again, why, and for how long
	// that was waited with; it is sent in the context that it gives. May be nil.
	Retry func(ctx context.Context, cause error, waited time.Duration) context.Context
}

// LateAfter is the least time after which others do not wait any more for a
// request that they share, or for its lane.
const LateAfter = 50 * time.Millisecond

// How many requests there may be at a time, so that all of them together stay
// below the 128 streams that sqld holds.
var readLanes = limit.Range{Least: 1, Start: 4, Most: 32}

const (
	// wideLanes is how many reads are on their way beside the lanes: those that
	// are known to be slow or large, and those that are sent again.
	wideLanes = 24
	// lateLanes is how many lanes are replaced because their requests are late.
	lateLanes = 12
)

// Lanes is an Executor by which callers share round trips. It is safe for
// concurrent use, and has goroutines only while statements wait. It must be
// closed, after Streams.
type Lanes struct {
	streams  Streams
	coalesce bool
	late     time.Duration
	slow     time.Duration
	retry    func(context.Context, error, time.Duration) context.Context
	budget   *limit.Budget
	outage   Outage
	wide     chan struct{}
	reads    *line
	gate     *Gate
	commits  *committer // nil without group commit

	counters counters
}

type counters struct {
	alone, shared, requests, again, hedged, backoffs, late atomic.Uint64
	committed, groups, ungrouped, locked, resent           atomic.Uint64
}

// Counters is a snapshot of what Lanes have done.
type Counters struct {
	Lanes     int    // lanes of reads now
	Alone     uint64 // reads that went out alone
	Shared    uint64 // reads that shared a request
	Requests  uint64 // shared requests of reads
	Again     uint64 // reads run again because a shared request had failed
	Hedged    uint64 // reads sent again because a neighbour was slow
	Late      uint64 // lanes replaced because their requests were late
	Backoffs  uint64 // waits because the server was at its limit
	Committed uint64 // writes that shared a transaction
	Groups    uint64 // transactions that writes shared
	Ungrouped uint64 // writes run one by one because their transaction had failed
	Locked    uint64 // requests of writes that found the database locked
	Resent    uint64 // requests sent again, after a backoff or because of a lock
	Waiting   int    // statements that wait for a lane now
	Writers   int    // writers that the gate lets in now
	Writing   int    // writers that are in now
}

// New returns Lanes over streams.
func New(cfg Config) *Lanes {
	l := &Lanes{streams: cfg.Streams, coalesce: cfg.Coalesce, budget: cfg.Budget, outage: cfg.Outage, wide: make(chan struct{}, wideLanes)}
	if l.outage == nil {
		l.outage = never{}
	}
	l.gate = NewGate(l.outage)
	if l.retry = cfg.Retry; l.retry == nil {
		l.retry = func(ctx context.Context, _ error, _ time.Duration) context.Context { return ctx }
	}
	if l.late = cfg.Late; l.late == 0 {
		l.late = LateAfter
	}
	if l.slow = cfg.Slow; l.slow == 0 {
		l.slow = SlowAfter
	}
	l.reads = newLine(limit.NewLanes(cfg.Lanes, readLanes), maxShare, l)
	l.reads.serve, l.reads.rerun = l.serveReads, l.hedge
	if cfg.GroupCommit {
		l.commits = newCommitter(l)
	}
	return l
}

// Close stops the timers.
func (l *Lanes) Close() {
	l.reads.close()
	if l.commits != nil {
		l.commits.line.close()
	}
}

// Gate is where writing transactions ask to enter the server.
func (l *Lanes) Gate() *Gate { return l.gate }

// Counters returns what has been counted so far.
func (l *Lanes) Counters() Counters {
	n := &l.counters
	waiting := l.reads.length()
	if l.commits != nil {
		waiting += l.commits.line.length()
	}
	return Counters{
		Lanes: l.reads.limit(), Alone: n.alone.Load(), Shared: n.shared.Load(), Requests: n.requests.Load(),
		Again: n.again.Load(), Hedged: n.hedged.Load(), Late: n.late.Load(), Backoffs: n.backoffs.Load(),
		Committed: n.committed.Load(), Groups: n.groups.Load(), Ungrouped: n.ungrouped.Load(),
		Locked: n.locked.Load(), Resent: n.resent.Load(),
		Waiting: waiting, Writers: l.gate.Capacity(), Writing: l.gate.Busy(),
	}
}

// Do runs a request by the way that fits it.
func (l *Lanes) Do(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	switch {
	case req.Class == exec.Read && l.coalesce && len(req.Stmts) == 1:
		return l.read(ctx, req)
	case req.Class == exec.Read:
		return l.once(ctx, nil, req)
	case l.commits != nil && groupable(req, l.slow):
		return l.commits.do(ctx, req)
	}
	return l.write(ctx, req)
}

// once runs a request, waits while the server is at its limit, and learns from
// the outcome. pass is the right to write, nil for a read.
func (l *Lanes) once(ctx context.Context, pass *Pass, req *exec.Request) (*exec.Response, error) {
	var resp *exec.Response
	err := l.Patiently(ctx, req.Class, pass, func(ctx context.Context) (err error) {
		resp, err = l.streams.Do(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range resp.Results {
		note := req.Stmts[i].Note
		note.Learn(&resp.Results[i], req.Class == exec.Write)
		if n := note.Alone.Load(); n > 0 {
			note.Alone.Store(n - 1)
		}
	}
	return resp, nil
}
