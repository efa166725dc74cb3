package stream

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// A transaction that nobody goes on with keeps SQLite's only write lock until the
// server takes it away: sqld does that 5 s after its beginning, and meanwhile all
// other writers wait. So a stream that may hold one is ended as soon as the server
// can be told. What sqld makes of the baton of a request without an answer:
//
//   - It has not had the request: it takes the baton, and refuses the request if that
//     still comes. The stream is ended with it.
//   - It is at the request, or has executed it: the baton has been used. The next one is
//     in the answer and nowhere else, so if that is lost, nobody can end the stream.
//   - The connection broke while it was at the request, as far as it knows: it has
//     dropped the stream, and does not know the baton.
//
// Nobody is told of a COMMIT that its stream has been ended before: these are
// requests whose callers have their error.

// How the server is told that a stream ends.
const (
	// lateBy is how late an answer may be before the stream of its request is ended
	// without it: mostly it comes, and the stream can be ended for certain.
	lateBy = 200 * time.Millisecond
	// endTries is how often it is told, and endWithin how long it has for an answer
	// the first time; both are to be over when the server helps itself.
	endTries  = 4
	endWithin = time.Second
	// maxEnding is how many streams of requests without answers are ended at once.
	maxEnding = 32
)

// A loss is what has become of a request that nobody waits for any more.
type loss struct {
	answered atomic.Bool // late, but its answer has come
	refused  atomic.Bool // the server has ended its stream before, and will not execute it
	// leash is that of a request that goes on without its caller; nil if it has none.
	leash *hranahttp.Leash
}

// mayHold tells whether a transaction may be open on the stream when the request for
// a plan ends without an answer, or has been before.
func (s *Stream) mayHold(p *Plan) bool {
	return s.pinned || p.Shape == Chain && (p.Begin != "" || p.AskState)
}

// endLost ends, beside, the stream of a request without an answer, which failed with
// err; then is called if that has succeeded.
func (p *Pool) endLost(name streamName, l *loss, err *exec.Error, late bool, then func()) {
	if name.baton == "" || refusesBaton(err) {
		return
	}
	if p.ending.Add(1) > maxEnding {
		p.ending.Add(-1)
		return
	}
	began := p.client.Go(func(ctx context.Context) {
		defer p.ending.Add(-1)
		if late {
			p.pause(lateBy)
		}
		if p.endOpen(ctx, name, l) {
			l.refused.Store(!late || name.level == hranahttp.V3Protobuf) // see askable
			if l.leash != nil {
				l.leash.Pull() // it may be on a connection that has died
			}
			if then != nil {
				then()
			}
		}
	})
	if !began {
		p.ending.Add(-1)
	}
}

// endOpen tells the server that a stream ends on which a transaction may be open,
// until it says something about it or l, if there is one, that its answer has come.
func (p *Pool) endOpen(ctx context.Context, name streamName, l *loss) (ended bool) {
	p.closes.Add(1)
	wait := lateBy
	for tries, closing := 1, false; l == nil || !l.answered.Load(); tries++ {
		within, cancel := context.WithTimeout(ctx, endWithin*time.Duration(tries))
		err := p.tellEnd(within, name, true)
		cancel()
		if err == nil {
			return true
		}
		e := err.(*exec.Error)
		sent := e.Source != exec.FromClient // not while the server is down
		if refusesBaton(e) || tries == endTries || closing || ctx.Err() != nil || sent && !p.budget.Spend() {
			return false
		}
		if e.Source == exec.FromTransport {
			p.client.Doubt(name.ep)
		}
		closing = !p.pause(wait)
		wait *= 2
	}
	return false
}

// refusesBaton tells whether the server has said that it does not know a stream, or
// not by this baton any more.
func refusesBaton(e *exec.Error) bool {
	return e.Source == exec.FromServer && e.StreamLost && e.Proof == exec.NotExecuted &&
		(e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound)
}

// pause waits, unless the pool is closed.
func (p *Pool) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.closing:
		return false
	}
}

// endLate returns what happens to a stream when the answer to an abandoned
// request comes in: nobody holds it any more, so it is closed, and also is called
// after that. l, if it is not nil, is told of the answer.
func (p *Pool) endLate(level hranahttp.Level, also func(), l *loss) func(*hranahttp.Reply, error) {
	return func(reply *hranahttp.Reply, err error) {
		if l != nil && err == nil {
			l.answered.Store(true)
		}
		switch {
		case err == nil:
			p.closeLater(streamName{reply.Baton, reply.Endpoint, level}, true, also)
		case also != nil:
			also()
		}
	}
}

// closeLater tells the server, beside whatever the caller does, that a stream
// will not be used again; open: a transaction may be open on it. What fails there
// is gone after 10 s by itself. then, if it is not nil, is called when all of that
// is over.
func (p *Pool) closeLater(name streamName, open bool, then func()) {
	if then == nil {
		then = func() {}
	}
	if name.baton == "" || !open && !p.levelOf(name).V3() && p.noClose.Load() {
		then()
		return
	}
	began := p.client.Go(func(ctx context.Context) {
		defer then()
		if open {
			p.endOpen(ctx, name, nil)
			return
		}
		p.closes.Add(1)
		_ = p.tellEnd(ctx, name, false)
	})
	if !began {
		then()
	}
}

// levelOf is what a stream can be spoken to in: its own level may be of the time
// before the server's was known.
func (p *Pool) levelOf(name streamName) hranahttp.Level {
	if now := p.client.Level(); now.V3() {
		return now
	}
	return name.level
}

// tellEnd tells the server once that a stream ends.
//
// Version 2 has close as well, but the smallest servers do not know it. They are
// asked once, and transactions are rolled back before.
func (p *Pool) tellEnd(ctx context.Context, name streamName, open bool) error {
	level := p.levelOf(name)
	tell := func(req hrana.StreamReq) (*hranahttp.Reply, error) {
		return p.client.Pipeline(ctx, name.ep, level, &hrana.PipelineReq{Baton: name.baton, Requests: []hrana.StreamReq{req}}, hranahttp.Expect{})
	}
	if level.V3() {
		_, err := tell(hrana.StreamReq{Type: hrana.Close})
		return err
	}
	if open {
		reply, err := tell(hrana.StreamReq{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: "ROLLBACK"}})
		if err != nil || reply.Baton == "" || p.noClose.Load() {
			return err
		}
		name.baton, name.ep = reply.Baton, reply.Endpoint
	}
	_, err := tell(hrana.StreamReq{Type: hrana.Close})
	if x, _ := err.(*exec.Error); x != nil && x.Source == exec.FromServer {
		p.noClose.Store(true)
	}
	if open {
		return nil // there is nothing open on it any more
	}
	return err
}
