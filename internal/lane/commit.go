package lane

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A committer has writes that wait at the same time share a transaction, and so
// one commit. It works as the lanes do: a write that finds a lane free goes out
// at once and alone.
type committer struct {
	l    *Lanes
	room chan struct{}
	mu   sync.Mutex
	q    queue
	busy int

	schema schemaCheck

	committed, groups, ungrouped atomic.Uint64
}

// maxCommit is how many writes share a transaction.
const maxCommit = 128

// commitLanes is how many requests of writes are on their way at once. One
// writes while the next is on the path; more would only wait inside the server.
const commitLanes = 2

func newCommitter(l *Lanes) *committer {
	return &committer{l: l, room: make(chan struct{}, maxQueue)}
}

// groupable tells whether a write may ever share a transaction. It must set its
// row id for certain, since those who run before it set one too.
func groupable(req *exec.Request) bool {
	if len(req.Stmts) != 1 || !req.Stmts[0].Shares {
		return false
	}
	s := &req.Stmts[0]
	return s.Rowid == exec.RowidNone || s.Rowid == exec.RowidAlways && s.Note.SetsRowid.Load()
}

func (c *committer) do(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	c.mu.Lock()
	if c.q.len == 0 && c.busy < commitLanes {
		c.busy++
		c.mu.Unlock()
		defer c.release()
		return c.l.write(ctx, req)
	}
	c.mu.Unlock()
	select {
	case c.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx, false)
	}
	w := newWaiter(ctx, &req.Stmts[0])
	c.mu.Lock()
	c.q.push(w)
	start := c.busy < commitLanes
	if start {
		c.busy++
	}
	c.mu.Unlock()
	if start {
		c.start()
	}
	return w.await()
}

func (c *committer) release() {
	c.mu.Lock()
	if c.q.len == 0 {
		c.busy--
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.start()
}

func (c *committer) start() {
	if c.l.pool.Go(c.serve) {
		return
	}
	c.mu.Lock()
	c.busy--
	for w := c.q.pop(); w != nil; w = c.q.pop() {
		<-c.room
		w.answer(nil, errClosed)
	}
	c.mu.Unlock()
}

// serve sends group after group for as long as writes wait.
func (c *committer) serve(ctx context.Context) {
	group := make([]*waiter, 0, maxCommit)
	for {
		c.mu.Lock()
		var places int
		group, places = c.q.take(group[:0], maxCommit)
		if len(group) == 0 {
			c.busy--
		}
		c.mu.Unlock()
		for range places {
			<-c.room
		}
		if len(group) == 0 {
			return
		}
		c.send(ctx, group)
		clear(group)
	}
}

func (c *committer) send(ctx context.Context, group []*waiter) {
	if len(group) == 1 {
		c.single(group[0])
		return
	}
	check, ok := c.schema.check(ctx, c.l)
	if !ok {
		c.oneByOne(ctx, group)
		return
	}
	stmts := make([]exec.Stmt, len(group))
	for i, w := range group {
		stmts[i] = w.stmt
	}
	if c.l.gate.Enter(ctx) != nil {
		for _, w := range group {
			w.answer(nil, errClosed)
		}
		return
	}
	began := c.l.now()
	g, ok, err := c.l.pool.CommitGroup(ctx, check, stmts)
	c.l.gate.Leave()
	e, _ := err.(*exec.Error)
	switch {
	case !ok:
		c.schema.never()
		c.oneByOne(ctx, group)
	case e != nil && e.Proof == exec.NotExecuted && e.Source == exec.FromServer, e == nil && g.Undone:
		// Nothing of it counts. Whoever is to blame is found when they run alone.
		if e == nil && !g.Checked {
			c.schema.forget()
		}
		c.oneByOne(ctx, group)
	case e != nil:
		for _, w := range group {
			w.answer(nil, e)
		}
	case !g.Committed:
		c.unknown(group, g.Err)
	default:
		c.groups.Add(1)
		c.committed.Add(uint64(len(group)))
		sum := time.Duration(0)
		for i, w := range group {
			if r := g.Results[i].Result; r != nil {
				sum += r.ServerTime
			}
			w.stmt.Note.Learn(&g.Results[i])
			w.answer(&exec.Response{Results: g.Results[i : i+1 : i+1]}, nil)
		}
		c.l.gate.Observe(c.l.now().Sub(began), sum)
	}
}

// unknown tells a group that its commit may or may not have happened.
func (c *committer) unknown(group []*waiter, cause *exec.Error) {
	e := &exec.Error{Source: exec.FromServer, Proof: exec.OutcomeUnknown, Message: "the commit that the statement shared has failed in an unknown state"}
	if cause != nil {
		e.Code, e.Message = cause.Code, cause.Message
	}
	for _, w := range group {
		w.answer(nil, e)
	}
}

// oneByOne runs the writes of a group that counts for nothing, each committed by
// itself, in their order.
func (c *committer) oneByOne(ctx context.Context, group []*waiter) {
	c.ungrouped.Add(uint64(len(group)))
	// A write whose text has not succeeded does not share again before it has.
	for _, w := range group {
		c.single(w)
	}
}

func (c *committer) single(w *waiter) {
	resp, err := c.l.write(w.ctx, &exec.Request{Stmts: []exec.Stmt{w.stmt}, Class: exec.Write})
	w.answer(resp, err)
}
