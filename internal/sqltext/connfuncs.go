package sqltext

import "strings"

// A callSpan is one call of a function of the connection's state in Stmt.SQL.
type callSpan struct {
	start, end int
	fn         connFunc
	// plain: nothing but the name and empty parentheses; only then is it known
	// where the call ends.
	plain bool
}

type connFunc uint8

const (
	lastInsertRowid connFunc = iota + 1
	changes
	totalChanges
)

var connFuncNames = [...]string{
	lastInsertRowid: "last_insert_rowid", changes: "changes", totalChanges: "total_changes",
}

func (fn connFunc) String() string { return connFuncNames[fn] }

// connFuncOf is the function of that name, 0 if it is none of these.
func connFuncOf(name string) connFunc {
	for fn := lastInsertRowid; fn <= totalChanges; fn++ {
		if sameName(name, connFuncNames[fn]) {
			return fn
		}
	}
	return 0
}

// actingFuncs are the functions that a SELECT may call and that do something:
// they load code, run SQL, or write to a full-text index. eval and define are
// those of the sqlean extensions.
var actingFuncs = [...]string{
	"LOAD_EXTENSION", "FTS3_TOKENIZER", "OPTIMIZE", "EVAL", "DEFINE", "UNDEFINE",
}

// scanCalls finds the calls of functions of the connection's state, and reports
// whether there is one of a function that does something.
func (s *Stmt) scanCalls(sql string, toks []token) (acts bool) {
	for i, t := range toks {
		if t.class != word && t.class != quoted && t.class != str {
			continue
		}
		called := t.class != str && i+1 < len(toks) && toks[i+1].class == lparen
		// PRAGMAs that return something can be read like tables, and this one
		// works then, too. A table's name may be a string.
		if !called && t.end-t.start < len("pragma_optimize") {
			continue
		}
		name, _ := identifier(sql, t)
		if fold(name, "PRAGMA_OPTIMIZE") {
			acts = true
		}
		if !called {
			continue
		}
		for _, f := range actingFuncs {
			acts = acts || fold(name, f)
		}
		if fn := connFuncOf(name); fn != 0 {
			s.call(sql, toks, i, fn)
		}
	}
	s.namesCall = s.ConnFuncs && quotedCall(sql, toks)
	return acts
}

// quotedCall reports whether a quoted identifier may be the name of a column
// that SQLite has named after a call: SELECT "changes()" FROM (SELECT changes()).
func quotedCall(sql string, toks []token) bool {
	for _, t := range toks {
		if t.class == quoted && strings.Contains(sql[t.start:t.end], "(") {
			return true
		}
	}
	return false
}

// call notes the call of fn by the name toks[i], if it is one. These functions
// take no arguments: where there are some, the name is that of a table with its
// columns, as in INSERT INTO changes(a, b).
func (s *Stmt) call(sql string, toks []token, i int, fn connFunc) {
	base, last := toks[0].start, i+2
	if last < len(toks) && sql[toks[last].start:toks[last].end] == "*" {
		last++ // f(*) is f() to SQLite
	}
	if last >= len(toks) {
		return
	}
	h := head{sql: sql, toks: toks[last:]}
	plain := h.peek() == rparen
	// No arguments either: f(ALL), f(DISTINCT), f(ORDER BY ...).
	if !plain && !h.is("ALL") && !h.is("DISTINCT") && !h.is("ORDER") {
		return
	}
	s.ConnFuncs = true
	s.calls = append(s.calls, callSpan{toks[i].start - base, toks[last].end - base, fn, plain})
}
