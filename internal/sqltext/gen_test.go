package sqltext

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// A gen writes statements that SQLite accepts, most of them, for the oracle's
// schema. A statement is a list of tokens.
type gen struct {
	t *rapid.T
	// params: parameters may occur; calls: those of the connection's functions;
	// secrets: literals that say so, in all ways to write one.
	params, calls, secrets bool
	depth                  int
}

func (g *gen) pick(choices ...string) string {
	return rapid.SampledFrom(choices).Draw(g.t, "pick")
}

func (g *gen) n(max int) int { return rapid.IntRange(0, max).Draw(g.t, "n") }

func (g *gen) maybe(tokens ...string) []string {
	if g.n(3) > 0 {
		return nil
	}
	return tokens
}

// list is one to max of what one makes, with commas between.
func (g *gen) list(max int, one func() []string) []string {
	all := one()
	for range g.n(max - 1) {
		all = append(append(all, ","), one()...)
	}
	return all
}

func cat(parts ...any) []string {
	var all []string
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			all = append(all, strings.Fields(p)...)
		case []string:
			all = append(all, p...)
		}
	}
	return all
}

func parens(tokens []string) []string { return cat("(", tokens, ")") }

func (g *gen) param() []string {
	return []string{g.pick("?", "?", "?1", "?2", "?02", "?7", ":a", ":b", ":A", "@a", "$a", "#a", "$a::b(c)", ":é")}
}

func (g *gen) call() []string {
	return []string{g.pick("changes()", "last_insert_rowid()", "changes()", "CHANGES()", "Changes()", "changes( )", "changes(*)",
		"Last_Insert_RowID()", "last_insert_rowid/**/()", `"changes"()`, "[last_insert_rowid]()", "`CHANGES`()", "`changes`( )")}
}

func (g *gen) secret() []string {
	return []string{g.pick(`"secret"`, `"secret"`, "'secret'", "\"a\"\"secret\"", "'it''s secret'", "x'5ec2e7'", "0x5EC2E7")}
}

func (g *gen) atom() []string {
	choice := g.n(11)
	switch {
	case choice < 3 && g.secrets:
		return g.secret()
	case choice < 3 && g.params:
		return g.param()
	case choice < 4 && g.calls:
		return g.call()
	case choice < 6:
		return []string{g.pick("a", "b", "n", `"a"`, "[b]", "`n`")}
	case choice < 8:
		return []string{g.pick("0", "1", "2", "-1", "9223372036854775807", "0x1F", "2.5", ".5", "1e3", "1_000")}
	case choice < 10:
		return []string{g.pick("'x'", "''", "'it''s; -- ?'", "'/* :a */'", "'2'", "x'00ff'", "X''")}
	}
	return []string{g.pick("NULL", "TRUE", "current_date IS NULL")}
}

func (g *gen) expr() []string {
	g.depth++
	defer func() { g.depth-- }()
	if g.depth > 4 {
		return g.atom()
	}
	switch g.n(16) {
	case 0, 1, 2, 3, 4, 5:
		return g.atom()
	case 6, 7:
		return cat(g.expr(), g.pick("+", "-", "*", "||", "=", "<", "<>", "IS", "IS NOT", "AND", "OR", "&", "<<", "->>",
			"LIKE", "IS NOT DISTINCT FROM"), g.expr())
	case 8:
		return cat(g.pick("-", "+", "~", "NOT"), "(", g.expr(), ")")
	case 9:
		return cat("CASE", g.maybe(g.expr()...), "WHEN", g.expr(), "THEN", g.expr(), g.maybe(cat("ELSE", g.expr())...), "END")
	case 10:
		return cat("(", g.expr(), ")", g.pick("IN", "NOT IN"), "(", g.list(3, g.expr), ")")
	case 11:
		return cat(g.pick("abs", "typeof", "quote", "lower", "length", "likely"), "(", g.expr(), ")")
	case 12:
		return cat(g.pick("coalesce", "ifnull", "nullif", "max"), "(", g.expr(), ",", g.expr(), ")")
	case 13:
		return cat("CAST (", g.expr(), "AS", g.pick("TEXT", "INTEGER", "NUMERIC", "BLOB", "REAL"), ")")
	case 14:
		return cat("(", g.expr(), ")", g.pick("COLLATE NOCASE", "ISNULL", "NOTNULL", "BETWEEN 0 AND 5"))
	case 15:
		return cat(g.pick("", "EXISTS"), parens(cat("SELECT", g.expr(), "FROM", g.source(), g.maybe(cat("WHERE", g.expr())...), "LIMIT 1")))
	}
	return cat("(", g.expr(), ")", g.pick("IN", "NOT IN"), parens(g.selectOf(1)))
}

