package tursoopt

// What tests of the external package look at directly.
var (
	ParseTime    = parseTime
	FormatTime   = formatTime
	DSNParams    = dsnParams
	SQLiteParams = sqliteParams
)
