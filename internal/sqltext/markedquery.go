package sqltext

import "strconv"

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
		part := m.core(toks[:end], sc, into, whole)
		if first {
			whole = part
		} else {
			whole.merge(part)
		}
		if end == len(toks) {
			break
		}
		toks = toks[next:]
	}
	if label := anyLabel(whole.marked()); distinct && label != "" {
		m.misuse(label, "UNION, INTERSECT and EXCEPT compare it")
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

// core goes through one SELECT or VALUES; before is what those give that come
// before it in a compound query, whose names an ORDER BY may use.
func (m *marker) core(toks []token, outer *scope, into *destination, before queryResult) queryResult {
	if len(toks) == 0 {
		return queryResult{}
	}
	sc := &scope{outer: outer, aliases: map[string]string{}}
	if m.is(toks[0], "VALUES") {
		return m.values(toks[1:], sc, into)
	}
	if !m.is(toks[0], "SELECT") {
		m.doubt(toks)
		return queryResult{}
	}
	parts := m.clauses(toks[1:], "FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT")
	m.from(parts["FROM"], sc)
	list := parts[""]
	distinct := false
	if len(list) > 0 && (m.is(list[0], "DISTINCT") || m.is(list[0], "ALL")) {
		distinct = m.is(list[0], "DISTINCT")
		list = list[1:]
	}
	r := m.list(list, sc, into)
	marked := r.marked()
	if label := anyLabel(marked); distinct && label != "" {
		m.misuse(label, "DISTINCT compares it")
	}
	for name, label := range before.marked() {
		sc.aliases[name] = label
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
	m.terms(parts["ORDER"], sc, r, "ORDER BY")
	return r
}

// terms goes through those of ORDER BY or GROUP BY, which may be numbers of
// result columns.
func (m *marker) terms(toks []token, sc *scope, r queryResult, what string) {
	if len(toks) > 0 && m.is(toks[0], "BY") {
		toks = toks[1:]
	}
	for _, term := range split(toks) {
		m.scan(term, sc)
		if len(term) == 0 || term[0].class != number {
			continue
		}
		n, err := strconv.Atoi(m.sql[term[0].start:term[0].end])
		switch {
		case err != nil:
		case r.stars && anyLabel(r.marked()) != "":
			m.misuse(anyLabel(r.marked()), what+" may use it by its number")
		case n > 0 && n <= len(r.cols) && r.cols[n-1].label != "":
			m.misuse(r.cols[n-1].label, what+" uses it")
		}
	}
}

// values goes through VALUES (...), (...).
func (m *marker) values(toks []token, sc *scope, into *destination) queryResult {
	for _, row := range split(toks) {
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
			m.place(item, sc, into, i)
		}
		m.scan(row[min(end+1, len(row)):], sc)
	}
	return queryResult{}
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
		if into != nil {
			d := into
			if r.stars {
				d = &destination{any: into.any}
			}
			r.cols = append(r.cols, resultCol{name: alias, label: m.place(expr, sc, d, i)})
			continue
		}
		c := resultCol{name: alias, label: m.expr(expr, sc)}
		if alias == "" {
			name, n := m.chain(m.unwrap(expr))
			if n == len(m.unwrap(expr)) {
				c.name = name.last()
			}
		}
		r.cols = append(r.cols, c)
	}
	return r
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
