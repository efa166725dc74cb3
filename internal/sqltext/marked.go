package sqltext

import "strings"

// Marks name columns whose values are not what SQL would see: by table, then by
// column, both in lower case, the name that a message gives the column.
type Marks map[string]map[string]string

// A Landing is a parameter whose value is stored in a marked column, wherever the
// statement uses it.
type Landing struct {
	Param  int // SQLite's number
	Column string
}

// A Miss is a marked column that gets what is not certainly a parameter.
type Miss struct{ Column, Why string }

// Why a value that lands in a marked column is not a parameter's.
const (
	MissLiteral    = "written in the SQL text"
	MissExpression = "computed by SQL"
	MissShared     = "the parameter is used elsewhere too"
	MissUnknown    = "the table's columns are not known"
)

// A Misuse is a use of a marked column that would see what is stored.
type Misuse struct{ Column, Why string }

// MarkedUse is what a statement does with marked columns.
type MarkedUse struct {
	Lands  []Landing
	Misses []Miss
	// Misuse is the first use that is, or may be, more than to store or to give
	// the column's value; nil if there is none.
	Misuse *Misuse
	// Tables are the marked tables whose order of columns was asked for.
	Tables []string
	// Result are the marked columns among those that a query gives, by name.
	Result map[string]string
}

// MarkedUse analyses how the statement uses marked columns. order gives the
// columns of a table in the order of an INSERT without a list, nil if it is not
// known. What it does not understand it takes for a misuse.
func (s *Stmt) MarkedUse(marks Marks, order func(table string) []string) *MarkedUse {
	m := &marker{sql: s.SQL, marks: marks, order: order, landed: map[int]string{}, use: &MarkedUse{}}
	sc := scanner{sql: s.SQL, nul: strings.IndexByte(s.SQL, 0)}
	toks, _ := sc.statement(nil)
	if !m.mentions(toks) {
		return m.use
	}
	m.statement(toks)
	m.settle(s)
	return m.use
}

// A marker goes through one statement.
type marker struct {
	sql    string
	marks  Marks
	order  func(string) []string
	use    *MarkedUse
	depth  int            // of queries within each other
	read   int            // queries so far
	landed map[int]string // by where the parameter stands in the text
}

// mentions tells whether a marked table may be in the statement at all.
func (m *marker) mentions(toks []token) bool {
	for _, t := range toks {
		if name, ok := m.ident(t); ok && m.marks[name] != nil {
			return true
		}
	}
	return false
}

// settle decides which parameters land: those that do so wherever they stand.
func (m *marker) settle(s *Stmt) {
	where := map[int]string{} // by number; "" if it does not land everywhere
	var misses []Miss
	for _, v := range s.vars {
		label, before := m.landed[v.start], ""
		seen := false
		if before, seen = where[v.index]; seen && (before == "") != (label == "") {
			misses = append(misses, Miss{before + label, MissShared})
			where[v.index] = ""
		} else if !seen {
			where[v.index] = label
		}
	}
	for i := range s.Params {
		if label := where[i+1]; label != "" {
			m.use.Lands = append(m.use.Lands, Landing{i + 1, label})
		}
	}
	m.use.Misses = append(m.use.Misses, misses...)
}

func (m *marker) misuse(label, why string) {
	if m.use.Misuse == nil {
		m.use.Misuse = &Misuse{label, why}
	}
}

func (m *marker) miss(label, why string) { m.use.Misses = append(m.use.Misses, Miss{label, why}) }

// ident is the name in lower case that a token may be.
func (m *marker) ident(t token) (string, bool) {
	name, ok := identifier(m.sql, t)
	return lower(name), ok
}

func (m *marker) is(t token, keyword string) bool { return isWord(m.sql, t, keyword) }

func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// statement goes through a whole statement.
func (m *marker) statement(toks []token) {
	sc := &scope{}
	if m.is(toks[0], "EXPLAIN") {
		return // it is not run
	}
	var ok bool
	if toks, ok = m.with(toks, sc); !ok || len(toks) == 0 {
		m.doubt(toks)
		return
	}
	switch verb(m.sql[toks[0].start:toks[0].end]) {
	case Select, Values:
		m.use.Result = m.query(toks, sc, nil).marked()
	case Insert, Replace:
		m.insert(toks, sc)
	case Update:
		m.update(toks, sc)
	case Delete:
		m.delete(toks, sc)
	case Create:
		m.create(toks)
	case Alter:
		m.within(toks, 1, "an expression of the table")
	case Drop, Pragma, Reindex, Analyze, Vacuum, Begin, Commit, Rollback, Savepoint, Release, Attach, Detach:
	default:
		m.doubt(toks)
	}
}

