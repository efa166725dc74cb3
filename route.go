package tursoopt

import "github.com/turso-opt/turso-opt/internal/sqltext"

// A path is how a text gets to the server.
type path uint8

const (
	// pathShared: by the layers that all connections of a Connector share. The
	// statement neither needs nor leaves anything on a connection.
	pathShared path = iota
	// pathOwn: on the session's own stream.
	pathOwn
)

// route chooses the path of a text.
//
// A session that runs a second text is being held, by a sql.Conn or a program
// that keeps it, so what the next statement may ask of the session (row ids,
// counts) has to come from one stream from then on. A text that asks for it as
// the very first gets a stream that is as good as new.
func route(t *sqltext.Text, held, inTx bool) path {
	switch {
	case inTx, held, len(t.Stmts) != 1, t.Stateful, t.TxControl, t.Stmts[0].ConnFuncs:
		return pathOwn
	}
	return pathShared
}

// mayEndTx tells whether a statement can end the transaction it is in.
func mayEndTx(k sqltext.Kind) bool {
	switch k {
	case sqltext.Commit, sqltext.Rollback, sqltext.Release, sqltext.Unknown:
		return true
	}
	return false
}

// writes tells whether a text may take SQLite's write lock.
func writes(t *sqltext.Text) bool {
	for i := range t.Stmts {
		switch s := &t.Stmts[i]; s.Kind {
		case sqltext.Begin:
			if s.BeginMode != "" && s.BeginMode != "deferred" && s.BeginMode != "readonly" {
				return true
			}
		case sqltext.Commit, sqltext.Rollback, sqltext.Savepoint, sqltext.Release, sqltext.RollbackTo:
		default:
			if !s.ReadOnly {
				return true
			}
		}
	}
	return false
}
