package shadow

import (
	"slices"
	"strings"
	"testing"
)

func TestDeclared(t *testing.T) {
	d := NewDeclared(map[string][]string{"Users": {"active"}, "posts": nil, "active": nil, "accounts": {"users"}})
	for _, c := range []struct{ sql, want string }{
		// Reads that may be kept, by what they read.
		{"SELECT 1", "pure"},
		{"select * from users where id = ?", "pure users"},
		{"SELECT count(*), max(u.n) FROM USERS AS u JOIN posts p ON p.user_id = u.id WHERE u.name LIKE 'a%' ORDER BY 1 DESC LIMIT $1;", "pure posts users"},
		{"SELECT a.x FROM users a, `posts` b WHERE a.id IN (1, 2) AND b.x = :x", "pure posts users"},
		{`SELECT "x" FROM (SELECT id AS x FROM posts WHERE id BETWEEN 1 AND 2) AS z WHERE EXISTS (SELECT 1 FROM active)`, "pure active posts"},
		{"SELECT x FROM users UNION ALL SELECT y FROM posts", "pure posts users"},
		{"SELECT x IS DISTINCT FROM y FROM users", "pure users"},
		{"SELECT a, replace(b, 'x', 'y') FROM posts GROUP BY a, b HAVING sum(n) > 1.5e3", "pure posts"},
		// Others.
		{"SELECT x FROM others", "impure"}, {"SELECT x FROM users, others", "impure"}, {"SELECT x FROM app.users", "impure"},
		{"SELECT x FROM users.a", "impure"}, {"SELECT x FROM (users JOIN posts)", "impure"}, {"SELECT x FROM ONLY users", "impure"},
		{"SELECT x FROM users LEFT JOIN LATERAL (SELECT 1) z", "unknown"},
		{"SELECT now()", "impure"}, {"SELECT x FROM users WHERE at < CURRENT_TIMESTAMP", "impure"}, {"SELECT x FROM users ORDER BY rand()", "impure"},
		{"SELECT x FROM users WHERE at > DATE '2024-01-01'", "impure"}, {"SELECT x FROM users WHERE at > 'yesterday'", "impure"},
		{"SELECT x FROM users WHERE at > ' Now '", "impure"}, {"SELECT E'a' FROM users", "impure"},
		{"WITH z AS (SELECT 1 FROM users) SELECT * FROM z", "impure"},
		// What may do anything.
		{"SELECT f(x) FROM users", "unknown"}, {"SELECT app.max(x) FROM users", "unknown"}, {`SELECT "max"(x) FROM users`, "unknown"},
		{"SELECT nextval('s')", "unknown"}, {"SELECT s.nextval FROM users", "unknown"}, {"SELECT x INTO y FROM users", "unknown"},
		{"SELECT x FROM users FOR UPDATE", "unknown"}, {"SELECT x FROM users WITH (NOLOCK)", "unknown"}, {"SELECT x FROM generate_series(1, 2)", "unknown"},
		{"SELECT x FROM users LOCK IN SHARE MODE", "unknown"}, {"WITH z AS (DELETE FROM users RETURNING *) SELECT * FROM z", "unknown"},
		{"SELECT x -- comment\nFROM users", "unknown"}, {"SELECT /*! f() */ x FROM users", "unknown"}, {`SELECT 'it\'s' FROM users`, "unknown"},
		{"SELECT $$x$$", "unknown"}, {"SELECT @x := 1", "unknown"}, {"SELECT x::date FROM users", "unknown"}, {"SELECT 1; DELETE FROM users", "unknown"},
		{"SELECT 'open", "unknown"}, {"SELECT x) FROM users", "unknown"}, {"", "unknown"}, {"SELECT x # y\nFROM users", "unknown"},
		// Writes, by what they change.
		{"INSERT INTO posts (a, b) VALUES (?, 'x')", "writes posts"}, {"INSERT IGNORE INTO posts SELECT * FROM others", "writes posts"},
		{"INSERT INTO posts VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 1", "writes posts"},
		{"INSERT INTO posts VALUES (1) ON DUPLICATE KEY UPDATE n = values(n)", "writes posts"},
		{"INSERT INTO posts VALUES (now())", "writes posts"}, {"REPLACE INTO posts VALUES (1)", "writes posts"},
		{"update users set n = n + 1 where id = 1", "writes active users"}, {"UPDATE accounts AS a SET n = 1", "writes accounts active users"},
		{"UPDATE posts SET n = o.n FROM others o WHERE o.id = posts.id RETURNING n", "writes posts"}, {"DELETE FROM \"posts\" WHERE x = 1", "writes posts"},
		{"INSERT INTO others VALUES (1)", "writes accounts active posts users"}, {"UPDATE users, posts SET users.n = 1", "unknown"}, {"UPDATE users JOIN posts SET n = 1", "unknown"},
		{"DELETE users, posts FROM users JOIN posts", "unknown"}, {"DELETE FROM users, posts USING users JOIN posts", "unknown"},
		{"UPDATE posts SET n = f(1)", "unknown"}, {"INSERT INTO posts WITH z AS (DELETE FROM users RETURNING *) SELECT * FROM z", "unknown"},
		{"INSERT posts VALUES (1)", "unknown"}, {"UPDATE app.posts SET n = 1", "unknown"},
		{"CALL f()", "unknown"}, {"MERGE INTO posts USING users", "unknown"}, {"SET autocommit = 0", "unknown"}, {"START TRANSACTION", "unknown"},
		{"CREATE TABLE z (x int)", "ddl"}, {"TRUNCATE posts", "ddl"}, {"ALTER TABLE posts ADD COLUMN x int", "ddl"},
		{"CREATE TEMPORARY TABLE users (x int)", "unknown"},
		{"BEGIN", "controls"}, {"COMMIT", "controls"}, {"COMMIT AND CHAIN", "unknown"}, {"PREPARE TRANSACTION 'x'", "unknown"}, {"COMMIT PREPARED 'x'", "unknown"},
	} {
		a := d.Analyze(c.sql)
		got := "controls"
		switch {
		case a.Unknown:
			got = "unknown"
		case a.DDL:
			got = "ddl"
		case a.Pure:
			got = strings.Join(append([]string{"pure"}, a.Reads...), " ")
		case a.ReadOnly:
			got = "impure"
		case len(a.Writes) > 0:
			got = strings.Join(append([]string{"writes"}, a.Writes...), " ")
		}
		if got != c.want {
			t.Errorf("%s is %q (%s), want %q", c.sql, got, a.Reason, c.want)
		}
	}
}

