package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// guarded tells whether a text is refused for docs.body, whichever way it is run.
func guarded(t *testing.T, db execer, query string, args ...any) (refused bool) {
	t.Helper()
	_, err := db.ExecContext(context.Background(), query, args...)
	if err == nil {
		var rows *sql.Rows
		if rows, err = db.QueryContext(context.Background(), query, args...); err == nil {
			_ = rows.Close()
		}
	}
	return err != nil && strings.Contains(err.Error(), "docs.body") && strings.Contains(err.Error(), "compress_guard=off")
}

func TestCompressGuard(t *testing.T) {
	inModes(t, []mode{nativeModes[0], nativeModes[3], otherModes[0], otherModes[1]}, func(t *testing.T, e *env) {
		db, off, plain := e.open(t, "compress_columns=docs.body"), e.open(t, "compress_columns=docs.body", "compress_guard=off"), e.open(t)
		ctx := context.Background()
		for _, q := range []string{
			compressDocs, "CREATE VIEW good AS SELECT id AS i, body AS b FROM docs", "CREATE VIEW good2 (j, c) AS SELECT i, b FROM good",
			"CREATE TABLE log (x)", "CREATE TABLE posts (body TEXT)",
		} {
			mustExec(t, db, q)
		}
		mustExec(t, plain, "CREATE VIEW bad AS SELECT id, length(body) AS u FROM docs")
		mustExec(t, db, "INSERT INTO docs (id, body) VALUES (1, ?)", packable)
		refused := func(q string, args ...any) {
			t.Helper()
			_, err := db.ExecContext(ctx, q, args...)
			if err == nil {
				var rows *sql.Rows
				if rows, err = db.QueryContext(ctx, q, args...); err == nil {
					_ = rows.Close()
				}
			}
			if err == nil || !strings.Contains(err.Error(), "docs.body") || !strings.Contains(err.Error(), "compress_guard=off") {
				t.Errorf("%s: %v", q, err)
			}
			if rows, err := off.QueryContext(ctx, q, args...); err != nil {
				t.Errorf("%s, allowed: %v", q, err)
			} else if err := rows.Close(); err != nil {
				t.Error(err)
			}
		}
		refused("SELECT id FROM docs WHERE body LIKE ?", "%x%")
		refused("SELECT length(d.body) FROM docs d")
		refused("SELECT i FROM good WHERE b = ?", "x")
		refused("SELECT j FROM good2 ORDER BY c")
		refused("SELECT * FROM bad")
		refused("DELETE FROM docs WHERE body = ? AND 0", "x")
		var b tursoopt.Batch
		b.Queue("SELECT 1")
		b.Queue("SELECT upper(body) FROM docs")
		// A base runs the items one by one, so the error may be the item's.
		res, err := tursoopt.SendBatch(ctx, db, &b)
		if err == nil {
			_, _ = res.Exec()
			_, err = res.Exec()
			_ = res.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "docs.body") {
			t.Errorf("a batch: %v", err)
		}
		for _, q := range []string{
			"SELECT body FROM posts WHERE body LIKE '%x%'", "SELECT c FROM good2 WHERE j = 1", "SELECT count(body) FROM docs WHERE body IS NOT NULL",
		} {
			queryAny(t, db, q)
		}
		if got := queryAny(t, db, "SELECT c FROM good2"); !reflect.DeepEqual(got, []any{packable}) {
			t.Errorf("through two views: %.40v", got)
		}
		mustExec(t, off, "CREATE TRIGGER tr AFTER INSERT ON docs BEGIN INSERT INTO log VALUES (length(new.body)); END")
		fresh := e.open(t, "compress_columns=docs.body")
		if _, err := fresh.ExecContext(ctx, "INSERT INTO docs (body) VALUES (?)", packable); err == nil || !strings.Contains(err.Error(), "trigger tr") {
			t.Errorf("a trigger looks into it: %v", err)
		}
		queryAny(t, fresh, "SELECT body FROM docs")
	})
}

