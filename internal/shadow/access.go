package shadow

import "slices"

// An Access is what one SQL text touches. It is immutable and shared.
//
// It holds for sessions in which nothing but the schema decides what a name
// means and what a write brings about. In a session that has temporary objects,
// attached databases or changed PRAGMAs, the caller treats everything as Unknown.
type Access struct {
	// Version is that of the schema for which all this is true, 0 if there is
	// none.
	Version int64
	// Unknown: the text could not be compiled or was not understood. It must be
	// taken to read and write everything.
	Unknown bool
	// Reason says why a text is Unknown, or not Pure, in words for people. It may
	// hold names from the schema and the text, and no values.
	Reason string
	// ReadOnly: it certainly changes nothing in the database. Statements that
	// control a transaction are not, though they write nothing themselves.
	ReadOnly bool
	// Pure: it is a single read, and its answer depends on nothing but the rows
	// of the tables in Reads and on the arguments.
	Pure bool
	// Reads are the tables that are read, Writes those in which rows may be
	// inserted, changed or deleted; as the schema has them but in lower case,
	// sorted, each once. Views are not among them, what they are made of is. The
	// tables that a write only looks at, to find its rows or to check a
	// constraint, are in Reads. A virtual table that is written is in Writes
	// together with the tables in which it keeps its content.
	Reads, Writes []string
	// Complete: the rows of the tables in Reads and Writes are all that it can show
	// of what is stored. A virtual table may show anything, and so may a PRAGMA.
	Complete bool
	// DDL: it changes the schema, or what a rowid or the planner's statistics
	// mean (VACUUM, ANALYZE). It must be taken to write everything; Reads and
	// Writes are empty.
	DDL bool
	// Key is set if all that a Pure read depends on, or all that a write can
	// change, is one row of one rowid table (or no row), the one whose rowid
	// equals a parameter or a literal. Reads, or Writes, is that table alone then.
	//
	// Two Accesses of one table with different Keys cannot meet. If Param is set
	// this holds for an argument that is bound as an integer, and for no other:
	// SQLite takes 5.0 and '5' for the same key, and NULL, which an argument that is
	// missing is, for a new one. With any other argument, the caller falls back on
	// the table.
	Key *Key
	// Alone: it writes, has a Key, and reads nothing but the row of the Key either,
	// to find it or to check a constraint: what it does depends on that row only, and
	// nobody can tell that it has been done but by that row.
	Alone bool
}

// A Key says where the rowid of the one row comes from.
type Key struct {
	// Table is in lower case.
	Table string
	// Param is the number of the parameter, as SQLite counts them from 1, or 0
	// if the rowid is a literal.
	Param int
	// Value is the literal; meaningless if Param is set.
	Value int64
}

func unknown(version int64, reason string) *Access {
	return &Access{Version: version, Unknown: true, Reason: reason}
}

// merge is the Access of a text of several statements.
func merge(version int64, all []*Access) *Access {
	m := &Access{Version: version, ReadOnly: true, Complete: true, Reason: "several statements in one text"}
	for _, a := range all {
		if a.Unknown {
			return unknown(version, a.Reason)
		}
		m.ReadOnly = m.ReadOnly && a.ReadOnly
		m.DDL = m.DDL || a.DDL
		m.Complete = m.Complete && a.Complete
		m.Reads = append(m.Reads, a.Reads...)
		m.Writes = append(m.Writes, a.Writes...)
	}
	if m.DDL {
		// The statements after it were compiled for the schema before it.
		m.Reads, m.Writes = nil, nil
		return m
	}
	m.Reads, m.Writes = set(m.Reads), set(m.Writes)
	return m
}

func set(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
