package sqltext

import (
	"strconv"
	"strings"
)

// SubstituteConnState replaces the calls of last_insert_rowid() and changes() by
// the values that rowid and changes point to; a nil pointer leaves that
// function's calls alone, and those of total_changes() always stay. The
// statement can then run on a connection that does not have these values.
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
	var subs substitutions
	at := 0
	for _, c := range s.calls {
		value := valueFor(c.fn, rowid, changes)
		if value == nil {
			continue
		}
		expr, ok := subs.expr(s.SQL, s.SQL[c.start:c.end], c.fn, *value)
		if !ok {
			return s.SQL, identity
		}
		b.WriteString(s.SQL[at:c.start])
		b.WriteString(expr)
		at = c.end
	}
	if at == 0 {
		return s.SQL, identity
	}
	b.WriteString(s.SQL[at:])
	return b.String(), subs.restorer()
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

// A substitution is an expression that stands for one spelling of a call.
type substitution struct {
	call, expr string
	// variant counts the spellings that differ in case alone, from 0.
	variant int
}

// substitutions are those of one statement, one for each spelling, so that a
// column's name tells how the call in it was written.
//
// An expression is IFNULL(0xN, f()) in letters of either case, with N the value
// in two's complement and f the function, whose value is not asked for. To SQLite
// it is what it replaces, a call without affinity that is no constant: it stands
// wherever that may stand and is worked out when that is. A literal is a column's
// number in ORDER BY, gives columns of a compound SELECT a type, is worked out
// beforehand and then an error where the call was never made, and 0x8000000000000000
// is an error after a minus sign.
//
// What SQLite takes to be equal stays equal. Two spellings give the same
// expression but for blanks and case, so that ORDER BY still finds its column in
// a UNION. Column names are compared without regard to case: where two calls
// differ in case alone, so do their expressions.
type substitutions []substitution

const (
	substituteName = "ifnull"
	// maxVariants is how many ways there are to write the name.
	maxVariants = 1 << len(substituteName)
)

// expr is the expression for a call that sql holds, and false if there are too
// many spellings.
func (subs *substitutions) expr(sql, call string, fn connFunc, value int64) (string, bool) {
	twin := -1
	for i, s := range *subs {
		if s.call == call {
			return s.expr, true
		}
		if sameName(s.call, call) {
			twin = i
		}
	}
	if len(*subs) == maxVariants {
		return "", false
	}
	s := substitution{call: call}
	if twin >= 0 {
		s.variant = (*subs)[twin].variant + 1
		s.expr = varied((*subs)[twin].expr, s.variant)
	} else {
		s.expr = subs.unused(sql, call, fn, value)
	}
	*subs = append(*subs, s)
	return s.expr, true
}

// unused is an expression that occurs neither in sql nor among the others: there
// are as many blanks in it as that takes.
func (subs *substitutions) unused(sql, call string, fn connFunc, value int64) string {
	name := substituteName
	// Quoted as the call's is, which may stand beside a word: SELECT[changes]().
	switch call[0] {
	case '"', '`':
		name = call[:1] + name + call[:1]
	case '[':
		name = "[" + name + "]"
	}
	front := name + "(0x" + strconv.FormatUint(uint64(value), 16) + ","
	back := fn.String() + "())"
	lower := strings.ToLower(sql)
	for blanks := " "; ; blanks += " " {
		expr := front + blanks + back
		if !strings.Contains(lower, expr) && !subs.has(expr) {
			return expr
		}
	}
}

func (subs *substitutions) has(expr string) bool {
	for _, s := range *subs {
		if s.variant == 0 && s.expr == expr {
			return true
		}
	}
	return false
}

// varied is an expression with those letters of its name in capitals whose bits
// are set.
func varied(expr string, variant int) string {
	varied := []byte(expr)
	first := strings.Index(strings.ToLower(expr), substituteName)
	for i := range substituteName {
		c := &varied[first+i]
		*c |= 'a' - 'A'
		if variant>>i&1 != 0 {
			*c -= 'a' - 'A'
		}
	}
	return string(varied)
}

// restorer turns the expressions in a text back into the calls.
func (subs *substitutions) restorer() func(string) string {
	pairs := make([]string, 0, 2*len(*subs))
	for _, s := range *subs {
		pairs = append(pairs, s.expr, s.call)
	}
	return strings.NewReplacer(pairs...).Replace
}
