package tursoopt

import (
	"database/sql/driver"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// What tests of the external package look at directly.
var (
	ParseTime    = parseTime
	FormatTime   = formatTime
	DSNParams    = dsnParams
	SQLiteParams = sqliteParams
)

// Bind binds arguments and forgets them.
func Bind(text *sqltext.Text, args []driver.NamedValue) error {
	var c call
	return c.bind(text, args, true)
}
