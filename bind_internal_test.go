package tursoopt

import (
	"testing"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// Only what changes rows, gives none and asks for nothing of the connection may run
// in a transaction with statements of others.
func TestWhatMayShareATransaction(t *testing.T) {
	for text, want := range map[string]bool{
		"INSERT INTO t VALUES (?)":                      true,
		"insert or ignore into t values (1)":            true,
		"REPLACE INTO t VALUES (1)":                     true,
		"UPDATE t SET a = 1":                            true,
		"DELETE FROM t":                                 true,
		"WITH c AS (SELECT 1) INSERT INTO t SELECT 1":   true,
		"INSERT INTO t VALUES (1) RETURNING a":          false,
		"UPDATE t SET a = 1 RETURNING *":                false,
		"DELETE FROM t returning a":                     false,
		"INSERT INTO t VALUES (last_insert_rowid())":    false,
		"UPDATE t SET a = changes()":                    false,
		"UPDATE t SET a = (SELECT total_changes() + 1)": false,
		"SELECT 1":                         false,
		"CREATE TABLE t (a)":               false,
		"CREATE TABLE t AS SELECT 1":       false,
		"DROP TABLE t":                     false,
		"ALTER TABLE t ADD COLUMN b":       false,
		"REINDEX":                          false,
		"PRAGMA foreign_keys = off":        false,
		"BEGIN":                            false,
		"EXPLAIN INSERT INTO t VALUES (1)": false,
		"SAVEPOINT s":                      false,
		"ATTACH 'x' AS y":                  false,
		"CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END": false,
	} {
		if got := shares(&sqltext.Parse(text).Stmts[0]); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
