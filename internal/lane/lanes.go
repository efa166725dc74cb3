package lane

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
	"github.com/turso-opt/turso-opt/internal/stream"
)

var _ exec.Executor = (*Lanes)(nil)

// Config is what Lanes need.
type Config struct {
	// Pool runs what the lanes send.
	Pool *stream.Pool
	// Coalesce lets reads share requests.
	Coalesce bool
	// GroupCommit lets writes share requests and a transaction.
	GroupCommit bool
	// Lanes is the number of lanes; 0 has it adapt.
	Lanes int
	// Now is the clock; nil for the system's.
	Now func() time.Time
}

// wideLanes is how many statements that are known to be slow or large are on
// their way at once, beside the lanes: they must not hold up the others, nor
// come near the server's 128 streams.
const wideLanes = 32

// Lanes is an Executor by which callers share round trips. It is safe for
// concurrent use, and has a goroutine only while statements wait.
type Lanes struct {
	pool  *stream.Pool
	cfg   Config
	now   func() time.Time
	wide  chan struct{}
	reads share
	gate  *Gate
	group *committer // nil without group commit

	counters counters
}

type counters struct {
	alone, shared, requests, again, hedged, backoffs atomic.Uint64
}

// Counters is a snapshot of what Lanes have done.
type Counters struct {
	Alone     uint64 // reads that went out alone
	Shared    uint64 // reads that shared a request
	Requests  uint64 // shared requests
	Again     uint64 // reads run again because a shared request had failed
	Hedged    uint64 // reads sent again because a neighbour was slow
	Backoffs  uint64 // waits because the server was at its limit
	Lanes     int    // lanes now
	Committed uint64 // writes that shared a transaction
	Groups    uint64 // transactions that writes shared
	Ungrouped uint64 // writes run one by one because their transaction had failed
}

// share is one kind of traffic: its lanes and those who wait for one.
type share struct {
	room chan struct{} // places in the queue
	mu   sync.Mutex
	q    queue
	busy int
	law  *limit.Lanes
	// hedges is how many reads may be sent again because they are late.
	hedges float64
}

// New returns Lanes over a pool of streams.
func New(cfg Config) *Lanes {
	l := &Lanes{pool: cfg.Pool, cfg: cfg, now: cfg.Now, wide: make(chan struct{}, wideLanes)}
	if l.now == nil {
		l.now = time.Now
	}
	l.reads.room = make(chan struct{}, maxQueue)
	l.reads.law = limit.NewLanes(cfg.Lanes)
	l.gate = NewGate()
	if cfg.GroupCommit {
		l.group = newCommitter(l)
	}
	return l
}

// Gate is where writing transactions ask to enter the server.
func (l *Lanes) Gate() *Gate { return l.gate }

// Counters returns what has been counted so far.
func (l *Lanes) Counters() Counters {
	n := &l.counters
	c := Counters{Alone: n.alone.Load(), Shared: n.shared.Load(), Requests: n.requests.Load(),
		Again: n.again.Load(), Hedged: n.hedged.Load(), Backoffs: n.backoffs.Load()}
	l.reads.mu.Lock()
	c.Lanes = l.reads.law.Limit()
	l.reads.mu.Unlock()
	if l.group != nil {
		c.Committed, c.Groups, c.Ungrouped = l.group.committed.Load(), l.group.groups.Load(), l.group.ungrouped.Load()
	}
	return c
}

// Do runs a request by the way that fits it.
func (l *Lanes) Do(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	switch {
	case req.Class == exec.Read && l.cfg.Coalesce && len(req.Stmts) == 1:
		return l.read(ctx, req)
	case req.Class == exec.Read:
		return l.once(ctx, req)
	case l.group != nil && groupable(req):
		return l.group.do(ctx, req)
	}
	return l.write(ctx, req)
}

// once runs a request and learns from it.
func (l *Lanes) once(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	resp, err := l.pool.Do(ctx, req)
	if refused(err) {
		resp, err = l.patient(ctx, err, func() (*exec.Response, error) { return l.pool.Do(ctx, req) })
	}
	if err == nil {
		for i := range resp.Results {
			req.Stmts[i].Note.Learn(&resp.Results[i])
		}
	}
	return resp, err
}

