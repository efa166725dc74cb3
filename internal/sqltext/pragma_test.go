package sqltext

import "testing"

func TestPragmas(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"PRAGMA foreign_keys", "r"},
		{"pragma Foreign_Keys", "r"},
		{"PRAGMA foreign_keys = 1", "s"},
		{"PRAGMA foreign_keys=off", "s"},
		{"PRAGMA foreign_keys(1)", "s"},
		{"PRAGMA table_info(t)", "r"},
		{"PRAGMA table_info('t')", "r"},
		{"PRAGMA main.table_info = t", "r"},
		{"PRAGMA table_info", "r"},
		{"PRAGMA \"main\".\"index_list\"(\"t\")", "r"},
		{"PRAGMA [main] . [schema_version]", "r"},
		{"PRAGMA 'user_version'", "r"},
		{"PRAGMA user_version = 3", ""},
		{"PRAGMA main.application_id(3)", ""},
		{"PRAGMA schema_version = 3", "s"},
		{"PRAGMA optimize", ""}, {"PRAGMA wal_checkpoint(TRUNCATE)", ""}, {"PRAGMA incremental_vacuum(10)", ""},
		{"PRAGMA journal_mode", "r"}, {"PRAGMA journal_mode = wal", "s"},
		{"PRAGMA case_sensitive_like = 1", "s"}, {"PRAGMA shrink_memory", "s"},
		{"PRAGMA integrity_check(10)", "r"},
		{"PRAGMA no_such_thing", "s"},
		{"PRAGMA", "s"}, {"PRAGMA main.", "s"}, {"PRAGMA 5", "s"}, {"PRAGMA main.5", "s"}, {"PRAGMA (table_info)", "s"},
		{"PRAGMA foreign_keys /* = 1 */", "r"},
	} {
		text := Parse(c.sql)
		if got := saysOf(&text.Stmts[0]); got != c.want || text.Kind() != Pragma {
			t.Errorf("%q is %v %q, want PRAGMA %q", c.sql, text.Kind(), got, c.want)
		}
	}
}

func TestPragmaName(t *testing.T) {
	for sql, want := range map[string]string{
		"PRAGMA Foreign_Keys": "foreign_keys", "pragma main.journal_mode = wal": "journal_mode", "PRAGMA [main] . 'User_Version'(3)": "user_version",
		"/* a */ PRAGMA /* b */ busy_timeout=5": "busy_timeout", "PRAGMA": "", "PRAGMA 5": "", "PRAGMA main.": "main", "SELECT 1": "", "EXPLAIN PRAGMA x": "",
	} {
		text := Parse(sql)
		if got := text.Stmts[0].PragmaName(); got != want {
			t.Errorf("%q is PRAGMA %q, want %q", sql, got, want)
		}
	}
}
