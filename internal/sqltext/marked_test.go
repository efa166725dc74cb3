package sqltext

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var testMarks = Marks{
	"docs":  {"body": "docs.body", "raw": "docs.raw"},
	"notes": {"text": "notes.text"},
	"v":     {"b": "docs.body"}, // a view
}

func testOrder(table string) []string {
	if table == "docs" {
		return []string{"id", "title", "body", "raw"}
	}
	return nil
}

func use(sql string) *MarkedUse {
	return Parse(sql).Stmts[0].MarkedUse(testMarks, testOrder)
}

func (u *MarkedUse) String() string {
	var parts []string
	for _, l := range u.Lands {
		parts = append(parts, fmt.Sprintf("%d=%s", l.Param, l.Column))
	}
	for _, m := range u.Misses {
		parts = append(parts, m.Column+": "+m.Why)
	}
	return strings.Join(parts, "; ")
}

func TestMarkedLandings(t *testing.T) {
	for sql, want := range map[string]string{
		"INSERT INTO docs (id, body) VALUES (?, ?)":                                                      "2=docs.body",
		"INSERT INTO docs (id, body) VALUES (?, ?), (?, ?), (5, ?)":                                      "2=docs.body; 4=docs.body; 5=docs.body",
		"insert or replace into main.\"Docs\" as d (BODY, [raw]) values (?2, (?1)) returning id":         "1=docs.raw; 2=docs.body",
		"REPLACE INTO docs VALUES (?, ?, ?, ?)":                                                          "3=docs.body; 4=docs.raw",
		"INSERT INTO notes VALUES (?, ?)":                                                                "notes.text: " + MissUnknown + "; notes.text: " + MissUnknown,
		"INSERT INTO other (body) VALUES (?)":                                                            "",
		"INSERT INTO docs (body) VALUES (:b) ON CONFLICT (id) DO UPDATE SET body = :b":                   "1=docs.body",
		"INSERT INTO docs (title, body) VALUES (?1, ?1)":                                                 "docs.body: " + MissShared,
		"INSERT INTO docs (body) VALUES (?) ON CONFLICT DO UPDATE SET body = excluded.body WHERE id > ?": "1=docs.body",
		"INSERT INTO docs (body) VALUES ('x'), (NULL), (upper(?)), (DEFAULT)":                            "docs.body: " + MissLiteral + "; docs.body: " + MissExpression,
		"INSERT INTO docs (id, body) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM docs WHERE id = ?)":     "2=docs.body",
		"INSERT INTO docs (id, body) SELECT ?1, ?2 UNION ALL SELECT ?3, ?4 AS x":                         "2=docs.body; 4=docs.body",
		"WITH n AS (SELECT ? AS x) INSERT INTO docs (body, id) SELECT ?, x FROM n":                       "2=docs.body",
		"UPDATE docs SET body = ?, title = ? WHERE id = ?":                                               "1=docs.body",
		"UPDATE OR IGNORE docs AS d SET (title, body) = (?, ?) WHERE d.id = ?":                           "2=docs.body",
		"UPDATE docs SET body = ? || 'x'":                                                                "docs.body: " + MissExpression,
		"UPDATE docs SET (body, raw) = (SELECT ?, x FROM other)":                                         "1=docs.body; docs.raw: " + MissExpression,
		"SELECT ?, body FROM docs":                                                                       "",
		"EXPLAIN INSERT INTO docs (body) VALUES (?)":                                                     "",
		"INSERT INTO docs DEFAULT VALUES":                                                                "",
		"INSERT INTO docs (id, body) SELECT value->>0, value->>1 FROM json_each(?) WHERE 1":              "docs.body: " + MissExpression,
	} {
		u := use(sql)
		if got := u.String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
		if u.Misuse != nil {
			t.Errorf("%s: %v", sql, *u.Misuse)
		}
	}
}

