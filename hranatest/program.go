package hranatest

import (
	"context"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A program is a batch that has been read: its statements are known to be SQL
// and its conditions to name steps before them.
type program struct {
	steps []step
}

type step struct {
	cond  *hrana.Cond
	query query
}

// A listener is told what a program does, step by step.
type listener interface {
	sink
	// done is told a step's outcome: a result, an error, or neither if it was
	// skipped.
	done(res *exec.Result, err *refusal) error
}

// run executes a program. Its error ends the program: it is a *refusal of the
// whole, or a *failure.
//
// A step counts as ok if it was executed without an error. Otherwise it counts
// as failed, also if it was skipped; unless failsSkipped is false, as the
// specification of version 3 has it.
func (c *conn) run(ctx context.Context, p *program, l listener, failsSkipped bool) error {
	past := outcomes{ok: make([]bool, len(p.steps)), failed: make([]bool, len(p.steps))}
	taken := false
	for i := range p.steps {
		s := &p.steps[i]
		res, err := c.step(ctx, s, &past, &taken, l)
		past.ok[i] = res != nil
		past.failed[i] = err != nil || failsSkipped && res == nil
		var r *refusal
		if err != nil {
			if r = ofStep(err); r == nil {
				return err
			}
		}
		if err := l.done(res, r); err != nil {
			return err
		}
	}
	return nil
}

// step locks the connection for one step, so that a waiting writer can get at
// it between two.
func (c *conn) step(ctx context.Context, s *step, past *outcomes, taken *bool, l listener) (*exec.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Once a program has learned that its transaction was taken away, nothing
	// more of it is executed.
	*taken = *taken || c.taken
	c.taken = false
	if *taken {
		return nil, errTxTimeout
	}
	if s.cond != nil && !past.satisfy(s.cond, c.db.GetAutocommit()) {
		return nil, nil
	}
	return c.execute(ctx, &s.query, l)
}

// ofStep is the error as the step's own, nil if it ends the program.
func ofStep(err error) *refusal {
	if r, ok := err.(*refusal); ok && r != errTooLarge {
		return r
	}
	return nil
}

// outcomes are those of the steps so far.
type outcomes struct{ ok, failed []bool }

// satisfy reports whether a condition holds.
func (o *outcomes) satisfy(cond *hrana.Cond, autocommit bool) bool {
	switch cond.Type {
	case hrana.CondOK:
		return o.ok[cond.Step]
	case hrana.CondError:
		return o.failed[cond.Step]
	case hrana.CondNot:
		return !o.satisfy(cond.Conds[0], autocommit)
	case hrana.CondAnd:
		for _, each := range cond.Conds {
			if !o.satisfy(each, autocommit) {
				return false
			}
		}
		return true
	case hrana.CondOr:
		for _, each := range cond.Conds {
			if o.satisfy(each, autocommit) {
				return true
			}
		}
		return false
	}
	return autocommit // hrana.CondIsAutocommit
}

// checkCond refuses a condition that the protocol does not allow in step number
// at.
func checkCond(cond *hrana.Cond, at int, version int) error {
	switch cond.Type {
	case hrana.CondOK, hrana.CondError:
		if int64(cond.Step) >= int64(at) {
			return misuse("Invalid reference to step in a batch condition")
		}
	case hrana.CondNot:
		if len(cond.Conds) != 1 {
			return misuse("BatchCond type not recognized")
		}
		return checkCond(cond.Conds[0], at, version)
	case hrana.CondAnd, hrana.CondOr:
		for _, each := range cond.Conds {
			if err := checkCond(each, at, version); err != nil {
				return err
			}
		}
	case hrana.CondIsAutocommit:
		if version < 3 {
			return misuse("BatchCond of type `is_autocommit` is only supported in protocol version hrana3 and higher")
		}
	default:
		return misuse("BatchCond type not recognized")
	}
	return nil
}
