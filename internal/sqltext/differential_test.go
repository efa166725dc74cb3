package sqltext

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// SQLite's boundaries, parameters, kinds and read-only flag are ours.
func TestGeneratedScriptsAreWhatSQLiteSays(t *testing.T) {
	o := newOracle(t)
	statements, prepared := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := &gen{t: rt, params: true, calls: true}
		sql := g.script()
		statements += len(Parse(sql).Stmts)
		prepared += o.compare(t, sql)
		if t.Failed() {
			rt.FailNow()
		}
	})
	t.Logf("%d of %d statements were valid", prepared, statements)
	if prepared*2 < statements {
		t.Error("most of the generated statements are not valid")
	}
}

// An outcome is what running a statement gave.
type outcome struct {
	names []string
	rows  []string
	err   error
}

// runOn runs a text of one statement with the values for its parameters.
func runOn(t testing.TB, c *sqlite3.Conn, sql string, args []any) (out outcome) {
	t.Helper()
	stmt, _, err := c.Prepare(sql)
	if err != nil {
		return outcome{err: err}
	}
	defer stmt.Close()
	for i := range min(len(args), stmt.BindCount()) {
		switch v := args[i].(type) {
		case int64:
			err = stmt.BindInt64(i+1, v)
		case float64:
			err = stmt.BindFloat(i+1, v)
		case string:
			err = stmt.BindText(i+1, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range stmt.ColumnCount() {
		out.names = append(out.names, stmt.ColumnName(i))
	}
	for stmt.Step() && len(out.rows) < 1000 {
		var b strings.Builder
		for i := range stmt.ColumnCount() {
			fmt.Fprintf(&b, "%v:%q ", stmt.ColumnType(i), stmt.ColumnRawBlob(i))
		}
		out.rows = append(out.rows, b.String())
	}
	out.err = stmt.Err()
	return out
}

// contents are the rows of all tables.
func contents(t testing.TB, c *sqlite3.Conn) (all []string) {
	for _, table := range []string{"t", "u", "changes", "scratch", "sqlite_schema"} {
		all = append(all, runOn(t, c, "SELECT * FROM "+table, nil).rows...)
	}
	return all
}

// within runs f between a savepoint and the return to it. It leaves changes()
// and last_insert_rowid() as f has.
func within(t testing.TB, c *sqlite3.Conn, f func()) {
	t.Helper()
	if err := c.Exec("SAVEPOINT within"); err != nil {
		t.Fatal(err)
	}
	f()
	if err := c.Exec("ROLLBACK TO within; RELEASE within"); err != nil {
		t.Fatal(err)
	}
}

// setState gives a connection its values of last_insert_rowid() and changes().
func setState(t testing.TB, c *sqlite3.Conn, rowid, changes int64) {
	t.Helper()
	if err := c.Exec(fmt.Sprintf("UPDATE scratch SET x = x WHERE rowid <= %d", changes)); err != nil {
		t.Fatal(err)
	}
	c.SetLastInsertRowID(rowid)
	if c.Changes() != changes || c.LastInsertRowID() != rowid {
		t.Fatalf("%d changes, not %d", c.Changes(), changes)
	}
}

// same reports whether a statement that was made of another gave what that had
// given. What is an error may work with a constant: SQLite does not look for rows
// where a constant condition is false, and it takes no two parameters to be equal,
// so that ORDER BY ?1 of a UNION is no column.
func same(want, got outcome) bool {
	slices.Sort(want.rows)
	slices.Sort(got.rows)
	return want.err != nil || got.err == nil && slices.Equal(want.rows, got.rows)
}

// A statement runs on a connection without the state, after substitution, as on
// the one that has it.
func TestSubstitutedStatementsGiveTheSame(t *testing.T) {
	with, without := newOracle(t), newOracle(t)
	ran, substituted := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := &gen{t: rt, calls: true, params: rapid.Bool().Draw(rt, "params")}
		tokens := g.query()
		if g.n(2) == 0 {
			tokens = g.write()
		}
		text := Parse(g.spaced(tokens))
		s := &text.Stmts[0]
		rowid, changes := rapid.Int64().Draw(rt, "rowid"), int64(g.n(10))
		sql, restore := s.SubstituteConnState(&rowid, &changes)
		if sql == s.SQL {
			return
		}
		args := make([]any, len(s.Params))
		for i := range args {
			args[i] = g.value()
		}
		var want, got outcome
		var left, right []string
		within(t, with.Conn, func() {
			setState(t, with.Conn, rowid, changes)
			want = runOn(t, with.Conn, s.SQL, args)
			left = contents(t, with.Conn)
		})
		within(t, without.Conn, func() {
			setState(t, without.Conn, rowid/2+1, (changes+5)%11)
			got = runOn(t, without.Conn, sql, args)
			right = contents(t, without.Conn)
		})
		substituted++
		if want.err == nil {
			ran++
		}
		for i := range got.names {
			got.names[i] = restore(got.names[i])
		}
		if !same(want, got) || want.err == nil && (!slices.Equal(want.names, got.names) || !slices.Equal(left, right)) {
			rt.Fatalf("%q with %v\ngives %+v;\n%q\ngives %+v", s.SQL, args, want, sql, got)
		}
	})
	t.Logf("%d of %d statements ran", ran, substituted)
	if ran*3 < substituted || ran == 0 {
		t.Error("too few statements ran")
	}
}

// A statement with a literal in the place of a parameter, or with numbers in the
// place of all names, gives the same.
func TestInlinedStatementsGiveTheSame(t *testing.T) {
	o := newOracle(t)
	ran, inlined := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := &gen{t: rt, params: true}
		tokens := g.query()
		if g.n(2) == 0 {
			tokens = g.write()
		}
		s := &Parse(g.spaced(tokens)).Stmts[0]
		if len(s.Params) == 0 {
			return
		}
		args := make([]any, len(s.Params))
		for i := range args {
			args[i] = g.value()
		}
		index := 1 + g.n(len(args)-1)
		sql := s.InlineParam(index, literal(args[index-1]))
		if g.n(2) == 0 {
			sql = s.NumberParams()
		}
		var want, got outcome
		var left, right []string
		within(t, o.Conn, func() {
			want = runOn(t, o.Conn, s.SQL, args)
			left = contents(t, o.Conn)
		})
		within(t, o.Conn, func() {
			got = runOn(t, o.Conn, sql, args)
			right = contents(t, o.Conn)
		})
		inlined++
		if want.err == nil {
			ran++
		}
		if !same(want, got) || want.err == nil && !slices.Equal(left, right) {
			rt.Fatalf("%q with %v\ngives %+v;\n%q\ngives %+v", s.SQL, args, want, sql, got)
		}
	})
	t.Logf("%d of %d statements ran", ran, inlined)
	if ran*3 < inlined || ran == 0 {
		t.Error("too few statements ran")
	}
}

// A statement does to last_insert_rowid() what its rule says, on tables that
// have rowids and nothing that swallows an INSERT.
func TestGeneratedWritesKeepTheirRowidRule(t *testing.T) {
	o := newOracle(t)
	const other = -987654321
	ran := 0
	rapid.Check(t, func(rt *rapid.T) {
		g := &gen{t: rt}
		s := &Parse(g.spaced(g.write())).Stmts[0]
		within(t, o.Conn, func() {
			o.SetLastInsertRowID(other)
			if runOn(t, o.Conn, s.SQL, nil).err != nil {
				return
			}
			ran++
			set := o.LastInsertRowID() != other
			onView := strings.Contains(s.SQL, "w") && strings.Contains(strings.ToLower(s.SQL), "into")
			if set && s.Rowid == exec.RowidNone || !set && s.Rowid == exec.RowidAlways && !onView {
				rt.Fatalf("%q has rule %d, and sets a rowid: %v", s.SQL, s.Rowid, set)
			}
		})
	})
	if ran == 0 {
		t.Error("no statement ran")
	}
}
