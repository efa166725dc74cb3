package stream

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Share runs reads of several callers in one request: as steps of one batch, or
// if separate as requests of one pipeline. It ends with a ROLLBACK that runs only
// if one of them has left a transaction open, so that nobody inherits it. whole is the error with which the
// server refused all of them, none of which has a result then; err is as that of
// Run.
func (p *Pool) Share(ctx context.Context, stmts []exec.Stmt, separate bool) (results []exec.StmtResult, whole *exec.Error, err error) {
	plan := Plan{Stmts: stmts, Shape: Independent, Shared: true}
	if separate {
		plan.Shape, plan.Undo = Separate, true
	}
	s, kept := p.take(unwritten)
	plan.Close = !kept
	o, err := s.Run(ctx, exec.Read, &plan)
	p.back(s, kept)
	if err != nil {
		return nil, nil, err
	}
	return o.Results, o.Whole, nil
}

// Go runs f in a goroutine that Close waits for, with a context that ends when
// Close stops waiting. It reports false, and does not run f, after Close.
func (p *Pool) Go(f func(ctx context.Context)) bool { return p.client.Go(f) }

// ServerTime is the server's time for all of a plan, with the wait for other
// writers; 0 if it did not say.
func (o *Outcome) ServerTime() (sum time.Duration) {
	add := func(r *exec.Result) {
		if r != nil {
			sum += r.ServerTime
		}
	}
	add(o.Begin.Result)
	add(o.Check.Result)
	add(o.Tail.Result)
	for i := range o.Results {
		add(o.Results[i].Result)
	}
	return sum
}

// wrote tells whether a plan has changed rows, and not in a transaction that is
// still open.
func (o *Outcome) wrote() bool {
	for i := range o.Results {
		if r := o.Results[i].Result; r != nil && r.RowsAffected > 0 && o.State != InTransaction {
			return true
		}
	}
	return false
}

// Abandoned tells whether err says that ctx ended after a write had been sent: the
// exchange goes on, and its Late is called when it ends.
func Abandoned(ctx context.Context, err error) bool {
	e, ok := err.(*exec.Error)
	return ok && e.Source == exec.FromTransport && e.Proof == exec.OutcomeUnknown && ctx.Err() != nil && e.Err == ctx.Err()
}
