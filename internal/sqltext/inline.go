package sqltext

import (
	"strconv"
	"strings"
)

// InlineParam is the statement with every occurrence of parameter number index
// replaced by literal, which is SQL text of a number or another atom. The other
// parameters keep their numbers: where SQLite would count one differently now,
// it is written as ?N, and has no name then. If index was the largest number,
// the largest is smaller now; numbers in between that nothing uses stay.
//
// The literal is written as ifnull(literal,NULL): a literal alone has a type,
// which columns of a compound SELECT take their affinity from, and an integer
// alone is the number of a column in ORDER BY; a parameter is neither. What
// changes is the name of a result column that is named after its text.
func (s *Stmt) InlineParam(index int, literal string) string {
	var b strings.Builder
	b.Grow(len(s.SQL) + len(literal) + 16)
	var num numbering
	written := 0
	for _, v := range s.vars {
		b.WriteString(s.SQL[written:v.start])
		written = v.end
		name := s.SQL[v.start:v.end]
		if v.index == index && index > 0 {
			// A blank, because ? may follow a word directly: AND?.
			b.WriteString(" ifnull(" + literal + ",NULL)")
			continue
		}
		if v.index > 0 && num.peek(name) != v.index {
			name = "?" + strconv.Itoa(v.index)
		}
		num.index(name)
		b.WriteString(name)
		if traits[at(s.SQL, v.end)]&isDigit != 0 {
			b.WriteByte(' ') // $a(b)1 is an error, which ?21 need not be
		}
	}
	b.WriteString(s.SQL[written:])
	return b.String()
}

// NumberParams is the statement with every parameter written as ?N, so that none
// has a name. A result column without an alias has another name then, if there
// is a parameter in its text.
func (s *Stmt) NumberParams() string {
	var b strings.Builder
	b.Grow(len(s.SQL) + 4*len(s.vars))
	written := 0
	for _, v := range s.vars {
		if v.index == 0 {
			continue
		}
		b.WriteString(s.SQL[written:v.start])
		b.WriteString("?" + strconv.Itoa(v.index))
		if traits[at(s.SQL, v.end)]&isDigit != 0 {
			b.WriteByte(' ')
		}
		written = v.end
	}
	b.WriteString(s.SQL[written:])
	return b.String()
}
