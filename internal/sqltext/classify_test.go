package sqltext

import (
	"strings"
	"testing"
)

// sorted are statements and what is said of them: r read-only, s stateful, t
// transaction control, c a function of the connection's state, R returning.
var sorted = []struct {
	sql  string
	kind Kind
	want string
}{
	{"SELECT 1", Select, "r"},
	{"select * from t where a = ?", Select, "r"},
	{"SELECT(1)", Select, "r"},
	{"VALUES (1), (2)", Values, "r"},
	{"WITH a AS (SELECT 1) SELECT * FROM a", Select, "r"},
	{"WITH RECURSIVE a(x, y) AS MATERIALIZED (SELECT 1, 2), b AS NOT MATERIALIZED (VALUES (')')) VALUES (1)", Values, "r"},
	{"WITH a AS (SELECT 1 AS \"delete\") SELECT * FROM a", Select, "r"},
	{"WITH \"a b\"(x) AS (SELECT 1), [c] AS (SELECT 2), 'd' AS (SELECT 3), `e` AS (SELECT 4) SELECT 1", Select, "r"},
	{"WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", Insert, ""},
	{"WITH a AS (SELECT 1) REPLACE INTO t SELECT * FROM a", Replace, ""},
	{"WITH a AS (SELECT 1) UPDATE t SET a = 1", Update, ""},
	{"WITH a AS (SELECT 1) DELETE FROM t RETURNING a", Delete, "R"},
	{"WITH a AS (SELECT 1) CREATE TABLE x(a)", Unknown, "s"},
	{"WITH a AS SELECT 1", Unknown, "s"},
	{"WITH a AS (SELECT 1", Unknown, "s"},
	{"WITH a(", Unknown, "s"},
	{"WITH", Unknown, "s"},
	{"WITH a AS (SELECT 1)", Unknown, "s"},
	{"WITH a (SELECT 1) SELECT 1", Unknown, "s"},
	{"WITH a AS (SELECT 1), SELECT 1", Unknown, "s"},

	{"INSERT INTO t VALUES (1)", Insert, ""},
	{"INSERT INTO t VALUES (1) RETURNING *", Insert, "R"},
	{"INSERT INTO t(returning) VALUES (1)", Insert, ""},
	{"INSERT INTO t SELECT (SELECT 1) FROM (SELECT 2) RETURNING (1)", Insert, "R"},
	{"INSERT INTO t VALUES ('RETURNING', \"returning\")", Insert, ""},
	{"REPLACE INTO t VALUES (1)", Replace, ""},
	{"UPDATE t SET a = 1", Update, ""},
	{"UPDATE t SET a = 1 RETURNING a, b", Update, "R"},
	{"DELETE FROM t", Delete, ""},
	{"DELETE FROM t RETURNING a", Delete, "R"},

	{"BEGIN", Begin, "st"},
	{"COMMIT", Commit, "st"}, {"END", Commit, "st"}, {"END TRANSACTION", Commit, "st"},
	{"ROLLBACK", Rollback, "st"}, {"ROLLBACK TRANSACTION", Rollback, "st"},
	{"ROLLBACK TRANSACTION x", Rollback, "st"},
	{"ROLLBACK TO x", RollbackTo, "st"}, {"ROLLBACK TRANSACTION TO SAVEPOINT x", RollbackTo, "st"},
	{"ROLLBACK TRANSACTION y TO x", RollbackTo, "st"},
	{"ROLLBACK TRANSACTION 'to'", Rollback, "st"},
	{"SAVEPOINT x", Savepoint, "st"}, {"RELEASE x", Release, "st"},

	{"ATTACH 'f' AS x", Attach, "s"}, {"DETACH x", Detach, "s"},
	{"CREATE TABLE x(a)", Create, ""},
	{"CREATE TABLE x AS SELECT 1", Create, ""},
	{"CREATE TEMP TABLE x(a)", Create, "s"}, {"CREATE TEMPORARY VIEW x AS SELECT 1", Create, "s"},
	{"CREATE TABLE temp.x(a)", Create, "s"}, {"CREATE TABLE \"TEMP\" . x(a)", Create, "s"},
	{"CREATE TABLE IF NOT EXISTS temp.x(a)", Create, "s"},
	{"CREATE INDEX temp.x ON y(a)", Create, "s"},
	{"CREATE VIRTUAL TABLE temp.x USING fts5(a)", Create, "s"},
	{"CREATE TABLE temp(a)", Create, ""}, {"CREATE TABLE temporary(a)", Create, ""},
	{"DROP TABLE x", Drop, ""}, {"ALTER TABLE x ADD y", Alter, ""},
	{"REINDEX", Reindex, ""}, {"ANALYZE t", Analyze, ""}, {"VACUUM", Vacuum, ""},

	{"EXPLAIN SELECT 1", Explain, "r"},
	{"EXPLAIN QUERY PLAN SELECT 1", Explain, "r"},
	{"EXPLAIN QUERY PLAN DELETE FROM t", Explain, "r"},
	{"EXPLAIN BEGIN", Explain, "r"},
	{"EXPLAIN WITH a AS (SELECT 1) DELETE FROM t", Explain, "r"},
	{"EXPLAIN WITH a AS (SELECT 1) VALUES (1)", Explain, "r"},
	{"EXPLAIN CREATE TABLE x(a)", Explain, "r"},
	{"EXPLAIN CREATE TEMP TABLE x(a)", Explain, "s"},
	{"EXPLAIN PRAGMA foreign_keys", Explain, "r"},
	{"EXPLAIN PRAGMA foreign_keys = 1", Explain, "s"},
	{"EXPLAIN QUERY SELECT 1", Explain, "s"},
	{"EXPLAIN EXPLAIN SELECT 1", Explain, "s"},
	{"EXPLAIN", Explain, "s"}, {"EXPLAIN nonsense", Explain, "s"},

	// What a SELECT may do all the same.
	{"SELECT load_extension('x')", Select, "s"},
	{"SELECT \"Load_Extension\" ('x')", Select, "s"},
	{"SELECT optimize(f) FROM f", Select, "s"},
	{"VALUES (fts3_tokenizer('a', x'00'))", Values, "s"},
	{"SELECT eval('DELETE FROM t')", Select, "s"},
	{"INSERT INTO t SELECT define('f', '1')", Insert, "s"},
	{"SELECT * FROM pragma_optimize", Select, "s"},
	{"SELECT * FROM Pragma_Optimize(-1)", Select, "s"},
	{"SELECT * FROM \"pragma_optimize\"", Select, "s"},
	{"SELECT * FROM 'pragma_optimize'", Select, "s"},
	{"SELECT * FROM pragma_table_info('t')", Select, "r"},
	{"SELECT optimize, eval FROM t", Select, "r"},
	{"EXPLAIN SELECT load_extension('x')", Explain, "r"},

	{"SELECT last_insert_rowid()", Select, "rc"},
	{"SELECT 1 WHERE [CHANGES] /* */ ( * ) > 0", Select, "rc"},
	{"SELECT total_changes()", Select, "rc"},
	{"SELECT changes(ALL)", Select, "rc"},
	{"SELECT changes(DISTINCT)", Select, "rc"},
	{"DELETE FROM t WHERE id = last_insert_rowid()", Delete, "c"},
	{"SELECT changes FROM t", Select, "r"},
	{"SELECT 'changes()'", Select, "r"},
	{"SELECT 1 -- changes()", Select, "r"},
	// Tables of these names.
	{"INSERT INTO changes(a, b) VALUES (1, 2)", Insert, ""},
	{"INSERT INTO main.changes (a) VALUES (changes())", Insert, "c"},
	{"CREATE TABLE changes(a)", Create, ""},
	{"CREATE INDEX i ON changes(a)", Create, ""},
	{"WITH changes(a) AS (SELECT 1) SELECT a FROM changes", Select, "r"},

	{"SELECT 1\x00", Unknown, "s"},
	{"SELECT 1 \x00 FROM t", Unknown, "s"},
	{"SELECT 'a\x00b'", Unknown, "s"},
	{"\x00", Unknown, "s"},
	{"nonsense", Unknown, "s"}, {"(SELECT 1)", Unknown, "s"}, {"'SELECT'", Unknown, "s"},
	{"\"SELECT\" 1", Unknown, "s"}, {"123", Unknown, "s"}, {"?", Unknown, "s"},
	{"ſELECT 1", Unknown, "s"}, // SQLite folds ASCII alone
}

