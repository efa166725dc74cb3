package sqltext

// A resultCol is a column that a query gives; label is "" if it is not marked.
type resultCol struct{ name, label string }

// A result is what is known of a query's columns.
type queryResult struct {
	cols []resultCol
	// star are the marked columns that a * brings, whose places are not known.
	star  map[string]string
	stars bool // there is a *
}

// marked are the marked columns by name.
func (r queryResult) marked() map[string]string {
	all := map[string]string{}
	for name, label := range r.star {
		all[name] = label
	}
	for _, c := range r.cols {
		if c.label != "" {
			all[c.name] = c.label
		}
	}
	return all
}

// renamed are the marked columns by the names that a list gives them.
func (r queryResult) renamed(names []string) map[string]string {
	if len(names) == 0 {
		return r.marked()
	}
	all := map[string]string{}
	for i, name := range names {
		switch {
		case r.stars && anyLabel(r.marked()) != "":
			all[name] = anyLabel(r.marked())
		case i < len(r.cols) && r.cols[i].label != "":
			all[name] = r.cols[i].label
		}
	}
	return all
}

// merge adds what another part of a compound query gives in the same places.
func (r *queryResult) merge(other queryResult) {
	if label := anyLabel(other.marked()); label != "" && (r.stars || other.stars) {
		if r.star == nil {
			r.star = map[string]string{}
		}
		for name, l := range other.marked() {
			r.star[name] = l
		}
		if r.stars { // its columns have the names, and these are not known
			r.star[anyName] = label
		}
		for i := range r.cols {
			r.cols[i].label = label
		}
	}
	r.stars = r.stars || other.stars
	for i := range r.cols {
		if i < len(other.cols) && r.cols[i].label == "" {
			r.cols[i].label = other.cols[i].label
		}
	}
}

// A destination is the columns that a query's result is stored in.
type destination struct {
	labels []string // by place, "" for columns that are not marked
	known  bool
	any    string // one of the table's marked columns; "" if it has none
}

// at is the label of a place; ok is false where that is not known.
func (d *destination) at(i int) (label string, ok bool) {
	if !d.known {
		return "", d.any == ""
	}
	if i < len(d.labels) {
		return d.labels[i], true
	}
	return "", true
}

// with reads a WITH clause, whose tables go into the scope, and gives what
// follows. Its tables may be recursive, so each is gone through until nothing
// new is marked.
func (m *marker) with(toks []token, sc *scope) (rest []token, ok bool) {
	if len(toks) == 0 || !m.is(toks[0], "WITH") {
		return toks, true
	}
	toks = toks[1:]
	if len(toks) > 0 && m.is(toks[0], "RECURSIVE") {
		toks = toks[1:]
	}
	sc.ctes = map[string]map[string]string{}
	for len(toks) > 0 {
		name, ok := m.ident(toks[0])
		if !ok {
			return nil, false
		}
		toks = toks[1:]
		var names []string
		if len(toks) > 0 && toks[0].class == lparen {
			end := closing(toks)
			for _, n := range split(toks[1:end]) {
				if len(n) > 0 {
					column, _ := m.ident(n[0])
					names = append(names, column)
				}
			}
			toks = toks[min(end+1, len(toks)):]
		}
		for len(toks) > 0 && anyOf(m.sql, toks[0], []string{"AS", "NOT", "MATERIALIZED"}) {
			toks = toks[1:]
		}
		if len(toks) == 0 || toks[0].class != lparen {
			return nil, false
		}
		end := closing(toks)
		sc.ctes[name] = map[string]string{}
		for before := -1; len(sc.ctes[name]) > before; {
			before = len(sc.ctes[name])
			sc.ctes[name] = m.query(toks[1:end], sc, nil).renamed(names)
		}
		toks = toks[min(end+1, len(toks)):]
		if len(toks) == 0 || toks[0].class != comma {
			return toks, true
		}
		toks = toks[1:]
	}
	return nil, false
}

