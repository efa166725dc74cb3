package sqltext

import (
	"strconv"
	"strings"
)

// A callSpan is one call of a function of the connection's state in Stmt.SQL.
type callSpan struct {
	start, end int
	fn         connFunc
	// plain: nothing but the name and empty parentheses, where an expression may
	// stand; only then can a literal take its place.
	plain bool
}

type connFunc uint8

const (
	lastInsertRowid connFunc = iota + 1
	changes
	totalChanges
)

func connFuncOf(name string) connFunc {
	switch len(name) {
	case len("changes"):
		if fold(name, "CHANGES") {
			return changes
		}
	case len("total_changes"):
		if fold(name, "TOTAL_CHANGES") {
			return totalChanges
		}
	case len("last_insert_rowid"):
		if fold(name, "LAST_INSERT_ROWID") {
			return lastInsertRowid
		}
	}
	return 0
}

func (s *Stmt) scanCalls(sql string, toks []token) {
	base := toks[0].start
	for i := 0; i+1 < len(toks); i++ {
		t := toks[i]
		if toks[i+1].class != lparen || t.class != word && t.class != quoted {
			continue
		}
		name, _ := identifier(sql, t)
		fn := connFuncOf(name)
		if fn == 0 {
			continue
		}
		s.ConnFuncs = true
		last := i + 2
		if last < len(toks) && sql[toks[last].start:toks[last].end] == "*" {
			last++ // f(*) is f() to SQLite
		}
		if last >= len(toks) || toks[last].class != rparen {
			s.calls = append(s.calls, callSpan{t.start - base, toks[i+1].end - base, fn, false})
			continue
		}
		s.calls = append(s.calls, callSpan{
			start: t.start - base, end: toks[last].end - base, fn: fn,
			plain: i == 0 || !tableFollows(sql, toks[i-1]),
		})
	}
	s.namesCall = s.ConnFuncs && quotedCall(sql, toks)
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

// tableFollows reports whether a name after t is a table's, or part of one.
func tableFollows(sql string, t token) bool {
	if t.class == dot {
		return true
	}
	if t.class != word {
		return false
	}
	for _, kw := range [...]string{"FROM", "JOIN", "IN", "INTO", "UPDATE", "TABLE"} {
		if fold(sql[t.start:t.end], kw) {
			return true
		}
	}
	return false
}

// SubstituteConnState replaces the calls of last_insert_rowid() and changes() by
// the values that rowid and changes point to; a nil pointer leaves that
// function's calls alone. The statement can then run on a connection that does
// not have these values.
//
// SQLite names a result column without an alias after the text of its
// expression: restore gives such a name as it would have been. It is the
// identity on every other name.
//
// It is all or nothing: if one of the calls cannot be replaced, sql is s.SQL.
// That is so in statements that store their text (CREATE VIEW, CREATE TRIGGER)
// or change the value while they run (last_insert_rowid() in an INSERT of
// several rows), and where a quoted identifier may mean the column that the call
// names.
func (s *Stmt) SubstituteConnState(rowid, changes *int64) (sql string, restore func(col string) string) {
	if !s.substitutable(rowid, changes) {
		return s.SQL, identity
	}
	var b strings.Builder
	var names []string // literal and call, in pairs
	at := 0
	for _, c := range s.calls {
		value := valueFor(c.fn, rowid, changes)
		if value == nil {
			continue
		}
		call := s.SQL[c.start:c.end]
		literal := s.literal(&names, call, *value, c.fn)
		b.WriteString(s.SQL[at:c.start])
		b.WriteString(literal)
		at = c.end
	}
	if at == 0 {
		return s.SQL, identity
	}
	b.WriteString(s.SQL[at:])
	return b.String(), strings.NewReplacer(names...).Replace
}

func identity(col string) string { return col }

func valueFor(fn connFunc, rowid, changes *int64) *int64 {
	switch fn {
	case lastInsertRowid:
		return rowid
	case totalChanges:
		return nil
	}
	return changes
}

// literal is the expression for one spelling of a call; the same spelling always
// has the same, so that SQLite still sees that two expressions are equal.
//
// Its form is (0x0..0N|0). A hexadecimal literal is any int64 in two's complement, with as
// many leading zeros as one likes, which makes it a text that does not occur in
// the statement. "|0" keeps it an expression: a bare integer in ORDER BY is the
// number of a column, and a minus before a bare 0x8000000000000000 is an error.
// Like a call, and unlike a CAST, it has no affinity.
func (s *Stmt) literal(names *[]string, call string, value int64, fn connFunc) string {
	for i := 0; i < len(*names); i += 2 {
		if (*names)[i+1] == call {
			return (*names)[i]
		}
	}
	digits := strconv.FormatUint(uint64(value), 16)
	zeros := "0000"
	for {
		lit := "(0x" + zeros + digits + "|0)"
		if !strings.Contains(s.SQL, lit) && !taken(*names, lit) {
			*names = append(*names, lit, call)
			return lit
		}
		zeros += "0"
	}
}

func taken(names []string, lit string) bool {
	for i := 0; i < len(names); i += 2 {
		if names[i] == lit {
			return true
		}
	}
	return false
}

func (s *Stmt) substitutable(rowid, changes *int64) bool {
	switch s.Kind {
	case Select, Values, Insert, Replace, Update, Delete:
	default:
		return false
	}
	for _, c := range s.calls {
		if valueFor(c.fn, rowid, changes) == nil {
			continue
		}
		if !c.plain || c.fn == lastInsertRowid && !s.fixedRowid {
			return false
		}
	}
	return !s.namesCall
}
