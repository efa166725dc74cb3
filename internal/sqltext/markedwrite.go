package sqltext

import "slices"

// target reads the table that a statement writes to.
func (m *marker) target(toks []token, sc *scope) (table string, rest []token) {
	for len(toks) > 1 && m.is(toks[0], "OR") {
		toks = toks[2:]
	}
	for len(toks) > 0 && (m.is(toks[0], "INTO") || m.is(toks[0], "FROM")) {
		toks = toks[1:]
	}
	c, n := m.chain(toks)
	table, rest = c.last(), toks[n:]
	m.use.writes = append(m.use.writes, table)
	name := table
	if len(rest) > 1 && m.is(rest[0], "AS") {
		name, _ = m.ident(rest[1])
		rest = rest[2:]
	}
	for len(rest) > 0 && anyOf(m.sql, rest[0], []string{"NOT", "INDEXED"}) {
		if m.is(rest[0], "INDEXED") && len(rest) > 2 && m.is(rest[1], "BY") {
			rest = rest[2:]
		}
		rest = rest[1:]
	}
	sc.sources = append(sc.sources, source{name, m.marks[table]})
	return table, rest
}

func (m *marker) insert(toks []token, sc *scope) {
	table, rest := m.target(toks[1:], sc)
	cols := m.marks[table]
	sc.sources = append(sc.sources, source{"excluded", cols})
	into := &destination{known: true, any: anyLabel(cols)}
	if len(rest) > 0 && rest[0].class == lparen && !(len(rest) > 1 && m.queries(rest[1])) {
		end := closing(rest)
		for _, c := range split(rest[1:end]) {
			name, _ := m.chain(c)
			into.labels = append(into.labels, cols[name.last()])
		}
		rest = rest[min(end+1, len(rest)):]
	} else if cols != nil {
		m.use.Tables = append(m.use.Tables, table)
		names := m.order(table)
		into.known = len(names) > 0
		for _, n := range names {
			into.labels = append(into.labels, cols[Lower(n)])
		}
	}
	body, upserts, returning := m.insertParts(rest)
	if len(body) > 0 && !m.is(body[0], "DEFAULT") {
		m.query(body, &scope{outer: sc.outer, ctes: sc.ctes}, into)
	}
	for _, u := range upserts {
		// The word is put before it, so that a clause that comes first is found.
		parts := m.clauses(append([]token{toks[0]}, u...), "DO")
		m.scan(parts[""], sc)
		if do := parts["DO"]; len(do) > 1 && m.is(do[0], "UPDATE") {
			set := m.clauses(do, "SET", "WHERE")
			m.assign(set["SET"], sc, cols)
			m.scan(set["WHERE"], sc)
		}
	}
	m.use.Result = m.list(returning, sc, nil).marked()
}

// insertParts divides what follows the columns of an INSERT.
func (m *marker) insertParts(toks []token) (body []token, upserts [][]token, returning []token) {
	from := 0
	var parts [][]token
	cut := func(i int) {
		parts = append(parts, toks[from:i])
		from = i
	}
	for i, t := range outside(toks) {
		if t.class != word || i == 0 || toks[i-1].class == dot {
			continue
		}
		if m.is(t, "ON") && i+1 < len(toks) && m.is(toks[i+1], "CONFLICT") || m.is(t, "RETURNING") {
			cut(i)
		}
	}
	cut(len(toks))
	for i, p := range parts {
		switch {
		case i == 0:
			body = p
		case m.is(p[0], "RETURNING"):
			returning = p[1:]
		default:
			upserts = append(upserts, p[2:])
		}
	}
	return body, upserts, returning
}

func (m *marker) update(toks []token, sc *scope) {
	table, rest := m.target(toks[1:], sc)
	if len(rest) == 0 || !m.is(rest[0], "SET") {
		m.doubt(toks)
		return
	}
	parts := m.clauses(rest[1:], "FROM", "WHERE", "RETURNING", "ORDER", "LIMIT")
	m.from(parts["FROM"], sc)
	m.assign(parts[""], sc, m.marks[table])
	m.scan(parts["WHERE"], sc)
	m.scan(parts["ORDER"], sc)
	m.scan(parts["LIMIT"], sc)
	m.use.Result = m.list(parts["RETURNING"], sc, nil).marked()
}

func (m *marker) delete(toks []token, sc *scope) {
	_, rest := m.target(toks[1:], sc)
	parts := m.clauses(append([]token{toks[0]}, rest...), "WHERE", "RETURNING", "ORDER", "LIMIT")
	m.scan(parts["WHERE"], sc)
	m.scan(parts["ORDER"], sc)
	m.scan(parts["LIMIT"], sc)
	m.use.Result = m.list(parts["RETURNING"], sc, nil).marked()
}

// assign goes through the assignments of a SET.
func (m *marker) assign(toks []token, sc *scope, cols map[string]string) {
	for _, a := range split(toks) {
		if len(a) == 0 {
			continue
		}
		into := &destination{known: true, any: anyLabel(cols)}
		rest := a
		several := a[0].class == lparen
		if several {
			end := closing(a)
			for _, c := range split(a[1:end]) {
				name, _ := m.chain(c)
				into.labels = append(into.labels, cols[name.last()])
			}
			rest = a[min(end+1, len(a)):]
		} else {
			name, n := m.chain(a)
			into.labels = []string{cols[name.last()]}
			rest = a[n:]
		}
		if len(rest) < 2 || m.sql[rest[0].start:rest[0].end] != "=" {
			m.doubt(a)
			continue
		}
		value := rest[1:]
		switch {
		case !several:
			m.place(value, sc, into, 0)
		case value[0].class == lparen && len(value) > 1 && m.queries(value[1]):
			m.query(value[1:closing(value)], sc, into)
		case value[0].class == lparen:
			for i, item := range split(value[1:closing(value)]) {
				m.place(item, sc, into, i)
			}
		default:
			m.doubt(a)
		}
	}
}

// place goes through a value that is stored in a column, and gives the label of
// the marked column that it comes from unchanged, or of the one that it, a
// parameter, is on its way to, and "" if it is neither.
func (m *marker) place(value []token, sc *scope, into *destination, i int) (from string) {
	value = m.unwrap(value)
	label, ok := into.at(i)
	if len(value) == 1 && value[0].class == variable {
		switch {
		case !ok:
			m.miss(into.any, MissUnknown)
		case label != "":
			m.landed[value[0].start] = label
			return onItsWay + label
		}
		return ""
	}
	from = m.expr(value, sc)
	switch {
	case from != "" && (label == "" || !ok):
		m.misuse(from, "it would be copied into a column that is not compressed")
	case from != "" && slices.ContainsFunc(value, func(t token) bool { return t.class == variable }):
		m.miss(label, MissExpression)
	case from != "", label == "", len(value) == 0:
	case len(value) == 1 && (value[0].class == str || value[0].class == blob):
		m.miss(label, MissLiteral)
	case len(value) == 1 && (value[0].class == number || m.is(value[0], "NULL") || m.is(value[0], "DEFAULT")):
	default:
		m.miss(label, MissExpression)
	}
	return from
}
