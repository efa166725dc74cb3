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

// baseStmt is a statement of a partial connection, or of one with a cache. It stands
// between the driver's statement and baseConn.CheckNamedValue, which database/sql would
// ask if the statement had no opinion of its own.
type baseStmt struct {
	driver.Stmt
	conn  *baseConn
	watch *baseWatch // nil without a cache
	query string
}

// convertingStmt is a baseStmt whose driver converts by column. database/sql
// asks whoever has that interface, so a statement must not have it for nothing.
type convertingStmt struct {
	baseStmt
	//lint:ignore SA1019 some drivers have nothing else
	columns driver.ColumnConverter
}

func (s *convertingStmt) ColumnConverter(i int) driver.ValueConverter {
	return s.columns.ColumnConverter(i)
}

func newBaseStmt(c *baseConn, s driver.Stmt, watch *baseWatch, query string) driver.Stmt {
	//lint:ignore SA1019 some drivers have nothing else
	if cc, ok := s.(driver.ColumnConverter); ok {
		return &convertingStmt{baseStmt{s, c, watch, query}, cc}
	}
	return &baseStmt{s, c, watch, query}
}

func (s *baseStmt) CheckNamedValue(nv *driver.NamedValue) error {
	if n, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(nv)
	}
	return s.conn.check(nv)
}

func (s *baseStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if s.watch == nil {
		return execStmt(ctx, s.Stmt, args)
	}
	return s.watch.exec(ctx, s.conn.connector.stmts.Get(s.query), args, func() (driver.Result, error) { return execStmt(ctx, s.Stmt, args) })
}

func (s *baseStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if s.watch == nil {
		return queryStmt(ctx, s.Stmt, args)
	}
	return s.watch.query(ctx, s.conn.connector.stmts.Get(s.query), args, byStmt, func() (driver.Rows, error) { return queryStmt(ctx, s.Stmt, args) })
}

// execStmt and queryStmt run a statement by whatever way it has.
func execStmt(ctx context.Context, stmt driver.Stmt, args []driver.NamedValue) (driver.Result, error) {
	if s, ok := stmt.(driver.StmtExecContext); ok {
		return s.ExecContext(ctx, args)
	}
	values, err := unnamed(ctx, args)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 it is all that this driver has
	return stmt.Exec(values)
}

func queryStmt(ctx context.Context, stmt driver.Stmt, args []driver.NamedValue) (driver.Rows, error) {
	if s, ok := stmt.(driver.StmtQueryContext); ok {
		return s.QueryContext(ctx, args)
	}
	values, err := unnamed(ctx, args)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 it is all that this driver has
	return stmt.Query(values)
}
