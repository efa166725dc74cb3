package lane

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// A committer has writes that wait at the same time share a transaction, and so
// one commit. It works as the lanes of reads do: a write that finds a lane free and
// the gate open goes out at once and alone.
type committer struct {
	l      *Lanes
	line   *line
	schema schemaCheck
}

// maxCommit is how many writes share a transaction.
const maxCommit = 128

// commitLanes is how many requests of writes are on their way at once. One writes
// while the next is on the path; more would only make groups smaller.
const commitLanes = 2

func newCommitter(l *Lanes) *committer {
	c := &committer{l: l}
	c.line = newLine(limit.NewLanes(commitLanes, limit.Range{}), maxCommit, l)
	c.line.serve = c.serve
	return c
}

// groupable tells whether a write may share a transaction. It must set its row id
// for certain, since those who run before it set one too.
func groupable(req *exec.Request, slow time.Duration) bool {
	if len(req.Stmts) != 1 || !req.Stmts[0].Shares {
		return false
	}
	s := &req.Stmts[0]
	return proven(s.Note) && !wide(s.Note, slow) && sizeOf(s) <= maxArgs/4 &&
		(s.Rowid == exec.RowidNone || s.Rowid == exec.RowidAlways && s.Note.SetsRowid.Load())
}

func (c *committer) do(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	if c.schema.forbids() {
		return c.l.write(ctx, req)
	}
	if pass := c.l.gate.TryEnter(); pass != nil {
		if ln := c.line.enter(); ln != nil {
			resp, err := c.l.writeInside(ctx, pass, req)
			c.line.leave(ln, serverTime(resp))
			return resp, err
		}
		pass.Leave()
	}
	return c.line.wait(ctx, &req.Stmts[0])
}

// serve sends group after group for as long as writes wait. They wait until the
// gate has let their group in: more may join it so long, and who leaves has sent
// nothing.
func (c *committer) serve(ctx context.Context, ln *lane) {
	for !c.line.empty(ln) {
		check, ok := c.schema.check(ctx, c.l)
		if !ok {
			if f := c.line.next(ln); f != nil {
				c.line.finished(ln, 0)
				c.oneByOne(f, false)
				continue
			}
			return
		}
		pass, err := c.l.gate.Enter(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = errClosed
			}
			c.line.refuse(ln, err)
			return
		}
		f := c.line.next(ln)
		if f == nil {
			pass.Leave()
			return
		}
		if len(f.group) == 1 {
			w := f.group[0]
			resp, err := c.l.writeInside(w.ctx, pass, request(w))
			c.line.finished(ln, serverTime(resp))
			w.answerAll(resp, err)
			continue
		}
		c.commit(ctx, ln, f, check, pass)
		runtime.Gosched() // as in serveReads
	}
}

func request(w *waiter) *exec.Request {
	return &exec.Request{Stmts: []exec.Stmt{w.stmt}, Class: exec.Write}
}

// commit runs a flight of writes in one transaction and answers each, none before
// it is known what has become of the transaction.
func (c *committer) commit(ctx context.Context, ln *lane, f *flight, check exec.Stmt, pass *Pass) {
	live, cancel := f.under(ctx)
	defer cancel()
	group := &stream.Group{Check: check, Stmts: make([]exec.Stmt, len(f.group)), Late: pass.Leave}
	for i, w := range f.group {
		group.Stmts[i] = w.stmt
	}
	g, ok, err := c.send(live, pass, group)
	for try := 1; err == nil && ok && g.Breaker() >= 0 && try < maxBreakers; try++ {
		if c.expel(f, group, g.Breaker()); len(f.group) == 0 {
			break
		}
		g, ok, err = c.send(live, pass, group)
	}
	if !stream.Abandoned(live, err) {
		pass.Leave()
	}
	var server time.Duration
	if g != nil {
		server = g.ServerTime
	}
	c.line.finished(ln, server)
	switch {
	case len(f.group) == 0:
	case err != nil:
		c.failed(f, err)
	case !ok:
		c.schema.never()
		c.oneByOne(f, false)
	case g.Committed:
		c.l.counters.groups.Add(1)
		c.l.counters.committed.Add(uint64(len(f.group)))
		for i, w := range f.group {
			w.stmt.Note.Learn(&g.Results[i], false)
			w.answer(g.Results[i], nil)
		}
	case g.Undone:
		c.undone(f, g)
	default:
		c.unknown(f, g.Err)
	}
}

