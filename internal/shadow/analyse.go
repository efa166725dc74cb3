package shadow

import (
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// maxText is the longest text that is compiled here; nobody's statement is, but
// generated ones are.
const maxText = 4 << 20

// analyse is the Access of a text.
func (m *mirror) analyse(sql string) (a *Access) {
	if len(sql) > maxText {
		return unknown(m.version, "the text is too long")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return unknown(m.version, "the schema has been replaced")
	}
	defer func() {
		// This SQLite panics when it is out of memory, and cannot be used then.
		// A cache is no reason for the program to end.
		if r := recover(); r != nil {
			m.closed = true
			a = unknown(m.version, fmt.Sprintf("SQLite failed: %v", r))
		}
	}()
	t := sqltext.Parse(sql)
	switch len(t.Stmts) {
	case 0:
		return &Access{Version: m.version, ReadOnly: true, Reason: "no statement"}
	case 1:
		return m.statement(&t.Stmts[0])
	}
	all := make([]*Access, len(t.Stmts))
	for i := range t.Stmts {
		all[i] = m.statement(&t.Stmts[i])
	}
	return merge(m.version, all)
}

func (m *mirror) statement(s *sqltext.Stmt) *Access {
	a := &Access{Version: m.version}
	switch s.Kind {
	case sqltext.Select, sqltext.Values:
		if !s.ReadOnly {
			return unknown(m.version, "a SELECT that calls a function with side effects")
		}
		return m.compile(s)
	case sqltext.Insert, sqltext.Replace, sqltext.Update, sqltext.Delete:
		if m.partial != "" {
			return unknown(m.version, m.partial)
		}
		return m.compile(s)
	case sqltext.Explain, sqltext.Pragma:
		if !s.ReadOnly {
			return unknown(m.version, "a PRAGMA that may set something")
		}
		a.ReadOnly, a.Reason = true, s.Kind.String()
	case sqltext.Begin, sqltext.Commit, sqltext.Rollback, sqltext.Savepoint, sqltext.Release, sqltext.RollbackTo:
		a.Complete, a.Reason = true, "controls a transaction"
	case sqltext.Create, sqltext.Drop, sqltext.Alter, sqltext.Reindex, sqltext.Analyze, sqltext.Vacuum:
		a.DDL, a.Reason = true, "changes the schema"
	default:
		return unknown(m.version, "a statement of kind "+s.Kind.String())
	}
	return a
}

// compile asks SQLite about a statement that reads or writes rows.
func (m *mirror) compile(s *sqltext.Stmt) *Access {
	m.rec.reset()
	stmt, tail, err := m.db.Prepare("EXPLAIN " + s.SQL)
	if err != nil {
		return unknown(m.version, "does not compile: "+message(err))
	}
	defer stmt.Close()
	if stmt == nil || strings.TrimSpace(tail) != "" {
		return unknown(m.version, "not one statement")
	}
	p, err := readProgram(m.prog, stmt)
	switch {
	case err != nil:
		return unknown(m.version, "does not compile: "+message(err))
	case p == nil:
		return unknown(m.version, "the program is too long")
	}
	if cap(p) <= keptProgram {
		m.prog = p
	}
	v := verdict{m: m, a: &Access{Version: m.version}}
	v.program(p)
	v.authorized(&m.rec)
	return v.access(s, p)
}

// message is SQLite's, without the text that it may quote.
func message(err error) string {
	if e, ok := err.(*sqlite3.Error); ok {
		return e.Error()
	}
	return err.Error()
}

// A verdict is what becomes of the two accounts of one statement.
type verdict struct {
	m *mirror
	a *Access
	// unknown and impure are reasons.
	unknown, impure string
	modules         bool // the program opens virtual tables
	beyond          bool // it reads what is no table of the user's
}

func (v *verdict) program(p program) {
	for i := range p {
		in := &p[i]
		if root, writes, ok := in.btree(); ok {
			v.root(root, writes)
		}
		switch in.name {
		case "VOpen":
			v.modules = true
		case "Destroy", "ParseSchema", "VCreate", "VDestroy", "SqlExec", "JournalMode", "Vacuum":
			v.doubt(in.name + " in a statement that is no DDL")
		}
		if f := in.function(); f != "" && !pure[f] {
			v.taint("calls " + f)
		}
	}
}

func (v *verdict) root(root int, writes bool) {
	tree, ok := v.m.roots[root]
	if !ok {
		if writes || root < 0 {
			v.doubt("opens what is no table of the schema")
		}
		v.taint("reads the schema")
		v.beyond = true
		return
	}
	v.a.Reads = append(v.a.Reads, tree.table)
	if writes {
		v.a.Writes = append(v.a.Writes, tree.table)
	}
}

func (v *verdict) authorized(r *recorder) {
	if r.doubt != "" {
		v.doubt(r.doubt)
	}
	for _, f := range r.functions {
		// The default of a column that is read is compiled too, and never called:
		// the program says whether somebody else calls the function.
		if !pure[f] && !v.m.words[f] {
			v.taint("calls " + f)
		}
	}
	for _, name := range r.writes {
		v.write(name)
	}
	for _, read := range r.reads {
		v.read(read)
	}
}

func (v *verdict) write(name string) {
	switch v.m.kinds[name] {
	case kindNone:
		v.doubt("writes " + name + ", which is no table of the schema")
	case kindView: // the triggers do, which have been accounted for
	default:
		v.a.Writes = append(v.a.Writes, name)
		v.a.Writes = append(v.a.Writes, v.m.contents[name]...)
	}
}

func (v *verdict) read(r access) {
	k, declared := v.m.kinds[r.table]
	switch k {
	case kindTable:
		v.a.Reads = append(v.a.Reads, r.table)
	case kindView:
	case kindNone:
		switch {
		case !declared && tableFunctions[r.table]:
		case !declared && r.nameless && !v.modules:
			// The name of a common table expression of which no column is read.
		default:
			v.taint("reads " + r.table + ", which is no table of the schema")
			v.beyond = true
		}
	default:
		v.a.Reads = append(v.a.Reads, r.table)
		v.taint("reads " + r.table + ", which is virtual or not the user's own")
		v.beyond = true
	}
}

func (v *verdict) doubt(reason string) {
	if v.unknown == "" {
		v.unknown = reason
	}
}

func (v *verdict) taint(reason string) {
	if v.impure == "" {
		v.impure = reason
	}
}

// access puts it together.
func (v *verdict) access(s *sqltext.Stmt, p program) *Access {
	a := v.a
	a.Reads, a.Writes = set(a.Reads), set(a.Writes)
	read := s.Kind == sqltext.Select || s.Kind == sqltext.Values
	if read && len(a.Writes) > 0 {
		v.doubt("a read that writes")
	}
	if v.unknown != "" {
		return unknown(a.Version, v.unknown)
	}
	// Tables that only the program has named.
	for _, name := range a.Reads {
		if v.m.kinds[name] != kindTable {
			v.taint("reads " + name + ", which is virtual or not the user's own")
			v.beyond = true
		}
	}
	a.Complete = !v.beyond && !v.modules
	if v.m.impure != "" {
		v.taint(v.m.impure)
	}
	switch {
	case !read:
		a.Reason = "writes"
		if len(a.Writes) == 1 && v.m.kinds[a.Writes[0]] == kindTable {
			a.Key = v.m.key(p, a.Writes[0], true)
			a.Alone = a.Key != nil && v.m.alone(p)
		}
	case v.impure != "":
		a.ReadOnly, a.Reason = true, v.impure
	default:
		a.ReadOnly, a.Pure = true, true
		if len(a.Reads) == 1 {
			a.Key = v.m.key(p, a.Reads[0], false)
		}
	}
	return a
}
