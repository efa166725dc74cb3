package shadow

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A generator makes a schema, rows and statements from a seed.
type generator struct {
	*rand.Rand
	tables []genTable
	views  []genView
	ddl    []string
}

type genTable struct {
	name    string
	id      string // its rowid's name, "" if it has none
	columns []string
	parent  int // the table that its column p refers to, -1 if none
}

type genView struct {
	name   string
	column string
	insert bool // has an INSTEAD OF trigger
}

// A genStatement is a statement with its arguments: int64, float64, string or
// nil.
type genStatement struct {
	sql  string
	args []any
	// deterministic: a read whose answer is a function of tables.
	deterministic bool
	// row is what the statement is meant to touch alone.
	row genRow
}

type genRow struct {
	table string
	id    int64
}

func generate(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 4))}
	for i := range 4 + g.IntN(4) {
		g.table(i)
	}
	for i := range 2 + g.IntN(3) {
		g.view(i)
	}
	for i := range g.IntN(3) {
		g.trigger(i)
	}
	return g
}

func (g *generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }
func (g *generator) one() genTable                 { return g.tables[g.IntN(len(g.tables))] }
func (g *generator) chance(percent int) bool       { return g.IntN(100) < percent }

func (g *generator) table(i int) {
	t := genTable{name: fmt.Sprint("t", i), id: "id", columns: []string{"a", "b"}, parent: -1}
	var columns []string
	options := ""
	key := ""
	switch g.IntN(14) {
	case 0:
		columns = append(columns, "id INTEGER PRIMARY KEY AUTOINCREMENT")
	case 1:
		t.id = "rowid"
	case 2:
		t.id, options = "", " WITHOUT ROWID"
		columns = append(columns, "k INT PRIMARY KEY DEFAULT (abs(random()))")
	case 3:
		t.id, options, key = "", " WITHOUT ROWID", "PRIMARY KEY (k, l DESC)"
		columns = append(columns, "k INT DEFAULT (abs(random()))", "l TEXT COLLATE NOCASE DEFAULT 'l'")
	case 4: // no rowid, and looks like one; or one, and does not
		t.id = ""
		columns = append(columns, g.pick("k INTEGER PRIMARY KEY DESC", "k TEXT COLLATE NOCASE PRIMARY KEY", "k PRIMARY KEY"))
	default:
		columns = append(columns, "id INTEGER PRIMARY KEY")
	}
	columns = append(columns,
		"a"+g.pick("", "", "", " INT", " INT", " TEXT", " TEXT", " REAL", " UNIQUE", " UNIQUE", " UNIQUE ON CONFLICT REPLACE"),
		"b"+g.pick("", " TEXT", " INT DEFAULT 7", " CHECK (b IS NULL OR b <> 99)"))
	if g.chance(30) {
		columns = append(columns, "c AS (coalesce(a, 0) || b)"+g.pick("", " STORED"))
	}
	if i > 0 && g.chance(30) {
		if p := g.IntN(i); g.tables[p].id == "id" {
			t.parent = p
			columns = append(columns, fmt.Sprintf("p INT DEFAULT 2 REFERENCES t%d(id)%s%s", p,
				g.pick("", " ON DELETE CASCADE", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON DELETE SET DEFAULT", " ON DELETE RESTRICT"),
				g.pick("", " ON UPDATE CASCADE", " ON UPDATE SET NULL", " DEFERRABLE INITIALLY DEFERRED")))
			t.columns = append(t.columns, "p")
		}
	}
	if key != "" {
		columns = append(columns, key)
	}
	g.tables = append(g.tables, t)
	g.ddl = append(g.ddl, fmt.Sprintf("CREATE TABLE %s(%s)%s", t.name, strings.Join(columns, ", "), options))
	if g.chance(50) {
		g.ddl = append(g.ddl, fmt.Sprintf("CREATE %sINDEX i%d ON t%d(b%s)%s",
			g.pick("", "", "UNIQUE "), i, i, g.pick("", ", a"), g.pick("", " WHERE a > 3")))
	}
}

func (g *generator) view(i int) {
	v := genView{name: fmt.Sprint("v", i), column: "x"}
	t, u := g.one(), g.one()
	switch g.IntN(4) {
	case 0:
		g.ddl = append(g.ddl, fmt.Sprintf("CREATE VIEW %s(x, y) AS SELECT a, b FROM %s", v.name, t.name))
	case 1:
		g.ddl = append(g.ddl, fmt.Sprintf("CREATE VIEW %s AS SELECT l.a AS x, r.b AS y FROM %s l LEFT JOIN %s r ON r.a = l.b", v.name, t.name, u.name))
	case 2:
		g.ddl = append(g.ddl, fmt.Sprintf("CREATE VIEW %s AS SELECT b AS x, count(*) AS y FROM %s GROUP BY b", v.name, t.name))
	case 3:
		if i == 0 {
			g.view(i)
			return
		}
		g.ddl = append(g.ddl, fmt.Sprintf("CREATE VIEW %s AS SELECT x, (SELECT max(a) FROM %s) AS y FROM v%d", v.name, t.name, g.IntN(i)))
	}
	if g.chance(30) {
		v.insert = true
		g.ddl = append(g.ddl, fmt.Sprintf("CREATE TRIGGER vt%d INSTEAD OF INSERT ON %s BEGIN INSERT INTO %s(a, b) VALUES (new.x, 1); END", i, v.name, u.name),
			fmt.Sprintf("CREATE TRIGGER vu%d INSTEAD OF UPDATE ON %s BEGIN UPDATE %s SET b = new.x WHERE a IS old.x; END", i, v.name, t.name),
			fmt.Sprintf("CREATE TRIGGER vd%d INSTEAD OF DELETE ON %s BEGIN DELETE FROM %s WHERE b IS old.x; END", i, v.name, t.name))
	}
	g.views = append(g.views, v)
}

func (g *generator) trigger(i int) {
	on, to := g.one(), g.one()
	body := g.pick(
		"INSERT INTO "+to.name+"(b) VALUES (1)",
		"UPDATE "+to.name+" SET b = coalesce(b, 0) || 'x' WHERE a = (SELECT max(a) FROM "+g.one().name+")",
		"UPDATE OR REPLACE "+to.name+" SET a = 3 WHERE b = 2",
		"DELETE FROM "+to.name+" WHERE b = 3",
		"REPLACE INTO "+to.name+"(a, b) VALUES (new_or_old.a, 4)",
		"INSERT INTO "+to.name+"(a) VALUES (2) ON CONFLICT DO UPDATE SET b = 6; DELETE FROM "+g.one().name+" WHERE a = 7",
		"SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM "+to.name+" WHERE a = 4)")
	when := g.pick("INSERT", "UPDATE", "UPDATE OF a", "DELETE")
	row := "new"
	if when == "DELETE" {
		row = "old"
	}
	body = strings.ReplaceAll(body, "new_or_old", row)
	g.ddl = append(g.ddl, fmt.Sprintf("CREATE TRIGGER tr%d %s %s ON %s %s BEGIN %s; END", i,
		g.pick("BEFORE", "AFTER"), when, on.name,
		g.pick("", "", "WHEN 1 < 2"), body))
}

// rows fills the tables.
func (g *generator) rows() (all []genStatement) {
	for _, t := range g.tables {
		for id := int64(1); id <= 8; id++ {
			s := genStatement{sql: fmt.Sprintf("INSERT OR IGNORE INTO %s(%s, a, b) VALUES (?, ?, ?)", t.name, t.key()), args: []any{id, g.value(), g.value()}}
			if t.parent >= 0 {
				s.sql = fmt.Sprintf("INSERT OR IGNORE INTO %s(%s, a, b, p) VALUES (?, ?, ?, ?)", t.name, t.key())
				s.args = append(s.args, int64(1+g.IntN(8)))
			}
			all = append(all, s)
		}
	}
	return all
}

// key is the name of what tells rows apart.
func (t genTable) key() string {
	if t.id == "" {
		return "k"
	}
	return t.id
}

// row is the zero genRow for a table of which a row has no Key.
func (t genTable) row(id int64) genRow {
	if t.id == "" {
		return genRow{}
	}
	return genRow{t.name, id}
}

func (g *generator) value() any {
	switch g.IntN(6) {
	case 0:
		return nil
	case 1:
		return float64(g.IntN(10)) / 2
	case 2:
		return fmt.Sprint(g.IntN(9))
	default:
		return int64(g.IntN(10))
	}
}

// keyArg is an integer, or now and then something that SQLite takes for one.
func (g *generator) keyArg() (arg any, id int64) {
	id = int64(1 + g.IntN(10))
	switch g.IntN(80) {
	case 0:
		return fmt.Sprint(id), id
	case 1:
		return float64(id), id
	}
	return id, id
}

func (g *generator) read() genStatement {
	t, u, v := g.one(), g.one(), g.views[g.IntN(len(g.views))]
	arg, id := g.keyArg()
	s := genStatement{deterministic: true}
	f := fmt.Sprintf
	switch g.IntN(22) {
	case 0, 1, 2, 3, 4:
		s.sql, s.args, s.row = f("SELECT * FROM %s WHERE %s = ?", t.name, t.key()), []any{arg}, t.row(id)
	case 5:
		s.sql, s.args, s.row = f("SELECT a, b FROM %s WHERE b IS NOT ?2 AND %s = ?1", t.name, t.key()), []any{arg, g.value()}, t.row(id)
	case 6:
		s.sql, s.row = f("SELECT count(*), max(a), group_concat(b) FROM %s WHERE %s = %d", t.name, t.key(), id), t.row(id)
	case 7:
		s.sql, s.args = f("SELECT * FROM %s WHERE a = ? OR b > 4 ORDER BY a, b", t.name), []any{g.value()}
	case 8:
		s.sql = f("SELECT count(*), sum(a), group_concat(b) FROM %s", t.name)
	case 9:
		s.sql, s.args = f("SELECT l.a, r.b FROM %s l JOIN %s r ON r.%s = l.a WHERE l.%s = ?", t.name, u.name, u.key(), t.key()), []any{arg}
	case 10:
		s.sql = f("SELECT * FROM %s", v.name)
	case 11:
		s.sql, s.args = f("SELECT count(*) FROM %s WHERE x IS NOT ?", v.name), []any{g.value()}
	case 12:
		s.sql, s.args = f("WITH c AS (SELECT a FROM %s WHERE b < ?) SELECT count(*), (SELECT count(*) FROM %s) FROM c", t.name, u.name), []any{g.value()}
	case 13:
		s.sql, s.args = f("SELECT EXISTS (SELECT 1 FROM %s WHERE %s = ?)", t.name, t.key()), []any{arg}
	case 14:
		s.sql, s.args = f("SELECT a FROM %s WHERE %s IN (?, ?)", t.name, t.key()), []any{arg, g.value()}
	case 15:
		s.sql = f("SELECT a FROM %s UNION SELECT b FROM %s EXCEPT SELECT x FROM %s", t.name, u.name, v.name)
	case 16:
		s.sql, s.args = f("SELECT a, (SELECT count(*) FROM %s) FROM %s WHERE %s = ?", t.name, t.name, t.key()), []any{arg}
	case 17:
		s.sql = f("SELECT t.a, e.value FROM %s t, json_each('[1,2]') e WHERE t.a = e.value", t.name)
	case 18:
		s.sql, s.args = f("SELECT b, row_number() OVER (ORDER BY a, b) FROM %s LIMIT ?", t.name), []any{int64(3)}
	case 19:
		s.sql, s.args = f("SELECT a FROM %s WHERE %s = ? + 1", t.name, t.key()), []any{id}
	case 20:
		s.sql, s.args = f("SELECT max(%s), min(%s) FROM %s", t.key(), t.key(), t.name), nil
	case 21:
		s.sql, s.deterministic = f("SELECT a, %s FROM %s", g.pick("random()", "datetime('now')", "last_insert_rowid()", "changes()"), t.name), false
	}
	return s
}

func (g *generator) write() genStatement {
	t, u, v := g.one(), g.one(), g.views[g.IntN(len(g.views))]
	arg, id := g.keyArg()
	var s genStatement
	f := fmt.Sprintf
	column := t.columns[g.IntN(len(t.columns))]
	returning := g.pick("", "", " RETURNING *")
	switch g.IntN(27) {
	case 24:
		s.sql, s.args = f("UPDATE %s SET x = ? WHERE x = ?", v.name), []any{g.value(), g.value()}
	case 25:
		s.sql, s.args = f("DELETE FROM %s WHERE x = ?", v.name), []any{g.value()}
	case 26:
		s.sql, s.args = f("UPDATE OR REPLACE %s SET %s = ?, a = ? WHERE %s = ?%s", t.name, t.key(), t.key(), returning), []any{int64(1 + g.IntN(12)), g.value(), arg}
	case 0, 1, 2, 3:
		s.sql, s.args, s.row = f("UPDATE %s SET %s = ? WHERE %s = ?%s", t.name, column, t.key(), returning), []any{g.value(), arg}, t.row(id)
	case 4, 5:
		s.sql, s.args, s.row = f("DELETE FROM %s WHERE %s = ?%s", t.name, t.key(), returning), []any{arg}, t.row(id)
	case 6, 7:
		s.sql, s.args, s.row = f("INSERT INTO %s(%s, a) VALUES (?, ?)%s", t.name, t.key(), returning), []any{arg, g.value()}, t.row(id)
	case 8:
		s.sql, s.args, s.row = f("UPDATE %s SET b = coalesce(a, 1) + 1 WHERE %s = %d AND a IS NOT ?", t.name, t.key(), id), []any{g.value()}, t.row(id)
	case 9:
		s.sql, s.args, s.row = f("UPDATE OR IGNORE %s SET a = ?, b = ? WHERE %s = ?", t.name, t.key()), []any{g.value(), g.value(), arg}, t.row(id)
	case 10:
		s.sql, s.args = f("INSERT INTO %s(a, b) VALUES (?, ?)", t.name), []any{g.value(), g.value()}
	case 11:
		s.sql, s.args = f("REPLACE INTO %s(%s, a, b) VALUES (?, ?, ?)", t.name, t.key()), []any{arg, g.value(), g.value()}
	case 12:
		s.sql, s.args = f("INSERT INTO %s(%s, a) VALUES (?, ?) ON CONFLICT DO UPDATE SET %s = excluded.a", t.name, t.key(), g.pick("a", "b", t.key())), []any{arg, g.value()}
	case 13:
		s.sql, s.args = f("UPDATE %s SET %s = ? WHERE %s = ?", t.name, t.key(), t.key()), []any{int64(1 + g.IntN(12)), arg}
	case 14:
		s.sql, s.args = f("UPDATE OR REPLACE %s SET a = ? WHERE %s = ?", t.name, t.key()), []any{g.value(), arg}
	case 15:
		s.sql, s.args = f("UPDATE %s SET b = ? WHERE a = ?", t.name), []any{g.value(), g.value()}
	case 16:
		s.sql = f("DELETE FROM %s", t.name)
	case 17:
		s.sql = f("INSERT INTO %s(a, b) SELECT b, a FROM %s WHERE a < 4", t.name, u.name)
	case 18:
		s.sql, s.args = f("DELETE FROM %s WHERE a IN (SELECT b FROM %s) OR %s = ?", t.name, u.name, t.key()), []any{arg}
	case 19:
		s.sql = f("INSERT INTO %s(%s, a) VALUES (20, 1), (21, 2)", t.name, t.key())
	case 20:
		s.sql, s.args = f("UPDATE %s SET b = o.a FROM %s o WHERE o.b = %s.a", t.name, u.name, t.name), nil
	case 21:
		s.sql, s.args = f("INSERT INTO %s(x) VALUES (?)", v.name), []any{g.value()}
	case 22:
		s.sql, s.args = f("INSERT INTO %s(%s, a) SELECT ?, ?", t.name, t.key()), []any{arg, g.value()}
	case 23:
		s.sql, s.args = f("WITH c(z) AS (VALUES (?)) UPDATE %s SET a = 5 WHERE %s = (SELECT z FROM c)", t.name, t.key()), []any{arg}
	}
	return s
}
