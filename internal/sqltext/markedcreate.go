package sqltext

// create goes through a definition.
func (m *marker) create(toks []token) {
	temp := false
	for i := 1; i < len(toks) && i < 5; i++ {
		switch t := toks[i]; {
		case m.is(t, "TEMP"), m.is(t, "TEMPORARY"):
			temp = true
		case m.is(t, "TABLE"):
			if i > 1 && m.is(toks[i-1], "VIRTUAL") {
				m.createVirtual(toks[i+1:])
			} else {
				m.createTable(toks[i+1:])
			}
			return
		case m.is(t, "INDEX"):
			m.createIndex(toks[i+1:], m.is(toks[i-1], "UNIQUE"))
			return
		case m.is(t, "VIEW"):
			m.use.Result = m.createView(toks[i+1:])
			if temp {
				m.misuses(m.use.Result, "a temporary view of it is not found again")
			}
			return
		case m.is(t, "TRIGGER"):
			m.createTrigger(toks[i+1:])
			return
		}
	}
	m.doubt(toks)
}

// afterName skips IF NOT EXISTS and a name, and gives the name.
func (m *marker) afterName(toks []token) (name string, rest []token) {
	if len(toks) > 3 && m.is(toks[0], "IF") && m.is(toks[1], "NOT") && m.is(toks[2], "EXISTS") {
		toks = toks[3:]
	}
	c, n := m.chain(toks)
	return c.last(), toks[n:]
}

// constraints are the words by which a column's definition says more of its values
// than what they are.
var constraints = []string{"CHECK", "UNIQUE", "PRIMARY", "REFERENCES"}

func (m *marker) createTable(toks []token) {
	name, rest := m.afterName(toks)
	if len(rest) > 0 && m.is(rest[0], "AS") {
		m.misuses(m.query(rest[1:], &scope{}, nil).marked(), "it would be copied into a table whose columns are not compressed")
		return
	}
	cols := m.marks[name]
	if len(rest) == 0 || rest[0].class != lparen {
		return
	}
	for _, def := range split(rest[1:closing(rest)]) {
		if len(def) > 0 {
			m.define(def, cols)
		}
	}
}

// define goes through the definition of a column or a constraint.
func (m *marker) define(def []token, cols map[string]string) {
	has := func(words ...string) bool {
		for _, t := range def[1:] {
			if anyOf(m.sql, t, words) {
				return true
			}
		}
		return false
	}
	first, _ := m.ident(def[0])
	if label := cols[first]; label != "" {
		switch {
		case has("GENERATED", "AS"):
			m.misuse(label, "it is computed")
		case has(constraints...):
			m.misuse(label, "it has a constraint")
		}
		return
	}
	// In UNIQUE ('column') a string is a name, in an expression it is none.
	strings := !has("CHECK", "DEFAULT", "GENERATED", "AS") && !m.is(def[0], "CHECK")
	for _, t := range def[1:] {
		n, ok := m.ident(t)
		if !ok || t.class == str && !strings || cols[n] == "" {
			continue
		}
		if computed := has("GENERATED", "AS"); computed {
			m.use.computed = m.use.computed || m.use.Misuse == nil
			m.misuse(cols[n], "another column is computed from it")
		} else {
			m.misuse(cols[n], "a constraint or another column uses it")
		}
	}
}

// createVirtual goes through a virtual table's arguments: full-text search can take
// its text from another table.
func (m *marker) createVirtual(toks []token) {
	_, rest := m.afterName(toks)
	for i, t := range rest {
		name, ok := m.ident(t)
		if ok && i > 0 && m.sql[rest[i-1].start:rest[i-1].end] == "=" {
			m.misuses(m.marks[name], "it would be indexed as it is stored")
		}
	}
}

func (m *marker) createIndex(toks []token, unique bool) {
	_, rest := m.afterName(toks)
	if len(rest) < 2 || !m.is(rest[0], "ON") {
		m.doubt(toks)
		return
	}
	table, _ := m.ident(rest[1])
	cols := m.marks[table]
	depth := 0
	for _, t := range rest[2:] {
		switch t.class {
		case lparen:
			depth++
		case rparen:
			depth--
		}
		if n, ok := m.ident(t); ok && cols[n] != "" {
			m.use.plain = m.use.plain || m.use.Misuse == nil
			m.misuse(cols[n], "an index would hold what is stored")
			m.use.plain = m.use.plain && !unique && depth == 1
		}
	}
}

// createView gives the marked columns of a view.
func (m *marker) createView(toks []token) map[string]string {
	name, rest := m.afterName(toks)
	m.use.View = name
	var names []string
	if len(rest) > 0 && rest[0].class == lparen {
		end := closing(rest)
		for _, n := range split(rest[1:end]) {
			if len(n) > 0 {
				name, _ := m.ident(n[0])
				names = append(names, name)
			}
		}
		rest = rest[min(end+1, len(rest)):]
	}
	if len(rest) == 0 || !m.is(rest[0], "AS") {
		m.doubt(toks)
		return nil
	}
	return m.query(rest[1:], &scope{}, nil).renamed(names)
}

// createTrigger goes through the statements of a trigger, to which the row is a
// table called NEW or OLD.
func (m *marker) createTrigger(toks []token) {
	begin, on, when := 0, 0, 0
	for i, t := range outside(toks) {
		switch {
		case t.class != word || i > 0 && toks[i-1].class == dot:
		case m.is(t, "ON") && on == 0:
			on = i
		case m.is(t, "WHEN") && when == 0:
			when = i
		case m.is(t, "BEGIN"):
			begin = i
		}
		if begin > 0 {
			break
		}
	}
	last := len(toks) - 1
	if on == 0 || begin < on || !m.is(toks[last], "END") {
		m.doubt(toks)
		return
	}
	c, _ := m.chain(toks[on+1:])
	cols := m.marks[c.last()]
	row := &scope{sources: []source{{"new", cols}, {"old", cols}}}
	if when > 0 && when < begin {
		m.scan(toks[when+1:begin], row)
	}
	from := begin + 1
	for i := from; i < last; i++ {
		if toks[i].class == semi {
			m.triggered(toks[from:i], row)
			from = i + 1
		}
	}
	if from < last {
		m.triggered(toks[from:last], row)
	}
}

// triggered goes through one statement of a trigger.
func (m *marker) triggered(toks []token, row *scope) {
	if len(toks) > 0 {
		m.run(toks, &scope{outer: row})
	}
}

// alter goes through an ALTER TABLE. A column that gets another name is another
// one, and so is a table's that does.
func (m *marker) alter(toks []token) {
	m.within(toks, 1, "an expression of the table")
	if len(toks) < 4 || !m.is(toks[1], "TABLE") {
		return
	}
	c, n := m.chain(toks[2:])
	cols, rest := m.marks[c.last()], toks[2+n:]
	if len(rest) < 2 || !m.is(rest[0], "RENAME") {
		return
	}
	if m.is(rest[1], "TO") {
		m.misuses(cols, "it is compressed by its table's name")
		return
	}
	if rest = rest[1:]; len(rest) > 1 && m.is(rest[0], "COLUMN") {
		rest = rest[1:]
	}
	if name, ok := m.ident(rest[0]); ok && cols[name] != "" {
		m.misuse(cols[name], "it is compressed by its name")
	}
}
