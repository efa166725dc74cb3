package tursoopt

import (
	"strings"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// What a session knows of last_insert_rowid() and changes(), which SQLite keeps
// with a connection: the session's statements have run on several streams.

// learn keeps what a statement leaves for last_insert_rowid() and changes().
func (s *session) learn(st *sqltext.Stmt, r exec.StmtResult) {
	inserts := st.Kind == sqltext.Insert || st.Kind == sqltext.Replace
	writes := inserts || st.Kind == sqltext.Update || st.Kind == sqltext.Delete
	switch {
	case r.Result != nil && writes:
		s.changes, s.changesLost = r.Result.RowsAffected, false
		if inserts && r.Result.LastInsertID != 0 {
			s.rowid, s.rowidUnsure = r.Result.LastInsertID, false
		}
	case r.Result != nil && !st.ReadOnly && !st.Stateful:
		s.changesLost = true // CREATE TABLE AS, and the like
	case r.Err != nil && !unprepared(r.Err) && !controls(st.Kind):
		// A statement that fails halfway may have set both.
		s.changesLost = s.changesLost || !st.ReadOnly
		s.rowidUnsure = s.rowidUnsure || inserts
	}
}

// unprepared tells whether SQLite could not even prepare a statement, so that it
// has left everything as it was. sqld gives such errors a code of their own only
// where SQLite says which character is at fault.
func unprepared(e *exec.Error) bool {
	if e.Proof == exec.NotExecuted || e.Code == "SQL_INPUT_ERROR" {
		return true
	}
	text := strings.TrimPrefix(e.Message, "SQLite error: ")
	for _, begin := range [...]string{"no such ", "table ", "index ", "view ", "cannot modify "} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

// needsStream tells whether own outlives a transaction: it has what nobody else
// could tell the session, which are settings, or a row id or count of changes that
// no result has shown; or the session is one that somebody holds.
func (s *session) needsStream() bool {
	return s.settings || s.rowidUnsure || s.changesLost || s.goes
}

// controls tells whether a statement does nothing but begin or end a transaction
// or a savepoint.
func controls(k sqltext.Kind) bool {
	switch k {
	case sqltext.Begin, sqltext.Commit, sqltext.Rollback, sqltext.Savepoint, sqltext.Release, sqltext.RollbackTo:
		return true
	}
	return false
}

// substitute writes what is known of the session into statements that ask for
// it, as far as no statement before them in the text can change it: the stream
// they run on may not have it.
func (s *session) substitute(c *call) {
	rowid, changes := &s.rowid, &s.changes
	if s.rowidUnsure {
		rowid = nil
	}
	if s.changesLost {
		changes = nil
	}
	for i := range c.text.Stmts {
		st := &c.text.Stmts[i]
		if st.ConnFuncs && c.stmts[i].SQL == st.SQL {
			if c.restore == nil {
				c.restore = make([]func(string) string, len(c.stmts))
			}
			c.stmts[i].SQL, c.restore[i] = st.SubstituteConnState(rowid, changes)
		}
		if !st.ReadOnly {
			return
		}
	}
}

// fillRowid gives the results of INSERTs that did not set it the rowid that the
// session has from before it had a stream of its own. Of other statements sqld
// tells none.
func (s *session) fillRowid(stmts []exec.Stmt, results []exec.StmtResult) {
	for i := range results {
		r := results[i].Result
		if r != nil && r.LastInsertID == 0 && stmts[i].Rowid != exec.RowidNone && !s.rowidUnsure {
			r.LastInsertID = s.rowid
		}
	}
}
