package tursoopt

import "testing"

// A server that tells the extended code is believed; otherwise the message tells
// it, with and without sqld's prefix.
func TestSQLiteCodes(t *testing.T) {
	for _, c := range []struct {
		code, extended, message string
		primary, want           int
	}{
		{"SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_PRIMARYKEY", "UNIQUE constraint failed: t.id", 19, 1555},
		{"SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_LATER", "UNIQUE constraint failed: t.id", 19, 2067},
		{"SQLITE_CONSTRAINT", "", "UNIQUE constraint failed: t.id", 19, 2067},
		{"SQLITE_CONSTRAINT", "", "SQLite error: FOREIGN KEY constraint failed", 19, 787},
		{"SQLITE_CONSTRAINT", "", "raised", 19, 1811},
		{"SQLITE_BUSY", "", "SQLite error: database is locked", 5, 5},
		{"ARGS_INVALID", "", "Arguments do not match SQL parameters: string or blob too big", 18, 18},
		{"ARGS_INVALID", "", "Arguments do not match SQL parameters: value for parameter 1 not found", 0, 0},
		{"EXECUTE_ERROR", "", "Runtime error: UNIQUE constraint failed: t.name (19)", 19, 2067},
		{"BATCH_STEP_ERROR", "", "Runtime error: NOT NULL constraint failed: u.b (19)", 19, 1299},
		{"PREPARE_ERROR", "", "Parse error: no such table: nope", 1, 1},
		{"STREAM_EXPIRED", "", "stream expired", 0, 0},
	} {
		if primary, extended := sqliteCodes(c.code, c.extended, c.message); primary != c.primary || extended != c.want {
			t.Errorf("%+v: %d, %d", c, primary, extended)
		}
	}
}
