package stream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/histogram"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/limit"
)

const (
	// IdleLimit is how long a stream may be idle and still be trusted: sqld and
	// Turso Cloud drop streams after 10 s without a request.
	IdleLimit = 8 * time.Second
	// maxKept is how many streams are kept on the server for autocommit
	// statements, idle ones included. sqld holds 128 streams and connections in
	// all; what exceeds maxKept closes its stream in its own request.
	maxKept = 48
)

// A Pool keeps streams between autocommit statements: on a kept stream a
// statement costs sqld half of what it costs on a new one, which has to open
// SQLite first. It is the Executor of autocommit statements and the source of
// the streams that sessions hold.
//
// Idle streams cost no goroutine and no timer; one that is too old is dropped
// when it is found.
type Pool struct {
	client *hranahttp.Client
	now    func() time.Time
	idle   time.Duration
	keeper keeper
	// budget is what may be sent again; nil for what must be only.
	budget *limit.Budget

	mu   sync.Mutex
	free []*Stream // the last used at the end
	kept int       // streams in free, and those out that will come back

	horizon horizon
	overdue overdue
	texts   texts
	// schema counts the changes of the schema that this process has made.
	schema atomic.Uint64
	// noClose: the server, of version 2, does not know close.
	noClose atomic.Bool
	// ending is how many streams of requests without answers are being ended.
	ending atomic.Int64
	// closing is closed by Close: what is done beside and can be left ends then.
	closing   chan struct{}
	closeOnce sync.Once
	// watch is nil unless somebody wants to know.
	watch Watch
	// askedRole: the server has been asked what it is; toldReplica: watch has been told.
	askedRole, toldReplica atomic.Bool

	// served is the server's time for requests that told it.
	served histogram.Histogram

	opened, reused, expired, retries, closes, pings atomic.Uint64
}

// Counters is a snapshot of what a Pool has done.
type Counters struct {
	Opened  uint64 // streams asked for
	Reused  uint64 // requests on a stream that was open already
	Expired uint64 // streams dropped because they had been idle for too long
	Closed  uint64 // streams ended by a request of their own
	Retries uint64 // requests sent again
	Pings   uint64 // requests that kept a session's stream alive
	Moved   uint64 // requests that went unanswered, and were run on another connection
	Saved   uint64 // bytes of texts that a request held once in place of many times
}

// NewPool returns a Pool of streams of client. budget bounds what is sent again,
// beside what a refused baton makes necessary; nil for nothing. now is the clock;
// nil for the system's.
func NewPool(client *hranahttp.Client, budget *limit.Budget, now func() time.Time) *Pool {
	if now == nil {
		now = time.Now
	}
	p := &Pool{client: client, budget: budget, now: now, idle: IdleLimit, closing: make(chan struct{})}
	p.keeper.pool = p
	p.overdue.init(p, client.Patience())
	return p
}

// Counters returns what has been counted so far.
func (p *Pool) Counters() Counters {
	return Counters{Opened: p.opened.Load(), Reused: p.reused.Load(), Expired: p.expired.Load(),
		Closed: p.closes.Load(), Retries: p.retries.Load(), Pings: p.pings.Load(), Moved: p.overdue.moved.Load(), Saved: p.texts.saved.Load()}
}

// Served is how long the server has worked on requests, all their statements
// together, where it has told.
func (p *Pool) Served() *histogram.Histogram { return &p.served }

// SchemaChanged says that a statement that may change the schema has run.
func (p *Pool) SchemaChanged() { p.schema.Add(1) }

// need is what a caller demands of a kept stream, and what one is still good for.
type need uint8

const (
	// unwritten: only reads have run on it, so that it is as good as a new one.
	unwritten need = iota
	// noRowid: it has been written on, and last_insert_rowid() still gives 0.
	noRowid
	anyStream
)

func (s *Stream) fit() need {
	switch {
	case !s.written:
		return unwritten
	case s.rowid == 0 && !s.rowidUnsure:
		return noRowid
	}
	return anyStream
}

// take returns a kept stream, or one that is yet to be opened. keep tells
// whether it may be put back.
func (p *Pool) take(n need) (s *Stream, keep bool) { return p.takeFor(n, true) }

// takeFor is take for a statement that may not leave the stream good for its
// like: then one that has to be opened is put back only if there is no other.
func (p *Pool) takeFor(n need, leavesGood bool) (s *Stream, keep bool) {
	deadline := p.now().Add(-p.idle)
	p.mu.Lock()
	defer p.mu.Unlock()
	// The oldest are at the front; all that are too old go at once.
	old := 0
	for old < len(p.free) && p.free[old].used.Before(deadline) {
		old++
	}
	if old > 0 {
		p.free = append(p.free[:0], p.free[old:]...)
		clear(p.free[len(p.free) : len(p.free)+old])
		p.kept -= old
		p.expired.Add(uint64(old))
	}
	if i := p.suitable(n); i >= 0 {
		s := p.free[i]
		p.free = append(p.free[:i], p.free[i+1:]...)
		s.stale = true
		return s, true
	}
	if p.kept >= maxKept && len(p.free) > 0 && n == unwritten {
		// What is kept is of no use to those who come.
		old := p.free[0]
		p.free = append(p.free[:0], p.free[1:]...)
		p.kept--
		p.closeLater(streamName{old.baton, old.ep, old.level}, false, nil)
	}
	keep = p.kept < maxKept && (leavesGood || len(p.free) == 0)
	if keep {
		p.kept++
	}
	return makeStream(p), keep
}

