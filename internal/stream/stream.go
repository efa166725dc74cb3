package stream

import (
	"context"
	"net/http"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// A Stream is one server stream, or the intention to open one: the first
// request opens it. It serves one caller at a time; only the keeper's pings
// come from elsewhere, and take turns with the caller.
type Stream struct {
	pool *Pool
	// turn is taken while a request is under way. It is a channel, since whoever
	// waits for it may have a context that ends.
	turn  chan struct{}
	level hranahttp.Level
	ep    *hranahttp.Endpoint
	baton string
	used  time.Time

	// rowid is what last_insert_rowid() gives on it, as far as results have told;
	// rowidUnsure: an INSERT that failed may have set it.
	rowid       int64
	rowidUnsure bool
	// before is what it gave when the last request was sent.
	before int64
	// written: something other than reads has run on it, so that changes() and
	// total_changes() are not those of a new connection.
	written bool
	// stale: somebody else has used it before, so that its connection may know an
	// old schema; see lookAtSchema.
	stale bool
	// behind: the last request has waited in vain for a replica that is behind.
	behind bool
	// schema is the pool's when the stream last looked at the database's.
	schema uint64
	// pinned: it holds what a new stream would not have (a transaction, a
	// setting), so it is never reopened in silence.
	pinned bool
	// lost: a pinned stream is gone.
	lost *exec.Error

	// beside: it carries what is sent a second time, which nobody looks after.
	beside bool
	wait   underway

	cursor *Rows // whose entries are still arriving on this stream

	// touched is what has been changed on it and not committed, and odd says that it
	// holds settings; both only while there is a Watch.
	touched WriteSet
	odd     bool
}

// Level is the level of the protocol that the stream is spoken to in.
func (s *Stream) Level() hranahttp.Level { return s.level }

// name is how the server knows the stream now.
func (s *Stream) name() streamName { return streamName{s.baton, s.ep, s.level} }

// Rowid is what last_insert_rowid() gives on the stream.
func (s *Stream) Rowid() int64 { return s.rowid }

// Open tells whether the server holds the stream.
func (s *Stream) Open() bool {
	s.take()
	defer s.leave()
	return s.baton != ""
}

func makeStream(p *Pool) *Stream { return &Stream{pool: p, turn: make(chan struct{}, 1)} }

func (s *Stream) take()  { s.turn <- struct{}{} }
func (s *Stream) leave() { <-s.turn }

// tryTake takes the turn if it is free.
func (s *Stream) tryTake() bool {
	select {
	case s.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// takeIn takes the turn unless ctx ends first, when nothing has been sent.
func (s *Stream) takeIn(ctx context.Context) *exec.Error {
	if s.tryTake() {
		return nil
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Err: ctx.Err()}
	}
}

// Pin declares that the stream holds state that a new one would not have: if it
// is lost, Run fails instead of opening another. While pinned it is kept alive.
func (s *Stream) Pin() {
	s.take()
	s.pinned = true
	s.leave()
	s.pool.keeper.add(s)
}

// Unpin ends what Pin began.
func (s *Stream) Unpin() {
	s.pool.keeper.remove(s)
	s.take()
	s.pinned, s.lost = false, nil
	s.leave()
}

// Run sends a plan and returns what became of it. Its error, an *exec.Error,
// means that no statement has an outcome of its own. A pinned stream that is
// lost makes it fail with CodeSessionLost from then on.
//
// If ctx ends first, Run returns at once; the request goes on, and when it has
// ended the stream is closed, so that no lock stays behind.
func (s *Stream) Run(ctx context.Context, class exec.Class, p *Plan) (*Outcome, error) {
	if err := s.takeIn(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	if s.pinned && class == exec.Read {
		s.pool.arrive(ctx, s.level, p)
	}
	var t tries
	for {
		o, err := s.attempt(ctx, class, p)
		if err == nil {
			return o, nil
		}
		if s.pinned && err.StreamLost {
			s.lost = err
		}
		if s.lost != nil || !t.again(ctx, s.pool, class, err) {
			return nil, t.told(ctx, err)
		}
		ctx = s.pool.client.Trace().Again(ctx, err, t.waited)
	}
}

// settle prepares the stream for another request.
func (s *Stream) settle(ctx context.Context) error {
	if s.lost != nil {
		return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeSessionLost, Message: "the session's stream is gone", Err: s.lost}
	}
	if s.cursor != nil {
		// The server answers the next request only when the cursor has been sent to
		// its end, so whatever still arrives is read into memory.
		if err := s.cursor.buffer(ctx, s.pool); err != nil {
			return err
		}
		s.cursor = nil
		s.used = s.pool.now()
	}
	if s.baton != "" && !s.pinned && s.pool.now().Sub(s.used) >= s.pool.idle {
		s.forget()
		s.pool.expired.Add(1)
	}
	return nil
}

// forget makes the stream one that is yet to be opened.
func (s *Stream) forget() {
	s.baton, s.ep, s.rowid, s.rowidUnsure, s.written, s.stale = "", nil, 0, false, false, false
	s.touched, s.odd = nil, false
}

// attempt makes one round trip. It leaves the stream usable: with the next
// baton, or as one yet to be opened.
func (s *Stream) attempt(ctx context.Context, class exec.Class, p *Plan) (*Outcome, *exec.Error) {
	client := s.pool.client
	s.ready(client.Level())
	s.before = s.rowid
	h := &s.pool.horizon
	asked := h.asked(s.level, class, p)
	index := asked
	if class != exec.Read {
		index = 0 // it is handed on to the primary
	}
	look := s.look(p)
	c := p.compile(s.level, index, look.due)
	var write Write
	if s.pool.watch != nil {
		c.showVersion(index)
		write = s.beginWrite(class, p)
	}
	sent := s.pool.texts.share(p, &c)
	req := &hrana.PipelineReq{Baton: s.baton, Requests: sent.reqs}
	where := sentWrite{streamName: s.name(), oneLock: p.oneLock()}
	if s.baton != "" && s.mayHold(p) {
		where.loss = new(loss)
	}
	var reply *hranahttp.Reply
	var err error
	told := client.Trace().About(ctx, p.callers(), len(p.Stmts))
	expect := p.expect(class)
	expect.Leash = s.pool.overdue.begin(ctx, s, p, s.moves(class, p))
	if class == exec.Read && !s.pinned && p.Late == nil {
		// A read that nobody waits for is cut off, which stops it on the server.
		reply, err = s.pool.pipelineRead(told, s, req, index, expect)
	} else {
		wire := h.wire(s.level, c.reqs)
		late := s.pool.watched(write, sent.stored+c.version, where, s.pool.endLate(s.level, p.Late, where.loss))
		reply, err = client.PipelineDetached(told, s.ep, wire, req, expect, late)
	}
	outcome, moved := s.waited(expect.Leash, err != nil)
	if outcome != nil {
		return outcome, nil
	}
	if moved {
		err = errUnreceived
	}
	if err != nil {
		late := Abandoned(ctx, err)
		if where.loss != nil && late {
			where.loss.leash = expect.Leash
		}
		s.pool.unanswered(write, err.(*exec.Error), where, late)
		e := s.failed(ctx, err.(*exec.Error))
		if where.loss != nil && s.baton == "" && (write == nil || late) {
			s.pool.endLost(where.streamName, where.loss, e, late, p.Late)
		}
		return nil, e
	}
	s.baton, s.ep, s.used = reply.Baton, reply.Endpoint, s.pool.now()
	results, bad := s.pool.texts.results(&sent, reply.Results)
	if bad == nil {
		bad = c.check(results)
	}
	if bad != nil {
		s.pool.unanswered(write, bad, where, false)
		s.pool.closeLater(s.name(), true, nil)
		s.forget()
		return nil, bad
	}
	look.done(s)
	if class != exec.Read {
		s.written = true
	}
	o := p.outcome(&c, results)
	if s.pool.watch != nil {
		s.pool.sawRole(class, results)
		s.answered(write, p, o, readVersion(results, c.version))
	}
	s.learn(p, o)
	if t := o.ServerTime(); t > 0 {
		s.pool.served.Record(t)
	}
	if h.learn(class, asked, results) && s.level == hranahttp.V3Protobuf && o.wrote() {
		s.pool.askIndex(ctx)
	}
	if s.baton == "" {
		if s.pinned && !p.Close {
			s.lost = &exec.Error{Source: exec.FromServer, Proof: exec.NotExecuted, Message: "the server has closed the stream", StreamLost: true}
		}
		s.forget()
	}
	return o, nil
}

// ready prepares to send. A stream that is not open will be, at the given level;
// one that is goes on at it, since a baton names the stream whatever it is
// spoken to in. A server that saw it otherwise would refuse the baton, and the
// request would be sent again on a new stream; a pinned stream does not risk it.
func (s *Stream) ready(level hranahttp.Level) {
	if s.baton == "" {
		s.level, s.ep = level, s.pool.client.Home()
		s.pool.opened.Add(1)
		return
	}
	s.pool.reused.Add(1)
	if !s.pinned {
		s.level = level
	}
}

// failed notes what an error means for the stream, and gives it as it is to be
// reported: where no server was reached the baton has not been shown to one, and
// the stream is there as before.
func (s *Stream) failed(ctx context.Context, err *exec.Error) *exec.Error {
	behind := s.behind
	s.behind = false
	if err.StreamLost && err.Source == exec.FromTransport && err.Proof == exec.NotExecuted {
		kept := *err
		kept.StreamLost = false
		err = &kept
	}
	if err.Status == http.StatusTooManyRequests && s.baton == "" {
		s.pool.makeRoom()
	}
	if err.StreamLost || s.baton == "" {
		s.forget()
		// The server may have restarted, and its replication index gone back with
		// it; to ask for one that it has not reached would wait for ever. Neither a
		// caller who leaves nor a replica that is behind says so.
		if !behind && ctx.Err() == nil {
			s.pool.horizon.forget()
		}
	}
	return err
}

// check holds the answers against the requests.
func (c *compiled) check(results []hrana.StreamResult) *exec.Error {
	if len(results) != len(c.reqs) {
		return badReply("with another number of results than asked for")
	}
	for i := range results {
		r, want := &results[i], c.reqs[i].Type
		switch {
		case r.Err != nil:
		case r.Type != want, want == hrana.Execute && r.Stmt == nil, want == hrana.BatchRequest && r.Batch == nil:
			return badReply("one request with the result of another")
		}
	}
	return nil
}

// learn takes from the results what later statements on the stream need, and
// makes row ids those of the statement itself.
func (s *Stream) learn(p *Plan, o *Outcome) {
	for i := range o.Results {
		r, stmt := o.Results[i].Result, &p.Stmts[i]
		if r == nil {
			s.rowidUnsure = s.rowidUnsure || stmt.Rowid != exec.RowidNone && (o.Results[i].Err != nil || o.Whole != nil)
			continue
		}
		before := s.rowid
		if s.pinned {
			stmt.Note.LearnSize(r) // no lane does
		}
		if r.LastInsertID != 0 {
			s.rowid, s.rowidUnsure = r.LastInsertID, false
		}
		switch {
		case stmt.Rowid == exec.RowidAlways && s.rowid != before:
			stmt.Note.SetsRowid.Store(true)
		case stmt.Rowid != exec.RowidNone && before == 0:
			stmt.Note.KeepsRowid.Store(s.rowid == 0)
		}
	}
}

// End gives the stream up. If the server holds it, it is told so beside. It does
// not wait: a ping that is under way is waited for beside, too.
func (s *Stream) End() { s.EndThen(nil) }

// EndThen is End, and calls then, if it is not nil, when the server has ended the
// stream or cannot be asked to.
func (s *Stream) EndThen(then func()) {
	s.pool.keeper.remove(s)
	if s.tryTake() {
		s.end(then)
		s.leave()
		return
	}
	began := s.pool.client.Go(func(context.Context) {
		s.take()
		s.end(then)
		s.leave()
	})
	if !began && then != nil {
		then()
	}
}

func (s *Stream) end(then func()) {
	if s.cursor != nil {
		s.cursor.stop()
		s.cursor = nil
	}
	name, pinned := s.name(), s.pinned
	s.forget()
	s.pinned, s.lost = false, nil
	s.pool.closeLater(name, pinned, then)
}
