package sqltext

import (
	"strings"
	"unicode/utf8"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// analyse makes a Stmt of one statement's tokens, of which there is one at
// least.
func analyse(sql string, toks []token) Stmt {
	s := Stmt{
		SQL:  sql[toks[0].start:toks[len(toks)-1].end],
		Note: new(exec.Note),
	}
	s.Invalid = !utf8.ValidString(s.SQL)
	s.scanVars(sql, toks)
	acts := s.scanCalls(sql, toks)
	s.Star = star(sql, toks)
	h := head{sql: sql, toks: toks}
	s.classify(&h)
	if acts && s.Kind != Explain {
		s.ReadOnly, s.Stateful = false, true
	}
	if toks[len(toks)-1].class == illegal && strings.IndexByte(s.SQL, 0) >= 0 {
		// What a server makes of a NUL byte and of what follows it is not known.
		s.Kind, s.ReadOnly, s.Stateful = Unknown, false, true
	}
	return s
}

// star reports whether a * stands where a column may: it is not the one of a
// product or of count(*).
func star(sql string, toks []token) bool {
	for i, t := range toks {
		if i == 0 || t.end-t.start != 1 || sql[t.start] != '*' {
			continue
		}
		switch before := toks[i-1]; before.class {
		case comma, dot:
			return true
		case word:
			switch w := sql[before.start:before.end]; {
			case fold(w, "SELECT"), fold(w, "DISTINCT"), fold(w, "ALL"), fold(w, "RETURNING"):
				return true
			}
		}
	}
	return false
}

func (s *Stmt) classify(h *head) {
	withed := h.accept("WITH")
	if withed && !h.with() || h.peek() != word {
		s.Stateful = true
		return
	}
	s.Kind = verb(h.text())
	h.skip()
	if withed {
		switch s.Kind {
		case Select, Values, Insert, Replace, Update, Delete:
		default:
			s.Kind = Unknown
		}
	}
	s.fixedRowid = true
	switch s.Kind {
	case Select, Values:
		s.ReadOnly = true
	case Insert, Replace:
		s.insert(h, withed)
	case Update, Delete:
		s.Returning = h.find("RETURNING")
	case Explain:
		s.explain(h)
	case Pragma:
		s.ReadOnly, s.Stateful = pragma(h)
	case Begin:
		s.beginMode(h)
		s.Stateful = true
	case Rollback:
		if h.accept("TRANSACTION") && !h.is("TO") {
			h.name()
		}
		if h.is("TO") {
			s.Kind = RollbackTo
		}
		s.Stateful = true
	case Commit, Savepoint, Release, Attach, Detach, Unknown:
		s.Stateful = true
	case Create:
		s.Stateful = temporary(h)
	}
}

// explain decides about what is explained. It is not run, but some PRAGMAs do
// their work while they are compiled.
func (s *Stmt) explain(h *head) {
	if h.accept("QUERY") && !h.accept("PLAN") {
		s.Stateful = true
		return
	}
	var inner Stmt
	inner.classify(h)
	switch inner.Kind {
	case Pragma:
		s.ReadOnly, s.Stateful = inner.ReadOnly, inner.Stateful
	case Unknown, Explain:
		s.Stateful = true
	case Create:
		// To compile one of a temporary object opens the temporary database.
		s.ReadOnly, s.Stateful = !inner.Stateful, inner.Stateful
	default:
		s.ReadOnly = true
	}
}

// beginModes are the words that may follow BEGIN.
var beginModes = [...]struct{ keyword, mode string }{
	{"DEFERRED", "deferred"}, {"IMMEDIATE", "immediate"}, {"EXCLUSIVE", "exclusive"},
	{"CONCURRENT", "concurrent"}, {"READONLY", "readonly"}, // libSQL's own
}

func (s *Stmt) beginMode(h *head) {
	for _, m := range beginModes {
		if h.is(m.keyword) {
			s.BeginMode = m.mode
		}
	}
}

// temporary reports whether a CREATE makes an object that only its connection
// sees.
func temporary(h *head) bool {
	if h.is("TEMP") || h.is("TEMPORARY") {
		return true
	}
	for len(h.toks) > 1 && h.peek() != lparen {
		if id, ok := identifier(h.sql, h.toks[0]); ok && fold(id, "TEMP") && h.toks[1].class == dot {
			return true
		}
		h.skip()
	}
	return false
}