// suitable is the place of the free stream to take, the last used first; -1 if
// there is none. Who can do with any takes one that is good for nobody else: a
// write on one that only reads have used costs the next read a new stream.
func (p *Pool) suitable(n need) int {
	found, best := -1, unwritten
	for i := len(p.free) - 1; i >= 0; i-- {
		fit := p.free[i].fit()
		if fit == n {
			return i
		}
		if n == anyStream && (found < 0 || fit > best) {
			found, best = i, fit
		}
	}
	return found
}

// back takes a stream back that take gave; kept is what take said.
func (p *Pool) back(s *Stream, kept bool) {
	if !kept {
		if s.baton != "" {
			p.Release(s) // the server could not close it in the same request
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.baton == "" {
		p.kept--
		return
	}
	p.free = append(p.free, s)
}

// Session returns a stream for a session to hold: as good as a new one.
func (p *Pool) Session() *Stream {
	s, keep := p.take(unwritten)
	if keep {
		// While a session holds it, it does not count.
		p.mu.Lock()
		p.kept--
		p.mu.Unlock()
	}
	return s
}

// Release takes back the stream of a session that left no state on it.
func (p *Pool) Release(s *Stream) {
	p.keeper.remove(s)
	if s.tryTake() {
		if s.cursor != nil && s.cursor.whole() {
			s.cursor = nil
		}
		fit := s.baton != "" && !s.pinned && s.lost == nil && s.cursor == nil
		s.leave()
		if fit && p.keep(s) {
			return
		}
	}
	s.End()
}

// keep puts a stream that nobody uses any more to the free ones, if there is
// room for it.
func (p *Pool) keep(s *Stream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept >= maxKept {
		return false
	}
	p.kept++
	p.free = append(p.free, s)
	return true
}

// makeRoom ends the idle streams. The server has refused a new one because it has
// as many as it holds, and those that are kept are not what was needed.
func (p *Pool) makeRoom() {
	p.mu.Lock()
	free := p.free
	p.free = nil
	p.kept -= len(free)
	p.mu.Unlock()
	for _, s := range free {
		s.End()
	}
}

// Do runs one autocommit request: one HTTP request, whatever happens to kept
// streams in between.
func (p *Pool) Do(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	s, kept := p.takeFor(demand(req))
	o, err := p.do(ctx, s, req, !kept)
	if err != nil {
		p.back(s, kept)
		return nil, err
	}
	if r := o.Results[0].Result; r != nil && r.Cursor != nil {
		// The stream is out until the last row has been read.
		rows := r.Cursor.(*Rows)
		rows.done = func(whole bool) {
			s.cursor = nil
			if !whole {
				s.End()
			}
			p.back(s, kept)
		}
	} else {
		p.back(s, kept)
	}
	return &exec.Response{Results: o.Results}, nil
}

// do runs a request on a stream, through a cursor if its result is too large for
// one response.
func (p *Pool) do(ctx context.Context, s *Stream, req *exec.Request, end bool) (*Outcome, error) {
	first := &req.Stmts[0]
	read := req.Class == exec.Read && len(req.Stmts) == 1
	if read && first.Note.Large.Load() {
		return s.Large(ctx, first, "", false)
	}
	o, err := s.Run(ctx, req.Class, &Plan{Stmts: req.Stmts, Close: end, Late: req.Late})
	if err != nil {
		return nil, err
	}
	if read && TooLarge(o.Results[0].Err) {
		first.Note.Large.Store(true)
		return s.Large(ctx, first, "", false)
	}
	before := s.before
	for i := range o.Results {
		if r := o.Results[i].Result; r != nil {
			now := r.LastInsertID
			ownRowid(&req.Stmts[i], r, before)
			before = now
		}
	}
	return o, nil
}

// demand decides which stream a request may use, and whether another like it
// may use the stream afterwards. A statement that may leave last_insert_rowid() as
// it was would report the rowid of whoever used the stream before, so it has one
// where that is 0.
//
// A read may ask for it too, in a view where nobody sees it, so reads have
// streams that only reads have used.
func demand(req *exec.Request) (n need, leavesGood bool) {
	if req.Class == exec.Read {
		return unwritten, true
	}
	n, leavesGood = anyStream, true
	for i := range req.Stmts {
		switch s := &req.Stmts[i]; {
		case s.Rowid == exec.RowidMaybe, s.Rowid == exec.RowidAlways && !s.Note.SetsRowid.Load():
			n, leavesGood = noRowid, leavesGood && s.Note.KeepsRowid.Load()
		}
	}
	return n, leavesGood
}

// ownRowid makes a result's rowid what the statement would have reported on a
// stream of its own, given what the stream had before.
func ownRowid(stmt *exec.Stmt, r *exec.Result, before int64) {
	switch {
	case r == nil:
	case stmt.Rowid == exec.RowidNone, r.RowsAffected == 0:
		r.LastInsertID = 0
	case r.LastInsertID == before && !stmt.Note.SetsRowid.Load():
		r.LastInsertID = 0
	}
}

// Close ends the idle streams, and those that hold what sessions have set up,
// when the requests on them have ended: a lock must not stay behind. What other
// streams sessions still have ends with the sessions.
func (p *Pool) Close() {
	p.closeOnce.Do(func() { close(p.closing) })
	p.overdue.close()
	p.makeRoom()
	for _, s := range p.keeper.close() {
		s.End()
	}
}
