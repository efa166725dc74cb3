package bench

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	tursoopt "github.com/turso-opt/turso-opt"
)

// openIdle opens a driver that does nothing: it has the first rows of People ready
// and gives the one whose key is the query's only argument. What is below it no
// driver can reach.
func openIdle(*tursoopt.Config) (*sql.DB, error) {
	c := &idleConn{}
	for id := range hotKeys + 1 {
		c.rows = append(c.rows, []driver.Value{fmt.Sprintf("person %d", id), float64(id) * 0.5})
	}
	return sql.OpenDB(idleConnector{c}), nil
}

type idleConnector struct{ conn *idleConn }

func (c idleConnector) Connect(context.Context) (driver.Conn, error) { return c.conn, nil }
func (idleConnector) Driver() driver.Driver                          { return nil }

// idleConn is all connections: nothing in it changes.
type idleConn struct{ rows [][]driver.Value }

var errIdle = errors.New("the driver that does nothing does nothing else")

func (*idleConn) Prepare(string) (driver.Stmt, error) { return nil, errIdle }
func (*idleConn) Begin() (driver.Tx, error)           { return nil, errIdle }
func (*idleConn) Close() error                        { return nil }

func (c *idleConn) QueryContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Rows, error) {
	return &idleRows{row: c.rows[args[0].Value.(int64)]}, nil
}

type idleRows struct{ row []driver.Value }

var idleColumns = []string{"name", "score"}

func (*idleRows) Columns() []string { return idleColumns }
func (*idleRows) Close() error      { return nil }

func (r *idleRows) Next(dest []driver.Value) error {
	if r.row == nil {
		return io.EOF
	}
	copy(dest, r.row)
	r.row = nil
	return nil
}
