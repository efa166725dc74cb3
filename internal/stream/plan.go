// Package stream runs statements on Hrana streams. A stream is a connection to
// SQLite that the server keeps for a client between requests; a baton names it.
// The package knows what a stream may be trusted with: which of them others
// have used, when they expire, whether a transaction is still open on them, and
// how a statement is kept from running when it is not.
package stream

import (
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// A Plan is what one request asks of a stream.
type Plan struct {
	// Begin is the statement that opens a transaction before Stmts; they run only
	// if it succeeded.
	Begin string
	// Guard runs Stmts only while a transaction is open on the server. sqld takes
	// a transaction away when another writer waits for too long, tells it once,
	// and runs whatever comes after it in autocommit; what the client believes is
	// therefore no guard.
	Guard bool
	// GuardFirst guards only the first of Stmts, for a script that itself ends the
	// transaction.
	GuardFirst bool
	// Check runs between Begin and Stmts, which run only if it succeeds; of a
	// Transaction only.
	Check *exec.Stmt
	Stmts []exec.Stmt
	// Shape is how Stmts depend on each other.
	Shape Shape
	// Apart has the last of Stmts, a read inside a transaction, be a request of its
	// own, which runs whatever becomes of the others: a result that is too large for
	// an answer takes nobody else's with it. Of a Chain of two or more.
	Apart bool
	// Undo rolls back what a failed script, or Separate statements, leave open.
	Undo bool
	// Tail ends the transaction after Stmts.
	Tail Tail
	// AskState learns whether a transaction is open afterwards.
	AskState bool
	// Close ends the stream in the same request, where the server can.
	Close bool
	// Nested: an Atomic plan runs inside a transaction, which Begin opens or which
	// is open already.
	Nested bool
	// Ends: a statement may end the transaction that is open on the stream.
	Ends bool
	// Odd: a statement leaves more on the stream than a transaction, so that what
	// others do there is not known from their texts.
	Odd bool
	// Late is called when the exchange has ended after its caller had left.
	Late func()
	// Shared: each of Stmts is another caller's.
	Shared bool
}

// callers is how many wait for the answer, none if the driver asks for itself.
func (p *Plan) callers() int {
	if p.Shared {
		return len(p.Stmts)
	}
	return 1
}

// Shape is how the statements of a plan depend on each other.
type Shape uint8

const (
	// Chain: each runs only if the one before it has succeeded.
	Chain Shape = iota
	// Independent: each runs whatever becomes of the others, as steps of one
	// batch. A server that cannot read one of them runs none.
	Independent
	// Separate: as Independent, each as a request of its own in one pipeline, so
	// that the server cannot refuse them as a whole. This costs it more.
	Separate
	// Atomic: as Chain, and of what fails nothing stays: they are a transaction of
	// their own, or the end of one that is open, or if Nested a savepoint in it.
	Atomic
	// Transaction: all in one transaction of their own, which Begin opens. A
	// statement that fails undoes itself only. See CommitGroup.
	Transaction
)

// Tail is how a plan ends a transaction.
type Tail uint8

const (
	NoTail Tail = iota
	Commit
	Rollback
)

// State is what is known of the transaction on a stream.
type State uint8

const (
	Unknown State = iota
	Autocommit
	InTransaction
)

// An Outcome is what became of a Plan.
type Outcome struct {
	// Begin is the outcome of Plan.Begin.
	Begin exec.StmtResult
	// Check is the outcome of Plan.Check.
	Check exec.StmtResult
	// Results has one entry for each of Plan.Stmts.
	Results []exec.StmtResult
	// Tail is the outcome of Plan.Tail.
	Tail exec.StmtResult
	// Whole: the batch failed as a whole; it stands for the first of Results too.
	Whole *exec.Error
	// RolledBack: a Transaction was still open after its batch, and then was not.
	RolledBack bool
	// Refused: the guard found no transaction open.
	Refused bool
	State   State
}

// compiled is a Plan as requests, with the places where its answers will be.
type compiled struct {
	reqs    []hrana.StreamReq
	v3      bool
	batched bool // request 0 is a batch, not an execute
	begin   int  // step of Begin, -1 if none
	checkAt int  // step of Check, -1 if none
	first   int  // step of the first statement
	probe   int  // step of the BEGIN that guards on version 2, -1 if none
	tail    int  // step of Tail, -1 if none
	fresh   bool // the schema is looked at first
	state   int  // index of the request that tells the state, -1 if none
	undo    int  // index of the request that rolls a Transaction back, 0 if none
	version int  // index of the request that shows the schema's version, 0 if none
	apart   place

	// Of the shapes Atomic and Separate:
	places  []place // of the statements
	guarded bool
	entered place // what did not run if the guard refused
}

func ok(step int) *hrana.Cond { return &hrana.Cond{Type: hrana.CondOK, Step: uint32(step)} }
func failed(step int) *hrana.Cond {
	return &hrana.Cond{Type: hrana.CondError, Step: uint32(step)}
}
func not(c *hrana.Cond) *hrana.Cond {
	return &hrana.Cond{Type: hrana.CondNot, Conds: []*hrana.Cond{c}}
}

// and joins the conditions that are there.
func and(conds ...*hrana.Cond) *hrana.Cond {
	kept := conds[:0]
	for _, c := range conds {
		if c != nil {
			kept = append(kept, c)
		}
	}
	switch len(kept) {
	case 0:
		return nil
	case 1:
		return kept[0]
	}
	return &hrana.Cond{Type: hrana.CondAnd, Conds: kept}
}

// inTransaction is shared: conditions are never written.
var inTransaction = not(&hrana.Cond{Type: hrana.CondIsAutocommit})

func message(s *exec.Stmt, index uint64) hrana.Stmt {
	m := hrana.Stmt{SQL: s.SQL, Args: s.Args, WantRows: s.WantRows, ReplicationIndex: index}
	if s.Names == nil {
		return m
	}
	m.Args = nil
	m.Named = make([]hrana.NamedArg, 0, len(s.Names))
	for i, name := range s.Names {
		m.Named = append(m.Named, hrana.NamedArg{Name: name, Value: s.Args[i]})
	}
	return m
}

// compile writes a plan for a level of the protocol.
//
// On version 3 a guard is the condition "not is_autocommit". Version 2 has no
// such condition, but there is a statement that fails exactly if a transaction
// is open: BEGIN. So the batch is [BEGIN; statements if BEGIN failed; ROLLBACK
// if BEGIN succeeded].
//
// fresh has the server look at the schema before it compiles a statement, see
// lookAtSchema.
func (p *Plan) compile(level hranahttp.Level, index uint64, fresh bool) compiled {
	c := compiled{v3: level.V3(), begin: -1, checkAt: -1, probe: -1, tail: -1, state: -1, fresh: fresh}
	switch {
	case p.Shape == Transaction:
		c.batched = true
		c.reqs = p.transaction(&c, index)
	case p.Shape == Atomic:
		p.atomic(&c, index)
	case p.Shape == Separate:
		p.separate(&c, index)
	case p.Begin == "" && !p.Guard && !p.Undo && p.Tail == NoTail && len(p.Stmts) == 1 && !fresh:
		c.reqs = append(make([]hrana.StreamReq, 0, 2), hrana.StreamReq{Type: hrana.Execute, Stmt: message(&p.Stmts[0], index)})
	case len(p.Stmts) > 0 || p.Begin != "" || p.Tail != NoTail:
		c.batched = true
		c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.BatchRequest, Batch: hrana.Batch{Steps: p.steps(&c), ReplicationIndex: index}})
		if p.Apart {
			c.apart = c.addGuarded(&p.Stmts[len(p.Stmts)-1], index)
		}
	}
	if p.AskState {
		c.state = len(c.reqs)
		if c.v3 {
			c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.GetAutocommit})
		} else {
			c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.BatchRequest, Batch: hrana.Batch{Steps: []hrana.BatchStep{
				{Stmt: hrana.Stmt{SQL: "BEGIN"}},
				{Stmt: hrana.Stmt{SQL: "ROLLBACK"}, Cond: ok(0)},
			}}})
		}
	}
	if p.Close && c.v3 {
		// The smallest servers have version 2 only, without close, and answer 500.
		c.reqs = append(c.reqs, hrana.StreamReq{Type: hrana.Close})
	}
	return c
}