// What is defined around a column would see frames, too.
func TestCompressGuardsTheSchema(t *testing.T) {
	inModes(t, []mode{nativeModes[0], nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		plain := e.open(t)
		for _, c := range []struct {
			name          string
			schema        []string
			refused, fine []string
		}{
			{"unique", []string{"CREATE UNIQUE INDEX u ON docs (body)"}, []string{"INSERT INTO docs (body) VALUES ('x')"}, []string{"SELECT body FROM docs"}},
			{"computed", []string{"ALTER TABLE docs ADD COLUMN n AS (length(body))"}, []string{"SELECT n FROM docs", "UPDATE docs SET title = 'x'"}, nil},
			{"full text", []string{"CREATE VIRTUAL TABLE fts USING fts5(body, content='docs', content_rowid='id')"},
				[]string{"INSERT INTO fts (fts) VALUES ('rebuild')", "SELECT highlight(fts, 0, '<', '>') FROM fts"}, []string{"INSERT INTO docs (body) VALUES ('x')"}},
			{"a view of a view", []string{"CREATE VIEW a AS SELECT id, upper(body) AS u FROM docs", "CREATE VIEW b AS SELECT u FROM a"},
				[]string{"SELECT * FROM b", "SELECT docs.id FROM docs JOIN b", "CREATE TABLE c AS SELECT * FROM b"}, []string{"SELECT id FROM docs"}},
			{"a trigger elsewhere", []string{"CREATE TABLE log (x)", "CREATE TABLE other (x)", "CREATE TRIGGER t AFTER INSERT ON other BEGIN INSERT INTO log SELECT * FROM (SELECT body FROM docs); END"},
				[]string{"INSERT INTO other VALUES (1)"}, []string{"SELECT * FROM other", "INSERT INTO log VALUES (1)", "INSERT INTO docs (body) VALUES ('x')"}},
			{"a cascade", []string{"CREATE TABLE log (x)", "CREATE TABLE folders (id INTEGER PRIMARY KEY)", "ALTER TABLE docs ADD COLUMN folder REFERENCES folders ON DELETE CASCADE",
				"CREATE TRIGGER t AFTER DELETE ON docs BEGIN INSERT INTO log VALUES (old.body); END"}, []string{"DELETE FROM folders"}, []string{"SELECT * FROM folders", "INSERT INTO log VALUES (1)"}},
		} {
			if c.name == "full text" && e.file {
				continue // its SQLite has none
			}
			t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
				mustExec(t, plain, compressDocs)
				for _, q := range c.schema {
					mustExec(t, plain, q)
				}
				db := e.open(t, "compress_columns=docs.body")
				for _, q := range c.refused {
					if !guarded(t, db, q) {
						t.Errorf("%s is let through", q)
					}
				}
				for _, q := range c.fine {
					mustExec(t, db, q)
				}
				drop := map[string]bool{}
				for _, q := range append([]string{"CREATE TABLE docs ("}, c.schema...) {
					if w := strings.Fields(strings.Replace(q, "VIRTUAL ", "", 1)); w[0] == "CREATE" && (w[1] == "TABLE" || w[1] == "VIEW") && !drop[w[2]] {
						drop[w[2]] = true
						defer mustExec(t, plain, "DROP "+w[1]+" "+w[2])
					}
				}
			})
		}
	})
}

// A view of the transaction's own is known, and nobody else takes what it has
// changed for the schema.
func TestCompressGuardInATransaction(t *testing.T) {
	inModes(t, []mode{nativeModes[0], nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body"), e.open(t)
		ctx := context.Background()
		mustExec(t, plain, compressDocs)
		mustExec(t, plain, "CREATE VIEW bad AS SELECT length(body) AS n FROM docs")
		mustExec(t, db, "INSERT INTO docs (id, body) VALUES (1, ?)", packable)
		for _, pipelined := range []bool{false, true} {
			tx, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Pipelined: pipelined})
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, tx, "CREATE VIEW w AS SELECT id, body AS b FROM docs")
			if got := queryAny(t, tx, "SELECT b FROM w"); !reflect.DeepEqual(got, []any{packable}) {
				t.Errorf("%.40v", got)
			}
			if pipelined {
				// A refusal, like each error, would end it.
				mustExec(t, tx, "CREATE VIEW x AS SELECT b AS c FROM w")
			}
			mustExec(t, tx, "DROP VIEW bad")
			if !guarded(t, tx, "SELECT upper(b) FROM w") {
				t.Error("a view of the transaction's own is not guarded")
			}
			if !guarded(t, db, "SELECT * FROM bad") && !e.file { // which is locked
				t.Error("what a transaction has not committed is believed")
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			if !guarded(t, db, "SELECT * FROM bad") {
				t.Error("what was rolled back is believed")
			}
		}
		if !guarded(t, db, "CREATE VIEW w AS SELECT body AS b FROM docs; SELECT upper(b) FROM w") {
			t.Error("a view of the same text is not guarded")
		}
		c := conn(t, db)
		for _, q := range []string{"BEGIN", "CREATE VIEW w AS SELECT body AS b FROM docs"} {
			mustExec(t, c, q)
		}
		if !e.file {
			queryAny(t, db, "SELECT id FROM docs") // asks for the schema
		}
		mustExec(t, c, "COMMIT")
		if !guarded(t, db, "SELECT upper(b) FROM w") {
			t.Error("a view that was committed is not guarded")
		}
	})
}

