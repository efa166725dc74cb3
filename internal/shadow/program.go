package shadow

import (
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// A program is what EXPLAIN lists of a statement: its instructions and, behind
// them, those of the triggers and cascades that it calls.
type program []instruction

type instruction struct {
	name       string
	opcode     *opcode // nil if it is not listed
	p1, p2, p3 int
	p4         string // of the instructions that are named in wantsP4 alone
	p5         int    // of those that open a cursor alone
}

// maxProgram bounds how much of a program is kept. Statements that insert
// thousands of listed rows have longer ones.
const (
	maxProgram = 1 << 16
	// keptProgram is how long one may be for its memory to be used again.
	keptProgram = 1 << 10
)

// opcodeNames interns the names that are looked for here, so that reading a
// program allocates no strings.
var opcodeNames = func() map[string]string {
	m := make(map[string]string)
	for name := range opcodes {
		m[name] = name
	}
	for name := range names("Clear Program VUpdate Param OpenDup ReopenIdx Destroy ParseSchema VCreate VDestroy SqlExec JournalMode Vacuum") {
		m[name] = name
	}
	return m
}()

// wantsP4 are the instructions whose fourth operand matters.
var wantsP4 = names("Function PureFunc AggStep Int64 Affinity MakeRecord")

// readProgram reads the rows of an EXPLAIN. It returns nil if it is too long.
func readProgram(into program, stmt *sqlite3.Stmt) (program, error) {
	p := into[:0]
	for stmt.Step() {
		if len(p) == maxProgram {
			return nil, nil
		}
		raw := stmt.ColumnRawText(1)
		name, ok := opcodeNames[string(raw)]
		if !ok {
			name = string(raw)
		}
		in := instruction{name: name, p1: stmt.ColumnInt(2), p2: stmt.ColumnInt(3), p3: stmt.ColumnInt(4)}
		if op, ok := opcodes[name]; ok {
			in.opcode = &op
		}
		switch name {
		case "OpenRead", "OpenWrite", "ReopenIdx":
			in.p5 = stmt.ColumnInt(6)
		default:
			if wantsP4[name] {
				in.p4 = stmt.ColumnText(5)
			}
		}
		p = append(p, in)
	}
	return p, stmt.Err()
}

// function is the name of the function that an instruction calls, "" if it calls
// none. EXPLAIN has it as name(arguments).
func (in *instruction) function() string {
	switch in.name {
	case "Function", "PureFunc", "AggStep":
		if i := strings.LastIndexByte(in.p4, '('); i >= 0 {
			return lower(in.p4[:i])
		}
		return "?"
	}
	return ""
}

// btree reports whether an instruction opens or empties a table or an index, and
// which: its root page in the main database. It is -1 if that cannot be told.
func (in *instruction) btree() (root int, writes, ok bool) {
	const rootInRegister = 0x10
	switch in.name {
	case "OpenRead", "ReopenIdx":
		root = in.p2
	case "OpenWrite":
		root, writes = in.p2, true
	case "Clear": // how all rows are deleted; the database is operand 2
		if in.p2 != 0 {
			return -1, true, true
		}
		return in.p1, true, true
	default:
		return 0, false, false
	}
	if in.p3 != 0 || in.p5&rootInRegister != 0 {
		root = -1
	}
	return root, writes, true
}

// written reports whether an instruction may write register r. Operand is the
// one that it does so by, and offset how far behind that operand's register.
func (in *instruction) written(r int) (operand byte, offset int, ok bool) {
	for i := 0; i < len(in.opcode.writes); i++ {
		operand = in.opcode.writes[i]
		first := [...]int{in.p1, in.p2, in.p3}[operand-'1']
		last := first
		switch in.opcode.span {
		case toP3:
			last = max(first, in.p3)
		case countP3:
			last = first + in.p3
		case countP2:
			if operand == '1' {
				last = first + in.p2 - 1
			}
		}
		if first <= r && r <= last {
			return operand, r - first, true
		}
	}
	return 0, 0, false
}

// harmless reports whether the affinity that an instruction gives to the
// register at offset leaves every integer the same. As text or as a real it
// might be that of another row.
func (in *instruction) harmless(operand byte, offset int) bool {
	if operand != '1' {
		return false
	}
	switch in.name {
	case "MakeRecord":
		if in.p4 == "" {
			return true
		}
	case "Affinity":
	default:
		return false
	}
	const (
		none    = '@'
		blob    = 'A'
		numeric = 'C'
		integer = 'D'
	)
	if offset >= len(in.p4) {
		return in.name == "MakeRecord" // it gives as many as it has
	}
	switch in.p4[offset] {
	case none, blob, numeric, integer:
		return true
	}
	return false
}

// literal is the integer that an instruction writes. A large one is in two
// halves, the lower in operand 1 and the upper in 3; older versions of SQLite,
// which this is not, had it in operand 4.
func (in *instruction) literal() (int64, bool) {
	if in.opcode.source == integer {
		return int64(in.p1), true
	}
	return int64(in.p3)<<32 | int64(uint32(in.p1)), in.p4 == ""
}
