package stream

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

func stmts(texts ...string) []exec.Stmt {
	s := make([]exec.Stmt, len(texts))
	for i, text := range texts {
		s[i] = exec.Stmt{SQL: text, Note: new(exec.Note)}
	}
	return s
}

// shown is a compiled plan in one line: a batch is its steps in brackets, each
// with its condition.
func shown(reqs []hrana.StreamReq) string {
	var parts []string
	for i := range reqs {
		switch r := &reqs[i]; r.Type {
		case hrana.Execute:
			parts = append(parts, r.Stmt.SQL)
		case hrana.GetAutocommit:
			parts = append(parts, "get_autocommit")
		case hrana.Close:
			parts = append(parts, "close")
		case hrana.BatchRequest:
			var steps []string
			for _, s := range r.Batch.Steps {
				text := s.Stmt.SQL
				if s.Cond != nil {
					text += " if " + condition(s.Cond)
				}
				steps = append(steps, text)
			}
			parts = append(parts, "["+strings.Join(steps, "; ")+"]")
		default:
			parts = append(parts, fmt.Sprint("type ", r.Type))
		}
	}
	return strings.Join(parts, " ")
}

func condition(c *hrana.Cond) string {
	switch c.Type {
	case hrana.CondOK:
		return fmt.Sprint("ok ", c.Step)
	case hrana.CondError:
		return fmt.Sprint("error ", c.Step)
	case hrana.CondIsAutocommit:
		return "autocommit"
	case hrana.CondNot:
		return "not " + condition(c.Conds[0])
	case hrana.CondAnd:
		var all []string
		for _, sub := range c.Conds {
			all = append(all, condition(sub))
		}
		return strings.Join(all, " and ")
	}
	return fmt.Sprint("condition ", c.Type)
}

func TestPlanCompile(t *testing.T) {
	for _, c := range []struct {
		name   string
		plan   Plan
		v3, v2 string
	}{
		{"nothing, to keep a stream alive", Plan{}, "", ""},
		{"one statement", Plan{Stmts: stmts("A")}, "A", "A"},
		{"one that closes its stream", Plan{Stmts: stmts("A"), Close: true}, "A close", "A"},
		{"a script", Plan{Stmts: stmts("A", "B"), Undo: true},
			"[A; B if ok 0; ROLLBACK if not ok 1 and not autocommit]",
			"[A; B if ok 0; ROLLBACK if not ok 1]"},
		{"a transaction's first", Plan{Begin: "BEGIN", Stmts: stmts("A"), AskState: true},
			"[BEGIN; A if ok 0] get_autocommit",
			"[BEGIN; A if ok 0] [BEGIN; ROLLBACK if ok 0]"},
		{"a transaction's first script", Plan{Begin: "BEGIN", Stmts: stmts("A", "B")},
			"[BEGIN; A if ok 0; B if ok 1]",
			"[BEGIN; A if ok 0; B if ok 1]"},
		{"a transaction's next", Plan{Guard: true, Stmts: stmts("A"), AskState: true},
			"[A if not autocommit] get_autocommit",
			"[BEGIN; A if error 0; ROLLBACK if ok 0] [BEGIN; ROLLBACK if ok 0]"},
		{"a script in a transaction", Plan{Guard: true, Stmts: stmts("A", "B")},
			"[A if not autocommit; B if not autocommit and ok 0]",
			"[BEGIN; A if error 0; B if error 0 and ok 1; ROLLBACK if ok 0]"},
		{"a script that ends it", Plan{Guard: true, GuardFirst: true, Stmts: stmts("COMMIT", "B")},
			"[COMMIT if not autocommit; B if ok 0]",
			"[BEGIN; COMMIT if error 0; B if ok 1; ROLLBACK if ok 0]"},
		{"commit", Plan{Guard: true, Tail: Commit, AskState: true},
			"[COMMIT if not autocommit; ROLLBACK if error 0 and not autocommit] get_autocommit",
			"[BEGIN; COMMIT if error 0; ROLLBACK if error 1 and error 0; ROLLBACK if ok 0] [BEGIN; ROLLBACK if ok 0]"},
		{"rollback", Plan{Guard: true, Tail: Rollback, Close: true},
			"[ROLLBACK if not autocommit] close",
			"[BEGIN; ROLLBACK if error 0; ROLLBACK if ok 0]"},
		{"a query behind others", Plan{Begin: "BEGIN", Stmts: stmts("A", "B", "Q"), Apart: true, AskState: true},
			"[BEGIN; A if ok 0; B if ok 1] [Q if not autocommit] get_autocommit",
			"[BEGIN; A if ok 0; B if ok 1] [BEGIN; Q if error 0; ROLLBACK if ok 0] [BEGIN; ROLLBACK if ok 0]"},
		{"a query behind others, later", Plan{Guard: true, Stmts: stmts("A", "Q"), Apart: true},
			"[A if not autocommit] [Q if not autocommit]",
			"[BEGIN; A if error 0; ROLLBACK if ok 0] [BEGIN; Q if error 0; ROLLBACK if ok 0]"},
		{"begin at once", Plan{Begin: "BEGIN IMMEDIATE"}, "[BEGIN IMMEDIATE]", "[BEGIN IMMEDIATE]"},
		{"state alone", Plan{AskState: true}, "get_autocommit", "[BEGIN; ROLLBACK if ok 0]"},
		{"reads of several callers", Plan{Stmts: stmts("A", "B"), Shape: Independent},
			"[A; B; ROLLBACK if not autocommit]", "[A; B]"},
		{"the same, each for itself", Plan{Stmts: stmts("A", "B"), Shape: Separate}, "A B", "A B"},
	} {
		for level, want := range map[hranahttp.Level]string{hranahttp.V3JSON: c.v3, hranahttp.V3Protobuf: c.v3, hranahttp.V2JSON: c.v2} {
			compiled := c.plan.compile(level, 0, false)
			if got := shown(compiled.reqs); got != want {
				t.Errorf("%s, %v:\n%s, want\n%s", c.name, level, got, want)
			}
		}
	}
}

