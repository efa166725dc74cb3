package tursoopt_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// An autocommit statement is one HTTP request, and none follows that closes
// something.
func TestRequestsOfStatements(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		rowidTables(t, db)
		ctx := context.Background()
		const n = 20
		for _, c := range []struct {
			name string
			call func(i int) error
		}{
			{"SELECT", func(i int) error { return db.QueryRow("SELECT ?", i).Scan(new(int)) }},
			{"INSERT", func(i int) error { _, err := db.Exec("INSERT INTO plain (id) VALUES (?)", 100+i); return err }},
			{"INSERT that sets no row id", func(i int) error { _, err := db.Exec("INSERT INTO keyed VALUES (?, 0)", i); return err }},
			{"INSERT that may not", func(i int) error {
				_, err := db.Exec("INSERT OR IGNORE INTO plain (id) VALUES (?)", 100+i%2*100)
				return err
			}},
			{"RETURNING", func(i int) error {
				return db.QueryRow("INSERT INTO plain (id) VALUES (?) RETURNING id", 1000+i).Scan(new(int))
			}},
			{"UPDATE", func(i int) error { _, err := db.Exec("UPDATE plain SET n = ?", i); return err }},
			{"script", func(i int) error { _, err := db.Exec("DELETE FROM keyed; DELETE FROM log"); return err }},
			{"query script", func(i int) error {
				rows, err := db.Query("SELECT 1; SELECT 2")
				if err != nil {
					return err
				}
				return rows.Close()
			}},
			{"a failing one", func(i int) error { _, _ = db.Exec("INSERT INTO plain (id) VALUES (7)"); return nil }},
			{"ping", func(int) error { return db.PingContext(ctx) }},
		} {
			got := p.costs(func() {
				for i := range n {
					if err := c.call(i); err != nil {
						t.Errorf("%s: %v", c.name, err)
					}
				}
			})
			if got != n {
				t.Errorf("%s: %d statements cost %d requests", c.name, n, got)
			}
		}
		stmt, err := db.Prepare("SELECT ?")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		c := conn(t, db)
		if got := p.costs(func() {
			for i := range n {
				if err := stmt.QueryRow(i).Scan(new(int)); err != nil {
					t.Error(err)
				}
				queryInt(t, c, "SELECT count(*) FROM plain")
				mustExec(t, c, "UPDATE plain SET n = 1")
			}
		}); got != 3*n {
			t.Errorf("prepared and on a held connection: %d statements cost %d requests", 3*n, got)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// openStreams is how many streams the server of an env holds.
func openStreams(t testing.TB, e *env) int {
	t.Helper()
	if e.embedded != nil {
		return e.embedded.Stats().Streams
	}
	resp, err := http.Get(e.sqld.AdminURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^libsql_server_stream_handles (\d+)`).FindSubmatch(text)
	if m == nil {
		return 0 // not yet counted any
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// visit is what one caller of a program does.
func visit(t testing.TB, db *sql.DB, i int) {
	ctx := context.Background()
	again := func(call func() error) {
		err := call()
		for tursoopt.Retryable(err) { // other callers write too
			err = call()
		}
		if err != nil {
			t.Errorf("visit %d: %v", i, err)
		}
	}
	again(func() error { return db.QueryRow("SELECT ?", i).Scan(new(int)) })
	again(func() error { _, err := db.Exec("INSERT INTO plain (n) VALUES (?)", i); return err })
	again(func() error { _, err := db.Exec("INSERT OR IGNORE INTO plain (id) VALUES (?)", i); return err })
	again(func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.Exec("UPDATE plain SET n = ? WHERE id = 7", i); err != nil || i%3 == 0 {
			return err
		}
		return tx.Commit()
	})
	again(func() error {
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, text := range []string{"SELECT 1", "PRAGMA foreign_keys = off", "BEGIN", "SELECT count(*) FROM plain"}[:1+i%4] {
			if _, err := c.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
}

// Statements of any number of callers, and sessions that come and go, use few of
// the server's streams, and a DB that is closed leaves none.
func TestRequestsLeaveNoStreams(t *testing.T) {
	for _, m := range cursorModes { // version 2 cannot close them
		t.Run(m.name, func(t *testing.T) {
			var e *env
			if m.real {
				server := sqld.ForTest(t, sqld.Options{Admin: true})
				e = &env{mode: m, sqld: server, url: server.URL()}
			} else {
				e = newEnv(t, m)
			}
			db := e.open(t)
			db.SetMaxIdleConns(16)
			rowidTables(t, db)
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() {
					for i := range 20 {
						visit(t, db, i)
					}
				})
			}
			callers.Wait()
			if n := openStreams(t, e); n > 48 {
				t.Errorf("%d streams are open", n)
			}
			// One is in a transaction and one is set up when the DB is closed.
			c, tx := conn(t, db), begin(t, db, tursoopt.TxOptions{})
			mustExec(t, c, "PRAGMA foreign_keys = off")
			mustExec(t, tx, "INSERT INTO plain (n) VALUES (1)")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if n := openStreams(t, e); n != 0 {
				t.Errorf("%d streams are open after Close", n)
			}
			other := e.open(t)
			mustExec(t, other, "INSERT INTO plain (n) VALUES (2)")
		})
	}
}
