package stream

import (
	"context"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Share runs reads of several callers in one request: as steps of one batch, or
// if separate as requests of one pipeline. whole is the error with which the
// server refused all of them, none of which has a result then; err is as that of
// Run.
func (p *Pool) Share(ctx context.Context, stmts []exec.Stmt, separate bool) (results []exec.StmtResult, whole *exec.Error, err error) {
	plan := Plan{Stmts: stmts, Shape: Independent}
	if separate {
		plan.Shape = Separate
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