// On a stream that is open already the schema may have to be looked at first,
// and once is enough for all statements of a request.
func TestPlanLooksAtSchema(t *testing.T) {
	for _, c := range []struct {
		plan   Plan
		v3, v2 string
	}{
		{Plan{Stmts: stmts("A"), Close: true}, "[LOOK; A] close", "[LOOK; A]"},
		{Plan{Stmts: stmts("A", "B"), Undo: true},
			"[LOOK; A; B if ok 1; ROLLBACK if not ok 2 and not autocommit]", "[LOOK; A; B if ok 1; ROLLBACK if not ok 2]"},
		{Plan{Begin: "BEGIN", Stmts: stmts("A")}, "[BEGIN; LOOK if ok 0; A if ok 0]", "[BEGIN; LOOK if ok 0; A if ok 0]"},
		{Plan{Guard: true, Stmts: stmts("A")},
			"[LOOK if not autocommit; A if not autocommit]",
			"[BEGIN; LOOK if error 0; A if error 0; ROLLBACK if ok 0]"},
		{Plan{Stmts: stmts("A", "B"), Shape: Independent}, "[LOOK; A; B; ROLLBACK if not autocommit]", "[LOOK; A; B]"},
		{Plan{Stmts: stmts("A", "B"), Shape: Separate}, "LOOK A B", "LOOK A B"},
	} {
		for level, want := range map[hranahttp.Level]string{hranahttp.V3JSON: c.v3, hranahttp.V2JSON: c.v2} {
			compiled := c.plan.compile(level, 0, true)
			if got := strings.ReplaceAll(shown(compiled.reqs), lookAtSchema, "LOOK"); got != want {
				t.Errorf("%v:\n%s, want\n%s", level, got, want)
			}
		}
	}
}

