package shadow

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/turso-opt/turso-opt/internal/sqld"
)

// onServer runs statements in one request and gives their rows, all values as
// text.
func onServer(t *testing.T, s *sqld.Server, statements ...string) [][][]string {
	t.Helper()
	type stmt struct {
		SQL string `json:"sql"`
	}
	type request struct {
		Type string `json:"type"`
		Stmt *stmt  `json:"stmt,omitempty"`
	}
	var body struct {
		Requests []request `json:"requests"`
	}
	for _, sql := range statements {
		body.Requests = append(body.Requests, request{"execute", &stmt{sql}})
	}
	body.Requests = append(body.Requests, request{Type: "close"})
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.URL()+"/v2/pipeline", "application/json", bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Results []struct {
			Error    *struct{ Message string }
			Response struct {
				Result struct {
					Rows [][]struct{ Value any }
				}
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Results) != len(body.Requests) {
		t.Fatalf("%d results of %d requests", len(answer.Results), len(body.Requests))
	}
	all := make([][][]string, len(statements))
	for i, sql := range statements {
		r := answer.Results[i]
		if r.Error != nil {
			t.Fatalf("%s: %s", sql, r.Error.Message)
		}
		for _, row := range r.Response.Result.Rows {
			values := make([]string, len(row))
			for c, v := range row {
				values[c], _ = v.Value.(string)
			}
			all[i] = append(all[i], values)
		}
	}
	return all
}

// The schema that a real server has of what libSQL adds to SQLite's language is
// understood as a whole, and what it answers is what it is expected to.
func TestTheSchemaOfARealServer(t *testing.T) {
	server := sqld.ForTest(t, sqld.Options{})
	onServer(t, server,
		`CREATE TABLE post(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, body, at TEXT DEFAULT CURRENT_TIMESTAMP)`,
		`CREATE VIRTUAL TABLE docs USING fts5(title, body, content='post', content_rowid='id')`,
		`CREATE TRIGGER post_ai AFTER INSERT ON post BEGIN INSERT INTO docs(rowid, title, body) VALUES (new.id, new.title, new.body); END`,
		`CREATE TABLE movie(id INTEGER PRIMARY KEY, title TEXT, emb F32_BLOB(3))`,
		`CREATE INDEX movie_idx ON movie(libsql_vector_idx(emb, 'metric=cosine'))`,
		`CREATE VIRTUAL TABLE box USING rtree(id, x0, x1)`,
		`CREATE VIRTUAL TABLE old USING fts4(a, b)`,
		`CREATE VIEW recent AS SELECT id, title FROM post ORDER BY id DESC LIMIT 10`,
		`CREATE TABLE tag(post REFERENCES post ON DELETE CASCADE, name, PRIMARY KEY (post, name)) WITHOUT ROWID`,
		`CREATE TABLE anywhere(id INTEGER PRIMARY KEY, v) RANDOM ROWID`,
		`INSERT INTO movie VALUES (1, 'a', vector32('[1,2,3]'))`,
		`INSERT INTO post(title, body) VALUES ('a', 'b')`,
	)
	schema := Schema{Version: 1, ForeignKeys: true}
	for _, row := range onServer(t, server, "SELECT type, name, tbl_name, sql FROM sqlite_schema")[0] {
		schema.Objects = append(schema.Objects, Object{row[0], row[1], row[2], row[3]})
	}
	s := loaded(t, schema)
	if m := s.current.Load(); m.partial != "" {
		t.Errorf("of a real schema: %s", m.partial)
	}
	for _, c := range []struct{ sql, want string }{
		{`SELECT * FROM recent`, "pure r=post"},
		{`SELECT title, at FROM post WHERE id = ?`, "pure r=post key=post:?1"},
		{`INSERT INTO post(title) VALUES (?)`, "write r=post,sqlite_sequence,tag w=docs,docs_config,docs_data,docs_docsize,docs_idx,post,sqlite_sequence"},
		{`UPDATE post SET title = ? WHERE id = ?`, "write r=post w=post key=post:?2 alone"},
		{`DELETE FROM post WHERE id = ?`, "write r=post,tag w=post,tag"},
		{`SELECT rowid FROM docs WHERE docs MATCH ?`, "read r=docs"},
		{`SELECT block FROM docs_data`, "read r=docs_data"},
		{`SELECT vector_distance_cos(emb, vector32(?)) FROM movie`, "pure r=movie"},
		{`SELECT id FROM vector_top_k('movie_idx', vector32(?), 3)`, "unknown"},
		{`SELECT data FROM movie_idx_shadow`, "read r=movie_idx_shadow"},
		{`UPDATE movie SET emb = vector32(?) WHERE id = ?`, "write r=movie w=movie key=movie:?2 alone"},
		{`SELECT nodeno FROM box_node`, "read r=box_node"},
		{`SELECT x0 FROM box WHERE id = ?`, "read r=box"},
		{`SELECT c0a FROM old_content`, "read r=old_content"},
		{`SELECT v FROM anywhere WHERE id = ?`, "pure r=anywhere key=anywhere:?1"},
		{`INSERT INTO anywhere(v) VALUES (?)`, "write r=anywhere w=anywhere"},
		{`SELECT * FROM sqlite_sequence`, "read r=sqlite_sequence"},
	} {
		a := s.Analyze(c.sql)
		if got := show(a); got != c.want {
			t.Errorf("%s\n\tis   %s (%s)\n\twant %s", c.sql, got, a.Reason, c.want)
		}
	}
}
