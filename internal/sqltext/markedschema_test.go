package sqltext

import (
	"strings"
	"testing"
)

// schemaOf makes definitions of their texts.
func schemaOf(texts ...string) *MarkedSchema {
	var all []Definition
	for _, text := range texts {
		w := strings.Fields(strings.NewReplacer("(", " ", "CREATE UNIQUE", "CREATE", "CREATE VIRTUAL", "CREATE").Replace(text))
		d := Definition{Kind: strings.ToLower(w[1]), Name: w[2], Table: w[2], SQL: text}
		for i := range w[:len(w)-1] {
			if w[i] == "ON" && d.Table == d.Name {
				d.Table = w[i+1]
			}
		}
		all = append(all, d)
	}
	return Marks{"docs": {"body": "docs.body"}}.Schema(all)
}

func TestMarkedSchema(t *testing.T) {
	const docs = "CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, body TEXT)"
	for _, c := range []struct {
		name    string
		schema  []string
		refused string // what a statement is refused for, "" if nothing is
		texts   []string
		fine    []string
	}{
		{"nothing", []string{docs, "CREATE INDEX i ON docs (title)", "CREATE INDEX j ON docs (body)"}, "", nil, []string{"INSERT INTO docs VALUES (1, ?, ?)", "SELECT body FROM docs"}},
		{"views", []string{"CREATE VIEW c AS SELECT b AS c FROM b", "CREATE VIEW b AS SELECT body AS b FROM docs", docs}, "an expression uses it",
			[]string{"SELECT upper(c) FROM c"}, []string{"SELECT c FROM c", "SELECT b FROM b"}},
		{"a view over one that uses it", []string{"CREATE VIEW third AS SELECT n FROM second", "CREATE VIEW second AS SELECT n FROM first", "CREATE VIEW first AS SELECT length(body) AS n FROM docs", docs}, "view first",
			[]string{"SELECT n FROM third", "SELECT n FROM second", "CREATE TABLE x AS SELECT n FROM third", "SELECT id FROM docs JOIN first USING (id)", "DELETE FROM log WHERE x IN (SELECT n FROM third)"},
			[]string{"SELECT body FROM docs", "EXPLAIN SELECT * FROM third", "DROP VIEW third"}},
		{"unique", []string{docs, "CREATE UNIQUE INDEX u ON docs (body)"}, "index u", []string{"INSERT INTO docs (body) VALUES (?)", "UPDATE docs SET title = 1"}, []string{"SELECT body FROM docs"}},
		{"an index on an expression", []string{docs, "CREATE INDEX e ON docs (lower(body))"}, "index e", []string{"INSERT INTO docs (body) VALUES (?)"}, []string{"SELECT body FROM docs"}},
		{"constraints", []string{"CREATE TABLE docs (id, body TEXT CHECK (json_valid(body)))"}, "table docs", []string{"REPLACE INTO docs VALUES (1, ?)"}, []string{"SELECT body FROM docs"}},
		{"unique constraint", []string{"CREATE TABLE docs (id, body TEXT, UNIQUE (id, body))"}, "table docs", []string{"DELETE FROM docs"}, []string{"SELECT body FROM docs"}},
		{"foreign key", []string{"CREATE TABLE docs (id, body TEXT REFERENCES other (x))"}, "table docs", []string{"INSERT INTO docs VALUES (1, ?)"}, []string{"SELECT body FROM docs"}},
		{"computed", []string{"CREATE TABLE docs (id, body TEXT, n AS (json_extract(body, '$.n')))"}, "table docs", []string{"SELECT n FROM docs", "INSERT INTO docs VALUES (1, ?)"}, nil},
		{"full text", []string{docs, "CREATE VIRTUAL TABLE fts USING fts5(body, content='docs', content_rowid='id')", "CREATE VIEW found AS SELECT rowid FROM fts"}, "table fts",
			[]string{"SELECT highlight(fts, 0, '', '') FROM fts", "INSERT INTO fts (fts) VALUES ('rebuild')", "SELECT * FROM found"}, []string{"SELECT body FROM docs", "INSERT INTO docs (body) VALUES (?)"}},
		{"trigger", []string{docs, "CREATE TRIGGER t AFTER INSERT ON docs BEGIN INSERT INTO log SELECT upper(new.body); END"}, "trigger t",
			[]string{"INSERT INTO docs (body) VALUES (?)"}, []string{"SELECT body FROM docs", "INSERT INTO log VALUES (1)"}},
		{"a trigger with *", []string{docs, "CREATE TRIGGER t AFTER INSERT ON other BEGIN INSERT INTO log SELECT * FROM docs; END"}, "trigger t", []string{"INSERT INTO other VALUES (1)"}, []string{"INSERT INTO docs (body) VALUES (?)"}},
		{"a trigger that fires another", []string{docs, "CREATE TRIGGER a AFTER INSERT ON first BEGIN INSERT INTO second VALUES (1); END", "CREATE TRIGGER b AFTER INSERT ON second BEGIN UPDATE docs SET title = 1; END",
			"CREATE TRIGGER c AFTER UPDATE ON docs BEGIN INSERT INTO log VALUES (old.body); END"}, "trigger c", []string{"INSERT INTO first VALUES (1)", "DELETE FROM second"}, []string{"INSERT INTO log VALUES (1)", "SELECT * FROM first"}},
		{"a cascade", []string{"CREATE TABLE docs (id, parent REFERENCES folders (id) ON DELETE CASCADE, body)", "CREATE TABLE folders (id, up REFERENCES disks ON DELETE SET NULL)",
			"CREATE TRIGGER c AFTER DELETE ON docs BEGIN INSERT INTO log VALUES (old.body); END"}, "trigger c", []string{"DELETE FROM folders", "DELETE FROM disks"}, []string{"SELECT * FROM folders"}},
		{"no cascade", []string{"CREATE TABLE docs (id, parent REFERENCES folders (id), body)", "CREATE TRIGGER c AFTER DELETE ON docs BEGIN INSERT INTO log VALUES (old.body); END"}, "", nil, []string{"DELETE FROM folders"}},
		{"a trigger that only hands it on", []string{docs, "CREATE VIEW v AS SELECT id, body AS b FROM docs", "CREATE TRIGGER t INSTEAD OF INSERT ON v BEGIN INSERT INTO docs (body) VALUES (new.b); END"}, "", nil,
			[]string{"INSERT INTO v (b) VALUES (?)"}},
		{"a trigger that reads what cannot be read", []string{docs, "CREATE VIEW v AS SELECT upper(body) AS b FROM docs", "CREATE TRIGGER t AFTER INSERT ON other BEGIN INSERT INTO log SELECT b FROM v; END"}, "view v",
			[]string{"INSERT INTO other VALUES (1)"}, []string{"SELECT * FROM other"}},
	} {
		s := schemaOf(c.schema...)
		for _, text := range c.texts {
			u := s.Use(&Parse(text).Stmts[0], testOrder)
			if u.Misuse == nil || u.Misuse.Column != "docs.body" || !strings.Contains(u.Misuse.Why, c.refused) {
				t.Errorf("%s: %s: %v", c.name, text, u.Misuse)
			}
		}
		for _, text := range c.fine {
			if u := s.Use(&Parse(text).Stmts[0], testOrder); u.Misuse != nil {
				t.Errorf("%s: %s: %v", c.name, text, *u.Misuse)
			}
		}
	}
}
