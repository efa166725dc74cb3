package shadow

// The search for a Key reads the program. A rowid table has one cursor, and if
// every instruction that brings the cursor to a row takes the row's rowid from a
// register that can hold nothing but one parameter or one literal, then the
// program sees and changes no other row, whatever its text looks like. The order
// in which the instructions run is not looked at: a register counts as holding
// whatever any instruction may write to it.

// key is the Key of a statement that has no other table in what it reads, or in
// what it writes if it is a write; nil if none can be shown.
func (m *mirror) key(p program, table string, writes bool) *Key {
	target, ok := m.target(p, table, writes)
	if !ok {
		return nil
	}
	s := search{program: p, target: target}
	for i := range p {
		in := &p[i]
		switch {
		case in.opcode.cursor == noCursor || in.p1 != target:
		case in.opcode.cursor == seeks:
			s.want(in.p3)
		case in.opcode.cursor == moves:
			return nil
		case in.name == "Insert":
			s.want(in.p3)
		}
	}
	if len(s.registers) == 0 || !s.run() || !s.found {
		return nil
	}
	k := s.key
	k.Table = table
	return &k
}

// alone tells whether a program that has a key opens nothing else in the database: no
// unique index, in which it might meet another row, no parent or child of a foreign
// key, and nothing that the statement's own text looks at.
func (m *mirror) alone(p program) bool {
	tables := 0
	for i := range p {
		if p[i].name == "VOpen" {
			return false
		}
		root, writes, ok := p[i].btree()
		if !ok {
			continue
		}
		switch tree, known := m.roots[root]; {
		case !known, !writes, tree.unique:
			return false
		case !tree.index:
			tables++
		}
	}
	return tables == 1
}

// target is the cursor of the table. There has to be a single one, and no
// instruction whose effects are not known.
func (m *mirror) target(p program, table string, writes bool) (cursor int, ok bool) {
	const maxCursors = 64 // as many tables as SQLite joins
	var opened []int
	for i := range p {
		in := &p[i]
		if in.opcode == nil || in.name == "NewRowid" && in.p3 != 0 || in.name == "Init" && i > 0 {
			return 0, false
		}
		if in.opcode.cursor != opens {
			continue
		}
		// A number that is used again would be two cursors.
		for _, other := range opened {
			if other == in.p1 {
				return 0, false
			}
		}
		if opened = append(opened, in.p1); len(opened) > maxCursors {
			return 0, false
		}
		root, opensToWrite, btree := in.btree()
		if !btree || writes && !opensToWrite {
			continue
		}
		tree, known := m.roots[root]
		if !known || tree.table != table || tree.index && !writes {
			return 0, false
		}
		if tree.index {
			continue // the index entries of the rows that are written
		}
		if ok {
			return 0, false
		}
		cursor, ok = in.p1, true
	}
	return cursor, ok
}

// A search follows registers back to what they hold.
type search struct {
	program   program
	target    int
	registers []int // all that are wanted so far, each once
	found     bool
	key       Key
}

func (s *search) want(register int) {
	for _, r := range s.registers {
		if r == register {
			return
		}
	}
	s.registers = append(s.registers, register)
}

func (s *search) run() bool {
	for i := 0; i < len(s.registers); i++ {
		if !s.follow(s.registers[i]) {
			return false
		}
	}
	return true
}

// follow reports whether a register holds the key whenever it holds a rowid.
func (s *search) follow(register int) bool {
	grounded := false
	for i := range s.program {
		in := &s.program[i]
		operand, offset, ok := in.written(register)
		if !ok || in.harmless(operand, offset) {
			continue
		}
		switch in.opcode.source {
		case variable:
			if !s.is(Key{Param: in.p1}) {
				return false
			}
		case integer, int64Literal:
			v, ok := in.literal()
			if !ok || !s.is(Key{Value: v}) {
				return false
			}
		case rowidOf:
			// The row was come to by a register that is wanted, too.
			if in.p1 != s.target {
				return false
			}
		case copied:
			s.want(in.p1 + offset)
		case neutral:
			continue
		default:
			return false
		}
		grounded = true
	}
	return grounded
}

func (s *search) is(k Key) bool {
	if s.found {
		return s.key == k
	}
	s.found, s.key = true, k
	return true
}
