package sqltext

// A nameFinder goes along with a text's tokens and tells where "quoted" can be
// nothing but a name. SQLite may take it for a string wherever one may stand and
// no column has that name.
type nameFinder struct {
	last, before token
	list         columnList
	// assigning: within SET a = 1, "b" = 2; depth is that of parentheses since.
	assigning bool
	depth     int
}

// A columnList is how far the list in INSERT INTO t (a, b) has been read.
type columnList uint8

const (
	noList columnList = iota
	listTable
	listParen
	listColumns
)

// nameFollows are the words after which comes a name and never a value. FROM and
// INTO have a second meaning, in IS DISTINCT FROM and VACUUM INTO.
var nameFollows = [...]string{
	"JOIN", "UPDATE", "TABLE", "AS", "SET", "INDEX", "VIEW", "TRIGGER", "EXISTS",
	"REFERENCES", "COLUMN", "TO", "ADD", "DROP", "SAVEPOINT", "RELEASE", "CONSTRAINT",
}

// intoFollows are the words before the INTO of an INSERT.
var intoFollows = [...]string{"INSERT", "REPLACE", "IGNORE", "ABORT", "FAIL", "ROLLBACK"}

// assignmentsEnd are the words that end what SET has begun.
var assignmentsEnd = [...]string{"WHERE", "FROM", "RETURNING", "ORDER", "LIMIT", "SELECT"}

// next reports whether t, with following behind it, is certainly a name.
func (f *nameFinder) next(sql string, t, following token) bool {
	name := f.last.class == dot || following.class == dot || following.class == lparen ||
		f.list == listColumns || anyOf(sql, f.last, nameFollows[:]) ||
		fromTable(sql, f.before, f.last) || intoTable(sql, f.before, f.last) ||
		f.assigning && f.depth == 0 && f.last.class == comma && sql[following.start:following.end] == "="
	f.assignments(sql, t)
	f.columns(sql, t)
	f.before, f.last = f.last, t
	return name
}

func fromTable(sql string, before, t token) bool {
	return isWord(sql, t, "FROM") && !isWord(sql, before, "DISTINCT")
}

func intoTable(sql string, before, t token) bool {
	return isWord(sql, t, "INTO") && anyOf(sql, before, intoFollows[:])
}

func (f *nameFinder) assignments(sql string, t token) {
	switch t.class {
	case lparen:
		f.depth++
	case rparen:
		f.depth--
	case semi:
		f.assigning = false
	case word:
		if isWord(sql, t, "SET") {
			f.assigning, f.depth = true, 0
		} else if f.depth == 0 && anyOf(sql, t, assignmentsEnd[:]) {
			f.assigning = false
		}
	}
}

func (f *nameFinder) columns(sql string, t token) {
	switch {
	case intoTable(sql, f.last, t):
		f.list = listTable
	case f.list == listTable && (t.class == word || t.class == quoted):
		f.list = listParen
	case f.list == listParen && (t.class == dot || isWord(sql, t, "AS")):
		f.list = listTable
	case f.list == listParen && t.class == lparen:
		f.list = listColumns
	case f.list == listColumns && (t.class == word || t.class == quoted || t.class == comma):
	default:
		f.list = noList
	}
}

func isWord(sql string, t token, upper string) bool {
	return t.class == word && fold(sql[t.start:t.end], upper)
}

func anyOf(sql string, t token, words []string) bool {
	if t.class != word {
		return false
	}
	for _, w := range words {
		if fold(sql[t.start:t.end], w) {
			return true
		}
	}
	return false
}
