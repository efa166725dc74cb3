package stream

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// Whoever waits for an answer cannot tell a server that works for long from a path
// that has died: neither says anything. So a request that is overdue is never given
// up for that. What is known better by then decides, once the server has answered a
// ping on another connection:
//
// A read is sent again beside, and the first answer counts.
//
// Anything else that goes on with a stream has the stream's baton presented. A
// server that takes it has not had the request, and will refuse it if it still
// comes; it is then sent again, also in the middle of a transaction. One that says
// that it has been used has had the request, and may be at it: it is waited for, and
// asked again. One that does not know the stream, any more or at all, is not at it,
// and when that has been said twice nobody waits for an answer that is not under way.
// Only sqld is asked: what others make of a baton while a request is under way on its
// stream, nobody has said.
//
// An overdue is all requests of a Pool that are under way, and looks after them
// with one timer, which runs while there are any.
type overdue struct {
	pool     *Pool
	patience time.Duration // 0: nobody looks

	mu          sync.Mutex
	first, last *Stream // whose requests are under way, in no certain order
	timer       *time.Timer
	set, closed bool
	asking      bool // whether the server answers at all
	out         int  // reads that are being sent again

	moved atomic.Uint64
}

const (
	// beats is how often it is looked in the time after which a request is overdue.
	beats = 5
	// maxBeside is how many reads are on their way for the second time at once. If
	// all of them are slow, it is not the path.
	maxBeside = 32
	// knownSlow is by how much a read may exceed what the server has needed for its
	// text before.
	knownSlow = 4
)

// An underway is a Stream's request under way, as long as it is looked after.
type underway struct {
	prev, next *Stream
	leash      *hranahttp.Leash
	since      time.Time
	ctx        context.Context
	plan       *Plan
	moves      bool // it may run on any stream, and twice
	name       streamName
	rescue     *rescue
	// asked is how often the baton has been refused, unknown how often because the
	// server does not know its stream.
	asked, unknown int
}

// A rescue is what is being done about a request that is overdue.
type rescue struct {
	stream *Stream
	ctx    context.Context
	cancel context.CancelFunc
	since  time.Time
	first  bool  // nothing has been found out yet
	plan   *Plan // of a read that is sent again, its own; nil for another
	name   streamName
	done   chan struct{} // closed when it has ended
	left   bool          // its request's caller has left meanwhile

	// What has become of it: of the read, or of the baton.
	outcome *Outcome
	reply   *hranahttp.Reply
}

// A streamName is how the server knows a stream.
type streamName struct {
	baton string
	ep    *hranahttp.Endpoint
	level hranahttp.Level
}

func (o *overdue) init(p *Pool, patience time.Duration) {
	o.pool, o.patience = p, patience
	o.timer = time.AfterFunc(time.Hour, o.look)
	o.timer.Stop()
}

// begin looks after a request that is about to be sent; moves tells that it may run
// on any stream, and twice. It gives the Leash to send it on; nil if nothing could be
// done about it.
func (o *overdue) begin(ctx context.Context, s *Stream, p *Plan, moves bool) *hranahttp.Leash {
	w, name := &s.wait, s.name()
	if o.patience <= 0 || o.pool.budget == nil || s.beside || !moves && !askable(name) {
		return nil
	}
	if w.leash == nil {
		w.leash = new(hranahttp.Leash)
	}
	w.leash.Reset()
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	w.since, w.ctx, w.plan, w.moves, w.name, w.asked, w.unknown = now, ctx, p, moves, name, 0, 0
	w.prev, w.next = o.last, nil
	if o.last != nil {
		o.last.wait.next = s
	} else {
		o.first = s
	}
	o.last = s
	o.arm()
	return w.leash
}

// moves tells whether a plan may run on any stream, and twice.
func (s *Stream) moves(class exec.Class, p *Plan) bool {
	return class == exec.Read && !s.pinned && p.Late == nil && p.Begin == "" && !p.Guard && p.Tail == NoTail && !p.AskState && len(p.Stmts) > 0
}

