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
// Two things change. A result column without an alias is named after its text,
// literal is part of it now. And an integer that stands alone in ORDER BY or
// GROUP BY is the number of a column there, which a parameter never is.
func (s *Stmt) InlineParam(index int, literal string) string {
	var b strings.Builder
	b.Grow(len(s.SQL) + len(literal) + 16)
	var num numbering
	at := 0
	for _, v := range s.vars {
		b.WriteString(s.SQL[at:v.start])
		at = v.end
		name := s.SQL[v.start:v.end]
		if v.index == index && index > 0 {
			// Blanks on both sides: two minus signs begin a comment, and a digit
			// beside a letter belongs to it.
			b.WriteByte(' ')
			b.WriteString(literal)
			b.WriteByte(' ')
			continue
		}
		if v.index > 0 && num.peek(name) != v.index {
			name = "?" + strconv.Itoa(v.index)
		}
		num.index(name)
		b.WriteString(name)
	}
	b.WriteString(s.SQL[at:])
	return b.String()
}
