package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// DriverName is the name that importing the package registers with database/sql.
const DriverName = "turso-opt"

func init() { sql.Register(DriverName, &Driver{}) }

var (
	_ driver.Driver        = (*Driver)(nil)
	_ driver.DriverContext = (*Driver)(nil)
)

// A Driver opens databases by their DSN. It is safe for concurrent use.
type Driver struct {
	connector *Connector // whose Driver this is; nil for the registered one
}

// OpenConnector reads a DSN and returns its Connector. It sends nothing.
//
// An empty DSN is an error of Connect only: tools such as otelsql open one to get
// hold of the Driver.
func (d *Driver) OpenConnector(dsn string) (driver.Connector, error) {
	if dsn == "" {
		return noDatabase{d}, nil
	}
	cfg, err := ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	return newConnector(cfg)
}

// Open makes a connection with a Connector of its own, which ends with it.
// database/sql does not call it: it has OpenConnector.
func (d *Driver) Open(dsn string) (driver.Conn, error) {
	cfg, err := ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	c, err := newConnector(cfg)
	if err != nil {
		return nil, err
	}
	dc, err := c.Connect(context.Background())
	if err != nil {
		_ = c.Close() // the error that matters is the first
		return nil, err
	}
	switch dc := dc.(type) {
	case *conn:
		dc.owned = c
	case *baseConn:
		dc.owned = c
	}
	return dc, nil
}

// noDatabase is the Connector of an empty DSN.
type noDatabase struct{ driver *Driver }

func (c noDatabase) Connect(context.Context) (driver.Conn, error) {
	_, err := ParseDSN("")
	return nil, err
}

func (c noDatabase) Driver() driver.Driver { return c.driver }