// maxBreakers is how many statements that have ended its transaction are taken
// out of a group before it is given up.
const maxBreakers = 4

// expel takes the statement that has ended a group's transaction out of it, and
// those whose callers have left meanwhile: they have been told that nobody knows,
// and now it is known. Its text travels alone for a while.
func (c *committer) expel(f *flight, group *stream.Group, breaker int) {
	b := f.group[breaker]
	b.stmt.Note.Alone.Store(aloneFor)
	kept := make([]*waiter, 0, len(f.group))
	stmts := make([]exec.Stmt, 0, len(f.group))
	for i, w := range f.group {
		if i != breaker && w.open() {
			kept, stmts = append(kept, w), append(stmts, group.Stmts[i])
		}
	}
	f.group, group.Stmts = kept, stmts
	if b.takeOut() {
		c.l.counters.ungrouped.Add(1)
		c.spawn(b, false, func() {})
	}
}

// send sends a group, again while the database is locked or the server at its
// limit.
func (c *committer) send(ctx context.Context, pass *Pass, group *stream.Group) (g *stream.GroupOutcome, ok bool, err error) {
	c.l.WhileLocked(ctx, func(ctx context.Context) (locked bool) {
		err = c.l.Patiently(ctx, exec.Write, pass, func(ctx context.Context) error {
			began := time.Now()
			if g, ok, err = c.l.streams.CommitGroup(ctx, group); err == nil && ok {
				pass.Observe(time.Since(began), g.ServerTime)
			}
			return err
		})
		return err == nil && ok && g.Undone && Locked(g.Err)
	})
	return g, ok, err
}

// failed is for a group without an answer.
func (c *committer) failed(f *flight, err error) {
	if e, ok := err.(*exec.Error); ok && e.Source == exec.FromServer && e.Proof == exec.NotExecuted && blames(e) {
		c.oneByOne(f, true)
		return
	}
	for _, w := range f.group {
		w.answer(exec.StmtResult{}, err)
	}
}

// undone is for a group that counts for nothing.
func (c *committer) undone(f *flight, g *stream.GroupOutcome) {
	if g.Begun && !g.Checked {
		// The schema is another, and so may be what was learned of its tables.
		c.schema.forget()
		for _, w := range f.group {
			w.stmt.Note.SetsRowid.Store(false)
		}
	}
	c.oneByOne(f, g.Err != nil)
}

// unknown tells a group that its commit may or may not have happened.
func (c *committer) unknown(f *flight, cause *exec.Error) {
	e := &exec.Error{Source: exec.FromServer, Proof: exec.OutcomeUnknown, Message: "the commit that the statement shared has failed in an unknown state"}
	if cause != nil {
		e.Code, e.Message = cause.Code, cause.Message
	}
	for _, w := range f.group {
		w.answer(exec.StmtResult{}, e)
	}
}

// oneByOne runs the writes of a group that counts for nothing, each committed by
// itself. If blame, those that fail then travel alone for a while.
func (c *committer) oneByOne(f *flight, blame bool) {
	var all sync.WaitGroup
	for _, w := range f.group {
		if w.state.Load() != own && !w.takeOut() {
			continue
		}
		c.l.counters.ungrouped.Add(1)
		all.Add(1)
		c.spawn(w, blame, all.Done)
	}
	all.Wait()
}

func (c *committer) spawn(w *waiter, blame bool, done func()) {
	run := func(context.Context) {
		defer done()
		resp, err := c.l.write(w.ctx, request(w))
		if blame && err == nil && resp.Results[0].Err != nil {
			w.stmt.Note.Alone.Store(aloneFor)
		}
		w.answerAll(resp, err)
	}
	if !c.l.streams.Go(run) {
		w.answer(exec.StmtResult{}, errClosed)
		done()
	}
}