func TestMarkedUsesThatAreFine(t *testing.T) {
	for _, sql := range []string{
		"SELECT * FROM docs", "SELECT body FROM docs WHERE id = ?", "SELECT d.body AS x, id FROM docs d ORDER BY id, 2",
		"SELECT d.*, n.text FROM docs AS d JOIN notes n ON n.doc = d.id WHERE d.title LIKE 'x%' GROUP BY d.id",
		"SELECT x FROM (SELECT body AS x, id FROM docs) WHERE id > 3", "WITH c(i, t) AS (SELECT id, body FROM docs) SELECT t FROM c WHERE i = 1",
		"SELECT body FROM docs WHERE body IS NOT NULL AND raw ISNULL", "SELECT count(body), count(*) FROM docs",
		"SELECT p.body FROM docs d, posts p WHERE p.body = ? AND d.id = p.doc", "SELECT title FROM docs WHERE EXISTS (SELECT body FROM docs)",
		"SELECT body FROM docs UNION ALL SELECT text FROM notes", "SELECT (SELECT body FROM docs WHERE id = n.doc) FROM notes n",
		"SELECT body FROM posts WHERE body LIKE '%x%'", "UPDATE docs SET body = raw WHERE id = 1", "DELETE FROM docs WHERE id = ? RETURNING body, *",
		"INSERT INTO docs (id, body) SELECT id + 100, body FROM docs WHERE id < 100", "SELECT 'body' FROM docs",
		"CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT UNIQUE, body TEXT NOT NULL, raw BLOB)", "CREATE VIEW w AS SELECT id, body FROM docs",
		"CREATE INDEX i ON docs (title)", "DROP TABLE docs", "ALTER TABLE docs ADD COLUMN body TEXT", "PRAGMA table_info(docs)",
		"EXPLAIN SELECT upper(body) FROM docs", "SELECT b FROM v", "SELECT * FROM docs LEFT JOIN notes USING (id)", "SELECT t.body b FROM docs t LIMIT 1 OFFSET 2",
		"SELECT CASE WHEN body IS NULL THEN 0 ELSE 1 END FROM docs", "UPDATE docs SET title = 'x' FROM notes n WHERE n.id = docs.id RETURNING body",
		"WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 9) SELECT body FROM docs JOIN r ON r.i = docs.id",
		"SELECT coalesce(body, '') FROM docs", "SELECT CASE WHEN 1 THEN body END FROM docs", "SELECT ifnull(body, raw), iif(id, 1, body) FROM docs",
		"CREATE TRIGGER tr AFTER INSERT ON docs BEGIN UPDATE docs SET raw = new.body, title = new.body IS NULL; SELECT count(new.body); END",
		"CREATE TRIGGER tr INSTEAD OF INSERT ON v BEGIN INSERT INTO docs (body) VALUES (new.b); END", "ALTER TABLE docs RENAME title TO name", "ALTER TABLE other RENAME TO old",
		"CREATE TABLE docs (body TEXT DEFAULT 'body', id INTEGER DEFAULT (length('body')))", "CREATE VIRTUAL TABLE f USING fts5(body, content='posts')",
	} {
		if u := use(sql); u.Misuse != nil {
			t.Errorf("%s: %v", sql, *u.Misuse)
		}
	}
}