// doubt is for what is not understood: every marked name is taken for a misuse.
func (m *marker) doubt(toks []token) { m.within(toks, 0, "the statement is not understood") }

// within takes every name of a marked column for a misuse that stands in so many
// parentheses at least.
func (m *marker) within(toks []token, depth int, why string) {
	d := 0
	for _, t := range toks {
		switch t.class {
		case lparen:
			d++
		case rparen:
			d--
		case word, quoted:
			if d >= depth {
				m.named(t, why)
			}
		}
	}
}

// named takes a token for a misuse if it is a marked column's name.
func (m *marker) named(t token, why string) {
	name, _ := m.ident(t)
	for _, cols := range m.marks {
		if label := cols[name]; label != "" {
			m.misuse(label, why)
		}
	}
}

// create goes through a definition.
func (m *marker) create(toks []token) {
	for i := 1; i < len(toks) && i < 5; i++ {
		switch t := toks[i]; {
		case m.is(t, "TABLE"):
			m.createTable(toks[i+1:])
			return
		case m.is(t, "INDEX"):
			m.createIndex(toks[i+1:])
			return
		case m.is(t, "VIEW"):
			m.use.Result = m.createView(toks[i+1:])
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

func (m *marker) createTable(toks []token) {
	name, rest := m.afterName(toks)
	if len(rest) > 0 && m.is(rest[0], "AS") {
		for _, label := range m.query(rest[1:], &scope{}, nil).marked() {
			m.misuse(label, "it would be copied into a table whose columns are not compressed")
		}
		return
	}
	cols := m.marks[name]
	if len(rest) == 0 || rest[0].class != lparen {
		return
	}
	for _, def := range split(rest[1:closing(rest)]) {
		if len(def) == 0 {
			continue
		}
		first, _ := m.ident(def[0])
		if label := cols[first]; label != "" {
			for _, t := range def[1:] {
				if anyOf(m.sql, t, []string{"CHECK", "UNIQUE", "PRIMARY", "GENERATED", "AS"}) {
					m.misuse(label, "it has a constraint, or is computed")
				}
			}
			continue
		}
		for _, t := range def[1:] {
			if n, ok := m.ident(t); ok && t.class != str && cols[n] != "" {
				m.misuse(cols[n], "a constraint or another column uses it")
			}
		}
	}
}

func (m *marker) createIndex(toks []token) {
	_, rest := m.afterName(toks)
	if len(rest) < 2 || !m.is(rest[0], "ON") {
		m.doubt(toks)
		return
	}
	table, _ := m.ident(rest[1])
	for _, t := range rest[2:] {
		if n, ok := m.ident(t); ok && m.marks[table][n] != "" {
			m.misuse(m.marks[table][n], "an index would hold what is stored")
		}
	}
}

// createView gives the marked columns of a view.
func (m *marker) createView(toks []token) map[string]string {
	_, rest := m.afterName(toks)
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

func (m *marker) createTrigger(toks []token) {
	for i, t := range toks {
		if m.is(t, "BEGIN") {
			m.within(toks[i:], 0, "a trigger uses it")
			return
		}
		if m.is(t, "WHEN") {
			m.within(toks[i:], 0, "a trigger uses it")
			return
		}
	}
	m.doubt(toks)
}

// Names gives the first of the tables that may be named in the statement, "" if
// none is.
func (s *Stmt) Names(tables Marks) string {
	if len(tables) == 0 {
		return ""
	}
	m := &marker{sql: s.SQL}
	sc := scanner{sql: s.SQL, nul: strings.IndexByte(s.SQL, 0)}
	toks, _ := sc.statement(nil)
	for _, t := range toks {
		if name, ok := m.ident(t); ok && tables[name] != nil {
			return name
		}
	}
	return ""
}
