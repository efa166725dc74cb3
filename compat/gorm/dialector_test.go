package gorm_test

import (
	"database/sql"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// GORM's own dialector imports SQLite's C code, of which nothing runs when a
// connection or a driver's name is given: without cgo it works too.
func init() {
	dialectors["gorm"] = func(db *sql.DB) gorm.Dialector { return sqlite.New(sqlite.Config{Conn: db}) }
	named["gorm"] = func(driver, dsn string) gorm.Dialector {
		return sqlite.New(sqlite.Config{DriverName: driver, DSN: dsn})
	}
}