func TestMarkedMisuses(t *testing.T) {
	for _, sql := range []string{
		"SELECT id FROM docs WHERE body = ?", "SELECT id FROM docs WHERE docs.body LIKE ?", "SELECT id FROM docs d WHERE ? = d.\"BODY\"",
		"SELECT length(body) FROM docs", "SELECT body || '' FROM docs", "SELECT NOT body FROM docs", "SELECT -body FROM docs", "SELECT body = 1 x FROM docs",
		"SELECT body COLLATE nocase FROM docs", "SELECT CAST(body AS TEXT) FROM docs", "SELECT body FROM docs ORDER BY body", "SELECT id, body FROM docs ORDER BY 2 DESC",
		"SELECT body AS x FROM docs ORDER BY x", "SELECT body AS x FROM docs WHERE x = 'a'", "SELECT count(*) FROM docs GROUP BY body", "SELECT body, count(*) FROM docs GROUP BY 1",
		"SELECT * FROM docs ORDER BY 3", "SELECT DISTINCT body FROM docs", "SELECT DISTINCT * FROM docs", "SELECT count(DISTINCT body) FROM docs", "SELECT max(body) FROM docs",
		"SELECT group_concat(body) FROM docs", "SELECT body FROM docs UNION SELECT text FROM other", "SELECT * FROM other INTERSECT SELECT * FROM docs",
		"SELECT 1 FROM docs JOIN other ON other.x = docs.body", "SELECT 1 FROM docs JOIN other USING (id, body)", "SELECT 1 FROM docs NATURAL JOIN other",
		"SELECT id FROM (SELECT id, body FROM docs) WHERE body > 'a'", "SELECT upper(x) FROM (SELECT body AS x FROM docs)", "SELECT upper(s.x) FROM (SELECT body AS x FROM docs) s",
		"WITH c(i, t) AS (SELECT id, body FROM docs) SELECT i FROM c WHERE t = 1", "WITH c AS (SELECT * FROM docs) SELECT upper(body) FROM c",
		"WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT body FROM docs, r) SELECT upper(x) FROM r", "SELECT id FROM other WHERE x IN (SELECT body FROM docs)",
		"SELECT (SELECT body FROM docs) = 'x'", "SELECT id FROM other WHERE x = (SELECT body FROM docs LIMIT 1)", "SELECT x FROM other WHERE (SELECT b FROM v) = 1",
		"SELECT id FROM other WHERE EXISTS (SELECT 1 FROM docs WHERE body = other.x)", "SELECT id FROM v WHERE b = 1", "SELECT a FROM (SELECT id AS a FROM other UNION ALL SELECT body FROM docs) WHERE a = 1",
		"SELECT id FROM docs WHERE (id, body) = (1, 2)", "SELECT x IN docs FROM other",
		"SELECT id FROM docs WHERE body IN ('a')", "SELECT id FROM docs WHERE body IS NOT DISTINCT FROM 'x'", "SELECT id FROM docs WHERE body IS ?", "SELECT json_extract(body, '$.a') FROM docs",
		"SELECT body ->> 'a' FROM docs", "SELECT row_number() OVER (PARTITION BY body) FROM docs", "SELECT sum(id) FILTER (WHERE body = 1) FROM docs", "SELECT j.value FROM docs, json_each(docs.body) j",
		"SELECT id FROM docs LIMIT (SELECT length(body) FROM docs)", "SELECT id FROM docs HAVING body > 1", "SELECT sum(id) OVER w FROM docs WINDOW w AS (ORDER BY body)",
		"DELETE FROM docs WHERE body = ?", "DELETE FROM docs RETURNING length(body)", "UPDATE docs SET title = body", "UPDATE docs SET body = body || ?", "UPDATE docs SET title = 1 WHERE body = ?",
		"UPDATE docs SET (title, id) = (SELECT body, 1 FROM docs)", "UPDATE other SET x = (SELECT body FROM docs)",
		"INSERT INTO other (x) SELECT body FROM docs", "INSERT INTO other SELECT * FROM docs", "INSERT INTO docs (title) VALUES ((SELECT body FROM docs))",
		"INSERT INTO docs (body) VALUES (?) ON CONFLICT (body) DO NOTHING", "INSERT INTO docs (body) VALUES (?) ON CONFLICT (id) DO UPDATE SET title = excluded.body",
		"INSERT INTO docs (body) VALUES (?) ON CONFLICT (id) DO UPDATE SET body = ? WHERE docs.body = ?", "INSERT INTO docs (body) VALUES (?) RETURNING upper(body)",
		"INSERT INTO notes SELECT 1, text FROM notes", "CREATE INDEX i ON docs (body)", "CREATE UNIQUE INDEX IF NOT EXISTS main.i ON docs (id) WHERE body > 1", "CREATE INDEX i ON docs (lower(body))",
		"CREATE TABLE docs (id, body TEXT UNIQUE)", "CREATE TABLE docs (id, body TEXT CHECK (length(body) > 1))", "CREATE TABLE docs (id, body, n AS (length(body)))", "CREATE TABLE docs (id, body, UNIQUE (id, body))",
		"CREATE TABLE copy AS SELECT body FROM docs", "CREATE VIEW w AS SELECT upper(body) FROM docs", "ALTER TABLE docs ADD COLUMN n AS (length(body))",
		"CREATE TRIGGER tr AFTER INSERT ON docs BEGIN INSERT INTO fts (x) VALUES (new.body); END", "CREATE TRIGGER tr AFTER UPDATE OF id ON docs WHEN new.body > 1 BEGIN SELECT 1; END",
		"CREATE TRIGGER tr AFTER INSERT ON other BEGIN INSERT INTO log SELECT * FROM docs; END", "CREATE TRIGGER tr DELETE ON main.docs FOR EACH ROW BEGIN SELECT 1; INSERT INTO log SELECT old.body; END",
		"CREATE TRIGGER tr UPDATE OF b ON v BEGIN INSERT INTO log VALUES (new.b); END", "CREATE TEMP VIEW w AS SELECT body FROM docs", "CREATE VIRTUAL TABLE f USING fts5(x, content = \"docs\")",
		"CREATE TABLE docs (body REFERENCES other (x))", "CREATE TABLE docs (id, body, UNIQUE ('body'))", "ALTER TABLE docs RENAME TO old", "ALTER TABLE docs RENAME COLUMN body TO text", "ALTER TABLE \"docs\" RENAME 'body' TO text",
	} {
		u := use(sql)
		if u.Misuse == nil || !slices.Contains([]string{"docs.body", "notes.text"}, u.Misuse.Column) {
			t.Errorf("%s: %v", sql, u.Misuse)
		}
	}
}

