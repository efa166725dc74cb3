package sqltext

// joinWords are those between the tables of a FROM.
var joinWords = []string{"JOIN", "NATURAL", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "OUTER"}

// from reads the tables of a FROM into the scope, and then goes through the
// conditions of its joins.
func (m *marker) from(toks []token, sc *scope) {
	var conditions [][]token
	var using [][]token
	natural := false
	m.tables(toks, sc, &conditions, &using, &natural)
	for _, c := range conditions {
		m.scan(c, sc)
	}
	for _, s := range sc.sources {
		for _, list := range using {
			for _, t := range list {
				if name, ok := m.ident(t); ok && labelOf(s.cols, name) != "" {
					m.misuse(labelOf(s.cols, name), "USING compares it")
				}
			}
		}
		if natural {
			m.misuses(s.cols, "NATURAL JOIN may compare it")
		}
	}
}

func (m *marker) tables(toks []token, sc *scope, conditions, using *[][]token, natural *bool) {
	for len(toks) > 0 {
		t := toks[0]
		switch {
		case t.class == comma:
			toks = toks[1:]
		case anyOf(m.sql, t, joinWords) && !(len(toks) > 1 && toks[1].class == dot):
			*natural = *natural || m.is(t, "NATURAL")
			toks = toks[1:]
		case m.is(t, "ON"):
			n := m.condition(toks[1:])
			*conditions = append(*conditions, toks[1:1+n])
			toks = toks[1+n:]
		case m.is(t, "USING") && len(toks) > 1 && toks[1].class == lparen:
			end := closing(toks[1:]) + 1
			*using = append(*using, toks[2:min(end, len(toks))])
			toks = toks[min(end+1, len(toks)):]
		case t.class == lparen:
			end := closing(toks)
			if len(toks) > 1 && m.queries(toks[1]) {
				cols := m.query(toks[1:end], sc, nil).marked()
				name, n := m.tableAlias(toks[min(end+1, len(toks)):])
				sc.sources = append(sc.sources, source{name, cols})
				toks = toks[min(end+1+n, len(toks)):]
				continue
			}
			inner := len(sc.sources)
			m.tables(toks[1:end], sc, conditions, using, natural)
			toks = toks[min(end+1, len(toks)):]
			name, n := m.tableAlias(toks)
			if toks = toks[n:]; name != "" {
				all := map[string]string{}
				for _, src := range sc.sources[inner:] {
					for column, label := range src.cols {
						all[column] = label
					}
				}
				sc.sources = append(sc.sources, source{name, all})
			}
		default:
			name, n := m.chain(toks)
			if n == 0 {
				m.doubt(toks)
				return
			}
			toks = toks[n:]
			cols := m.table(sc, name)
			if len(toks) > 0 && toks[0].class == lparen {
				end := closing(toks) // the arguments of a function
				*conditions = append(*conditions, toks[1:end])
				toks, cols = toks[min(end+1, len(toks)):], nil
			}
			alias, n := m.tableAlias(toks)
			if toks = toks[n:]; alias == "" {
				alias = name.last()
			}
			sc.sources = append(sc.sources, source{alias, cols})
			for len(toks) > 0 && anyOf(m.sql, toks[0], []string{"NOT", "INDEXED", "BY"}) {
				if m.is(toks[0], "BY") && len(toks) > 1 {
					toks = toks[1:]
				}
				toks = toks[1:]
			}
		}
	}
}

// condition is how many tokens of an ON belong to its expression.
func (m *marker) condition(toks []token) int {
	for i, t := range outside(toks) {
		switch t.class {
		case comma:
			return i
		case word:
			function := i+1 < len(toks) && toks[i+1].class == lparen && !m.is(t, "JOIN")
			if !function && (i == 0 || toks[i-1].class != dot) && anyOf(m.sql, t, joinWords) {
				return i
			}
		}
	}
	return len(toks)
}

