package shadow

import "testing"

// What sqld's sqlite_schema holds after
//
//	CREATE VIRTUAL TABLE docs USING fts5(title, body, content='post', content_rowid='id')
//	CREATE TABLE movie(id INTEGER PRIMARY KEY, emb F32_BLOB(3)); CREATE INDEX movie_idx ON movie(libsql_vector_idx(emb))
//
// and the like; triggers keep the full-text table up to date.
var libsqlSchema = Schema{Version: 3, ForeignKeys: true, Objects: []Object{
	{"table", "post", "post", `CREATE TABLE post(id INTEGER PRIMARY KEY, title, body)`},
	{"table", "docs", "docs", `CREATE VIRTUAL TABLE docs USING fts5(title, "body" UNINDEXED, content='post', content_rowid = 'id')`},
	{"table", "docs_data", "docs_data", `CREATE TABLE 'docs_data'(id INTEGER PRIMARY KEY, block BLOB)`},
	{"table", "docs_idx", "docs_idx", `CREATE TABLE 'docs_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID`},
	{"table", "docs_config", "docs_config", `CREATE TABLE 'docs_config'(k PRIMARY KEY, v) WITHOUT ROWID`},
	{"index", "sqlite_autoindex_docs_idx_1", "docs_idx", ""},
	{"trigger", "post_ai", "post", `CREATE TRIGGER post_ai AFTER INSERT ON post BEGIN
		INSERT INTO docs(rowid, title, body) VALUES (new.id, new.title, new.body); END`},
	{"trigger", "post_au", "post", `CREATE TRIGGER post_au AFTER UPDATE ON post BEGIN
		INSERT INTO docs(docs, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
		INSERT INTO docs(rowid, title, body) VALUES (new.id, new.title, new.body); END`},
	{"table", "movie", "movie", `CREATE TABLE movie(id INTEGER PRIMARY KEY, title TEXT, emb F32_BLOB(3))`},
	{"index", "movie_idx", "movie", `CREATE INDEX movie_idx ON movie(libsql_vector_idx(emb, 'metric=cosine'))`},
	{"table", "libsql_vector_meta_shadow", "libsql_vector_meta_shadow", `CREATE TABLE libsql_vector_meta_shadow ( name TEXT PRIMARY KEY, metadata BLOB ) WITHOUT ROWID`},
	{"table", "movie_idx_shadow", "movie_idx_shadow", `CREATE TABLE movie_idx_shadow (index_key INTEGER , data BLOB, PRIMARY KEY (index_key))`},
	{"table", "old", "old", `CREATE VIRTUAL TABLE old USING fts4(a TEXT, b, tokenize=porter)`},
	{"table", "old_content", "old_content", `CREATE TABLE 'old_content'(docid INTEGER PRIMARY KEY, 'c0a', 'c1b')`},
	{"table", "box", "box", `CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, +label TEXT)`},
	{"table", "box_node", "box_node", `CREATE TABLE "box_node"(nodeno INTEGER PRIMARY KEY,data)`},
	{"table", "odd", "odd", `CREATE VIRTUAL TABLE odd USING nosuchmodule(a)`},
	{"table", "odd_things", "odd_things", `CREATE TABLE odd_things(x)`},
	{"table", "docs_tags", "docs_tags", `CREATE TABLE docs_tags(id INTEGER PRIMARY KEY, tag)`},
	{"view", "found", "found", `CREATE VIEW found AS SELECT title FROM docs`},
}}

func TestVirtualTablesAndLibSQLsOwn(t *testing.T) {
	s := loaded(t, libsqlSchema)
	for _, c := range []struct{ sql, want string }{
		{`SELECT title FROM docs WHERE docs MATCH ?`, "read r=docs"},
		{`SELECT rowid, title FROM docs WHERE docs MATCH ? ORDER BY rank`, "read r=docs"},
		{`SELECT highlight(docs, 0, '<', '>'), bm25(docs) FROM docs('x')`, "read r=docs"},
		{`SELECT count(*) FROM docs`, "read r=docs"},
		{`SELECT * FROM found`, "read r=docs"},
		{`SELECT p.title FROM docs d JOIN post p ON p.id = d.rowid WHERE docs MATCH ?`, "read r=docs,post"},
		{`SELECT block FROM docs_data`, "read r=docs_data"},
		{`SELECT k FROM docs_config`, "read r=docs_config"},
		{`SELECT tag FROM docs_tags`, "pure r=docs_tags"},
		{`SELECT x FROM odd_things`, "read r=odd_things"},
		{`SELECT title FROM post WHERE id = ?`, "pure r=post key=post:?1"},
		{`INSERT INTO docs(rowid, title) VALUES (?, ?)`, "write w=docs,docs_config,docs_data,docs_idx"},
		{`INSERT INTO docs(docs) VALUES ('rebuild')`, "write w=docs,docs_config,docs_data,docs_idx"},
		{`DELETE FROM docs_data`, "write r=docs_data w=docs_data"},
		{`INSERT INTO post(id, title) VALUES (?, ?)`, "write r=post w=docs,docs_config,docs_data,docs_idx,post"},
		{`UPDATE post SET body = ? WHERE id = ?`, "write r=post w=docs,docs_config,docs_data,docs_idx,post"},
		{`DELETE FROM post WHERE id = ?`, "write r=post w=post key=post:?1 alone"},
		{`DELETE FROM post WHERE id IN (SELECT rowid FROM docs WHERE docs MATCH ?)`, "write r=docs,post w=post"},

		{`SELECT title, vector_extract(emb) FROM movie WHERE id = ?`, "pure r=movie key=movie:?1"},
		{`SELECT title FROM movie ORDER BY vector_distance_cos(emb, vector32(?)) LIMIT 3`, "pure r=movie"},
		{`SELECT vector('[1,2,3]')`, "pure"},
		{`SELECT title FROM vector_top_k('movie_idx', vector32(?), 3) JOIN movie ON movie.rowid = id`, "unknown"},
		{`SELECT * FROM movie_idx_shadow`, "read r=movie_idx_shadow"},
		{`SELECT * FROM libsql_vector_meta_shadow`, "read r=libsql_vector_meta_shadow"},
		{`INSERT INTO movie(title, emb) VALUES (?, vector32(?))`, "write r=movie w=movie"},
		{`UPDATE movie SET emb = vector32(?) WHERE id = ?`, "write r=movie w=movie key=movie:?2 alone"},

		{`SELECT a FROM old WHERE old MATCH 'x'`, "read r=old"},
		{`INSERT INTO old(docid, a) VALUES (1, 2)`, "write w=old,old_content"},
		{`SELECT id, label FROM box WHERE x0 > ? AND x1 < ?`, "read r=box"},
		{`INSERT INTO box VALUES (1, 2, 3, 'x')`, "write w=box,box_node"},
		{`SELECT * FROM odd`, "unknown"},
		{`DELETE FROM odd`, "unknown"},
	} {
		a := s.Analyze(c.sql)
		if got := show(a); got != c.want {
			t.Errorf("%s\n\tis   %s (%s)\n\twant %s", c.sql, got, a.Reason, c.want)
		}
	}
}

