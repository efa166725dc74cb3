package sqltext

import (
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func TestRowidRules(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want exec.RowidRule
	}{
		{"INSERT INTO t VALUES (1)", exec.RowidAlways},
		{"INSERT INTO t(a, b) VALUES (1, ')'), (3, (SELECT 4))", exec.RowidAlways},
		{"insert into main.\"t\" as x (a) values (1) returning id", exec.RowidAlways},
		{"INSERT INTO 't' DEFAULT VALUES", exec.RowidAlways},
		{"INSERT INTO t DEFAULT VALUES RETURNING id", exec.RowidAlways},
		{"INSERT OR REPLACE INTO t VALUES (1)", exec.RowidAlways},
		{"INSERT OR FAIL INTO t VALUES (1)", exec.RowidAlways},
		{"REPLACE INTO t VALUES (1)", exec.RowidAlways},
		{"INSERT OR IGNORE INTO t VALUES (1)", exec.RowidMaybe},
		{"INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", exec.RowidMaybe},
		{"INSERT INTO t VALUES (1), (2) ON CONFLICT (a) DO UPDATE SET a = 1 RETURNING id", exec.RowidMaybe},
		{"INSERT INTO t VALUES (1) UNION ALL SELECT 2", exec.RowidMaybe},
		{"INSERT INTO t VALUES (1) LIMIT 0", exec.RowidMaybe},
		{"INSERT INTO t SELECT 1", exec.RowidMaybe},
		{"INSERT INTO t(a) SELECT 1 WHERE 0", exec.RowidMaybe},
		{"INSERT INTO t WITH a AS (SELECT 1) SELECT * FROM a", exec.RowidMaybe},
		{"WITH a AS (SELECT 1) INSERT INTO t VALUES (1)", exec.RowidMaybe},
		{"WITH a AS (SELECT 1) INSERT INTO t DEFAULT VALUES", exec.RowidMaybe},
		{"INSERT INTO t DEFAULT", exec.RowidMaybe},
		{"INSERT INTO t", exec.RowidMaybe},
		{"INSERT", exec.RowidMaybe},
		{"SELECT 1", exec.RowidNone}, {"UPDATE t SET a = 1", exec.RowidNone}, {"DELETE FROM t", exec.RowidNone},
		{"CREATE TABLE x AS SELECT 1", exec.RowidNone}, {"EXPLAIN INSERT INTO t VALUES (1)", exec.RowidNone},
		{"BEGIN", exec.RowidNone}, {"nonsense", exec.RowidNone},
	} {
		if got := Parse(c.sql).Stmts[0].Rowid; got != c.want {
			t.Errorf("%q has rule %d, want %d", c.sql, got, c.want)
		}
	}
}
