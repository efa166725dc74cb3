package sqltext

import "strings"

// A chain is a name with what stands before it: table.column.
type chain []string

func (c chain) last() string {
	if len(c) == 0 {
		return ""
	}
	return c[len(c)-1]
}

// chain reads a name, of n tokens; 0 if there is none.
func (m *marker) chain(toks []token) (c chain, n int) {
	for n < len(toks) {
		name, ok := m.ident(toks[n])
		if !ok {
			break
		}
		c = append(c, name)
		n++
		if n+1 >= len(toks) || toks[n].class != dot {
			return c, n
		}
		if _, ok := m.ident(toks[n+1]); !ok {
			return c, n
		}
		n++
	}
	return c, n
}

// A scope is what names may mean somewhere in a statement.
type scope struct {
	outer   *scope
	sources []source
	aliases map[string]string            // of marked columns of the result
	ctes    map[string]map[string]string // marked columns of common table expressions
}

// A source is a table, or what stands for one, in a FROM.
type source struct {
	name string
	cols map[string]string // the marked ones
}

// marked gives the label of a column, "" if it is not marked. A table that has no
// marked column of the name may lack one altogether: SQLite looks for it in the
// others of the same name and around them then, and so does this.
func (s *scope) marked(c chain) string {
	name := c.last()
	for ; s != nil; s = s.outer {
		if len(c) == 1 {
			if label := labelOf(s.aliases, name); label != "" {
				return label
			}
		}
		for i := range s.sources {
			src := &s.sources[i]
			if len(c) > 1 && src.name != c[len(c)-2] {
				continue
			}
			if label := labelOf(src.cols, name); label != "" {
				return label
			}
		}
	}
	return ""
}

// anyName stands among the marked columns of a query for those whose names are
// not known.
const anyName = "*"

// labelOf is the label of a name among a table's or query's marked columns. Of
// columns with the same name SQLite calls the second one "name:1".
func labelOf(cols map[string]string, name string) string {
	if len(cols) == 0 {
		return ""
	}
	if label := cols[name]; label != "" {
		return label
	}
	if i := strings.LastIndexByte(name, ':'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		if label := cols[name[:i]]; label != "" {
			return label
		}
	}
	return cols[anyName]
}

// table gives the marked columns of what a FROM names. What a WITH defines has no
// schema's name before it.
func (m *marker) table(s *scope, c chain) map[string]string {
	for ; s != nil && len(c) == 1; s = s.outer {
		if cols, ok := s.ctes[c[0]]; ok {
			return cols
		}
	}
	return m.marks[c.last()]
}

// anyLabel is one of the labels, "" if there is none. One of a marked column goes
// before that of a parameter.
func anyLabel(cols map[string]string) string {
	least, way := "", ""
	for _, label := range cols {
		switch {
		case strings.HasPrefix(label, onItsWay):
			way = label
		case least == "" || label < least:
			least = label
		}
	}
	if least == "" {
		return way
	}
	return least
}

// closing is the index of the parenthesis that closes the first token, the
// length if there is none.
func closing(toks []token) int {
	depth := 0
	for i, t := range toks {
		switch t.class {
		case lparen:
			depth++
		case rparen:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(toks)
}

// split divides at the commas outside of parentheses.
func split(toks []token) (parts [][]token) {
	from := 0
	for i, t := range outside(toks) {
		if t.class == comma {
			parts = append(parts, toks[from:i])
			from = i + 1
		}
	}
	return append(parts, toks[from:])
}

// unwrap takes off the parentheses around the whole, unless they make a query of
// it.
func (m *marker) unwrap(toks []token) []token {
	for range maxParens {
		if len(toks) < 3 || toks[0].class != lparen || closing(toks) != len(toks)-1 || m.queries(toks[1]) {
			break
		}
		toks = toks[1 : len(toks)-1]
	}
	return toks
}

// maxParens is how many pairs of parentheses are taken off; SQLite allows no more.
const maxParens = 100

// queries tells whether a query begins with the token.
func (m *marker) queries(t token) bool {
	return anyOf(m.sql, t, []string{"SELECT", "VALUES", "WITH"})
}