// askable tells whether the server can be asked for a request by its stream's baton.
func askable(name streamName) bool { return name.baton != "" && name.level == hranahttp.V3Protobuf }

// end is called when a request that begin has taken has ended, failed without an
// answer. It gives what has been done about it meanwhile, nil if nothing has.
func (o *overdue) end(s *Stream, failed bool) *rescue {
	w := &s.wait
	o.mu.Lock()
	if w.prev != nil {
		w.prev.wait.next = w.next
	} else {
		o.first = w.next
	}
	if w.next != nil {
		w.next.wait.prev = w.prev
	} else {
		o.last = w.prev
	}
	r, ctx := w.rescue, w.ctx
	w.prev, w.next, w.rescue, w.ctx, w.plan = nil, nil, nil, nil, nil
	if failed && ctx.Err() != nil {
		w.leash = nil // the request may still be on it
	}
	o.mu.Unlock()
	if r == nil {
		return nil
	}
	if r.plan == nil && failed {
		// Were the baton taken just now, the refusal of the request would not be the end
		// of its stream.
		select {
		case <-r.done:
		case <-ctx.Done():
			o.leave(r)
			return nil
		}
	}
	r.cancel()
	if r.plan == nil && !failed {
		return nil
	}
	return r
}

// leave is for a caller whose context has ended while a baton was being presented. If
// the server takes it, the next one is in that answer, and nobody else has it.
func (o *overdue) leave(r *rescue) {
	o.mu.Lock()
	r.left = true
	reply := r.reply
	o.mu.Unlock()
	select {
	case <-r.done: // just now
		r.cancel()
		o.endLeft(r, reply)
	default:
	}
}

func (o *overdue) endLeft(r *rescue, reply *hranahttp.Reply) {
	if reply != nil {
		o.pool.closeLater(streamName{reply.Baton, reply.Endpoint, r.name.level}, true, nil)
	}
}

// waited is end for who holds a Leash that begin has given, if any. The request's
// error does not count if there is an outcome, or if moved: the stream goes on where
// it was, as if nothing had been sent.
func (s *Stream) waited(leash *hranahttp.Leash, failed bool) (outcome *Outcome, moved bool) {
	if leash == nil {
		return nil, false
	}
	r := s.pool.overdue.end(s, failed)
	switch {
	case r == nil || !failed:
	case r.outcome != nil:
		s.forget()
		return r.outcome, false
	case r.reply != nil:
		s.baton, s.ep, s.used = r.reply.Baton, r.reply.Endpoint, s.pool.now()
		return nil, true
	}
	return nil, false
}

// arm has look called while there is something to look after. It is called with the
// lock held.
func (o *overdue) arm() {
	if !o.set && !o.closed && o.first != nil {
		o.set = true
		o.timer.Reset(max(o.patience/beats, time.Millisecond))
	}
}

// look is what the timer does.
func (o *overdue) look() {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.set = false
	if !o.asking {
		var late []*rescue
		for s := o.first; s != nil; s = s.wait.next {
			if w := &s.wait; w.rescue == nil && now.Sub(w.since) >= w.patience(o.patience) {
				if r := o.prepare(s); r != nil {
					late = append(late, r)
				}
			}
		}
		if len(late) > 0 {
			o.asking = o.pool.client.Besides(func() { o.help(late) })
		}
	}
	o.arm()
}

// patience is after how long the request is overdue.
func (w *underway) patience(d time.Duration) time.Duration {
	if len(w.plan.Stmts) == 0 {
		return d / 3 // it only renews the stream, which will not last for much longer
	}
	if w.moves {
		for i := range w.plan.Stmts {
			d += knownSlow * time.Duration(w.plan.Stmts[i].Note.ServerTime.Load())
		}
	}
	return d
}