func TestMarkedResultOfViews(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE VIEW w AS SELECT id, body AS b FROM docs":          "map[b:docs.body]",
		"CREATE VIEW w (x, y) AS SELECT id, body FROM docs":        "map[y:docs.body]",
		"CREATE VIEW IF NOT EXISTS w (x, y) AS SELECT * FROM docs": "map[x:docs.body y:docs.body]",
		"CREATE VIEW w AS SELECT * FROM v":                         "map[b:docs.body]",
		"CREATE VIEW w AS SELECT id FROM docs":                     "map[]",
	} {
		if got := fmt.Sprint(use(sql).Result); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func FuzzMarkedUse(f *testing.F) {
	for _, sql := range []string{
		"INSERT INTO docs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body RETURNING *",
		"WITH c(i, t) AS (SELECT id, body FROM docs) SELECT t FROM c WHERE i = 1 UNION SELECT * FROM (docs JOIN notes USING (id))",
		"UPDATE docs SET (body, raw) = (SELECT ?, x FROM other) FROM v WHERE b = 1", "CREATE VIEW v (a) AS SELECT body FROM docs",
		"SELECT ((((", "INSERT INTO docs (", "UPDATE docs SET (a", "WITH docs", "SELECT * FROM docs WHERE (", "CREATE TABLE docs (", "INSERT INTO docs (body) VALUES (?) ON CONFLICT",
	} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		for i := range Parse(sql).Stmts {
			s := &Parse(sql).Stmts[i]
			for _, l := range s.MarkedUse(testMarks, testOrder).Lands {
				if l.Param < 1 || l.Param > len(s.Params) || l.Column == "" {
					t.Fatal(l)
				}
			}
		}
	})
}

// What is nested without end costs no more than its length.
func TestMarkedUseOfNestedTexts(t *testing.T) {
	for _, depth := range []int{50, 200} {
		deep := "SELECT body FROM docs"
		for range depth {
			deep = "WITH c(x) AS (" + deep + ") SELECT x FROM c"
		}
		if u := use(deep); u.Misuse == nil {
			t.Errorf("what is nested %d deep is believed", depth)
		}
	}
	n := 20000
	if u := use("SELECT " + strings.Repeat("(", n) + "body" + strings.Repeat(")", n) + " FROM docs"); u.Misuse == nil {
		t.Error("so many parentheses are believed")
	}
}
