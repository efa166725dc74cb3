package sqltext

import (
	"strings"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A head reads a statement's tokens from the front.
type head struct {
	sql  string
	toks []token
}

// peek is the class of the first token, end if there is none.
func (h *head) peek() class {
	if len(h.toks) == 0 {
		return end
	}
	return h.toks[0].class
}

// text is the first token's.
func (h *head) text() string {
	if len(h.toks) == 0 {
		return ""
	}
	return h.sql[h.toks[0].start:h.toks[0].end]
}

func (h *head) skip() { h.toks = h.toks[1:] }

// is reports whether the first token is a keyword.
func (h *head) is(keyword string) bool {
	return h.peek() == word && fold(h.text(), keyword)
}

// accept skips a keyword and reports whether it was there.
func (h *head) accept(keyword string) bool {
	if h.is(keyword) {
		h.skip()
		return true
	}
	return false
}

// name skips an identifier and reports whether it was there.
func (h *head) name() bool {
	switch h.peek() {
	case word, quoted, str:
		h.skip()
		return true
	}
	return false
}

// parens skips what stands in a pair of parentheses, with them.
func (h *head) parens() bool {
	if h.peek() != lparen {
		return false
	}
	depth := 0
	for len(h.toks) > 0 {
		c := h.peek()
		h.skip()
		switch c {
		case lparen:
			depth++
		case rparen:
			if depth--; depth == 0 {
				return true
			}
		}
	}
	return false
}

// with skips the common table expressions after WITH.
func (h *head) with() bool {
	h.accept("RECURSIVE")
	for {
		if !h.name() {
			return false
		}
		if h.peek() == lparen && !h.parens() {
			return false
		}
		if !h.accept("AS") {
			return false
		}
		h.accept("NOT")
		h.accept("MATERIALIZED")
		if !h.parens() {
			return false
		}
		if h.peek() != comma {
			return true
		}
		h.skip()
	}
}

// analyse makes a Stmt of one statement's tokens, of which there is one at
// least.
func analyse(sql string, toks []token) Stmt {
	s := Stmt{
		SQL:  sql[toks[0].start:toks[len(toks)-1].end],
		Note: new(exec.Note),
	}
	s.scanVars(sql, toks)
	s.scanCalls(sql, toks)
	h := head{sql: sql, toks: toks}
	s.classify(&h)
	if toks[len(toks)-1].class == illegal && strings.IndexByte(s.SQL, 0) >= 0 {
		// What a server makes of a NUL byte and of what follows it is not known.
		s.Kind, s.ReadOnly, s.Stateful = Unknown, false, true
	}
	return s
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
		s.ReadOnly = readingPragma(h)
		s.Stateful = !s.ReadOnly
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
	case Pragma, Unknown, Explain:
		s.ReadOnly = inner.Kind == Pragma && inner.ReadOnly
		s.Stateful = !s.ReadOnly
	default:
		s.ReadOnly = true
	}
}

func (s *Stmt) beginMode(h *head) {
	for _, mode := range [...]string{"deferred", "immediate", "exclusive", "concurrent", "readonly"} {
		if h.peek() == word && strings.EqualFold(h.text(), mode) {
			s.BeginMode = mode
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
		if id, ok := identifier(h.sql, h.toks[0]); ok && strings.EqualFold(id, "temp") && h.toks[1].class == dot {
			return true
		}
		h.skip()
	}
	return false
}

// find reports whether a keyword stands outside of parentheses.
func (h *head) find(keyword string) bool {
	depth := 0
	for i, t := range h.toks {
		switch t.class {
		case lparen:
			depth++
		case rparen:
			depth--
		case word:
			if depth == 0 && t.end-t.start == len(keyword) && (i == 0 || h.toks[i-1].class != dot) &&
				fold(h.sql[t.start:t.end], keyword) {
				return true
			}
		}
	}
	return false
}

// insert decides what an INSERT does to last_insert_rowid(). It sets it for
// certain if it inserts listed values and no clause lets it do nothing.
func (s *Stmt) insert(h *head, withed bool) {
	s.Returning = h.find("RETURNING")
	s.Rowid = exec.RowidAlways
	if withed {
		s.Rowid = exec.RowidMaybe
	}
	if h.accept("OR") {
		if h.is("IGNORE") {
			s.Rowid = exec.RowidMaybe
		}
		h.name()
	}
	h.accept("INTO")
	h.name()
	if h.peek() == dot {
		h.skip()
		h.name()
	}
	if h.accept("AS") {
		h.name()
	}
	h.parens()
	switch {
	case h.accept("DEFAULT"):
		if !h.accept("VALUES") {
			s.Rowid = exec.RowidMaybe
		}
		s.fixedRowid = !s.Returning
		return
	case h.accept("VALUES"):
		h.parens()
		// Nothing or RETURNING may follow a single row that is surely inserted.
		s.fixedRowid = len(h.toks) == 0
	default:
		s.Rowid, s.fixedRowid = exec.RowidMaybe, false
		return
	}
	for h.peek() == comma {
		h.skip()
		if !h.parens() {
			break
		}
	}
	if len(h.toks) > 0 && !h.is("RETURNING") {
		s.Rowid = exec.RowidMaybe
	}
}
