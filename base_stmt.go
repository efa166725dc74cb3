package tursoopt

import (
	"context"
	"database/sql/driver"
)

var (
	_ driver.StmtExecContext   = (*baseStmt)(nil)
	_ driver.StmtQueryContext  = (*baseStmt)(nil)
	_ driver.NamedValueChecker = (*baseStmt)(nil)
)

// baseStmt is a statement of a partial connection. It stands between the
// driver's statement and baseConn.CheckNamedValue, which database/sql would ask
// if the statement had no opinion of its own.
type baseStmt struct {
	driver.Stmt
	conn *baseConn
}

// convertingStmt is a baseStmt whose driver converts by column. database/sql
// asks whoever has that interface, so a statement must not have it for nothing.
type convertingStmt struct {
	baseStmt
	columns driver.ColumnConverter //nolint:staticcheck // some drivers have nothing else
}

func (s *convertingStmt) ColumnConverter(i int) driver.ValueConverter {
	return s.columns.ColumnConverter(i)
}

func newBaseStmt(c *baseConn, s driver.Stmt) driver.Stmt {
	if cc, ok := s.(driver.ColumnConverter); ok { //nolint:staticcheck // as above
		return &convertingStmt{baseStmt{s, c}, cc}
	}
	return &baseStmt{s, c}
}

func (s *baseStmt) CheckNamedValue(nv *driver.NamedValue) error {
	if n, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(nv)
	}
	return s.conn.check(nv)
}

func (s *baseStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return execStmt(ctx, s.Stmt, args)
}

func (s *baseStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return queryStmt(ctx, s.Stmt, args)
}