// The schema is looked at where a result's columns hang on it, on a stream that
// others have used, and once for each change by this process.
func TestStreamLooksAtSchema(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		var s *Stream
		looks := func(want int64, what string, stmt exec.Stmt) {
			t.Helper()
			before := r.server.Stats().Statements
			stmt.Note = new(exec.Note)
			if _, err := s.Run(context.Background(), exec.Read, &Plan{Stmts: []exec.Stmt{stmt}}); err != nil {
				t.Fatal(err)
			}
			if n := r.server.Stats().Statements - before - 1; n != want {
				t.Errorf("%s: %d looks, want %d", what, n, want)
			}
		}
		star := exec.Stmt{SQL: "SELECT * FROM t", Star: true, WantRows: true}
		named := exec.Stmt{SQL: "SELECT a FROM t", WantRows: true}
		r.pass(IdleLimit + 1)
		s = r.Session()
		looks(0, "on a new stream", star)
		looks(1, "a star", star)
		looks(0, "columns by name", named)
		r.SchemaChanged()
		looks(0, "nobody reads the rows", exec.Stmt{SQL: "SELECT * FROM t", Star: true})
		looks(1, "after a change", named)
		looks(0, "the next", named)
		r.Release(s)
		s = r.Session()
		looks(1, "what somebody else has used", named)
		looks(0, "the next", named)
		s.End()
	})
}

// An answer is a batch's in short: "ok" and "error" for steps that ran, "-" for
// one that was skipped.
func answered(steps ...string) hrana.StreamResult {
	b := &hrana.BatchResult{}
	for _, s := range steps {
		var r *exec.Result
		var e *hrana.Error
		switch s {
		case "ok":
			r = &exec.Result{}
		case "error":
			e = &hrana.Error{Code: "SQLITE_CONSTRAINT", Message: "x"}
		case "timeout":
			e = &hrana.Error{Code: codeTxTimeout, Message: "x"}
		}
		b.Steps, b.Errors = append(b.Steps, r), append(b.Errors, e)
	}
	return hrana.StreamResult{Type: hrana.BatchRequest, Batch: b}
}

func state(autocommit bool) hrana.StreamResult {
	return hrana.StreamResult{Type: hrana.GetAutocommit, IsAutocommit: autocommit}
}

