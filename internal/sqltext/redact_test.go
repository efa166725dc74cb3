package sqltext

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// redactions are texts and what is shown of them; FuzzRedact begins with them.
var redactions = []struct{ sql, want string }{
	{"", ""},
	{"SELECT 1", "SELECT ?"},
	{"SELECT * FROM t WHERE a = 'secret' AND b=x'5EC2E7' OR c<0x5EC2E7", "SELECT * FROM t WHERE a = ? AND b=? OR c<?"},
	{"INSERT INTO t VALUES (1,-2.5e-3,'it''s',NULL,TRUE)", "INSERT INTO t VALUES (?,-?,?,NULL,TRUE)"},
	{"  SELECT\n\t1 ;  ", "SELECT ? ;"},
	{"SELECT 1; SELECT 'a'", "SELECT ?; SELECT ?"},
	{"SELECT/* secret */a -- secret", "SELECT a"},
	{"/* secret */ SELECT 1", "SELECT ?"},
	{"SELECT 1 - -1 -/**/-1", "SELECT ? - -? - -?"},
	{"SELECT ?, ?1, :a, @a, $a", "SELECT ?, ?1, :a, @a, $a"},
	{"SELECT `a b`, [a b], t1.c2", "SELECT `a b`, [a b], t1.c2"},

	// What is not a token.
	{"SELECT 'secret", "SELECT ?..."},
	{"SELECT \"secret", "SELECT ?..."},
	{"SELECT x'secret'", "SELECT ?"},
	{"SELECT 12secret", "SELECT ?"},
	{"SELECT a /* secret", "SELECT a"},
	{"SELECT a\x00secret", "SELECT a?..."},
	{"SELECT 'a\x00secret' FROM t", "SELECT ?..."},

	// Quotes that do not match.
	{"UPDATE t SET a='O'Brien' WHERE id=1", "UPDATE t SET a=?..."},
	{"SELECT * FROM t WHERE a = 'O'Brien' AND b = 'D'Arcy'", "SELECT * FROM t WHERE a = ?..."},
	{"SELECT 'it's me' FROM t", "SELECT ?..."},
	{"SELECT 1 FROM t WHERE a = 'it' s me'", "SELECT ?..."},
	{"INSERT INTO \"t\" VALUES ('O'Brien')", "INSERT INTO \"t\" VALUES (?..."},
	{"SELECT 'secret'secret", "SELECT ?..."},

	// "..." may be a string.
	{`SELECT * FROM t WHERE a = "secret"`, `SELECT * FROM t WHERE a = ?`},
	{`SELECT "secret"`, `SELECT ?`},
	{`INSERT INTO "t" ("a", "b") VALUES ("secret", 1)`, `INSERT INTO "t" ("a", "b") VALUES (?, ?)`},
	{`INSERT OR IGNORE INTO "main"."t" AS "x" ("a","b") SELECT "secret" FROM "u"`,
		`INSERT OR IGNORE INTO "main"."t" AS "x" ("a","b") SELECT ? FROM "u"`},
	{`INSERT INTO t SELECT ("secret")`, `INSERT INTO t SELECT (?)`},
	{`SELECT "u"."id" AS "i" FROM "users" AS "u" JOIN "p" ON ("u"."id" = "p"."id") WHERE ("u"."id" = 'x')`,
		`SELECT "u"."id" AS "i" FROM "users" AS "u" JOIN "p" ON ("u"."id" = "p"."id") WHERE ("u"."id" = ?)`},
	{`UPDATE "t" SET "a" = 1, "b" = 2, "c"=("x", "secret" = 1) WHERE a = 1, "secret" = 2`,
		`UPDATE "t" SET "a" = ?, "b" = ?, "c"=(?, ? = ?) WHERE a = ?, ? = ?`},
	{`UPDATE t SET a = 1; SELECT 1, "secret" = a`, `UPDATE t SET a = ?; SELECT ?, ? = a`},
	{`INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET "a" = 1, "b" = excluded."b"`,
		`INSERT INTO t VALUES (?) ON CONFLICT DO UPDATE SET "a" = ?, "b" = excluded."b"`},
	{`SELECT 1 WHERE a IS DISTINCT FROM "secret"`, `SELECT ? WHERE a IS DISTINCT FROM ?`},
	{`VACUUM INTO "secret"`, `VACUUM INTO ?`},
	{`SELECT "f"(1), a IN ("secret")`, `SELECT "f"(?), a IN (?)`},
	{`DROP TABLE "t"; ALTER TABLE "t" RENAME COLUMN "a" TO "b"`, `DROP TABLE "t"; ALTER TABLE "t" RENAME COLUMN "a" TO "b"`},

	{"SELECT " + strings.Repeat("a,", 300), "SELECT " + strings.Repeat("a,", 252) + "a..."},
	{"SELECT `" + strings.Repeat("a", 600) + "`", "SELECT ..."},
	{"SELECT '" + strings.Repeat("a", 600) + "'", "SELECT ?"},
}

func TestRedact(t *testing.T) {
	for _, c := range redactions {
		if got := Redact(c.sql); got != c.want {
			t.Errorf("%q is shown as\n\t%q, want\n\t%q", c.sql, got, c.want)
		}
		if got := Redact(c.sql); strings.Contains(got, "secret") {
			t.Errorf("%q is shown as %q", c.sql, got)
		}
	}
}

// Wherever SQLite takes a literal, none is shown.
func TestRedactedStatementsHoldNoLiteral(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := &gen{t: rt, params: true, secrets: true}
		sql := g.script()
		shown := Redact(sql)
		if lower := strings.ToLower(shown); strings.Contains(lower, "secret") || strings.Contains(lower, "5ec2e7") {
			rt.Fatalf("%q is shown as %q", sql, shown)
		}
	})
}
