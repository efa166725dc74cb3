package stream

import (
	"context"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// A Watch is told of every request that may commit something, before it is sent
// and when it is known what has become of it, and of the schema's version, which
// all requests ask for while there is a Watch.
type Watch interface {
	// Add adds what statements may change to set, which is nil for nothing. odd: the
	// stream holds settings, or they make some, under which they may change more than
	// they would elsewhere.
	Add(set WriteSet, stmts []exec.Stmt, odd bool) WriteSet
	// Begin is called before a request that may commit what is in set is sent. whole:
	// the request is the statements that have been added and nothing else, and there is
	// one, or they are those of different callers, in one transaction.
	Begin(set WriteSet, whole bool) Write
	// Answered is called with the statements of a request that has been answered,
	// before anybody gets the answer. w is what Begin has given for it, nil if it has
	// not been called. odd is as for Add.
	Answered(w Write, stmts []exec.Stmt, odd bool)
	// Seen is called with the version that an answer shows, before anybody gets the
	// answer; 0 if it shows none.
	Seen(version int64)
	// Replica is called once, if the server turns out to be a replica: it tells its own
	// schema, and what is written meets the primary's. It is called before anybody gets
	// the answer that has told.
	Replica()
}

// A WriteSet is what the statements of a transaction may change.
type WriteSet any

// A Write is a request that may commit something.
type Write interface {
	// Done: it has completed, or nothing of it was or will be executed.
	Done()
	// Lose: nobody knows what has become of it, and it may be executed still.
	Lose()
	// Settle: what was lost cannot be executed any more.
	Settle()
}

// Watch has w told of all requests from now on. It is called before the first.
func (p *Pool) Watch(w Watch) { p.watch = w }

// askVersion reads the schema's version, after the statements: what they were
// compiled with is then at most that, and the schema that a cache knew before them
// at least.
const askVersion = "SELECT schema_version FROM pragma_schema_version"

// showVersion adds a request that shows the schema's version to those of a plan.
func (c *compiled) showVersion(index uint64) {
	c.version = len(c.reqs)
	ask := hrana.StreamReq{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: askVersion, WantRows: true, ReplicationIndex: index}}
	if n := len(c.reqs) - 1; n >= 0 && c.reqs[n].Type == hrana.Close {
		c.version = n
		c.reqs = append(c.reqs[:n], ask, c.reqs[n])
		return
	}
	c.reqs = append(c.reqs, ask)
}

// readVersion is the version that the answer at an index shows, 0 if it does not.
func readVersion(results []hrana.StreamResult, index int) int64 {
	if index == 0 || index >= len(results) || results[index].Stmt == nil {
		return 0
	}
	t := &results[index].Stmt.Rows
	if t.Len() != 1 || t.Width() != 1 || t.Kind(0, 0) != exec.Integer {
		return 0
	}
	return t.Int(0, 0)
}

// mayCommit tells whether a plan may commit something, of its own statements or of
// those before it on the stream.
func (p *Plan) mayCommit() bool {
	switch {
	case p.Tail == Commit, p.Ends, p.Shape == Transaction, p.Shape == Atomic && !p.Nested:
		return true
	case p.Guard, p.Begin != "":
		return false
	}
	return len(p.Stmts) > 0
}

// beginWrite tells the watch of a request; nil if it cannot commit anything.
func (s *Stream) beginWrite(class exec.Class, p *Plan) Write {
	w := s.pool.watch
	if class == exec.Read {
		return nil
	}
	s.odd = s.odd || p.Odd
	first := s.touched == nil
	s.touched = w.Add(s.touched, p.Stmts, s.odd)
	if s.touched == nil || !p.mayCommit() {
		return nil
	}
	return w.Begin(s.touched, first && !s.pinned && (p.Shape == Transaction || p.Begin == "" && !p.Guard && len(p.Stmts) == 1))
}

// answered tells the watch what an answer shows.
func (s *Stream) answered(w Write, p *Plan, o *Outcome, version int64) {
	s.pool.watch.Seen(version)
	if s.pool.Replica() {
		version = 0 // it is the replica's
	}
	for i := range o.Results {
		if r := o.Results[i].Result; r != nil {
			r.SchemaVersion = version
		}
	}
	s.pool.watch.Answered(w, p.Stmts, s.odd || p.Odd)
	if w != nil {
		w.Done()
	}
	switch {
	case o.State == Autocommit, p.Shape == Transaction,
		o.State == Unknown && !p.AskState && !p.Guard && p.Begin == "":
		s.touched = nil
	}
}