// A cascade, a trigger or a unique index that is not known makes every write
// unknown, and no read.
func TestWhatIsNotUnderstoodTaintsWrites(t *testing.T) {
	base := []Object{
		{"table", "a", "a", "CREATE TABLE a(id INTEGER PRIMARY KEY, v)"},
		{"table", "b", "b", "CREATE TABLE b(id INTEGER PRIMARY KEY, v)"},
	}
	for _, c := range []struct {
		name  string
		extra Object
		taint bool
	}{
		{"table", Object{"table", "c", "c", "CREATE TABLE c(a REFERENCES a ON DELETE CASCADE) FROBNICATE"}, true},
		{"trigger", Object{"trigger", "c", "a", "CREATE TRIGGER c AFTER DELETE ON a BEGIN FROBNICATE b; END"}, true},
		{"index", Object{"index", "c", "a", "CREATE UNIQUE INDEX c ON a(nosuchfunction(v))"}, true},
		{"no SQL at all", Object{"table", "c", "c", "gibberish"}, true},
		{"view", Object{"view", "c", "c", "CREATE VIEW c AS FROBNICATE"}, false},
		{"virtual table", Object{"table", "c", "c", "CREATE VIRTUAL TABLE c USING nosuchmodule"}, false},
	} {
		s := loaded(t, Schema{Version: 1, ForeignKeys: true, Objects: append(base[:2:2], c.extra)})
		if a := s.Analyze("SELECT v FROM a WHERE id = ?"); show(a) != "pure r=a key=a:?1" {
			t.Errorf("%s: a read is %s (%s)", c.name, show(a), a.Reason)
		}
		if a := s.Analyze("SELECT * FROM c"); !a.Unknown {
			t.Errorf("%s: a read of it is %s", c.name, show(a))
		}
		if a := s.Analyze("UPDATE b SET v = 1 WHERE id = 2"); a.Unknown != c.taint {
			t.Errorf("%s: a write is %s (%s)", c.name, show(a), a.Reason)
		}
	}
}

func TestANameThatCouldNotBeMadeIsNothingElse(t *testing.T) {
	s := loaded(t, Schema{Version: 1, Objects: []Object{
		{"table", "json_each", "json_each", "CREATE TABLE json_each(value) FROBNICATE"},
	}})
	if a := s.Analyze("SELECT value FROM json_each('[1]')"); a.Pure {
		t.Error(show(a))
	}
	s = loaded(t, Schema{Version: 1, Objects: []Object{
		{"table", "json_each", "json_each", "CREATE TABLE json_each(value)"},
	}})
	if a := s.Analyze("SELECT value FROM json_each"); show(a) != "pure r=json_each" {
		t.Error(show(a))
	}
}

func TestFunctionsOfTheDatabasesOwn(t *testing.T) {
	s := loaded(t, Schema{Version: 1, Objects: []Object{
		{"table", "a", "a", "CREATE TABLE a(x)"},
		{"table", "libsql_wasm_func_table", "libsql_wasm_func_table", "CREATE TABLE libsql_wasm_func_table (name text PRIMARY KEY, body text) WITHOUT ROWID"},
	}})
	if a := s.Analyze("SELECT abs(x) FROM a"); a.Pure {
		t.Error(show(a))
	}
}

func TestWithoutForeignKeysNothingCascades(t *testing.T) {
	schema := schemaOf(t, 1, "CREATE TABLE p(id INTEGER PRIMARY KEY, v)",
		"CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)")
	schema.ForeignKeys = false
	if a := loaded(t, schema).Analyze("DELETE FROM p WHERE id = ?"); show(a) != "write r=p w=p key=p:?1 alone" {
		t.Error(show(a))
	}
	schema.ForeignKeys = true
	if a := loaded(t, schema).Analyze("DELETE FROM p WHERE id = ?"); show(a) != "write r=c,p w=c,p" {
		t.Error(show(a))
	}
}
