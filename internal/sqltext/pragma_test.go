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