const (
	// maxDepth is how many queries within each other are followed: SQLite's parser
	// gives up before.
	maxDepth = 100
	// maxQueries bounds the work: those in common table expressions are read twice,
	// and so are those within them.
	maxQueries = 10000
)

// query goes through a SELECT or VALUES, which may be a compound one.
func (m *marker) query(toks []token, outer *scope, into *destination) queryResult {
	sc := &scope{outer: outer}
	m.depth++
	if m.read++; m.depth > maxDepth || m.read > maxQueries {
		m.doubt(toks)
		m.depth--
		return queryResult{}
	}
	defer func() { m.depth-- }()
	toks, ok := m.with(toks, sc)
	if !ok || len(toks) == 0 {
		m.doubt(toks)
		return queryResult{}
	}
	var whole queryResult
	distinct := false
	for first := true; ; first = false {
		end, next := len(toks), len(toks)
		for i, t := range outside(toks) {
			if t.class != word || i == 0 || toks[i-1].class == dot || !anyOf(m.sql, t, []string{"UNION", "INTERSECT", "EXCEPT"}) {
				continue
			}
			end, next = i, i+1
			if next < len(toks) && m.is(toks[next], "ALL") {
				next++
			} else {
				distinct = true
			}
			break
		}
		part, order := m.core(toks[:end], sc, into, first)
		if first {
			whole = part
		} else {
			whole.merge(part)
			m.compoundOrder(order, whole)
		}
		if end == len(toks) {
			break
		}
		toks = toks[next:]
	}
	if distinct {
		m.misuses(whole.marked(), "UNION, INTERSECT and EXCEPT compare it")
	}
	return whole
}

// clauses divides a query at its clauses' words, by which the parts are named;
// what comes first has the name "".
func (m *marker) clauses(toks []token, words ...string) map[string][]token {
	parts := map[string][]token{}
	from, name := 0, ""
	for i, t := range outside(toks) {
		if t.class != word || i == 0 || toks[i-1].class == dot || i > 1 && m.is(t, "FROM") && m.is(toks[i-1], "DISTINCT") {
			continue
		}
		for _, w := range words {
			if m.is(t, w) {
				parts[name] = append(parts[name], toks[from:i]...)
				from, name = i+1, w
			}
		}
	}
	parts[name] = append(parts[name], toks[from:]...)
	return parts
}

// core goes through one SELECT or VALUES. In a compound query the ORDER BY behind
// the last one is that of the whole, and is given back unless alone.
func (m *marker) core(toks []token, outer *scope, into *destination, alone bool) (r queryResult, order []token) {
	if len(toks) == 0 {
		return r, nil
	}
	sc := &scope{outer: outer, aliases: map[string]string{}}
	if m.is(toks[0], "VALUES") {
		parts := m.clauses(toks, "ORDER", "LIMIT")
		m.scan(parts["LIMIT"], sc)
		return m.values(parts[""][1:], sc, into), parts["ORDER"]
	}
	if !m.is(toks[0], "SELECT") {
		m.doubt(toks)
		return r, nil
	}
	parts := m.clauses(toks[1:], "FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT")
	m.from(parts["FROM"], sc)
	list := parts[""]
	distinct := false
	if len(list) > 0 && (m.is(list[0], "DISTINCT") || m.is(list[0], "ALL")) {
		distinct = m.is(list[0], "DISTINCT")
		list = list[1:]
	}
	r = m.list(list, sc, into)
	if distinct {
		m.misuses(r.marked(), "DISTINCT compares it")
	}
	for _, c := range r.cols {
		if c.label != "" {
			sc.aliases[c.name] = c.label
		}
	}
	for _, name := range []string{"WHERE", "HAVING", "WINDOW", "LIMIT"} {
		m.scan(parts[name], sc)
	}
	m.terms(parts["GROUP"], sc, r, "GROUP BY")
	if !alone {
		return r, parts["ORDER"]
	}
	m.terms(parts["ORDER"], sc, r, "ORDER BY")
	return r, nil
}