// A text that changes the table's columns is not taken to have the old ones.
func TestCompressInAScript(t *testing.T) {
	inModes(t, []mode{nativeModes[3]}, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body"), e.open(t)
		mustExec(t, db, "CREATE TABLE docs (body, id)")
		mustExec(t, db, "INSERT INTO docs VALUES (?, ?)", packable, packable)
		mustExec(t, db, "DROP TABLE docs; CREATE TABLE docs (id, body); INSERT INTO docs VALUES (?, ?); INSERT INTO docs (id, body) VALUES (2, ?)", packable, packable, packable)
		if got := queryAny(t, plain, "SELECT typeof(id) || typeof(body) FROM docs"); !reflect.DeepEqual(got, []any{"texttext", "integerblob"}) {
			t.Error(got)
		}
	})
}

// Nor is a batch that does: no item of it is asked for before all of them are sent.
func TestCompressInABatchThatChangesTheSchema(t *testing.T) {
	inModes(t, []mode{nativeModes[0], nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body"), e.open(t)
		for _, tx := range []bool{false, true} {
			mustExec(t, db, "CREATE TABLE docs (body, id)")
			mustExec(t, db, "INSERT INTO docs VALUES (?, ?)", packable, packable)
			var q tursoopt.Queryer = db
			end := func() error { return nil }
			if tx {
				own, err := db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				q, end = own, own.Commit
			}
			var b tursoopt.Batch
			b.Queue("DROP TABLE docs")
			b.Queue("CREATE TABLE docs (id, body)")
			b.Queue("INSERT INTO docs VALUES (?, ?)", packable, packable)
			b.Queue("INSERT INTO docs (id, body) VALUES (2, ?)", packable)
			if err := batchError(t, q, &b); err != nil {
				t.Fatal(err)
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if got := queryAny(t, plain, "SELECT typeof(id) || typeof(body) FROM docs WHERE id = 2 OR typeof(id) <> 'integer' ORDER BY rowid"); got[0] == "blobtext" || got[1] != "integerblob" {
				t.Error(got)
			}
			var c tursoopt.Batch
			c.Queue("CREATE VIEW w AS SELECT body AS b FROM docs")
			c.Queue("SELECT upper(b) FROM w")
			if err := batchError(t, db, &c); err == nil || !strings.Contains(err.Error(), "docs.body") {
				t.Errorf("a view of the same batch is not guarded: %v", err)
			}
			mustExec(t, db, "DROP TABLE docs")
		}
	})
}

// batchError sends a batch and gives its first error.
func batchError(t *testing.T, q tursoopt.Queryer, b *tursoopt.Batch) error {
	t.Helper()
	res, err := tursoopt.SendBatch(t.Context(), q, b)
	if err != nil {
		return err
	}
	for range b.Len() {
		if _, err := res.Exec(); err != nil {
			return errors.Join(err, res.Close())
		}
	}
	return res.Close()
}

// Without the schema nobody knows which views use a column.
func TestCompressWithoutTheSchema(t *testing.T) {
	inModes(t, []mode{nativeModes[3]}, func(t *testing.T, e *env) {
		p := e.tapped(t)
		plain := e.open(t)
		mustExec(t, plain, compressDocs)
		mustExec(t, plain, "CREATE VIEW bad AS SELECT length(body) AS n FROM docs")
		fail := func(db *sql.DB, query string) error {
			h := p.before(t, "sqlite_master")
			done := make(chan error)
			go func() {
				rows, err := db.QueryContext(context.Background(), query)
				if err == nil {
					err = rows.Close()
				}
				done <- err
			}()
			<-h.reached
			h.cut()
			return <-done
		}
		db, off := e.open(t, "compress_columns=docs.body", "retry=off"), e.open(t, "compress_columns=docs.body", "compress_guard=off", "retry=off")
		if err := fail(db, "SELECT * FROM bad"); err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), "compress_guard=off") {
			t.Errorf("%v", err)
		}
		if !guarded(t, db, "SELECT * FROM bad") {
			t.Error("a failure is remembered")
		}
		if err := fail(off, "SELECT * FROM bad"); err != nil {
			t.Errorf("without the guard: %v", err)
		}
	})
}