// unanswered tells the watch of a request without an answer.
func (p *Pool) unanswered(w Write, err *exec.Error, sent sentWrite, late bool) {
	switch {
	case w == nil:
	case err.Proof == exec.NotExecuted:
		w.Done()
	default:
		w.Lose()
		if !late {
			p.settle(w, sent)
		}
	}
}

// A sentWrite is what the server knows of a request that it may have had.
type sentWrite struct {
	// What its stream was known by when it was sent.
	streamName
	// loss is nil if it is of no transaction that was open before.
	loss *loss
	// oneLock is Plan.oneLock.
	oneLock bool
}

// oneLock tells whether all that a plan may commit is committed under a single hold
// of the write lock, which the server waits for before it does anything else for the
// plan. Between two statements that commit by themselves, and in a transaction that
// reads before it writes, others may have the lock while the plan still runs.
func (p *Plan) oneLock() bool {
	switch first := len(p.Stmts) > 0 && p.Stmts[0].Shares; {
	case p.Shape == Transaction, len(p.Stmts) == 0:
		return true
	case p.Shape == Atomic && !p.Nested:
		return strings.HasPrefix(p.Begin, "BEGIN ") || first
	}
	return len(p.Stmts) == 1
}

// watched is a late function that tells the watch first; version is where in the
// answer the schema's is.
func (p *Pool) watched(w Write, version int, sent sentWrite, late func(*hranahttp.Reply, error)) func(*hranahttp.Reply, error) {
	if w == nil {
		return late
	}
	return func(reply *hranahttp.Reply, err error) {
		switch e, _ := err.(*exec.Error); {
		case err == nil:
			p.watch.Seen(readVersion(reply.Results, version))
			w.Settle()
		case e != nil && e.Proof == exec.NotExecuted:
			w.Settle() // its stream has been ended before it came, see endLost
		default:
			p.settle(w, sent)
		}
		late(reply, err)
	}
}

// How often the server is asked about a lost write, which may wait there for as
// long as another holds the lock.
const (
	firstAsk = 20 * time.Millisecond
	lastAsk  = 2 * time.Second
	askFor   = 5 * time.Second
)

// settle finds out, beside, when a lost request cannot change anything any more.
//
// Its stream's baton is presented again. If the server accepts it, it has not had
// the request and will refuse it if it still comes. If it refuses it, the request
// has arrived, and may be queued behind another writer: then it is over when an
// empty transaction that asked for the lock after it has had it. Of a request that
// asks for the lock more than once, or late, that proves nothing, and nothing else
// does: a baton is refused in the same words while its request runs and afterwards.
func (p *Pool) settle(w Write, sent sentWrite) {
	if sent.baton == "" {
		return // nobody can be asked; the watch waits long enough
	}
	p.client.Go(func(ctx context.Context) {
		wait := firstAsk
		for arrived := false; ; wait = min(2*wait, lastAsk) {
			if sent.loss != nil && sent.loss.refused.Load() {
				w.Settle()
				return
			}
			switch over, refused := p.askAbout(ctx, sent, arrived); {
			case over:
				w.Settle()
				return
			case refused && !sent.oneLock:
				return
			case refused:
				// The server may have taken the baton just now, and not yet have asked
				// for the lock.
				arrived, wait = true, firstAsk
			}
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-p.closing:
				timer.Stop()
				return
			}
		}
	})
}

// askAbout is one question to the server about a lost request.
func (p *Pool) askAbout(ctx context.Context, sent sentWrite, arrived bool) (over, refused bool) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if arrived {
		level := p.client.Level()
		reqs := []hrana.StreamReq{
			{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: "BEGIN IMMEDIATE"}},
			{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: "COMMIT"}},
		}
		if level.V3() {
			reqs = append(reqs, hrana.StreamReq{Type: hrana.Close})
		}
		reply, err := p.client.Pipeline(ctx, p.client.Home(), level, &hrana.PipelineReq{Requests: reqs}, hranahttp.Expect{})
		return err == nil && len(reply.Results) == len(reqs) && reply.Results[0].Err == nil && reply.Results[1].Err == nil, false
	}
	err := p.tellEnd(ctx, sent.streamName, true)
	if err == nil {
		return true, false
	}
	e, _ := err.(*exec.Error)
	return false, e != nil && e.Source == exec.FromServer && e.StreamLost
}
