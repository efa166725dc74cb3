package tursoopt

import "strings"

// primaryCodes are SQLite's result codes by name. sqld says SQLITE_UNKNOWN for
// SQLITE_ERROR.
var primaryCodes = map[string]int{
	"SQLITE_ERROR": 1, "SQLITE_UNKNOWN": 1, "SQL_INPUT_ERROR": 1, "SQL_PARSE_ERROR": 1,
	"SQLITE_INTERNAL": 2, "SQLITE_PERM": 3, "SQLITE_ABORT": 4, "SQLITE_BUSY": 5, "SQLITE_LOCKED": 6,
	"SQLITE_NOMEM": 7, "SQLITE_READONLY": 8, "SQLITE_INTERRUPT": 9, "SQLITE_IOERR": 10,
	"SQLITE_CORRUPT": 11, "SQLITE_NOTFOUND": 12, "SQLITE_FULL": 13, "SQLITE_CANTOPEN": 14,
	"SQLITE_PROTOCOL": 15, "SQLITE_SCHEMA": 17, "SQLITE_TOOBIG": 18, "SQLITE_CONSTRAINT": 19,
	"SQLITE_MISMATCH": 20, "SQLITE_MISUSE": 21, "SQLITE_NOLFS": 22, "SQLITE_AUTH": 23,
	"SQLITE_RANGE": 25, "SQLITE_NOTADB": 26,
}

// extendedCodes are SQLite's extended result codes by the names that Turso Cloud
// gives (SQL over HTTP, section 9.2).
var extendedCodes = map[string]int{
	"SQLITE_CONSTRAINT_CHECK": 275, "SQLITE_CONSTRAINT_COMMITHOOK": 531,
	"SQLITE_CONSTRAINT_FOREIGNKEY": 787, "SQLITE_CONSTRAINT_FUNCTION": 1043,
	"SQLITE_CONSTRAINT_NOTNULL": 1299, "SQLITE_CONSTRAINT_PRIMARYKEY": 1555,
	"SQLITE_CONSTRAINT_TRIGGER": 1811, "SQLITE_CONSTRAINT_UNIQUE": 2067,
	"SQLITE_CONSTRAINT_VTAB": 2323, "SQLITE_CONSTRAINT_ROWID": 2579,
	"SQLITE_CONSTRAINT_PINNED": 2835, "SQLITE_CONSTRAINT_DATATYPE": 3091,
}

// messageCodes are the beginnings of SQLite's messages and their extended codes.
var messageCodes = []struct {
	text string
	code int
}{
	{"UNIQUE constraint failed", 2067}, {"FOREIGN KEY constraint failed", 787},
	{"NOT NULL constraint failed", 1299}, {"CHECK constraint failed", 275},
	{"cannot store ", 3091}, {"datatype mismatch", 20}, {"database is locked", 5},
	{"database table is locked", 6}, {"interrupted", 9}, {"string or blob too big", 18},
	{"attempt to write a readonly database", 8},
}

// sqliteCodes finds SQLite's numbers. The message counts only where it agrees
// with the server's code, or where a replica has hidden that: RAISE can say
// anything, and is all that remains of SQLITE_CONSTRAINT without a known text.
func sqliteCodes(serverCode, extendedCode, message string) (primary, extended int) {
	if code, ok := extendedCodes[extendedCode]; ok {
		return code & 0xff, code
	}
	switch serverCode {
	case "EXECUTE_ERROR", "BATCH_STEP_ERROR", "PREPARE_ERROR": // tursodb, which has no other codes
		return messageCode(strings.TrimPrefix(message, "Runtime error: "))
	}
	proxied := serverCode == "PROXY_ERROR" || strings.HasPrefix(message, "PROXY_ERROR")
	primary = primaryCodes[serverCode]
	if text, bound := strings.CutPrefix(message, "Arguments do not match SQL parameters: "); bound && text == "string or blob too big" {
		return 18, 18 // an error of binding, not of running
	}
	if primary == 0 && !proxied {
		return 0, 0
	}
	text := strings.TrimPrefix(message, "SQLite error: ")
	for _, m := range messageCodes {
		found := strings.HasPrefix(text, m.text) || proxied && strings.Contains(text, m.text)
		if found && (proxied || primary == m.code&0xff) {
			return m.code & 0xff, m.code
		}
	}
	if primary == 19 {
		return 19, 1811
	}
	if proxied && primary == 0 {
		primary = 1
	}
	return primary, primary
}

// messageCode is for servers that tell a message and no more.
func messageCode(text string) (primary, extended int) {
	for _, m := range messageCodes {
		if strings.HasPrefix(text, m.text) {
			return m.code & 0xff, m.code
		}
	}
	return 1, 1
}
