package sqltext

import "maps"

// A Definition is a row of sqlite_master.
type Definition struct{ Kind, Name, Table, SQL string }

// A Breach is a definition that would see what is stored in a marked column.
type Breach struct {
	Kind, Name string
	Misuse
}

func (b *Breach) String() string { return b.Kind + " " + b.Name + " uses it (" + b.Why + ")" }

// A MarkedSchema is what a database's definitions make of marked columns. It is
// not changed any more, and may be shared.
type MarkedSchema struct {
	// Marks are those that it was made of, and the views that give them.
	Marks Marks
	// Breaches are in the order of the definitions.
	Breaches []*Breach

	// reading and writing are by the names of the tables and views that nobody can
	// read, or write to, without one.
	reading, writing map[string]*Breach
}

// Schema looks at definitions: of the marked tables and their indexes, of all views
// and triggers, of virtual tables, and of tables that refer to others.
func (marks Marks) Schema(definitions []Definition) *MarkedSchema {
	s := &MarkedSchema{Marks: Marks{}, reading: map[string]*Breach{}, writing: map[string]*Breach{}}
	for table, cols := range marks {
		s.Marks[table] = cols
	}
	var all []*definition
	for _, d := range definitions {
		if t := Parse(d.SQL); len(t.Stmts) == 1 {
			all = append(all, &definition{Definition: d, stmt: &t.Stmts[0], name: Lower(d.Name), table: Lower(d.Table)})
		}
	}
	s.readViews(all)
	for _, d := range all {
		d.use = d.stmt.MarkedUse(s.Marks, unknownOrder)
		if d.use.Misuse == nil {
			continue
		}
		b := &Breach{d.Kind, d.Name, *d.use.Misuse}
		s.Breaches = append(s.Breaches, b)
		switch {
		case d.Kind == "view":
			s.reading[d.name] = b
		case d.Kind == "table" && s.Marks[d.name] == nil: // a virtual one, or it refers to a marked one
			s.reading[d.name], s.writing[d.name] = b, b
		case d.Kind == "table":
			s.writing[d.name] = b
			if d.use.computed {
				s.reading[d.name] = b
			}
		case d.Kind == "trigger", d.Kind == "index" && !d.use.plain:
			s.writing[d.table] = b
		}
	}
	for spread := true; spread; {
		spread = false
		for _, d := range all {
			spread = s.spread(d) || spread
		}
	}
	return s
}

// A definition is one while a schema is read.
type definition struct {
	Definition
	name, table string // in lower case
	stmt        *Stmt
	use         *MarkedUse
}

func unknownOrder(string) []string { return nil }

// readViews finds the views that give marked columns, also through others, which
// may come in any order.
func (s *MarkedSchema) readViews(all []*definition) {
	for range all {
		changed := false
		for _, d := range all {
			if d.Kind != "view" {
				continue
			}
			if r := d.stmt.MarkedUse(s.Marks, unknownOrder).Result; len(r) > len(s.Marks[d.name]) {
				s.Marks[d.name], changed = r, true
			}
		}
		if !changed {
			return
		}
	}
}

// spread hands a breach on: to a view of what cannot be read, to a table whose
// trigger reads or writes what cannot be, and to one whose changes go on to such.
func (s *MarkedSchema) spread(d *definition) bool {
	by := s.named(d.stmt, s.reading, d.name)
	switch d.Kind {
	case "view":
		return hand(s.reading, d.name, by)
	case "trigger":
		if by == nil {
			for _, table := range s.written(d.stmt) {
				if by = s.writing[table]; by != nil {
					break
				}
			}
		}
		return hand(s.writing, d.table, by)
	case "table":
		if by := s.writing[d.name]; by != nil {
			handed := false
			for _, parent := range cascades(d.stmt) {
				handed = hand(s.writing, parent, by) || handed
			}
			return handed
		}
	}
	return false
}

// hand notes a breach for a table or view that has none; it reports whether that is new.
func hand(to map[string]*Breach, name string, b *Breach) bool {
	if b == nil || to[name] != nil {
		return false
	}
	to[name] = b
	return true
}

// named is the breach of the first name of a statement that has one, but for its own.
func (s *MarkedSchema) named(st *Stmt, breaches map[string]*Breach, own string) *Breach {
	if len(breaches) == 0 {
		return nil
	}
	for _, t := range st.tokens() {
		if name, ok := identifier(st.SQL, t); ok && Lower(name) != own && breaches[Lower(name)] != nil {
			return breaches[Lower(name)]
		}
	}
	return nil
}

// written are the tables that a trigger's statements write to.
func (s *MarkedSchema) written(st *Stmt) []string {
	m := &marker{sql: st.SQL, marks: s.Marks, order: unknownOrder, landed: map[int]string{}, seen: map[string]bool{}, use: &MarkedUse{}}
	m.statement(st.tokens())
	return m.use.writes
}

// cascades are the tables whose changes go on to the one that is defined.
func cascades(st *Stmt) (parents []string) {
	toks := st.tokens()
	goesOn := false
	for i, t := range toks {
		goesOn = goesOn || anyOf(st.SQL, t, []string{"CASCADE", "SET"})
		if i > 0 && isWord(st.SQL, toks[i-1], "REFERENCES") {
			if name, ok := identifier(st.SQL, t); ok {
				parents = append(parents, Lower(name))
			}
		}
	}
	if !goesOn {
		return nil
	}
	return parents
}

// With is the schema with one view more.
func (s *MarkedSchema) With(view string, cols map[string]string) *MarkedSchema {
	more := *s
	more.Marks = maps.Clone(s.Marks)
	more.Marks[view] = cols
	return &more
}

// Use is what a statement does with marked columns, also by what it names.
func (s *MarkedSchema) Use(st *Stmt, order func(table string) []string) *MarkedUse {
	u := st.MarkedUse(s.Marks, order)
	if u.Misuse != nil || len(s.Breaches) == 0 {
		return u
	}
	var b *Breach
	switch st.Kind {
	case Insert, Replace, Update, Delete, Unknown:
		if b = s.named(st, s.writing, ""); b == nil {
			b = s.named(st, s.reading, "")
		}
	case Select, Values, Create:
		b = s.named(st, s.reading, "")
	}
	if b != nil {
		u.Misuse = &Misuse{b.Column, b.String()}
	}
	return u
}