func saysOf(s *Stmt) string {
	var b strings.Builder
	for _, f := range []struct {
		is   bool
		mark byte
	}{
		{s.ReadOnly, 'r'}, {s.Stateful, 's'}, {s.Kind.txControl(), 't'}, {s.ConnFuncs, 'c'}, {s.Returning, 'R'},
	} {
		if f.is {
			b.WriteByte(f.mark)
		}
	}
	return b.String()
}

func TestKindsOfStatements(t *testing.T) {
	for _, c := range sorted {
		text := Parse(c.sql)
		if len(text.Stmts) != 1 {
			t.Errorf("%q has %d statements", c.sql, len(text.Stmts))
			continue
		}
		s := &text.Stmts[0]
		if got := saysOf(s); s.Kind != c.kind || got != c.want {
			t.Errorf("%q is %v %q, want %v %q", c.sql, s.Kind, got, c.kind, c.want)
		}
		if text.Kind() != s.Kind || text.ReadOnly != s.ReadOnly || text.Stateful != s.Stateful ||
			text.TxControl != s.Kind.txControl() {
			t.Errorf("%q: the text says other things than its statement", c.sql)
		}
		if s.Note == nil {
			t.Errorf("%q has no Note", c.sql)
		}
	}
}

func TestAScriptIsWhatItsStatementsAre(t *testing.T) {
	for _, c := range []struct {
		sql                           string
		kind                          Kind
		readOnly, txControl, stateful bool
	}{
		{"", Empty, true, false, false},
		{"/* nothing */;", Empty, true, false, false},
		{"SELECT 1; SELECT 2", Unknown, true, false, false},
		{"SELECT 1; DELETE FROM t", Unknown, false, false, false},
		{"SELECT 1; PRAGMA foreign_keys = 0", Unknown, false, false, true},
		{"BEGIN; SELECT 1; COMMIT", Unknown, false, true, true},
	} {
		text := Parse(c.sql)
		if text.Kind() != c.kind || text.ReadOnly != c.readOnly || text.TxControl != c.txControl || text.Stateful != c.stateful {
			t.Errorf("%q is %v, read-only %v, transaction control %v, stateful %v", c.sql,
				text.Kind(), text.ReadOnly, text.TxControl, text.Stateful)
		}
	}
}

func TestModesOfBegin(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"BEGIN", ""},
		{"BEGIN TRANSACTION", ""},
		{"BEGIN DEFERRED", "deferred"},
		{"begin Immediate transaction", "immediate"},
		{"BEGIN /* */ EXCLUSIVE TRANSACTION x", "exclusive"},
		{"BEGIN CONCURRENT", "concurrent"},
		{"BEGIN READONLY", "readonly"},
		{"BEGIN TRANSACTION immediate", ""}, // a name
		{"BEGIN 'immediate'", ""},
		{"SAVEPOINT immediate", ""},
	} {
		if got := Parse(c.sql).Stmts[0].BeginMode; got != c.want {
			t.Errorf("%q has mode %q, want %q", c.sql, got, c.want)
		}
	}
}

func TestKindNames(t *testing.T) {
	seen := map[string]bool{}
	for k := Unknown; k <= Vacuum; k++ {
		name := k.String()
		if name == "" || seen[name] {
			t.Errorf("kind %d is called %q", k, name)
		}
		seen[name] = true
	}
	if got := (Vacuum + 1).String(); got != "INVALID" {
		t.Errorf("no kind is called %q", got)
	}
}
