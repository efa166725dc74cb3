package sqltext

import (
	"slices"
	"strings"
	"testing"
)

// splits are texts and the statements in them. FuzzSplit and FuzzParse begin
// with them.
var splits = []struct {
	sql  string
	want []string
}{
	{"", nil},
	{";", nil},
	{" ;; \n; ", nil},
	{"-- nothing", nil},
	{"/* nothing */ ; -- nothing", nil},
	{"/* open", nil},
	{"\xEF\xBB\xBF", nil},
	{"SELECT 1", []string{"SELECT 1"}},
	{" SELECT 1 ; ", []string{"SELECT 1"}},
	{"\xEF\xBB\xBFSELECT 1", []string{"SELECT 1"}},
	{"SELECT 1;SELECT 2", []string{"SELECT 1", "SELECT 2"}},
	{";;SELECT 1;;;SELECT 2;;", []string{"SELECT 1", "SELECT 2"}},
	{"/* a */ SELECT /* b; */ 1 /* c */; -- d;\nSELECT 2", []string{"SELECT /* b; */ 1", "SELECT 2"}},
	{"SELECT ';', \";\", `;`, [;] ; SELECT 2", []string{"SELECT ';', \";\", `;`, [;]", "SELECT 2"}},
	{"SELECT 'it''s; fine'; SELECT 2", []string{"SELECT 'it''s; fine'", "SELECT 2"}},
	{"SELECT 'open; SELECT 2", []string{"SELECT 'open; SELECT 2"}},
	{"SELECT \"open; SELECT 2", []string{"SELECT \"open; SELECT 2"}},
	{"SELECT [open; SELECT 2", []string{"SELECT [open; SELECT 2"}},
	{"SELECT 1 /* open; SELECT 2", []string{"SELECT 1"}},
	{"SELECT 1 /* a /* b */; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
	{"SELECT 1 -- a\r; SELECT 2", []string{"SELECT 1"}},
	{"SELECT $a(;); SELECT 2", []string{"SELECT $a(;)", "SELECT 2"}},
	{"BEGIN; INSERT INTO t VALUES (1); END; SELECT 1",
		[]string{"BEGIN", "INSERT INTO t VALUES (1)", "END", "SELECT 1"}},
	{"SELECT CASE WHEN 1 THEN 2 END; SELECT 2", []string{"SELECT CASE WHEN 1 THEN 2 END", "SELECT 2"}},

	// A NUL byte and what follows it stay with the statement before them.
	{"SELECT 1\x00; SELECT 2", []string{"SELECT 1\x00; SELECT 2"}},
	{"SELECT 1;\x00; SELECT 2", []string{"SELECT 1", "\x00; SELECT 2"}},
	{"SELECT 'a\x00b'; SELECT 2", []string{"SELECT 'a\x00b'; SELECT 2"}},
	{"SELECT 1 -- a\x00b\n; SELECT 2", []string{"SELECT 1 -- a\x00b\n; SELECT 2"}},
	{"\x00", []string{"\x00"}},

	{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; SELECT 3",
		[]string{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END", "SELECT 3"}},
	{"create temp trigger if not exists main.g instead of delete on w begin select case when 1 then 2 end; end; select 3",
		[]string{"create temp trigger if not exists main.g instead of delete on w begin select case when 1 then 2 end; end", "select 3"}},
	{"CREATE TEMPORARY TRIGGER g AFTER INSERT ON t BEGIN SELECT 1 AS end; SELECT end FROM t; /* ; */ END; SELECT 3",
		[]string{"CREATE TEMPORARY TRIGGER g AFTER INSERT ON t BEGIN SELECT 1 AS end; SELECT end FROM t; /* ; */ END", "SELECT 3"}},
	{"EXPLAIN CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END; SELECT 3",
		[]string{"EXPLAIN CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", "SELECT 3"}},
	{"EXPLAIN QUERY PLAN CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END; SELECT 3",
		[]string{"EXPLAIN QUERY PLAN CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", "SELECT 3"}},
	// These words are names too.
	{"CREATE TRIGGER trigger AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; SELECT 3",
		[]string{"CREATE TRIGGER trigger AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END", "SELECT 3"}},
	{"CREATE TRIGGER IF NOT EXISTS trigger AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; SELECT 3",
		[]string{"CREATE TRIGGER IF NOT EXISTS trigger AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END", "SELECT 3"}},
	{"CREATE TRIGGER begin AFTER UPDATE OF end ON t WHEN old.end BEGIN DELETE FROM t; END; SELECT 3",
		[]string{"CREATE TRIGGER begin AFTER UPDATE OF end ON t WHEN old.end BEGIN DELETE FROM t; END", "SELECT 3"}},
	{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; \"END\"; END; SELECT 3",
		[]string{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; \"END\"; END", "SELECT 3"}},
	{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2;",
		[]string{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2"}},
	{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1;;",
		[]string{"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1"}},
	{"CREATE TABLE trigger(a); SELECT 1", []string{"CREATE TABLE trigger(a)", "SELECT 1"}},
	{"CREATE VIEW w AS SELECT 1 AS trigger; SELECT 1", []string{"CREATE VIEW w AS SELECT 1 AS trigger", "SELECT 1"}},
	{"DROP TRIGGER g; SELECT 1", []string{"DROP TRIGGER g", "SELECT 1"}},
	{"CREATE \"TRIGGER\" g; SELECT 1", []string{"CREATE \"TRIGGER\" g", "SELECT 1"}},
}

func TestStatementsOfAText(t *testing.T) {
	for _, c := range splits {
		var got []string
		for _, s := range Parse(c.sql).Stmts {
			got = append(got, s.SQL)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q is\n\t%q, want\n\t%q", c.sql, got, c.want)
		}
	}
}

func TestManyStatementsAndLongOnes(t *testing.T) {
	const n = 10_000
	if got := len(Parse(strings.Repeat("SELECT 1;", n)).Stmts); got != n {
		t.Errorf("%d statements, want %d", got, n)
	}
	long := "SELECT " + strings.Repeat("1+", n) + "1"
	if got := Parse(long + ";" + long).Stmts; len(got) != 2 || got[0].SQL != long || got[1].SQL != long {
		t.Errorf("two long statements are %d", len(got))
	}
	deep := "SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n)
	if got := Parse("WITH a AS (" + deep + ") INSERT INTO t SELECT 1").Kind(); got != Insert {
		t.Errorf("after deep parentheses the kind is %v", got)
	}
}