func TestTellsTime(t *testing.T) {
	for _, s := range []string{"now", " NOW ", "today 12:00", "yesterday"} {
		if !TellsTime(s) {
			t.Errorf("%q is no time", s)
		}
	}
	for _, s := range []string{"", "2024-01-01", "nowhere", "snow"} {
		if TellsTime(s) {
			t.Errorf("%q is a time", s)
		}
	}
}

// Whatever a text is, looking at it ends, and what is taken for a read names declared
// tables only.
func FuzzDeclared(f *testing.F) {
	for _, s := range []string{"SELECT x FROM users, posts WHERE a = 'b'", "UPDATE users SET x = \"a\"", "DELETE FROM", "SELECT ((", "INSERT INTO `users`"} {
		f.Add(s)
	}
	d := NewDeclared(map[string][]string{"users": nil, "posts": {"users"}})
	f.Fuzz(func(t *testing.T, sql string) {
		a := d.analyse(sql)
		for _, name := range append(slices.Clone(a.Reads), a.Writes...) {
			if name != "users" && name != "posts" {
				t.Errorf("%q touches %q", sql, name)
			}
		}
		if a.Pure && (len(a.Writes) > 0 || !a.ReadOnly) {
			t.Errorf("%q is %+v", sql, a)
		}
	})
}
