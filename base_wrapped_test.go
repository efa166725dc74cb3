package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	sqlite3driver "github.com/ncruces/go-sqlite3/driver"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A tallied base counts how often it is asked to run something.
type tallied struct {
	driver.Connector
	asked atomic.Int64
	// rows, if not nil, are in place of those of a query of table b.
	rows func(driver.Rows) driver.Rows
}

func (c *tallied) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &talliedConn{dc, c}, nil
}

type talliedConn struct {
	driver.Conn
	c *tallied
}

func (c *talliedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.c.asked.Add(1)
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

func (c *talliedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	r, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	if err != driver.ErrSkip {
		c.c.asked.Add(1)
	}
	return r, err
}

func (c *talliedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &talliedStmt{s, c.c, strings.Contains(query, "FROM b")}, nil
}

type talliedStmt struct {
	driver.Stmt
	c *tallied
	b bool
}

func (s *talliedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.c.asked.Add(1)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *talliedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.c.asked.Add(1)
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err == nil && s.b && s.c.rows != nil {
		rows = s.c.rows(rows)
	}
	return rows, err
}

// sqliteFile is a connector of the registered SQLite driver.
func sqliteFile(t testing.TB) driver.Connector {
	return sqliteConnector(t, "file:"+filepath.Join(t.TempDir(), "test.db"))
}

func sqliteConnector(t testing.TB, dsn string) driver.Connector {
	t.Helper()
	c, err := (&sqlite3driver.SQLite{}).OpenConnector(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wrapCached is a wrapped base with a cache.
func wrapCached(t testing.TB, base driver.Connector, change func(*tursoopt.Config)) *sql.DB {
	t.Helper()
	cfg := &tursoopt.Config{Cache: 1 << 20, CacheLease: time.Hour, CacheTTL: 2 * time.Hour}
	if change != nil {
		change(cfg)
	}
	c, err := tursoopt.Wrap(base, cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// A hooked connector sets its connections up.
type hooked struct {
	driver.Connector
	init func(*sqlite3.Conn) error
}

func (h hooked) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := h.Connector.Connect(ctx)
	if err == nil {
		err = h.init(dc.(sqlite3driver.Conn).Raw())
	}
	return dc, err
}
