package stream

import (
	"context"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A GroupOutcome is what became of writes that shared a transaction.
type GroupOutcome struct {
	// Committed: the results are final.
	Committed bool
	// Undone: nothing of it was or will be committed; the results do not count.
	// Neither: whether it was committed is not known.
	Undone bool
	// Checked: the check before the statements has held.
	Checked bool
	Results []exec.StmtResult
	// Err is why it was not committed, as far as the server has told.
	Err *exec.Error
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
func (p *Pool) CommitGroup(ctx context.Context, check exec.Stmt, stmts []exec.Stmt) (g *GroupOutcome, ok bool, err error) {
	if !p.client.AwaitLevel(ctx).V3() {
		return nil, false, nil
	}
	s, kept := p.take(anyStream)
	o, err := s.Run(ctx, exec.Write, &Plan{Begin: "BEGIN IMMEDIATE", Check: &check, Stmts: stmts, Shape: Transaction, Close: !kept})
	if err != nil {
		p.back(s, kept)
		return nil, true, err
	}
	g = &GroupOutcome{Results: o.Results, Checked: o.Check.Result != nil, Err: o.Whole}
	switch {
	case o.Whole == nil && o.Tail.Result != nil:
		g.Committed = true
		before := s.before
		for i := range g.Results {
			if r := g.Results[i].Result; r != nil {
				now := r.LastInsertID
				ownRowid(&stmts[i], r, before)
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
