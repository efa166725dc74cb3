package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
)

// fileConnector opens a local database with the SQLite driver that the program
// has registered, "sqlite" before "sqlite3" as libsql-client-go does it.
func fileConnector(cfg *Config) (*Connector, error) {
	dsn := cfg.URL
	if cfg.FileOptions != "" {
		dsn += "?" + cfg.FileOptions
	}
	registered := sql.Drivers()
	for _, name := range [...]string{"sqlite", "sqlite3"} {
		if !slices.Contains(registered, name) {
			continue
		}
		// The driver's own words may quote the DSN, where a key may be.
		refused := errors.New("turso-opt: the SQLite driver \"" + name + "\" refuses the DSN")
		db, err := sql.Open(name, dsn)
		if err != nil {
			return nil, refused
		}
		d := db.Driver()
		_ = db.Close() // it has opened nothing; only its driver is wanted
		base, err := dsnConnector(d, dsn)
		if err != nil {
			return nil, refused
		}
		return newBase(cfg, base, name), nil
	}
	return nil, errors.New("turso-opt: a file needs an SQLite driver: import one, such as " +
		"modernc.org/sqlite, github.com/glebarez/go-sqlite or github.com/mattn/go-sqlite3")
}

func dsnConnector(d driver.Driver, dsn string) (driver.Connector, error) {
	if dc, ok := d.(driver.DriverContext); ok {
		return dc.OpenConnector(dsn)
	}
	return plainConnector{d, dsn}, nil
}

// plainConnector is the Connector of a driver that has none, as sql.Open's.
type plainConnector struct {
	driver driver.Driver
	dsn    string
}

func (c plainConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c plainConnector) Driver() driver.Driver                        { return c.driver }
