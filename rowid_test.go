package tursoopt_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// rowidTables are what inserts set last_insert_rowid() in, or do not.
func rowidTables(t testing.TB, db execer) {
	t.Helper()
	for _, text := range []string{
		"CREATE TABLE plain (id INTEGER PRIMARY KEY, k TEXT UNIQUE, n)",
		"CREATE TABLE keyed (k TEXT PRIMARY KEY, n) WITHOUT ROWID",
		"CREATE VIEW seen AS SELECT id, k FROM plain",
		"CREATE TRIGGER seen_insert INSTEAD OF INSERT ON seen BEGIN INSERT INTO plain (id, k) VALUES (new.id, new.k); END",
		"CREATE TABLE logged (id INTEGER PRIMARY KEY, n)",
		"CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, n)",
		"CREATE TRIGGER logged_insert AFTER INSERT ON logged BEGIN INSERT INTO log (n) VALUES (new.n), (new.n); END",
		"INSERT INTO plain VALUES (7, 'seven', 0)",
		"CREATE TABLE stranger (id INTEGER PRIMARY KEY)",
	} {
		mustExec(t, db, text)
	}
}

// The row id of an autocommit statement is what it would be on a connection that
// nobody has used: never a stranger's, whose INSERT has run on the same stream.
func TestRowidIsNobodyElses(t *testing.T) {
	inModes(t, allModes[:len(allModes)-1], func(t *testing.T, e *env) {
		db := e.open(t)
		rowidTables(t, db)
		for round := range 3 { // first on new streams, then on known ones
			key := fmt.Sprint("k", round)
			for _, c := range []struct {
				text string
				want int64
			}{
				{"INSERT INTO plain VALUES (" + fmt.Sprint(100+round) + ", '" + key + "', 0)", int64(100 + round)},
				{"INSERT OR IGNORE INTO plain VALUES (8, 'seven', 0)", 0},
				{"INSERT INTO plain (k) VALUES ('seven') ON CONFLICT DO NOTHING", 0},
				{"INSERT INTO plain (k, n) VALUES ('seven', 1) ON CONFLICT (k) DO UPDATE SET n = excluded.n", 0},
				{"INSERT INTO plain (id, k) VALUES (" + fmt.Sprint(200+round) + ", 'u" + key + "') ON CONFLICT (k) DO UPDATE SET n = 1", int64(200 + round)},
				{"INSERT INTO keyed VALUES ('" + key + "', 1)", 0},
				{"REPLACE INTO keyed VALUES ('" + key + "', 2)", 0},
				{"INSERT INTO seen VALUES (" + fmt.Sprint(300+round) + ", 'v" + key + "')", 0},
				{"INSERT INTO logged VALUES (" + fmt.Sprint(400+round) + ", 0)", int64(400 + round)},
				{"INSERT INTO plain SELECT id + 1000, k || 'c', 0 FROM plain WHERE id = 100 + " + fmt.Sprint(round), int64(1100 + round)},
				{"INSERT INTO plain SELECT * FROM plain WHERE 0", 0},
				{"UPDATE plain SET n = 5 WHERE id = 7", 0},
				{"DELETE FROM plain WHERE id = -1", 0},
				{"REPLACE INTO plain VALUES (9, 'nine', 0)", 9},
				{"WITH x AS (SELECT 500 + " + fmt.Sprint(round) + " AS id) INSERT INTO plain SELECT id, NULL, 0 FROM x", int64(500 + round)},
				{"INSERT INTO plain VALUES (" + fmt.Sprint(600+round) + ", NULL, 0) RETURNING id", int64(600 + round)},
			} {
				// Strangers insert, with another row id or with the very same.
				mustExec(t, db, "INSERT INTO stranger VALUES (NULL)")
				if c.want != 0 {
					mustExec(t, db, "REPLACE INTO stranger VALUES (?)", c.want)
				}
				res := mustExec(t, db, c.text)
				if id, err := res.LastInsertId(); id != c.want || err != nil {
					t.Errorf("%s: row id %d, %v, want %d", c.text, id, err, c.want)
				}
			}
		}
	})
}

// On one connection an INSERT that inserts nothing leaves the row id as it was,
// as SQLite has it.
func TestRowidOfSession(t *testing.T) {
	inModes(t, allModes[:len(allModes)-1], func(t *testing.T, e *env) {
		db := e.open(t)
		rowidTables(t, db)
		check := func(run execer) {
			t.Helper()
			for _, c := range []struct {
				text string
				want int64
			}{
				{"INSERT INTO plain VALUES (70, 'a', 0)", 70},
				{"INSERT OR IGNORE INTO plain VALUES (71, 'a', 0)", 70},
				{"INSERT INTO plain (k, n) VALUES ('a', 1) ON CONFLICT (k) DO UPDATE SET n = 2", 70},
				{"INSERT INTO keyed VALUES ('a', 1)", 70},
				{"INSERT INTO seen VALUES (72, 'b')", 70},
				{"INSERT INTO logged VALUES (73, 0)", 73},
				{"UPDATE plain SET n = 3", 0},
				{"DELETE FROM plain WHERE id = -1", 0},
				{"SELECT 1", 0},
				{"CREATE TABLE IF NOT EXISTS plain (a)", 0},
				{"REPLACE INTO keyed VALUES ('a', 2)", 73},
				{"INSERT INTO plain VALUES (74, 'c', 0); INSERT OR IGNORE INTO plain VALUES (75, 'c', 0)", 74},
			} {
				res := mustExec(t, run, c.text)
				if id, err := res.LastInsertId(); id != c.want || err != nil {
					t.Errorf("%s: row id %d, %v, want %d", c.text, id, err, c.want)
				}
			}
			if n := queryInt(t, run, "SELECT last_insert_rowid()"); n != 74 {
				t.Errorf("last_insert_rowid() = %d", n)
			}
		}
		tx := begin(t, db, tursoopt.TxOptions{})
		check(tx)
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		check(conn(t, db))
	})
}

// Callers that insert at the same time share streams, and each gets its own.
func TestRowidOfConcurrentCallers(t *testing.T) {
	inModesBeside(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		db.SetMaxIdleConns(8)
		rowidTables(t, db)
		var callers sync.WaitGroup
		for caller := range 8 {
			callers.Go(func() {
				for i := range 25 {
					id := int64(1000*(caller+1) + i)
					for _, c := range []struct {
						text string
						want int64
					}{
						{"INSERT INTO plain (id) VALUES (?)", id},
						{"INSERT OR IGNORE INTO plain (id) VALUES (?)", 0},
						{"INSERT INTO keyed VALUES (?, 0)", 0},
						{"INSERT INTO logged VALUES (?, 0)", id},
					} {
						res, err := db.ExecContext(context.Background(), c.text, id)
						for tursoopt.Retryable(err) { // sqld has too many writers
							res, err = db.ExecContext(context.Background(), c.text, id)
						}
						if err != nil {
							t.Errorf("%s: %v", c.text, err)
							return
						}
						if got, _ := res.LastInsertId(); got != c.want {
							t.Errorf("%s: row id %d, want %d", c.text, got, c.want)
						}
					}
				}
			})
		}
		callers.Wait()
	})
}
