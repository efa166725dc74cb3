package stream

import (
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// place is where in an answer a statement's outcome is; step is -1 for an
// execute, which is not a batch.
type place struct{ req, step int }

// savepoint is the name under which a batch is undone inside a transaction.
const savepoint = "turso_opt_batch"

// atomic writes a batch of which all counts or nothing. Outside a transaction it
// is one of its own,
//
//	[BEGIN; each if the one before succeeded; COMMIT if the last did; ROLLBACK otherwise]
//
// or the rest of one that is open, which it ends. Nested it is a savepoint, which
// leaves what was before as it is. A single request holds all of it.
func (p *Plan) atomic(c *compiled, index uint64) {
	steps := make([]hrana.BatchStep, 0, len(p.Stmts)+6)
	add := func(sql string, cond *hrana.Cond) int {
		steps = append(steps, hrana.BatchStep{Stmt: hrana.Stmt{SQL: sql}, Cond: cond})
		return len(steps) - 1
	}
	probe := -1
	var enter *hrana.Cond
	switch {
	case p.Begin != "":
		c.begin = add(p.Begin, nil)
		enter = ok(c.begin)
	case p.Guard && c.v3:
		enter = inTransaction
	case p.Guard:
		probe = add("BEGIN", nil)
		enter = failed(probe)
	}
	opened := enter
	c.entered = place{0, c.begin}
	if p.Nested {
		c.entered.step = add("SAVEPOINT "+savepoint, enter)
		opened = ok(c.entered.step)
	} else if c.begin < 0 {
		c.entered.step = len(steps)
	}
	if c.fresh {
		add(lookAtSchema, opened)
	}
	cond := opened
	c.places = make([]place, len(p.Stmts))
	for i := range p.Stmts {
		steps = append(steps, hrana.BatchStep{Stmt: message(&p.Stmts[i], 0), Cond: cond})
		c.places[i] = place{0, len(steps) - 1}
		cond = ok(len(steps) - 1)
	}
	if p.Nested {
		c.tail = add("RELEASE "+savepoint, cond)
		undo := add("ROLLBACK TO "+savepoint, and(opened, not(ok(c.tail))))
		add("RELEASE "+savepoint, ok(undo))
	} else {
		c.tail = add("COMMIT", cond)
		undo := and(opened, not(ok(c.tail)))
		if c.v3 {
			undo = and(undo, inTransaction)
		}
		add("ROLLBACK", undo)
	}
	c.guarded = p.Guard
	if probe >= 0 {
		add("ROLLBACK", ok(probe))
	}
	c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.BatchRequest, Batch: hrana.Batch{Steps: steps, ReplicationIndex: index}})
}

// separate writes statements that have nothing to do with each other as requests
// of one pipeline. In a transaction each has a guard of its own.
func (p *Plan) separate(c *compiled, index uint64) {
	c.places = make([]place, len(p.Stmts))
	c.reqs = make([]hrana.StreamReq, 0, len(p.Stmts)+3)
	if p.Begin != "" {
		c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.BatchRequest, Batch: hrana.Batch{
			Steps: []hrana.BatchStep{{Stmt: hrana.Stmt{SQL: p.Begin}}}}})
		c.begin = 0
	}
	if c.fresh {
		c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: lookAtSchema}})
	}
	for i := range p.Stmts {
		c.places[i] = place{len(c.reqs), -1}
		if p.Begin == "" && !p.Guard {
			c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.Execute, Stmt: message(&p.Stmts[i], index)})
			continue
		}
		c.places[i] = c.addGuarded(&p.Stmts[i], index)
	}
	c.guarded = p.Guard
	if len(c.places) > 0 {
		c.entered = c.places[0]
	}
	if p.Undo && c.v3 {
		c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.BatchRequest, Batch: hrana.Batch{
			Steps: []hrana.BatchStep{{Stmt: hrana.Stmt{SQL: "ROLLBACK"}, Cond: inTransaction}}}})
	}
}

// addGuarded adds a statement as a request of its own that runs it only inside a
// transaction, and gives its place.
func (c *compiled) addGuarded(stmt *exec.Stmt, index uint64) place {
	pl := place{len(c.reqs), 0}
	b := hrana.Batch{ReplicationIndex: index}
	if m := message(stmt, 0); c.v3 {
		b.Steps = []hrana.BatchStep{{Stmt: m, Cond: inTransaction}}
	} else {
		b.Steps = []hrana.BatchStep{
			{Stmt: hrana.Stmt{SQL: "BEGIN"}},
			{Stmt: m, Cond: failed(0)},
			{Stmt: hrana.Stmt{SQL: "ROLLBACK"}, Cond: ok(0)},
		}
		pl.step = 1
	}
	c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.BatchRequest, Batch: b})
	return pl
}

// readPlaces reads an answer by the places of its parts.
func (p *Plan) readPlaces(c *compiled, o *Outcome, results []hrana.StreamResult) {
	if p.Shape == Atomic && results[0].Err != nil {
		o.Whole = wholeError(results[0].Err)
		o.Results[0].Err = o.Whole
		return
	}
	if c.begin >= 0 {
		o.Begin = outcomeAt(results, place{0, c.begin})
	}
	for i, pl := range c.places {
		o.Results[i] = outcomeAt(results, pl)
	}
	if c.tail >= 0 {
		o.Tail = outcomeAt(results, place{0, c.tail})
	}
	if c.guarded {
		entered := outcomeAt(results, c.entered)
		o.Refused = entered.Result == nil && entered.Err == nil
	}
}

// outcomeAt is the outcome at a place.
func outcomeAt(results []hrana.StreamResult, pl place) exec.StmtResult {
	r := &results[pl.req]
	switch {
	case r.Err != nil:
		return exec.StmtResult{Err: stmtError(r.Err)}
	case pl.step < 0:
		return exec.StmtResult{Result: r.Stmt}
	}
	var s exec.StmtResult
	if pl.step < len(r.Batch.Steps) {
		s.Result = r.Batch.Steps[pl.step]
	}
	if pl.step < len(r.Batch.Errors) {
		s.Err = stmtError(r.Batch.Errors[pl.step])
	}
	return s
}

// wholeError is the error of a batch that failed as a whole. If the server
// cannot read a statement of it nothing ran; after anything else each step may
// have run.
func wholeError(e *hrana.Error) *exec.Error {
	err := stmtError(e)
	if err.Proof == exec.Failed {
		err.Proof = exec.OutcomeUnknown
	}
	return err
}
