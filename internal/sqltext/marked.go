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
	// Result are the marked columns among those that a query gives, by name, and
	// View is the name of the view that gives them from now on, if one is made.
	Result map[string]string
	View   string

	computed bool     // the Misuse is a computed column's, which reading would show
	plain    bool     // the Misuse is an index's that only holds the column
	writes   []string // the tables that are written to
}

// MarkedUse analyses how the statement uses marked columns. order gives the
// columns of a table in the order of an INSERT without a list, nil if it is not
// known. What it does not understand it takes for a misuse.
func (s *Stmt) MarkedUse(marks Marks, order func(table string) []string) *MarkedUse {
	m := &marker{sql: s.SQL, marks: marks, order: order, landed: map[int]string{}, seen: map[string]bool{}, use: &MarkedUse{}}
	toks := s.tokens()
	if !m.mentions(toks) {
		return m.use
	}
	m.statement(toks)
	m.settle(s)
	return m.use
}

func (s *Stmt) tokens() []token {
	sc := scanner{sql: s.SQL, nul: strings.IndexByte(s.SQL, 0)}
	toks, _ := sc.statement(nil)
	return toks
}

// A marker goes through one statement.
type marker struct {
	sql    string
	marks  Marks
	order  func(string) []string
	use    *MarkedUse
	depth  int             // of queries within each other
	read   int             // queries so far
	landed map[int]string  // by where the parameter stands in the text
	seen   map[string]bool // columns of which a parameter's value is looked at on its way
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
		if m.seen[label] {
			misses = append(misses, Miss{label, MissExpression})
			label = ""
		}
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

// misuse is for a use that would see what is stored. If it is a parameter's that
// would land, its value is stored as it is instead.
func (m *marker) misuse(label, why string) {
	if column, landing := strings.CutPrefix(label, onItsWay); landing {
		m.seen[column] = true
	} else if m.use.Misuse == nil {
		m.use.Misuse = &Misuse{label, why}
	}
}

// misuses is misuse of all of a table's or query's columns.
func (m *marker) misuses(cols map[string]string, why string) {
	if label := anyLabel(cols); label != "" {
		m.misuse(label, why)
	}
	for _, label := range cols {
		if strings.HasPrefix(label, onItsWay) {
			m.misuse(label, why)
		}
	}
}

// onItsWay is before the label of a query's column that is a parameter on its way
// to a marked column. It sorts before every label of a column.
const onItsWay = "\x00"

func (m *marker) miss(label, why string) { m.use.Misses = append(m.use.Misses, Miss{label, why}) }

// ident is the name in lower case that a token may be.
func (m *marker) ident(t token) (string, bool) {
	name, ok := identifier(m.sql, t)
	return Lower(name), ok
}

func (m *marker) is(t token, keyword string) bool { return isWord(m.sql, t, keyword) }

// Lower is a name in lower case, as SQLite compares names: letters beyond ASCII stay.
func Lower(s string) string {
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
	if !m.is(toks[0], "EXPLAIN") { // that is not run
		m.run(toks, &scope{})
	}
}

func (m *marker) run(toks []token, sc *scope) {
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
		m.alter(toks)
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
