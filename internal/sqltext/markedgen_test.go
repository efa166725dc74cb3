package sqltext

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// A markedGen writes statements over the tables of markedSchema, most of which
// SQLite accepts, and half of which do something with a marked column.
type markedGen struct {
	t      *rapid.T
	depth  int
	names  int
	params bool
	ctes   []markedSource
}

// A markedSource is what stands in a FROM, and its columns' names.
type markedSource struct {
	sql, name string
	cols      []string
}

func (g *markedGen) n(max int) int { return rapid.IntRange(0, max).Draw(g.t, "n") }

func (g *markedGen) pick(choices ...string) string {
	return rapid.SampledFrom(choices).Draw(g.t, "pick")
}

func (g *markedGen) fresh(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

var markedTables = []markedSource{
	{"docs", "docs", []string{"id", "title", "body", "raw"}}, {`"DOCS"`, "Docs", []string{"ID", `"body"`, "[Raw]"}}, {"'docs'", "'docs'", []string{"body", "'body'"}},
	{"main.docs", "docs", []string{"id", "body"}}, {"notes", "notes", []string{"id", "doc", "text"}}, {"other", "other", []string{"x", "y"}},
	{"posts", "posts", []string{"id", "doc", "body"}}, {"v", "v", []string{"id", "b"}},
}

func (g *markedGen) source() markedSource {
	switch n := g.n(9); {
	case n == 0 && g.depth < 3:
		name := g.fresh("s")
		sql, cols := g.query(g.n(2) + 1)
		return markedSource{"(" + sql + ")" + g.pick(" AS ", " ") + name, name, cols}
	case n == 1:
		a, b := g.source(), g.source()
		name := g.fresh("j")
		return markedSource{"(" + a.sql + ", " + b.sql + ") AS " + name, name, append(append([]string{}, a.cols...), b.cols...)}
	case n == 2 && len(g.ctes) > 0:
		return g.ctes[g.n(len(g.ctes)-1)]
	}
	t := markedTables[g.n(len(markedTables)-1)]
	if g.n(1) == 0 {
		name := g.fresh("t")
		return markedSource{t.sql + g.pick(" AS ", " ") + name, name, t.cols}
	}
	return t
}

func (g *markedGen) column(from []markedSource) string {
	s := from[g.n(len(from)-1)]
	c := s.cols[g.n(len(s.cols)-1)]
	if strings.HasPrefix(c, "'") || g.n(1) == 0 {
		return s.name + "." + c
	}
	return c
}

func (g *markedGen) expr(from []markedSource) string {
	g.depth++
	defer func() { g.depth-- }()
	if g.depth > 5 || g.n(2) == 0 {
		return g.column(from)
	}
	e := func() string { return g.expr(from) }
	switch g.n(22) {
	case 0:
		return g.pick("'pear'", "1", "NULL", "'b'", "2.5")
	case 1:
		return g.pick("upper", "length", "typeof", "quote", "hex", "trim") + "(" + e() + ")"
	case 2, 3:
		return e() + g.pick(" || ", " = ", " > ", " IS ", " / ", " IS NOT ", " LIKE ", " -> ") + e()
	case 4, 5:
		return e() + g.pick(" IS NULL", " ISNULL", " NOTNULL", " IS NOT NULL", " NOT NULL")
	case 6, 7:
		return g.pick("coalesce", "ifnull", "nullif", "COALESCE", "max") + "(" + e() + ", " + e() + ")"
	case 8:
		return "iif(" + e() + ", " + e() + ", " + e() + ")"
	case 9, 10:
		return "CASE" + g.pick(" WHEN ", " "+e()+" WHEN ") + e() + " THEN " + e() + g.pick("", " ELSE "+e()) + " END"
	case 11, 12:
		q, _ := g.query(1)
		return "(" + q + " LIMIT 1)"
	case 13:
		q, _ := g.query(1)
		return e() + " IN (" + q + ")"
	case 14:
		return e() + " IN (" + e() + ", " + e() + ")"
	case 15:
		q, _ := g.query(g.n(1) + 1)
		return "EXISTS (" + q + ")"
	case 16, 17:
		return "(" + e() + ")"
	case 18:
		return g.pick("NOT ", "-", "+", "~") + e()
	case 19:
		return e() + " COLLATE nocase"
	case 20:
		return e() + " BETWEEN " + e() + " AND " + e()
	case 21:
		return "(" + e() + ", " + e() + ") = (" + e() + ", " + e() + ")"
	}
	return g.pick("count(", "count(DISTINCT ", "min(", "group_concat(") + e() + ")" + g.pick("", "", " OVER (ORDER BY "+e()+")", " FILTER (WHERE "+e()+")")
}

// query is a query of n columns, and their names as far as they have any.
func (g *markedGen) query(n int) (sql string, cols []string) {
	g.depth++
	defer func() { g.depth-- }()
	sql, cols = g.core(n)
	for g.n(5) == 0 {
		other, _ := g.core(n)
		sql += g.pick(" UNION ALL ", " UNION ALL ", " UNION ", " EXCEPT ", " INTERSECT ") + other
	}
	if g.n(2) == 0 {
		sql += " ORDER BY " + g.pick("1", "2", "(1)", "+2", "1 DESC", "2 COLLATE nocase", "0x1", cols[g.n(len(cols)-1)], cols[0]+" DESC")
	}
	return sql, cols
}

func (g *markedGen) core(n int) (sql string, cols []string) {
	from := []markedSource{g.source()}
	tables := from[0].sql
	for g.n(3) == 0 && len(from) < 3 {
		s := g.source()
		from = append(from, s)
		tables += g.pick(", ", " JOIN ", " LEFT JOIN ", " NATURAL JOIN ") + s.sql
		if g.n(2) == 0 && !strings.HasSuffix(tables, ", "+s.sql) && !strings.HasSuffix(tables, "NATURAL JOIN "+s.sql) {
			tables += g.pick(" ON "+g.expr(from), " USING ("+s.cols[g.n(len(s.cols)-1)]+")")
		}
	}
	var list []string
	if g.n(6) == 0 {
		list = []string{g.pick("*", from[0].name+".*")}
		for _, s := range from {
			cols = append(cols, s.cols...)
		}
		cols = append(cols, "body:1", `"body:1"`)
	} else {
		for range n {
			e := g.expr(from)
			if g.params && g.n(3) == 0 {
				e = "?"
			}
			switch g.n(3) {
			case 0:
				name := g.pick("body", "id", g.fresh("c"))
				list, cols = append(list, e+" AS "+name), append(cols, name)
			default:
				list, cols = append(list, e), append(cols, `"`+strings.Trim(e[strings.LastIndexByte(e, '.')+1:], `"'[]`)+`"`)
			}
		}
	}
	sql = "SELECT " + g.pick("", "", "", "DISTINCT ") + strings.Join(list, ", ") + " FROM " + tables
	if g.n(2) == 0 {
		sql += " WHERE " + g.expr(append(from, markedSource{name: "q", cols: cols}))
	}
	if g.n(6) == 0 {
		sql += " GROUP BY " + g.pick("1", "(1)", g.expr(from))
		if g.n(2) == 0 {
			sql += " HAVING " + g.expr(from)
		}
	}
	return sql, cols
}

func (g *markedGen) statement() string {
	with := ""
	if g.n(3) == 0 {
		q, cols := g.query(2)
		c := markedSource{g.fresh("w"), "", cols}
		list := ""
		if g.n(1) == 0 {
			c.cols, list = []string{"p", "q"}, "(p, q)"
		}
		with = "WITH " + c.sql + list + " AS (" + q + ") "
		c.name = c.sql
		g.ctes = append(g.ctes, c)
	}
	target := []markedSource{markedTables[0]}
	if g.n(1) == 0 {
		q, _ := g.query(g.n(2) + 1)
		return with + q
	}
	g.params = true
	value := func() string { return g.pick("?", "?", "?1", "(?)", g.expr(target)) }
	where := " WHERE " + g.expr(target)
	returning := g.pick("", "", " RETURNING *", " RETURNING "+g.expr(target))
	switch g.n(7) {
	case 0:
		return with + "UPDATE docs SET body = " + value() + ", raw = " + value() + where + returning
	case 1:
		return with + "UPDATE docs SET (body, title) = (" + value() + ", " + value() + ")" + where + returning
	case 2:
		q, _ := g.query(2)
		return with + "UPDATE docs SET (title, raw) = (" + q + " LIMIT 1)" + where
	case 3:
		s := g.source()
		return with + "UPDATE docs SET body = " + g.expr([]markedSource{s}) + " FROM " + s.sql + where
	case 4:
		return with + "DELETE FROM docs" + where + returning
	case 5:
		return with + "INSERT INTO docs (title, body) VALUES (" + value() + ", ?), (?, " + g.pick("?", "?2", "'x'") + ")" + returning
	case 6:
		q, _ := g.query(2)
		return with + "INSERT INTO " + g.pick("docs (title, body) ", "docs (body, raw) ", "other ", "notes (doc, text) ") + q + returning
	}
	q, _ := g.query(2)
	if g.n(1) == 0 {
		q = "VALUES (" + g.pick("1", "?") + ", ?)"
	}
	return with + "INSERT INTO docs (id, body) " + q + " ON CONFLICT (" + g.pick("id", "id", "body") + ") DO UPDATE SET body = " +
		g.pick("?", "excluded.body", "excluded.body || ''", value()) + g.pick("", ", title = excluded.title", ", title = "+value()) + g.pick("", where) + returning
}
