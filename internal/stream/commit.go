package stream

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A Group is writes of several callers that share a transaction.
type Group struct {
	// Check runs before the others, which run only if it succeeds.
	Check exec.Stmt
	Stmts []exec.Stmt
	// Late is called when the exchange has ended after its context had.
	Late func()
}

// A GroupOutcome is what became of a Group.
type GroupOutcome struct {
	// Committed: the results are final.
	Committed bool
	// Undone: nothing of it was or will be committed; the results do not count.
	// Neither: whether it was committed is not known.
	Undone bool
	// Begun and Checked: the transaction has begun, and the check has held.
	Begun, Checked bool
	Results        []exec.StmtResult
	// Err is why it was not committed, as far as the server has told.
	Err *exec.Error
	// ServerTime is the server's time for all of it, with the wait for other
	// writers; 0 if it did not say.
	ServerTime time.Duration
}

// Breaker is the statement that has ended the transaction before its COMMIT, -1
// if there is none: one with RAISE(ROLLBACK) or ON CONFLICT ROLLBACK.
func (g *GroupOutcome) Breaker() int {
	if g.Committed || g.Err != nil {
		return -1
	}
	for i := len(g.Results) - 1; i >= 0; i-- {
		switch r := &g.Results[i]; {
		case r.Err != nil && r.Err.Code == "SQLITE_CONSTRAINT":
			return i
		case r.Err != nil || r.Result != nil:
			return -1
		}
	}
	return -1
}

// notAutocommit lets a step run only inside the transaction: a statement may end
// it (RAISE(ROLLBACK), ON CONFLICT ROLLBACK), and the server may take it away.
var notAutocommit = inTransaction

// CommitGroup runs writes of several callers in one transaction and one request,
//
//	[BEGIN IMMEDIATE; check; each statement while the transaction is open; COMMIT],
//	[ROLLBACK if it is still open]
//
// A statement that fails undoes itself only. If check fails nothing runs. The
// COMMIT has a result of its own, so that what it decides is known before
// anybody is told. That takes version 3 of the protocol: ok is false, and
// nothing was sent, where the server does not have it.
func (p *Pool) CommitGroup(ctx context.Context, group *Group) (g *GroupOutcome, ok bool, err error) {
	if !p.client.AwaitLevel(ctx).V3() {
		return nil, false, nil
	}
	s, kept := p.take(anyStream)
	o, err := s.Run(ctx, exec.Write, &Plan{Begin: "BEGIN IMMEDIATE", Check: &group.Check, Stmts: group.Stmts,
		Shape: Transaction, Close: !kept, Late: group.Late, Shared: true})
	if err != nil {
		p.back(s, kept)
		return nil, true, err
	}
	g = &GroupOutcome{Results: o.Results, Begun: o.Begin.Result != nil, Checked: o.Check.Result != nil, Err: o.Whole, ServerTime: o.ServerTime()}
	switch {
	case o.Whole == nil && o.Tail.Result != nil:
		g.Committed = true
		before := s.before
		for i := range g.Results {
			if r := g.Results[i].Result; r != nil {
				now := r.LastInsertID
				ownRowid(&group.Stmts[i], r, before)
				before = now
			}
		}
	case o.Whole != nil:
		g.Undone = o.RolledBack || o.Whole.Proof == exec.NotExecuted
	case o.Tail.Err == nil:
		// COMMIT was skipped: the transaction did not begin, or was over before.
		g.Undone = true
		g.Err = o.Begin.Err
	default:
		g.Undone = undone(o.Tail.Err)
		g.Err = o.Tail.Err
	}
	if !g.Committed && !g.Undone {
		s.End()
	}
	p.back(s, kept)
	return g, true, nil
}

// undone tells whether a COMMIT that failed has certainly committed nothing.
func undone(e *exec.Error) bool {
	switch e.Code {
	case "SQLITE_CONSTRAINT", "SQLITE_BUSY", codeTxTimeout:
		return true
	}
	return false
}

// transaction writes the two batches of a group.
func (p *Plan) transaction(c *compiled, index uint64) []hrana.StreamReq {
	steps := make([]hrana.BatchStep, 0, len(p.Stmts)+3)
	steps = append(steps, hrana.BatchStep{Stmt: hrana.Stmt{SQL: p.Begin}})
	steps = append(steps, hrana.BatchStep{Stmt: message(p.Check, 0), Cond: ok(0)})
	c.begin, c.checkAt, c.first = 0, 1, 2
	cond := and(ok(1), notAutocommit)
	for i := range p.Stmts {
		steps = append(steps, hrana.BatchStep{Stmt: message(&p.Stmts[i], 0), Cond: cond})
	}
	c.tail = len(steps)
	steps = append(steps, hrana.BatchStep{Stmt: hrana.Stmt{SQL: "COMMIT"}, Cond: cond})
	c.undo = 1
	return []hrana.StreamReq{
		{Type: hrana.BatchRequest, Batch: hrana.Batch{Steps: steps, ReplicationIndex: index}},
		{Type: hrana.BatchRequest, Batch: hrana.Batch{Steps: []hrana.BatchStep{
			{Stmt: hrana.Stmt{SQL: "ROLLBACK"}, Cond: notAutocommit},
		}}},
	}
}