// prepare makes a rescue; nil if there are too many. It is called with the lock
// held, so that the caller is still there, and what it has passed too.
func (o *overdue) prepare(s *Stream) *rescue {
	w := &s.wait
	r := &rescue{stream: s, since: w.since, first: w.asked == 0, name: w.name, done: make(chan struct{})}
	if w.moves {
		if o.out >= maxBeside {
			return nil
		}
		o.out++
		r.plan = w.plan.copied()
	}
	ctx := w.ctx
	if r.plan == nil {
		ctx = context.WithoutCancel(ctx)
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	w.rescue = r
	return r
}

// copied is a plan on a stream of its own that shares nothing that a caller may
// change.
func (p *Plan) copied() *Plan {
	q := *p
	q.Close = true
	q.Stmts = append([]exec.Stmt(nil), p.Stmts...)
	for i := range q.Stmts {
		args := append([]exec.Value(nil), q.Stmts[i].Args...)
		for k := range args {
			args[k].Blob = bytes.Clone(args[k].Blob)
		}
		q.Stmts[i].Args = args
	}
	return &q
}

// help does what can be done, if the server answers at all.
func (o *overdue) help(late []*rescue) {
	reached := !slices.ContainsFunc(late, func(r *rescue) bool { return r.first }) || o.pool.client.Reached()
	o.mu.Lock()
	o.asking = false
	o.mu.Unlock()
	for _, r := range late {
		do := o.ask
		if r.plan != nil {
			do = o.again
		}
		if !reached || !o.pool.client.Besides(func() { do(r) }) {
			o.finish(r, nil, nil)
		}
	}
}

// again sends a read again, beside.
func (o *overdue) again(r *rescue) {
	p := o.pool
	p.retries.Add(1)
	s := makeStream(p)
	s.beside = true
	outcome, err := s.attempt(p.client.Trace().Again(r.ctx, errUnanswered, time.Since(r.since)), exec.Read, r.plan)
	if err != nil {
		outcome = nil
	}
	o.finish(r, outcome, nil)
}

// ask presents a baton.
func (o *overdue) ask(r *rescue) {
	p := o.pool
	if r.first {
		p.client.Doubt(r.name.ep)
	}
	// An answer that is not waited for is one that may have been yes.
	ctx, cancel := context.WithTimeout(p.client.Trace().About(r.ctx, 0, 0), 3*o.patience)
	defer cancel()
	reply, err := p.client.Pipeline(ctx, r.name.ep, r.name.level, &hrana.PipelineReq{Baton: r.name.baton}, hranahttp.Expect{})
	if err != nil || reply.Baton == "" {
		reply = nil
	}
	if e, ok := err.(*exec.Error); ok && e.Source == exec.FromServer && e.Proof == exec.NotExecuted && e.Status != 401 {
		o.refused(r, hranahttp.BatonUsed(e))
	}
	o.finish(r, nil, reply)
}

// refused notes that a baton has been refused, because it was used or because the
// server does not know its stream.
func (o *overdue) refused(r *rescue, used bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := &r.stream.wait
	if w.rescue != r {
		return
	}
	w.asked++
	if !used {
		w.unknown++
	}
	if w.unknown == 2 {
		w.leash.Pull()
	}
}

// finish ends a rescue. If it was of use, so does the request it is about; else that
// is overdue again after a while.
func (o *overdue) finish(r *rescue, outcome *Outcome, reply *hranahttp.Reply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer close(r.done)
	if r.plan != nil {
		o.out--
	}
	w := &r.stream.wait
	switch {
	case w.rescue != r: // its request has ended
		if r.plan == nil {
			r.reply = reply // and waits for this
		}
		if r.left {
			o.endLeft(r, reply)
			r.cancel()
		}
	case outcome != nil || reply != nil:
		r.outcome, r.reply = outcome, reply
		o.moved.Add(1)
		w.leash.Pull()
	default:
		w.rescue, w.since = nil, time.Now()
		r.cancel()
	}
}

// close stops the timer.
func (o *overdue) close() {
	o.mu.Lock()
	o.closed = true
	o.timer.Stop()
	o.mu.Unlock()
}

// errUnanswered is why a read is sent again, and errUnreceived what a request fails
// with that the server has not had.
var (
	errUnanswered = &exec.Error{Source: exec.FromTransport, Message: "the request goes unanswered"}
	errUnreceived = &exec.Error{Source: exec.FromTransport, Proof: exec.NotExecuted, Message: "the connection was dead, and the request has not reached the server"}
)
