package sqltext

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"
)

// The oracle of marked columns: the same statements run on a database that holds
// values and on one that holds something else in marked columns. What is not
// called a misuse must give the same.

const markedSchema = `
CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, body TEXT, raw BLOB);
CREATE TABLE notes (id INTEGER PRIMARY KEY, doc INTEGER, text TEXT);
CREATE TABLE other (x, y);
CREATE TABLE posts (id INTEGER PRIMARY KEY, doc INTEGER, body TEXT);
CREATE VIEW v AS SELECT id, body AS b FROM docs;
`

// pack makes what is stored of a value.
func pack(s string) []byte { return []byte("\xff" + s) }

// markedDB is a database with values, or with what is stored of them, and with
// old ones that are stored as they are.
func markedDB(t testing.TB, framed bool) *sqlite3.Conn {
	t.Helper()
	c, err := sqlite3.Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Exec(markedSchema); err != nil {
		t.Fatal(err)
	}
	put := func(sql string, args ...any) {
		if _, err := queryMarked(c, sql, args); err != nil {
			t.Fatal(err)
		}
	}
	val := func(s string) any {
		if framed {
			return pack(s)
		}
		return s
	}
	for i, b := range []string{"pear", "apple", "5 figs", "zebra", "{\"a\":1}"} {
		put("INSERT INTO docs VALUES (?, ?, ?, ?)", i+1, fmt.Sprintf("t%d", 5-i), val(b), val(b+"!"))
		put("INSERT INTO notes VALUES (?, ?, ?)", i+1, 5-i, val(b+"?"))
		put("INSERT INTO posts VALUES (?, ?, ?)", i+1, i+2, b+"p")
	}
	put("INSERT INTO docs VALUES (6, 't6', NULL, NULL)")
	put("INSERT INTO docs VALUES (7, 't7', 'old', 'old')")
	put("INSERT INTO other VALUES ('pear', 1), ('old', 2), (3, '{\"pear\":1}')")
	return c
}

func queryMarked(c *sqlite3.Conn, sql string, args []any) (rows [][]any, err error) {
	s, _, err := c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for i, a := range args {
		switch a := a.(type) {
		case int:
			err = s.BindInt(i+1, a)
		case string:
			err = s.BindText(i+1, a)
		case []byte:
			err = s.BindBlob(i+1, a)
		}
		if err != nil {
			return nil, err
		}
	}
	for s.Step() {
		row := make([]any, s.ColumnCount())
		for i := range row {
			switch s.ColumnType(i) {
			case sqlite3.INTEGER:
				row[i] = s.ColumnInt64(i)
			case sqlite3.FLOAT:
				row[i] = s.ColumnFloat(i)
			case sqlite3.TEXT:
				row[i] = s.ColumnText(i)
			case sqlite3.BLOB:
				row[i] = s.ColumnBlob(i, nil)
			}
		}
		rows = append(rows, row)
	}
	return rows, s.Err()
}

// oracleMarks are the marked columns of markedSchema.
var oracleMarks = Marks{
	"docs": {"body": "docs.body", "raw": "docs.raw"}, "notes": {"text": "notes.text"}, "v": {"b": "docs.body"},
}

// verdicts on a statement.
const (
	vInvalid = "invalid" // SQLite does not take it
	vFine    = "fine"
	vMisuse  = "a misuse"
	vSlip    = "a slip" // it is called fine, and gives something else
)

// compareMarked runs a statement on both databases, and takes back what it does.
func compareMarked(t testing.TB, plain, framed *sqlite3.Conn, sql string) (verdict, why string) {
	t.Helper()
	text := Parse(sql)
	if len(text.Stmts) != 1 {
		return vInvalid, ""
	}
	st := &text.Stmts[0]
	u := st.MarkedUse(oracleMarks, testOrder)
	args, packed := make([]any, len(st.Params)), make([]any, len(st.Params))
	for i := range args {
		args[i] = []string{"mango", "banana", "pear", "zz"}[i%4]
		packed[i] = args[i]
	}
	for _, l := range u.Lands {
		packed[l.Param-1] = pack(args[l.Param-1].(string))
	}
	a, aerr := runMarked(t, plain, st, args)
	b, berr := runMarked(t, framed, st, packed)
	switch {
	case aerr != nil && berr != nil:
		return vInvalid, aerr.Error()
	case u.Misuse != nil:
		return vMisuse, u.Misuse.Why
	case a != b || (aerr == nil) != (berr == nil):
		return vSlip, fmt.Sprintf("%v\n%s, %v\n%s, %v", u, a, aerr, b, berr)
	}
	return vFine, ""
}

// runMarked runs a statement and gives what it returns and what it leaves, which is
// rolled back. Columns that are not marked are looked at as they are stored.
func runMarked(t testing.TB, c *sqlite3.Conn, st *Stmt, args []any) (text string, err error) {
	t.Helper()
	do := func(sql string) {
		if err := c.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	do("SAVEPOINT s")
	rows, err := queryMarked(c, st.SQL, args)
	text = render(rows, true)
	if !st.ReadOnly {
		for _, q := range []string{"SELECT id, body, raw FROM docs ORDER BY id", "SELECT text FROM notes ORDER BY id"} {
			rows, _ := queryMarked(c, q, nil)
			text += render(rows, true)
		}
		for _, q := range []string{"SELECT title FROM docs ORDER BY id", "SELECT id, doc FROM notes ORDER BY id", "SELECT rowid, * FROM other", "SELECT * FROM posts"} {
			rows, _ := queryMarked(c, q, nil)
			text += render(rows, false)
		}
	}
	do("ROLLBACK TO s")
	do("RELEASE s")
	return text, err
}

func render(rows [][]any, unpacked bool) string {
	for _, r := range rows {
		for i, v := range r {
			if b, ok := v.([]byte); ok && unpacked && len(b) > 0 && b[0] == 0xff {
				r[i] = string(b[1:])
			}
		}
	}
	return fmt.Sprintf("%#v\n", rows)
}

// TestMarkedAgainstSQLite: the lists in testdata were found by looking for what
// slips through, by hand and by TestMarkedAtRandom.
func TestMarkedAgainstSQLite(t *testing.T) {
	plain, framed := markedDB(t, false), markedDB(t, true)
	for file, want := range map[string]string{"marked-fine.sql": vFine, "marked-misuse.sql": vMisuse} {
		list, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for sql := range strings.Lines(string(list)) {
			if verdict, why := compareMarked(t, plain, framed, strings.TrimSpace(sql)); verdict != want {
				t.Errorf("%s: %s: %s", sql, verdict, why)
			}
		}
	}
}

func TestMarkedAtRandom(t *testing.T) {
	plain, framed := markedDB(t, false), markedDB(t, true)
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		g := &markedGen{t: rt}
		for range 10 {
			sql := g.statement()
			verdict, why := compareMarked(t, plain, framed, sql)
			if seen[verdict]++; verdict == vSlip {
				rt.Fatalf("%s\n%s", sql, why)
			}
		}
	})
	if seen[vFine] == 0 || seen[vMisuse] == 0 {
		t.Errorf("they are of too few kinds: %v", seen)
	}
}