// tableAlias reads the name that a table is given, "" if there is none.
func (m *marker) tableAlias(toks []token) (name string, n int) {
	if len(toks) > 1 && m.is(toks[0], "AS") {
		name, _ = m.ident(toks[1])
		return name, 2
	}
	if len(toks) == 0 || anyOf(m.sql, toks[0], joinWords) || anyOf(m.sql, toks[0], []string{"ON", "USING", "NOT", "INDEXED", "SET", "WHERE"}) {
		return "", 0
	}
	if name, ok := m.ident(toks[0]); ok {
		return name, 1
	}
	return "", 0
}

// expr goes through an expression and gives the label of the marked column whose
// value it is, unchanged; "" if it is none.
func (m *marker) expr(toks []token, sc *scope) string {
	toks = m.unwrap(toks)
	if len(toks) == 0 {
		return ""
	}
	if c, n := m.chain(toks); n == len(toks) {
		return sc.marked(c)
	}
	if label, ok := m.passes(toks, sc); ok {
		return label
	}
	if toks[0].class == lparen && closing(toks) == len(toks)-1 {
		r := m.query(toks[1:len(toks)-1], sc, nil)
		return anyLabel(r.marked())
	}
	m.scan(toks, sc)
	return ""
}

// scan goes through an expression in which no marked column's value may be used.
// That it is NULL, and how often it is not, is the same for what is stored.
func (m *marker) scan(toks []token, sc *scope) {
	for i := 0; i < len(toks); {
		t := toks[i]
		switch {
		case t.class == lparen && i+1 < len(toks) && m.queries(toks[i+1]):
			end := i + closing(toks[i:])
			r := m.query(toks[i+1:end], sc, nil)
			if label := anyLabel(r.marked()); label != "" && (i == 0 || !m.is(toks[i-1], "EXISTS")) {
				m.misuse(label, "an expression uses it")
			}
			i = end + 1
		case t.class == word, t.class == quoted, t.class == str && m.names(toks, i):
			i += m.scanName(toks, i, sc)
		default:
			i++
		}
	}
}

// names tells whether a string stands where SQLite takes it for a name.
func (m *marker) names(toks []token, i int) bool {
	return i+1 < len(toks) && toks[i+1].class == dot || i > 0 && (toks[i-1].class == dot || m.is(toks[i-1], "IN"))
}

// scanName goes through an expression from the name at i on, and gives how many
// tokens it has seen.
func (m *marker) scanName(all []token, i int, sc *scope) int {
	toks := all[i:]
	if n := m.counts(toks); n > 0 {
		return n
	}
	c, n := m.chain(toks)
	rest := toks[n:]
	if len(rest) > 0 && rest[0].class == lparen {
		return n
	}
	if i > 0 && m.is(all[i-1], "IN") {
		m.misuses(m.table(sc, c), "IN compares it")
	}
	label := sc.marked(c)
	if label == "" {
		return n
	}
	word := func(i int, w string) bool { return i < len(rest) && m.is(rest[i], w) }
	switch {
	case !m.begins(all, i):
		m.misuse(label, "an expression uses it")
	case word(0, "ISNULL"), word(0, "NOTNULL"), word(0, "IS") && word(1, "NULL"),
		word(0, "NOT") && word(1, "NULL"), word(0, "IS") && word(1, "NOT") && word(2, "NULL"):
	default:
		m.misuse(label, "an expression uses it")
	}
	return n
}

// begins tells whether an operand begins at i that no operator before it can take
// from an IS NULL behind it: 1 / column IS NULL depends on the column's value.
func (m *marker) begins(toks []token, i int) bool {
	return i == 0 || toks[i-1].class == lparen || toks[i-1].class == comma || anyOf(m.sql, toks[i-1], operandFollows)
}

var operandFollows = []string{"AND", "OR", "NOT", "CASE", "WHEN", "THEN", "ELSE", "WHERE", "BY"}

// counts is the length of count(column), 0 if it is not that.
func (m *marker) counts(toks []token) int {
	if len(toks) < 4 || !m.is(toks[0], "COUNT") || toks[1].class != lparen {
		return 0
	}
	_, n := m.chain(toks[2:])
	if n == 0 || 2+n >= len(toks) || toks[2+n].class != rparen {
		return 0
	}
	return n + 3
}