func (g *gen) source() []string {
	return cat(g.pick("t", "t", "w", "main . t", `"t"`, "t AS x", "( SELECT a , b , 2 AS n FROM changes ) AS y"))
}

func (g *gen) column() []string {
	return cat(g.expr(), g.maybe("AS", g.pick("x", "end1", `"x y"`, "'z'", "`q`")))
}

// selectOf is a SELECT or VALUES of as many columns.
func (g *gen) selectOf(columns int) []string {
	var cols []string
	for i := range columns {
		if i > 0 {
			cols = append(cols, ",")
		}
		cols = append(cols, g.column()...)
	}
	if g.n(9) == 0 {
		g.depth += 3
		defer func() { g.depth -= 3 }()
		row := g.expr()
		for range columns - 1 {
			row = cat(row, ",", g.expr())
		}
		return cat("SELECT * FROM", parens(cat("SELECT", strings.Repeat("1 , ", columns-1), "1 UNION ALL SELECT", row,
			"FROM", g.source(), "UNION ALL SELECT", strings.Repeat("n , ", columns-1), "n FROM t")))
	}
	return cat("SELECT", g.maybe("DISTINCT"), cols, "FROM", g.source(), g.maybe(cat("WHERE", g.expr())...),
		g.maybe(cat("GROUP BY", g.list(2, g.term), g.maybe(cat("HAVING", g.expr())...))...))
}

// term is an expression for ORDER BY and GROUP BY.
func (g *gen) term() []string {
	if g.n(1) == 0 {
		return g.constant()
	}
	return cat("typeof (", g.expr(), ")")
}