// together are the statements that are steps of one batch.
func (p *Plan) together() []exec.Stmt {
	if p.Apart {
		return p.Stmts[:len(p.Stmts)-1]
	}
	return p.Stmts
}

func (p *Plan) steps(c *compiled) []hrana.BatchStep {
	steps := make([]hrana.BatchStep, 0, len(p.Stmts)+3)
	add := func(sql string, cond *hrana.Cond) int {
		steps = append(steps, hrana.BatchStep{Stmt: hrana.Stmt{SQL: sql}, Cond: cond})
		return len(steps) - 1
	}
	var guard *hrana.Cond
	if p.Begin != "" {
		c.begin = add(p.Begin, nil)
	} else if p.Guard {
		guard = inTransaction
		if !c.v3 {
			c.probe = add("BEGIN", nil)
			guard = failed(c.probe)
		}
	}
	if c.fresh && c.begin >= 0 {
		add(lookAtSchema, ok(c.begin))
	} else if c.fresh {
		add(lookAtSchema, guard)
	}
	c.first = len(steps)
	for i := range p.together() {
		cond := guard
		if p.GuardFirst && i > 0 {
			cond = nil
		}
		switch {
		case i > 0 && p.Shape == Chain:
			cond = and(cond, ok(len(steps)-1))
		case c.begin >= 0:
			cond = ok(c.begin)
		}
		steps = append(steps, hrana.BatchStep{Stmt: message(&p.Stmts[i], 0), Cond: cond})
	}
	last := len(steps) - 1
	if p.Shape == Independent && c.v3 {
		// Nobody inherits a transaction from a statement of somebody else.
		add("ROLLBACK", inTransaction)
	}
	if p.Undo {
		var open *hrana.Cond
		if c.v3 {
			open = inTransaction
		}
		add("ROLLBACK", and(not(ok(last)), open))
	}
	switch p.Tail {
	case Commit:
		// A COMMIT that fails leaves the transaction open, and nobody will come
		// back to it.
		c.tail = add("COMMIT", guard)
		cond := failed(c.tail)
		if c.v3 {
			cond = and(cond, inTransaction)
		} else {
			cond = and(cond, guard)
		}
		add("ROLLBACK", cond)
	case Rollback:
		c.tail = add("ROLLBACK", guard)
	}
	if c.probe >= 0 {
		add("ROLLBACK", ok(c.probe))
	}
	return steps
}

