package sqltext

import (
	"strings"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A Text is what there is to know about one SQL text, which may hold several
// statements. It is immutable, apart from its statements' Notes, and may be
// shared by any number of goroutines.
type Text struct {
	// SQL is the text. In a Text from a Cache it is the text's identity: without
	// a trailing comment, white space and semicolons.
	SQL   string
	Stmts []Stmt
	// ReadOnly: all statements are. A text without statements is.
	ReadOnly bool
	// TxControl: a statement begins or ends a transaction or a savepoint.
	TxControl bool
	// Stateful: a statement leaves state on its connection.
	Stateful bool
	// Params are those of a text of one statement; of a script each statement
	// has its own.
	Params []Param

	// closed: the text's last token is complete, so that whatever is appended
	// after white space, a semicolon or a comment is read as if it stood alone.
	closed bool
}

// A Stmt is one statement of a Text.
type Stmt struct {
	// SQL is the statement's own text, from its first token to its last, without
	// the semicolon and without the comments before and after it.
	SQL  string
	Kind Kind
	// ReadOnly: the statement certainly writes nothing and leaves nothing on the
	// connection, but for one thing: an INSERT, UPDATE or DELETE that is explained
	// sets changes() to 0.
	ReadOnly bool
	// Stateful: the statement leaves state on its connection, or may do so: it
	// controls a transaction, attaches or detaches, sets a PRAGMA, makes a
	// temporary object, or is Unknown.
	Stateful bool
	// Params has one entry for each of SQLite's parameter numbers, Params[i] for
	// number i+1, so that its length is sqlite3_bind_parameter_count.
	Params []Param
	// Rowid says whether the statement sets last_insert_rowid().
	Rowid exec.RowidRule
	// ConnFuncs: it calls last_insert_rowid(), changes() or total_changes(), in
	// the text itself; a view or trigger that does is not seen.
	ConnFuncs bool
	// Star: a * or t.* may stand for all columns of a table, in the result or
	// anywhere below it.
	Star bool
	// Returning: an INSERT, UPDATE or DELETE with a RETURNING clause.
	Returning bool
	// BeginMode of a Begin is "deferred", "immediate", "exclusive", "concurrent"
	// or "readonly", as written, and "" if it names none.
	BeginMode string
	// Note is shared by all who have the statement from this Text; never nil.
	Note *exec.Note

	// NoNumber is the first parameter that SQLite has no number for: ?0, one beyond
	// ?32766, or the one after that many. "" if there is none.
	NoNumber string
	// Invalid: SQL is not valid UTF-8.
	Invalid bool

	vars  []variableSpan
	calls []callSpan
	// fixedRowid: the values of last_insert_rowid() in it are all the one from
	// before it; an INSERT may change it between its rows.
	fixedRowid bool
	// namesCall: a quoted identifier may mean a column named after a call.
	namesCall bool
	spread    int
}

// A Param is one of SQLite's parameter numbers of a statement.
type Param struct {
	// Name is as SQLite has it, with its prefix: ":a", "@a", "$a", "#a", "?5";
	// "" for a bare ? and for a number that nothing uses.
	Name string
	// Index is SQLite's number, from 1.
	Index int
	// Used is false for a number that only larger ones have brought about: ?3
	// alone makes three parameters, of which two are not in the text.
	Used bool
}

// Parse analyses a text. It accepts every string.
func Parse(sql string) *Text {
	t := &Text{SQL: sql, ReadOnly: true}
	// Enough for most statements without an allocation.
	var buf [96]token
	toks := buf[:0]
	sc := scanner{sql: sql, nul: strings.IndexByte(sql, 0)}
	for {
		var more bool
		toks, more = sc.statement(toks[:0])
		if len(toks) > 0 {
			t.Stmts = append(t.Stmts, analyse(sql, toks))
			s := &t.Stmts[len(t.Stmts)-1]
			t.ReadOnly = t.ReadOnly && s.ReadOnly
			t.TxControl = t.TxControl || s.Kind.txControl()
			t.Stateful = t.Stateful || s.Stateful
		}
		if !more {
			break
		}
	}
	t.closed = !sc.open
	if len(t.Stmts) == 1 {
		t.Params = t.Stmts[0].Params
	}
	return t
}

// Kind is the kind of a text's only statement, Empty if it has none and Unknown
// if it is a script.
func (t *Text) Kind() Kind {
	switch len(t.Stmts) {
	case 0:
		return Empty
	case 1:
		return t.Stmts[0].Kind
	}
	return Unknown
}