func (g *gen) query() []string {
	switch g.n(9) {
	case 0:
		return cat("VALUES", parens(cat(g.constant(), ",", g.constant())), g.maybe(",", "(", "1", ",", "2", ")"))
	case 1:
		return cat("WITH", g.maybe("RECURSIVE"), g.pick("c", `"c"`, "'c'"), "( a , b , n ) AS", g.maybe(cat(g.pick("", "NOT"), "MATERIALIZED")...),
			parens(g.selectOf(3)), "SELECT", g.expr(), "FROM c")
	case 2:
		return cat(g.selectOf(2), g.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT"), g.selectOf(2), g.maybe(cat("ORDER BY 1 ,", g.term())...))
	case 3:
		return cat("SELECT", g.pick("count(*)", "sum(n)", "group_concat(b,'')", "max(a)"), ",", g.expr(), "FROM", g.source())
	case 4:
		return cat("SELECT x . a ,", g.expr(), "FROM t AS x", g.pick("JOIN", "LEFT JOIN", "CROSS JOIN"),
			"u AS y ON y . k = x . b", g.maybe(cat("WHERE", g.expr())...), g.order())
	}
	if g.calls && g.n(4) == 0 {
		// Columns that are named after calls, and compared without regard to case.
		return cat("SELECT * FROM ( SELECT", g.list(3, g.call), ", a FROM t )", g.pick("", "AS x"),
			g.pick("JOIN", "NATURAL JOIN", ","), "( SELECT", g.list(3, g.call), ")", g.order())
	}
	return cat(g.selectOf(1+g.n(2)), g.order(), g.maybe(cat("LIMIT", g.limit(), g.maybe("OFFSET", "1"))...))
}

// constant is an expression without columns.
func (g *gen) constant() []string {
	switch {
	case g.secrets:
		return g.secret()
	case g.params && g.n(2) == 0:
		return g.param()
	case g.calls && g.n(2) == 0:
		return cat(g.call(), g.pick("+ 1", "|| 'x'", "", "COLLATE NOCASE"))
	}
	return []string{g.pick("1", "'x'", "NULL", "x'00'", "2.5")}
}

func (g *gen) limit() []string {
	if g.calls && g.n(1) == 0 {
		return g.call()
	}
	return []string{"3"}
}

func (g *gen) order() []string {
	if g.n(1) == 0 {
		return nil
	}
	return cat("ORDER BY", g.pick("", "1 ,", "1 NULLS LAST ,"), g.pick("", "1 DESC ,"), g.term())
}

func (g *gen) returning() []string {
	return g.maybe(cat("RETURNING", g.list(2, g.column))...)
}

func (g *gen) write() []string {
	with := g.maybe(cat("WITH c ( a , b , n ) AS", parens(g.selectOf(3)))...)
	switch g.n(7) {
	case 0, 1:
		row := func() []string { return parens(cat(g.constant(), ",", g.constant())) }
		return cat(with, g.pick("INSERT INTO", "INSERT OR IGNORE INTO", "INSERT OR REPLACE INTO", "REPLACE INTO"),
			g.pick("t", "w", "changes", "main . changes", `"t" AS x`), "( a , b ) VALUES", g.list(3, row), g.returning())
	case 2:
		return cat(with, "INSERT INTO t ( a , b )", g.selectOf(2), "WHERE 1", g.pick("", "ON CONFLICT DO NOTHING",
			"ON CONFLICT ( id ) DO UPDATE SET a = excluded . a"), g.returning())
	case 3:
		return cat("INSERT INTO", g.pick("t", "main . t"), "DEFAULT VALUES", g.returning())
	case 4:
		return cat("INSERT INTO changes VALUES", parens(cat(g.constant(), ",", g.constant())),
			"ON CONFLICT ( b ) DO UPDATE SET a =", g.constant())
	case 5, 6:
		return cat(with, "UPDATE", g.maybe("OR", "IGNORE"), g.pick("t", "main . t"), "SET a =", g.expr(), ",", g.pick("b", `"b"`), "=", g.expr(),
			g.maybe(cat("WHERE", g.expr())...), g.returning())
	}
	return cat(with, "DELETE FROM", g.pick("t", "t", "w"), g.maybe(cat("WHERE", g.expr())...), g.returning())
}

// other is a statement that neither reads nor writes rows.
func (g *gen) other() []string {
	switch g.n(8) {
	case 0:
		return cat(g.pick("BEGIN", "BEGIN IMMEDIATE", "BEGIN DEFERRED TRANSACTION", "COMMIT", "END", "END TRANSACTION", "ROLLBACK",
			"ROLLBACK TRANSACTION x", "ROLLBACK TO x", "ROLLBACK TRANSACTION TO SAVEPOINT x", "SAVEPOINT x", "RELEASE SAVEPOINT x"))
	case 1:
		return cat("PRAGMA", g.pick("foreign_keys", "table_info ( t )", "main . user_version", "schema_version", "journal_mode",
			"integrity_check ( 3 )", "foreign_key_list = t", "\"main\" . \"table_xinfo\" ( \"t\" )"))
	case 2:
		return cat("CREATE", g.maybe(g.pick("TEMP", "TEMPORARY")), "TRIGGER", g.maybe("IF", "NOT", "EXISTS"), g.pick("g", "trigger", "begin", "end", `"end"`),
			g.pick("AFTER", "BEFORE", ""), g.pick("INSERT", "DELETE", "UPDATE OF a"), "ON t", g.maybe("FOR", "EACH", "ROW"),
			g.maybe(cat("WHEN CASE WHEN 1 THEN 2 END")...), "BEGIN", g.triggerBody(), "END")
	case 3:
		return cat("CREATE", g.maybe("TEMP"), g.pick("TABLE", "TABLE IF NOT EXISTS"), g.pick("temp . z", "z", "t", "temp"), "( a DEFAULT ( 'x;' ) , b CHECK ( b <> ';' ) )")
	case 4:
		return cat("CREATE", g.pick("VIEW z AS SELECT a AS trigger FROM t", "INDEX z ON t ( a )", "INDEX z ON changes ( a )", "TEMP VIEW z AS SELECT 1",
			"VIEW temp . z AS SELECT 1", "UNIQUE INDEX IF NOT EXISTS z ON t ( b )"))
	case 5:
		return cat(g.pick("DROP TABLE t", "DROP VIEW IF EXISTS z", "DROP TRIGGER wi", "DROP INDEX ta", "ALTER TABLE t ADD z",
			"ALTER TABLE t RENAME TO z", "REINDEX", "REINDEX t", "ANALYZE", "ANALYZE t", "VACUUM", "VACUUM INTO ?", "ATTACH ? AS y", "DETACH y"))
	case 6:
		g.depth++
		defer func() { g.depth-- }()
		return cat("EXPLAIN", g.maybe("QUERY", "PLAN"), g.statement())
	case 7:
		return cat("SELECT * FROM", g.pick("pragma_table_info ( 't' )", "pragma_optimize", "sqlite_schema", "pragma_foreign_keys"))
	}
	return cat("SELECT", g.call(), ",", g.pick("total_changes()", "changes ( ALL )", "changes ( DISTINCT )", "total_changes ( * )"))
}

func (g *gen) triggerBody() []string {
	var body []string
	for range 1 + g.n(2) {
		body = cat(body, g.pick("SELECT CASE WHEN 1 THEN 2 END", "SELECT a AS end1 FROM t", "DELETE FROM t WHERE a = 'END;'",
			"UPDATE t SET \"end\" = 1 WHERE end", "INSERT INTO t ( a ) SELECT case a when 1 then 2 else 3 end from t"), ";")
	}
	return body
}

func (g *gen) statement() []string {
	switch choice := g.n(9); {
	case choice < 4:
		return g.query()
	case choice < 7:
		return g.write()
	}
	if g.depth > 0 {
		return g.query()
	}
	return g.other()
}

// spaced puts tokens together, with all that may stand between two.
func (g *gen) spaced(tokens []string) string {
	plain := g.n(2) == 0
	var b strings.Builder
	for i, tok := range tokens {
		if i > 0 {
			glued := strings.ContainsAny(tok, "(),") && len(tok) == 1 || strings.ContainsAny(tokens[i-1], "(),") && len(tokens[i-1]) == 1 ||
				strings.ContainsAny(tok[:1], "\"`[") && traits[tokens[i-1][len(tokens[i-1])-1]]&isIdent != 0
			switch {
			case plain:
				b.WriteByte(' ')
			case glued:
				b.WriteString(g.pick("", "", " ", "\n"))
			default:
				b.WriteString(g.pick(" ", " ", " ", "\n", "\t\r\f", "/* ; ' */", " -- ?;\n", "/**/", " \uFEFF"))
			}
		}
		b.WriteString(tok)
	}
	return b.String()
}

// script is several statements, with all that may stand around them.
func (g *gen) script() string {
	var b strings.Builder
	around := func() { b.WriteString(g.pick("", "", " ", "\n", ";", "/* ; */", "-- ;\n", "\uFEFF")) }
	around()
	for i := range 1 + g.n(3) {
		if i > 0 {
			b.WriteByte(';')
			around()
		}
		b.WriteString(g.spaced(g.statement()))
		around()
	}
	b.WriteString(g.pick("", ";", ";;", " /* open", " -- open", "; /*"))
	return b.String()
}

func (g *gen) value() any {
	switch g.n(5) {
	case 0:
		return nil
	case 1:
		return rapid.Int64().Draw(g.t, "integer")
	case 2:
		return int64(g.n(5))
	case 3:
		return rapid.SampledFrom([]float64{0, -2.5, 1e300, 3}).Draw(g.t, "float")
	}
	return g.pick("", "x", "2", "it's", "one")
}

// literal is a value as SQL text.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case float64:
		return fmt.Sprintf("%.1e", v)
	case int64:
		if v == -1<<63 {
			return "(-9223372036854775807-1)"
		}
		return fmt.Sprint(v)
	}
	return "NULL"
}
