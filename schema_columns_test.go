package tursoopt_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// columnsOf are the columns of a query's result with their declared types.
func columnsOf(t testing.TB, db execer, text string, args ...any) string {
	t.Helper()
	rows := query(t, db, text, args...)
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	var cols []string
	for _, c := range types {
		cols = append(cols, c.Name()+" "+c.DatabaseTypeName())
	}
	values := make([]any, len(types))
	for i := range values {
		values[i] = new(any)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(cols, ", ")
}

// Streams that are kept know the schema from before. A result must have the
// columns that the table has now, whoever has changed it.
func TestSchemaChanges(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		ctx := context.Background()
		db, foreign := e.open(t), e.open(t)
		for name, other := range map[string]*sql.DB{"own": db, "another process's": foreign} {
			t.Run(name, func(t *testing.T) {
				mustExec(t, other, "DROP TABLE IF EXISTS t")
				mustExec(t, other, "CREATE TABLE t (a INTEGER)")
				mustExec(t, other, "INSERT INTO t VALUES (1)")
				c, set := conn(t, db), conn(t, db)
				mustExec(t, set, "PRAGMA foreign_keys = on")
				prepared, err := db.Prepare("SELECT * FROM t")
				if err != nil {
					t.Fatal(err)
				}
				defer prepared.Close()
				check := func(want string) {
					t.Helper()
					for name, got := range map[string]func() string{
						"autocommit": func() string { return columnsOf(t, db, "SELECT * FROM t") },
						"prepared": func() string {
							rows, err := prepared.Query()
							if err != nil {
								t.Fatal(err)
							}
							defer rows.Close()
							types, _ := rows.ColumnTypes()
							var cols []string
							for _, c := range types {
								cols = append(cols, c.Name()+" "+c.DatabaseTypeName())
							}
							return strings.Join(cols, ", ")
						},
						"argument":        func() string { return columnsOf(t, db, "SELECT t.* FROM t WHERE a = ?", 1) },
						"held connection": func() string { return columnsOf(t, c, "SELECT * FROM t") },
						"set connection":  func() string { return columnsOf(t, set, "SELECT * FROM t") },
						"returning":       func() string { return columnsOf(t, db, "UPDATE t SET a = 1 RETURNING *") },
						"returning, held": func() string { return columnsOf(t, c, "UPDATE t SET a = 1 RETURNING *") },
						"transaction":     func() string { return columnsInTx(t, db, tursoopt.TxOptions{}, "SELECT * FROM t") },
						"read-only":       func() string { return columnsInTx(t, db, tursoopt.TxOptions{ReadOnly: true}, "SELECT * FROM t") },
						"immediate": func() string {
							return columnsInTx(t, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, "SELECT * FROM t")
						},
						"immediate, held": func() string {
							return columnsInTx(t, c, tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, "SELECT * FROM t")
						},
						"writing, held": func() string { return columnsInTx(t, c, tursoopt.TxOptions{}, "UPDATE t SET a = 1 RETURNING *") },
						"script":        func() string { return columnsOf(t, db, "SELECT * FROM t; SELECT 1") },
						"script, held":  func() string { return columnsOf(t, c, "SELECT * FROM t; SELECT 1") },
						"subquery":      func() string { return columnsOf(t, db, "SELECT * FROM (SELECT * FROM t)") },
						"common table":  func() string { return columnsOf(t, db, "WITH x AS (SELECT * FROM t) SELECT * FROM x") },
						"textual BEGIN": func() string {
							mustExec(t, c, "BEGIN")
							defer mustExec(t, c, "ROLLBACK")
							return columnsOf(t, c, "SELECT * FROM t")
						},
						"batch": func() string {
							var b tursoopt.Batch
							b.Queue("SELECT * FROM t")
							r, err := tursoopt.SendBatch(ctx, db, &b)
							if err != nil {
								t.Fatal(err)
							}
							defer r.Close()
							rows, err := r.Query()
							if err != nil {
								t.Fatal(err)
							}
							types, _ := rows.ColumnTypes()
							var cols []string
							for _, c := range types {
								cols = append(cols, c.Name()+" "+c.DatabaseTypeName())
							}
							return strings.Join(cols, ", ")
						},
					} {
						if cols := got(); cols != want {
							t.Errorf("%s: the columns are %q, want %q", name, cols, want)
						}
					}
				}
				check("a INTEGER")
				mustExec(t, other, "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'x'")
				check("a INTEGER, b TEXT")
				mustExec(t, other, "ALTER TABLE t RENAME COLUMN b TO c")
				check("a INTEGER, c TEXT")
				mustExec(t, other, "ALTER TABLE t DROP COLUMN c")
				check("a INTEGER")
				if other == db {
					// In a transaction others see it at its end.
					tx := begin(t, db, tursoopt.TxOptions{})
					mustExec(t, tx, "DROP TABLE t")
					mustExec(t, tx, "CREATE TABLE t (a REAL)")
					for _, run := range []execer{db, c} {
						if cols := columnsOf(t, run, "SELECT a FROM t"); cols != "a INTEGER" {
							t.Errorf("before the commit: %q", cols)
						}
					}
					if err := tx.Commit(); err != nil {
						t.Fatal(err)
					}
					for _, run := range []execer{db, c, db, c} {
						if cols := columnsOf(t, run, "SELECT a FROM t"); cols != "a REAL" {
							t.Errorf("after the commit: %q", cols)
						}
					}
				}
			})
		}
	})
}

func columnsInTx(t testing.TB, db tursoopt.Beginner, opts tursoopt.TxOptions, text string) string {
	t.Helper()
	tx := begin(t, db, opts)
	defer tx.Rollback()
	return columnsOf(t, tx, text)
}

// A large result comes through a cursor, and reads of several callers share
// requests.
func TestSchemaChangesForOthers(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		db, foreign := e.open(t, "lanes=1"), e.open(t)
		db.SetMaxIdleConns(16)
		makeLarge(t, foreign)
		const all = "SELECT *, printf('%.*c', 10000, 'x') AS x FROM big"
		for _, want := range []string{"a INTEGER, b INTEGER, x ", "a INTEGER, b INTEGER, c TEXT, x "} {
			for range 2 {
				if cols := columnsOf(t, db, all); cols != want {
					t.Errorf("large: the columns are %q, want %q", cols, want)
				}
			}
			var callers sync.WaitGroup
			for range 16 {
				callers.Go(func() {
					for range 5 {
						if cols := columnsOf(t, db, "SELECT *, 1 AS x FROM big LIMIT 1"); cols != want {
							t.Errorf("sharing: the columns are %q, want %q", cols, want)
						}
					}
				})
			}
			callers.Wait()
			if want == "a INTEGER, b INTEGER, x " {
				mustExec(t, foreign, "ALTER TABLE big ADD COLUMN c TEXT")
			}
		}
	})
}