func (l *Lanes) read(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	if wide(req.Stmts[0].Note) {
		return l.readWide(ctx, req)
	}
	s := &l.reads
	s.mu.Lock()
	if s.q.len == 0 && s.busy < s.law.Limit() {
		s.busy++
		s.mu.Unlock()
		began := l.now()
		resp, err := l.once(ctx, req)
		l.counters.alone.Add(1)
		l.finished(1, l.now().Sub(began), resp, err)
		l.release()
		return resp, err
	}
	s.mu.Unlock()
	return l.wait(ctx, req)
}

// readWide runs a statement that the others should not wait for.
func (l *Lanes) readWide(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	select {
	case l.wide <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx, false)
	}
	defer func() { <-l.wide }()
	l.counters.alone.Add(1)
	return l.once(ctx, req)
}

// wait queues a read and waits for its answer.
func (l *Lanes) wait(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	s := &l.reads
	select {
	case s.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx, false)
	}
	w := newWaiter(ctx, &req.Stmts[0])
	s.mu.Lock()
	s.q.push(w)
	start := s.busy < s.law.Limit()
	if start {
		s.busy++
	}
	s.mu.Unlock()
	if start {
		l.start()
	}
	return w.await()
}

// await is the waiter's answer, or its context's end.
func (w *waiter) await() (*exec.Response, error) {
	select {
	case o := <-w.done:
		return o.resp, o.err
	case <-w.ctx.Done():
	}
	if w.state.CompareAndSwap(queued, left) {
		return nil, ended(w.ctx, false)
	}
	select {
	case o := <-w.done:
		return o.resp, o.err
	default:
		return nil, ended(w.ctx, true)
	}
}

// ended is a context's end, before or after the statement was sent.
func ended(ctx context.Context, sent bool) *exec.Error {
	e := &exec.Error{Source: exec.FromTransport, Proof: exec.NotExecuted, Err: ctx.Err(),
		Message: "the context ended before the statement was sent"}
	if sent {
		e.Proof = exec.OutcomeUnknown
		e.Message = "the context ended after the statement was sent"
	}
	return e
}

// release gives a lane back, or to those who wait for one.
func (l *Lanes) release() {
	s := &l.reads
	s.mu.Lock()
	if s.q.len == 0 || s.busy > s.law.Limit() {
		s.busy--
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	l.start()
}

// start has a goroutine serve the queue with a lane that is taken already.
func (l *Lanes) start() {
	if !l.pool.Go(l.serve) {
		l.refuse()
	}
}

// serve sends request after request for as long as statements wait.
func (l *Lanes) serve(ctx context.Context) {
	s := &l.reads
	group := make([]*waiter, 0, maxShare)
	for {
		s.mu.Lock()
		var places int
		if s.busy <= s.law.Limit() {
			group, places = s.q.take(group[:0], maxShare)
		} else {
			group = group[:0]
		}
		if len(group) == 0 {
			s.busy--
			s.mu.Unlock()
			s.free(places)
			return
		}
		// A queue that outgrew what the lanes carry away at once may use another.
		more := s.q.len > 0 && s.busy < s.law.Limit()
		if more {
			s.busy++
		}
		s.mu.Unlock()
		s.free(places)
		if more {
			l.start()
		}
		l.send(ctx, group)
		clear(group)
	}
}

func (s *share) free(places int) {
	for range places {
		<-s.room
	}
}

// refuse answers all who wait on a connector that has been closed.
func (l *Lanes) refuse() {
	s := &l.reads
	s.mu.Lock()
	s.busy--
	for w := s.q.pop(); w != nil; w = s.q.pop() {
		<-s.room
		w.answer(nil, errClosed)
	}
	s.mu.Unlock()
}

var errClosed = &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeClosed, Message: "the connector is closed"}

// finished tells the law how a request went.
func (l *Lanes) finished(statements int, took time.Duration, resp *exec.Response, err error) {
	sample := limit.Sample{Now: l.now(), Statements: statements, RoundTrip: took}
	if e, ok := err.(*exec.Error); ok {
		sample.Overloaded = overloaded(e)
	} else if resp != nil {
		for i := range resp.Results {
			if r := resp.Results[i].Result; r != nil {
				sample.ServerTime += r.ServerTime
			}
		}
	}
	s := &l.reads
	s.mu.Lock()
	sample.Waiting = s.q.len
	s.law.Observe(sample)
	s.mu.Unlock()
}
