package sqltext

import "strconv"

// terms goes through those of ORDER BY or GROUP BY, which may be numbers of
// result columns.
func (m *marker) terms(toks []token, sc *scope, r queryResult, what string) {
	for _, term := range m.termsOf(toks) {
		m.scan(term, sc)
		m.numbered(term, r, what)
	}
}

func (m *marker) termsOf(toks []token) [][]token {
	if len(toks) > 0 && m.is(toks[0], "BY") {
		toks = toks[1:]
	}
	return split(toks)
}

// compoundOrder goes through the ORDER BY of a compound query, whose terms name
// columns of any of its parts. Where a marked column is among them, only what
// certainly names another one is fine.
func (m *marker) compoundOrder(toks []token, whole queryResult) {
	for _, term := range m.termsOf(toks) {
		if len(term) == 0 || m.numbered(term, whole, "ORDER BY") {
			continue
		}
		c, n := m.chain(term)
		fine := n > 0 && !whole.stars && (n == len(term) || anyOf(m.sql, term[n], []string{"ASC", "DESC", "NULLS", "COLLATE"}))
		if fine {
			fine = false
			for _, col := range whole.cols {
				if col.name == c.last() {
					fine = col.label == ""
					break
				}
			}
		}
		if !fine {
			m.misuses(whole.marked(), "ORDER BY may use it")
		}
	}
}

// numbered tells whether a term is a result column's number, and goes after it.
// SQLite takes (2), +2 and 2 COLLATE nocase for one, too.
func (m *marker) numbered(term []token, r queryResult, what string) bool {
	var digits []token
	plain := true
	for i, t := range term {
		switch t.class {
		case number:
			digits = append(digits, t)
		case lparen, rparen:
		case punct:
			plain = plain && m.sql[t.start:t.end] == "+"
		default:
			if !anyOf(m.sql, t, []string{"ASC", "DESC", "NULLS", "FIRST", "LAST", "COLLATE"}) && (i == 0 || !m.is(term[i-1], "COLLATE")) {
				if !anyOf(m.sql, t, []string{"LIKELY", "UNLIKELY", "LIKELIHOOD"}) {
					return false
				}
				plain = false
			}
		}
	}
	if len(digits) == 0 {
		return false
	}
	n, err := strconv.ParseInt(m.sql[digits[0].start:digits[0].end], 10, 32)
	switch {
	case r.stars, !plain, err != nil, len(digits) > 1:
		m.misuses(r.marked(), what+" may use it by its number")
	case n > 0 && n <= int64(len(r.cols)) && r.cols[n-1].label != "":
		m.misuse(r.cols[n-1].label, what+" uses it")
	}
	return true
}

// values goes through VALUES (...), (...).
func (m *marker) values(toks []token, sc *scope, into *destination) (r queryResult) {
	for n, row := range split(toks) {
		if len(row) == 0 || row[0].class != lparen {
			m.scan(row, sc)
			continue
		}
		end := closing(row)
		for i, item := range split(row[1:end]) {
			if into == nil {
				m.scan(item, sc)
				continue
			}
			label := m.place(item, sc, into, i)
			switch {
			case n == 0:
				r.cols = append(r.cols, resultCol{name: "column" + strconv.Itoa(i+1), label: label})
			case i < len(r.cols):
				r.cols[i].label = max(r.cols[i].label, label)
			}
		}
		m.scan(row[min(end+1, len(row)):], sc)
	}
	return r
}

// list goes through the columns of a result.
func (m *marker) list(toks []token, sc *scope, into *destination) queryResult {
	var r queryResult
	for i, item := range split(toks) {
		if len(item) == 0 {
			continue
		}
		if last := item[len(item)-1]; m.sql[last.start:last.end] == "*" && (len(item) == 1 || item[len(item)-2].class == dot) {
			m.starred(item, sc, &r)
			if label := anyLabel(r.star); label != "" && into != nil {
				m.misuse(label, "it may be copied into a column that is not compressed")
			}
			continue
		}
		expr, alias := m.alias(item)
		c := resultCol{name: alias}
		switch {
		case into == nil:
			c.label = m.expr(expr, sc)
		case r.stars:
			c.label = m.place(expr, sc, &destination{any: into.any}, i)
		default:
			c.label = m.place(expr, sc, into, i)
		}
		if alias == "" {
			c.name = m.unnamed(expr)
		}
		r.cols = append(r.cols, c)
	}
	return r
}

// unnamed is the name of a result column that is given none: a column's own, and
// otherwise its text.
func (m *marker) unnamed(expr []token) string {
	if len(expr) == 0 {
		return ""
	}
	inner := m.unwrap(expr)
	if name, n := m.chain(inner); n > 0 && n == len(inner) {
		return name.last()
	}
	return Lower(m.sql[expr[0].start:expr[len(expr)-1].end])
}

// starred adds what * or table.* brings.
func (m *marker) starred(item []token, sc *scope, r *queryResult) {
	r.stars = true
	if r.star == nil {
		r.star = map[string]string{}
	}
	only := ""
	if len(item) > 2 {
		only, _ = m.ident(item[len(item)-3])
	}
	for _, src := range sc.sources {
		if only == "" || only == src.name {
			for name, label := range src.cols {
				r.star[name] = label
			}
		}
	}
}

// alias divides an item of a list into its expression and its name, "" if it has
// none. Without AS a name is believed only behind another name, a parameter or a
// parenthesis.
func (m *marker) alias(item []token) (expr []token, name string) {
	n := len(item)
	if n < 2 || n == 2 && m.is(item[0], "NOT") {
		return item, ""
	}
	name, ok := m.ident(item[n-1])
	if !ok {
		return item, ""
	}
	if m.is(item[n-2], "AS") {
		return item[:n-2], name
	}
	if _, used := m.chain(item); used == n-1 && !anyOf(m.sql, item[n-1], []string{"ISNULL", "NOTNULL"}) {
		return item[:n-1], name
	}
	if c := item[n-2].class; (c == variable && n == 2 || c == rparen) && !anyOf(m.sql, item[n-1], []string{"ISNULL", "NOTNULL", "END"}) {
		return item[:n-1], name
	}
	return item, ""
}
