package sqltext

import (
	"math"
	"strings"
	"testing"
)

func TestSubstituteConnState(t *testing.T) {
	for _, c := range []struct {
		sql            string
		rowid, changes int64 // negative: not given
		want           string
	}{
		{"SELECT last_insert_rowid()", 7, -1, "SELECT ifnull(0x7, last_insert_rowid())"},
		{"SELECT changes()", -1, 16, "SELECT ifnull(0x10, changes())"},
		{"SELECT last_insert_rowid(), changes()", 1, 2, "SELECT ifnull(0x1, last_insert_rowid()), ifnull(0x2, changes())"},
		{"SELECT last_insert_rowid(), changes()", 1, -1, "SELECT ifnull(0x1, last_insert_rowid()), changes()"},
		{"SELECT last_insert_rowid(), changes()", -1, -1, "SELECT last_insert_rowid(), changes()"},
		{"SELECT changes(), total_changes()", 1, 2, "SELECT ifnull(0x2, changes()), total_changes()"},
		{"SELECT changes(), changes(), changes ()", 1, 2, "SELECT ifnull(0x2, changes()), ifnull(0x2, changes()), ifnull(0x2,  changes())"},
		{"SELECT changes(), CHANGES(), Changes()", 1, 2, "SELECT ifnull(0x2, changes()), Ifnull(0x2, changes()), iFnull(0x2, changes())"},
		{"SELECT\"changes\"(), 1 AND[last_insert_rowid](*), `Changes`(), `CHANGES`()", 1, 2,
			"SELECT\"ifnull\"(0x2, changes()), 1 AND[ifnull](0x1, last_insert_rowid()), `ifnull`(0x2, changes()), `Ifnull`(0x2, changes())"},
		{"SELECT changes(/* none */)", 1, 2, "SELECT ifnull(0x2, changes())"},
		{"SELECT changes(), IFNULL(0x2, changes())", 1, 2, "SELECT ifnull(0x2,  changes()), IFNULL(0x2, ifnull(0x2,  changes()))"},
		{"INSERT INTO t VALUES (last_insert_rowid())", 1, 2, "INSERT INTO t VALUES (ifnull(0x1, last_insert_rowid()))"},
		{"INSERT INTO changes(a) VALUES (changes())", 1, 2, "INSERT INTO changes(a) VALUES (ifnull(0x2, changes()))"},
		{"INSERT INTO t VALUES (1), (changes())", 1, 2, "INSERT INTO t VALUES (1), (ifnull(0x2, changes()))"},
		{"INSERT INTO t SELECT changes() RETURNING a", 1, 2, "INSERT INTO t SELECT ifnull(0x2, changes()) RETURNING a"},
		{"UPDATE t SET a = last_insert_rowid() RETURNING changes()", 1, 2, "UPDATE t SET a = ifnull(0x1, last_insert_rowid()) RETURNING ifnull(0x2, changes())"},
		{"DELETE FROM t WHERE id = last_insert_rowid()", 1, 2, "DELETE FROM t WHERE id = ifnull(0x1, last_insert_rowid())"},
		// A value that changes while the statement runs.
		{"INSERT INTO t VALUES (1), (last_insert_rowid())", 1, 2, ""},
		{"INSERT INTO t SELECT last_insert_rowid() FROM t", 1, 2, ""},
		{"INSERT INTO t VALUES (1) RETURNING last_insert_rowid()", 1, 2, ""},
		{"INSERT INTO t DEFAULT VALUES RETURNING last_insert_rowid()", 1, 2, ""},
		{"INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = last_insert_rowid()", 1, 2, ""},
		// All or nothing.
		{"INSERT INTO t SELECT last_insert_rowid(), changes()", 1, 2, ""},
		{"SELECT changes(), changes(ALL)", 1, 2, ""},
		// A column may be named after a call.
		{"SELECT \"changes()\" FROM (SELECT changes())", 1, 2, ""},
		// Texts that are stored, or not for this.
		{"CREATE VIEW v AS SELECT changes()", 1, 2, ""},
		{"CREATE TABLE x AS SELECT changes()", 1, 2, ""},
		{"EXPLAIN SELECT changes()", 1, 2, ""},
		{"SELECT changes() \x00", 1, 2, ""},
		{"SELECT 1", 1, 2, ""},
	} {
		var rowid, changes *int64
		if c.rowid >= 0 {
			rowid = &c.rowid
		}
		if c.changes >= 0 {
			changes = &c.changes
		}
		want := c.want
		if want == "" {
			want = c.sql
		}
		got, restore := Parse(c.sql).Stmts[0].SubstituteConnState(rowid, changes)
		if got != want {
			t.Errorf("%q becomes\n\t%q, want\n\t%q", c.sql, got, want)
		}
		if back := restore(got); !strings.Contains(c.sql, "/*") && back != strings.ReplaceAll(c.sql, "\t", " ") {
			t.Errorf("%q comes back as %q", c.sql, back)
		}
		if got := restore("id"); got != "id" {
			t.Errorf("%q: the name id becomes %q", c.sql, got)
		}
	}
}

func TestSubstituteConnStateOfExtremes(t *testing.T) {
	for value, want := range map[int64]string{
		0:             "SELECT -ifnull(0x0, last_insert_rowid())",
		-1:            "SELECT -ifnull(0xffffffffffffffff, last_insert_rowid())",
		math.MaxInt64: "SELECT -ifnull(0x7fffffffffffffff, last_insert_rowid())",
		math.MinInt64: "SELECT -ifnull(0x8000000000000000, last_insert_rowid())",
	} {
		if got, _ := Parse("SELECT -last_insert_rowid()").Stmts[0].SubstituteConnState(&value, nil); got != want {
			t.Errorf("%d: %q, want %q", value, got, want)
		}
	}
}

func TestSubstituteConnStateOfManySpellings(t *testing.T) {
	// All ways to write changes() in letters of either case: there are not as
	// many ways to write what replaces it.
	spelled := func(n int) string {
		var b strings.Builder
		b.WriteString("SELECT 0")
		for v := range n {
			name := []byte("changes")
			for i := range name {
				if v>>i&1 != 0 {
					name[i] -= 'a' - 'A'
				}
			}
			b.WriteString(", " + string(name) + "()")
		}
		return b.String()
	}
	one := int64(1)
	for _, c := range []struct {
		n   int
		can bool
	}{{maxVariants, true}, {maxVariants + 1, false}, {128, false}} {
		sql := spelled(c.n)
		got, restore := Parse(sql).Stmts[0].SubstituteConnState(&one, &one)
		if (got != sql) != c.can {
			t.Errorf("%d spellings: %.60q", c.n, got)
		}
		if back := restore(got); back != sql {
			t.Errorf("%d spellings do not come back", c.n)
		}
	}
}