// outcome reads the answers of a compiled plan.
func (p *Plan) outcome(c *compiled, results []hrana.StreamResult) *Outcome {
	o := &Outcome{Results: make([]exec.StmtResult, len(p.Stmts))}
	if c.state >= 0 {
		o.State = c.readState(&results[c.state])
	}
	if c.undo > 0 {
		b := results[c.undo].Batch
		o.RolledBack = b != nil && len(b.Steps) > 0 && b.Steps[0] != nil
	}
	switch {
	case c.places != nil:
		p.readPlaces(c, o, results)
		return o
	case c.batched:
		p.readBatch(c, o, results)
		return o
	}
	for i := range p.Stmts {
		o.Results[i] = exec.StmtResult{Result: results[i].Stmt, Err: stmtError(results[i].Err)}
	}
	return o
}

func (p *Plan) readBatch(c *compiled, o *Outcome, results []hrana.StreamResult) {
	if r := &results[0]; r.Err != nil {
		// The first statement is told, the others have not had an outcome.
		err := wholeError(r.Err)
		o.Whole = err
		switch {
		case len(o.Results) > 0:
			o.Results[0].Err = err
		case c.tail >= 0:
			o.Tail.Err = err
		default:
			o.Begin.Err = err
		}
		return
	}
	at := func(step int) exec.StmtResult {
		if step < 0 {
			return exec.StmtResult{}
		}
		return outcomeAt(results, place{0, step})
	}
	o.Begin, o.Check = at(c.begin), at(c.checkAt)
	for i := range p.together() {
		o.Results[i] = at(c.first + i)
	}
	if p.Apart {
		o.Results[len(o.Results)-1] = outcomeAt(results, c.apart)
	}
	o.Tail = at(c.tail)
	if !p.Guard {
		return
	}
	if c.probe >= 0 {
		o.Refused = at(c.probe).Result != nil
		return
	}
	probed := o.Tail
	if len(o.Results) > 0 {
		probed = o.Results[0]
	}
	o.Refused = probed.Result == nil && probed.Err == nil
}

func (c *compiled) readState(r *hrana.StreamResult) State {
	if r.Err != nil {
		return Unknown
	}
	autocommit := r.IsAutocommit
	if !c.v3 {
		// BEGIN succeeded only if no transaction was open.
		autocommit = r.Batch != nil && len(r.Batch.Steps) > 0 && r.Batch.Steps[0] != nil
	}
	if autocommit {
		return Autocommit
	}
	return InTransaction
}
