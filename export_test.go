package tursoopt

import (
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// What tests of the external package look at directly.
var (
	ParseTime    = parseTime
	FormatTime   = formatTime
	DSNParams    = dsnParams
	SQLiteParams = sqliteParams
)

// LateAfter sets when a request is late that others wait for, for Connectors made
// from then on; 0 is the default.
func LateAfter(d time.Duration) { lateAfter.Store(int64(d)) }

// Bind binds arguments and forgets them.
func Bind(text *sqltext.Text, args []driver.NamedValue) error {
	var c call
	return c.bind(text, args, true)
}

// Negotiated tells whether db's Connector knows what its server speaks.
func Negotiated(db *sql.DB) bool { return db.Driver().(*Driver).connector.client.Negotiated() }
