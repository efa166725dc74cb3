//go:build cgo

package gorm_test

import (
	"database/sql"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// GORM's own dialector links SQLite's C code, although nothing of it runs when
// a connection is given.
func init() {
	dialectors["gorm"] = func(db *sql.DB) gorm.Dialector { return sqlite.New(sqlite.Config{Conn: db}) }
	named["gorm"] = func(driver, dsn string) gorm.Dialector {
		return sqlite.New(sqlite.Config{DriverName: driver, DSN: dsn})
	}
}
