package sqltext

import "strconv"

// MaxVariable is SQLite's own bound of a parameter number; a text with a larger
// one is refused by the server, and must not make us allocate.
const MaxVariable = 32766

// A variableSpan is one occurrence of a parameter in Stmt.SQL.
type variableSpan struct {
	start, end int
	index      int // SQLite's number; 0 if the text is not valid
}

// A numbering gives parameters their numbers as SQLite does: a bare ? takes the
// number after the largest so far, ?N is number N, and a name that has occurred
// keeps its number, a new one takes the number after the largest.
type numbering struct {
	largest int
	// names is a list while they are few: bulk statements have thousands.
	few  []namedVariable
	many map[string]int
}

type namedVariable struct {
	name  string
	index int
}

// peek is the number that a parameter has if it occurs next, 0 if SQLite allows
// none.
func (n *numbering) peek(name string) int {
	if len(name) > 1 && name[0] == '?' {
		i, err := strconv.Atoi(name[1:])
		if err != nil || i < 1 || i > MaxVariable {
			return 0
		}
		return i
	}
	if name != "?" {
		if i := n.known(name); i > 0 {
			return i
		}
	}
	if n.largest == MaxVariable {
		return 0
	}
	return n.largest + 1
}

// index is the number of a parameter that occurs now, 0 if SQLite allows none.
func (n *numbering) index(name string) int {
	i := n.peek(name)
	if i > n.largest {
		n.largest = i
		if name[0] != '?' {
			n.add(name)
		}
	}
	return i
}

func (n *numbering) known(name string) int {
	if n.many != nil {
		return n.many[name]
	}
	for _, v := range n.few {
		if v.name == name {
			return v.index
		}
	}
	return 0
}

// first reports whether it is asked about a name for the first time; it is for
// spellings of ?N, which index never looks up.
func (n *numbering) first(name string) bool {
	if n.known(name) > 0 {
		return false
	}
	n.add(name)
	return true
}

func (n *numbering) add(name string) {
	if n.many != nil {
		n.many[name] = n.largest
		return
	}
	n.few = append(n.few, namedVariable{name, n.largest})
	if len(n.few) > 32 {
		n.many = make(map[string]int, 64)
		for _, v := range n.few {
			n.many[v.name] = v.index
		}
	}
}

// scanVars finds and numbers the parameters.
func (s *Stmt) scanVars(sql string, toks []token) {
	n := 0
	for _, t := range toks {
		if t.class == variable {
			n++
		}
	}
	if n == 0 {
		return
	}
	var num numbering
	s.vars = make([]variableSpan, 0, n)
	s.Params = make([]Param, 0, n)
	base := toks[0].start
	for _, t := range toks {
		if t.class == variable {
			name := sql[t.start:t.end]
			v := variableSpan{t.start - base, t.end - base, num.index(name)}
			s.param(&num, name, v.index)
			s.vars = append(s.vars, v)
		}
	}
}

// param notes one occurrence of parameter number index.
func (s *Stmt) param(num *numbering, name string, index int) {
	numbered := len(name) > 1 && name[0] == '?'
	if index == 0 {
		if s.NoNumber == "" {
			s.NoNumber = name
		}
		if name == "?" || numbered {
			s.spread++
		}
		return
	}
	for len(s.Params) < index {
		s.Params = append(s.Params, Param{Index: len(s.Params) + 1})
	}
	p := &s.Params[index-1]
	// ?1 and ?01 are one parameter to SQLite and two to libsql-client-go.
	if name == "?" || numbered && (!p.Used || p.Name != name && num.first(name)) {
		s.spread++
	}
	// The first name stays: ?1 after :a is :a.
	if p.Name == "" && name != "?" {
		p.Name = name
	}
	p.Used = true
}

// Spread is how many positional arguments libsql-client-go takes for this
// statement of a script from those that the statements before it have left: one
// for each bare ? and one for each distinct ?N.
func (s *Stmt) Spread() int { return s.spread }