func TestPlanOutcome(t *testing.T) {
	parse := hrana.StreamResult{Type: hrana.BatchRequest, Err: &hrana.Error{Code: "SQL_PARSE_ERROR", Message: "x"}}
	whole := hrana.StreamResult{Type: hrana.BatchRequest, Err: &hrana.Error{Code: codeTooLarge, Message: "x"}}
	next := Plan{Guard: true, Stmts: stmts("A", "B"), AskState: true}
	first := Plan{Begin: "BEGIN", Stmts: stmts("A"), AskState: true}
	commit := Plan{Guard: true, Tail: Commit, AskState: true}
	apart := Plan{Guard: true, Stmts: stmts("A", "Q"), Apart: true, AskState: true}
	for _, c := range []struct {
		name    string
		plan    Plan
		level   hranahttp.Level
		answers []hrana.StreamResult
		refused bool
		state   State
		results string // as answered's words
		tail    string
		proof   exec.Proof // of the first result's error
	}{
		{"next", next, hranahttp.V3JSON, []hrana.StreamResult{answered("ok", "ok"), state(false)}, false, InTransaction, "ok ok", "-", 0},
		{"next, no transaction", next, hranahttp.V3JSON, []hrana.StreamResult{answered("-", "-"), state(true)}, true, Autocommit, "- -", "-", 0},
		{"next, short answer", next, hranahttp.V3Protobuf, []hrana.StreamResult{answered(), state(true)}, true, Autocommit, "- -", "-", 0},
		{"next, fails", next, hranahttp.V3JSON, []hrana.StreamResult{answered("error", "-"), state(false)}, false, InTransaction, "error -", "-", exec.Failed},
		{"next, second fails", next, hranahttp.V3JSON, []hrana.StreamResult{answered("ok", "error"), state(true)}, false, Autocommit, "ok error", "-", 0},
		{"next, cannot be read", next, hranahttp.V3JSON, []hrana.StreamResult{parse, state(false)}, false, InTransaction, "error -", "-", exec.NotExecuted},
		{"next, all lost", next, hranahttp.V3JSON, []hrana.StreamResult{whole, state(false)}, false, InTransaction, "error -", "-", exec.OutcomeUnknown},
		{"next on v2", next, hranahttp.V2JSON, []hrana.StreamResult{answered("error", "ok", "ok", "-"), answered("error", "-")}, false, InTransaction, "ok ok", "-", 0},
		{"next on v2, no transaction", next, hranahttp.V2JSON, []hrana.StreamResult{answered("ok", "-", "-", "ok"), answered("ok", "ok")}, true, Autocommit, "- -", "-", 0},
		{"first", first, hranahttp.V3JSON, []hrana.StreamResult{answered("ok", "ok"), state(false)}, false, InTransaction, "ok", "-", 0},
		{"first, fails", first, hranahttp.V3JSON, []hrana.StreamResult{answered("ok", "error"), state(true)}, false, Autocommit, "error", "-", exec.Failed},
		{"first, begin fails", first, hranahttp.V3JSON, []hrana.StreamResult{answered("error", "-"), state(true)}, false, Autocommit, "-", "-", 0},
		{"commit", commit, hranahttp.V3JSON, []hrana.StreamResult{answered("ok", "-"), state(true)}, false, Autocommit, "", "ok", 0},
		{"commit, no transaction", commit, hranahttp.V3JSON, []hrana.StreamResult{answered("-", "-"), state(true)}, true, Autocommit, "", "-", 0},
		{"commit, fails", commit, hranahttp.V3JSON, []hrana.StreamResult{answered("error", "ok"), state(true)}, false, Autocommit, "", "error", 0},
		{"commit on v2", commit, hranahttp.V2JSON, []hrana.StreamResult{answered("error", "ok", "-", "-"), answered("ok", "ok")}, false, Autocommit, "", "ok", 0},
		{"commit on v2, no transaction", commit, hranahttp.V2JSON, []hrana.StreamResult{answered("ok", "-", "-", "ok"), answered("ok", "ok")}, true, Autocommit, "", "-", 0},
		{"a query behind others", apart, hranahttp.V3JSON, []hrana.StreamResult{answered("ok"), answered("ok"), state(false)}, false, InTransaction, "ok ok", "-", 0},
		{"a query behind others, too large", apart, hranahttp.V3JSON, []hrana.StreamResult{answered("ok"), whole, state(false)}, false, InTransaction, "ok error", "-", 0},
		{"a query behind others, no transaction", apart, hranahttp.V3JSON, []hrana.StreamResult{answered("-"), answered("-"), state(true)}, true, Autocommit, "- -", "-", 0},
		{"a query behind others on v2", apart, hranahttp.V2JSON, []hrana.StreamResult{answered("error", "ok", "-"), answered("error", "ok", "-"), answered("error", "-")}, false, InTransaction, "ok ok", "-", 0},
		{"the state fails", first, hranahttp.V3JSON, []hrana.StreamResult{answered("ok", "ok"), {Type: hrana.GetAutocommit, Err: &hrana.Error{}}}, false, Unknown, "ok", "-", 0},
	} {
		compiled := c.plan.compile(c.level, 0, false)
		if err := compiled.check(c.answers); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		o := c.plan.outcome(&compiled, c.answers)
		var results []string
		for i := range o.Results {
			results = append(results, word(o.Results[i]))
		}
		if got := strings.Join(results, " "); o.Refused != c.refused || o.State != c.state || got != c.results || word(o.Tail) != c.tail {
			t.Errorf("%s: refused %v, state %v, results %s, tail %s", c.name, o.Refused, o.State, got, word(o.Tail))
		}
		if len(o.Results) > 0 && o.Results[0].Err != nil && o.Results[0].Err.Proof != c.proof {
			t.Errorf("%s: the error proves %v", c.name, o.Results[0].Err.Proof)
		}
	}
}

func word(r exec.StmtResult) string {
	switch {
	case r.Err != nil:
		return "error"
	case r.Result != nil:
		return "ok"
	}
	return "-"
}

// An answer of another shape than the request's is never read as if it fitted.
func TestPlanCheck(t *testing.T) {
	plan := Plan{Guard: true, Stmts: stmts("A"), AskState: true}
	compiled := plan.compile(hranahttp.V3JSON, 0, false)
	for name, answers := range map[string][]hrana.StreamResult{
		"none":          nil,
		"too few":       {answered("ok")},
		"too many":      {answered("ok"), state(false), state(false)},
		"swapped":       {state(false), answered("ok")},
		"without batch": {{Type: hrana.BatchRequest}, state(false)},
		"of no type":    {{}, {}},
	} {
		if err := compiled.check(answers); err == nil || !err.StreamLost || err.Proof != exec.OutcomeUnknown {
			t.Errorf("%s: %v", name, err)
		}
	}
}
