package sqltext

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"
)

// stored are the settings that belong to the database, not to the connection.
var stored = []string{"user_version", "application_id", "schema_version", "page_count", "freelist_count"}

// settings are changes(), then what every PRAGMA says that sets something or lists
// what there is on a connection, and the rest of a connection's state that a
// statement could change.
func settings(t testing.TB, c *sqlite3.Conn, leaveOut ...string) []string {
	t.Helper()
	// This opens the temporary database, if it was not open.
	temp := runOn(t, c, "SELECT * FROM temp.sqlite_schema", nil).rows
	// SQLite lists modules as they are first used.
	leaveOut = append(leaveOut, "module_list")
	all := []string{
		fmt.Sprint("changes()", c.Changes()), fmt.Sprint(temp),
		fmt.Sprint(c.GetAutocommit(), c.LastInsertRowID(), c.TotalChanges()),
	}
	for name, form := range readingPragmas {
		if form == bare && !slices.Contains(leaveOut, name) {
			all = append(all, fmt.Sprint(name, runOn(t, c, "PRAGMA "+name, nil).rows))
		}
	}
	slices.Sort(all[1:])
	return all
}

func changed(before, after []string) (all []string) {
	for _, s := range after {
		if !slices.Contains(before, s) {
			all = append(all, s)
		}
	}
	return all
}

// What is called read-only leaves everything as it was, when it is run.
func TestReadOnlyStatementsLeaveNothing(t *testing.T) {
	o := newOracle(t)
	ran := 0
	rapid.Check(t, func(rt *rapid.T) {
		g := &gen{t: rt, params: true, calls: true}
		text := Parse(g.spaced(g.statement()))
		if !text.ReadOnly {
			return
		}
		want := append(settings(t, o.Conn), contents(t, o.Conn)...)
		if runOn(t, o.Conn, text.SQL, nil).err == nil {
			ran++
		}
		got := append(settings(t, o.Conn), contents(t, o.Conn)...)
		if text.Kind() == Explain && o.Changes() == 0 {
			got[0] = want[0]
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("%q has changed %q", text.SQL, changed(want, got))
		}
	})
	if ran == 0 {
		t.Error("no statement ran")
	}
}

func TestReadingPragmasLeaveNothing(t *testing.T) {
	o := newOracle(t)
	want := append(settings(t, o.Conn), contents(t, o.Conn)...)
	for name, form := range readingPragmas {
		all := []string{"PRAGMA " + name, "PRAGMA main." + name}
		if form&argument != 0 {
			for _, arg := range []string{"(t)", " = 'ta'", "(3)", "(nothing)"} {
				all = append(all, "PRAGMA "+name+arg)
			}
		}
		for _, sql := range all {
			if s := &Parse(sql).Stmts[0]; !s.ReadOnly || s.Stateful {
				t.Errorf("%q is not read-only", sql)
			}
			runOn(t, o.Conn, sql, nil)
			if got := append(settings(t, o.Conn), contents(t, o.Conn)...); !slices.Equal(got, want) {
				t.Fatalf("%q has changed %q", sql, changed(want, got))
			}
		}
	}
}

func TestWritingPragmasLeaveNothingOnTheConnection(t *testing.T) {
	o := newOracle(t)
	if err := o.SetAuthorizer(nil); err != nil {
		t.Fatal(err)
	}
	want := settings(t, o.Conn, stored...)
	for name, form := range writingPragmas {
		all := []string{"PRAGMA " + name, "PRAGMA main." + name + " = 2"}
		if form&bare == 0 {
			all = all[1:]
		}
		for _, sql := range all {
			if s := &Parse(sql).Stmts[0]; s.ReadOnly || s.Stateful {
				t.Errorf("%q is read-only or stateful", sql)
			}
			if out := runOn(t, o.Conn, sql, nil); out.err != nil {
				t.Errorf("%q: %v", sql, out.err)
			}
			if got := settings(t, o.Conn, stored...); !slices.Equal(got, want) {
				t.Fatalf("%q has changed %q", sql, changed(want, got))
			}
		}
	}
	if got := runOn(t, o.Conn, "PRAGMA user_version", nil).rows; !strings.Contains(fmt.Sprint(got), `"2"`) {
		t.Errorf("the user version is %v", got)
	}
}

// What these functions of SELECT do is why it is not read-only with them.
func TestASelectThatWrites(t *testing.T) {
	o := newOracle(t)
	if err := o.SetAuthorizer(nil); err != nil {
		t.Fatal(err)
	}
	const sql = "SELECT * FROM pragma_optimize(0x10002)"
	stmt, _, err := o.Prepare(sql)
	if err != nil {
		t.Fatal(err)
	}
	if !stmt.ReadOnly() {
		t.Error("SQLite knows now that this writes")
	}
	stmt.Close()
	before := contents(t, o.Conn)
	if out := runOn(t, o.Conn, sql, nil); out.err != nil {
		t.Fatal(out.err)
	}
	if slices.Equal(contents(t, o.Conn), before) {
		t.Error("this writes nothing any more")
	}
	if Parse(sql).ReadOnly {
		t.Error("it is called read-only")
	}
}
