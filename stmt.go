package tursoopt

import (
	"context"
	"database/sql/driver"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

var (
	_ driver.Stmt              = (*stmt)(nil)
	_ driver.StmtExecContext   = (*stmt)(nil)
	_ driver.StmtQueryContext  = (*stmt)(nil)
	_ driver.NamedValueChecker = (*stmt)(nil)
)

// stmt is a text whose parts are known. It holds nothing on the server, so it
// works on whatever stream its session is on.
type stmt struct {
	conn *conn
	text *sqltext.Text
}

func (s *stmt) Close() error { return nil }

// NumInput is SQLite's number of parameters. It is not told of a script, whose
// statements take their shares of the arguments, nor where one named argument
// serves several parameters, such as :a and @a, nor where SQLite has no number for
// a parameter.
func (s *stmt) NumInput() int {
	switch len(s.text.Stmts) {
	case 0:
		return 0
	case 1:
	default:
		return -1
	}
	if s.text.Stmts[0].NoNumber != "" {
		return -1 // running it says why
	}
	params := s.text.Params
	for i := range params {
		name := params[i].Name
		if name == "" || name[0] == '?' {
			continue
		}
		for j := range params[:i] {
			if other := params[j].Name; other != "" && other[1:] == name[1:] {
				return -1
			}
		}
	}
	return len(params)
}

// now is the text with what is known of it now: what executions before have
// taught is forgotten when the schema changes.
func (s *stmt) now() *sqltext.Text { return s.conn.connector.stmts.Get(s.text.SQL) }

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.execText(ctx, s.now(), args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.queryText(ctx, s.now(), args)
}

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

func (s *stmt) CheckNamedValue(nv *driver.NamedValue) error {
	return s.conn.connector.checkNamedValue(nv)
}

func named(args []driver.Value) []driver.NamedValue {
	n := make([]driver.NamedValue, len(args))
	for i, v := range args {
		n[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return n
}

var _ driver.Result = result{}

// result is what an Exec gives. Of a script it has the last rowid and the sum
// of the rows affected, as libsql-client-go has it.
type result struct{ lastInsertID, rowsAffected int64 }

func (r result) LastInsertId() (int64, error) { return r.lastInsertID, nil }
func (r result) RowsAffected() (int64, error) { return r.rowsAffected, nil }
