package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// notSQLite is a fake that does not speak SQLite's dialect, with a cache.
func notSQLite(t *testing.T, conns, stmts string, tables map[string][]string) (*sql.DB, *fake) {
	t.Helper()
	f := newFake(fakeConns[conns], fakeStmts[stmts])
	for _, prepare := range []string{"Prepare", "PrepareContext"} {
		f.answer(prepare+" SELECT sqlite_version()", errFake, errFake, errFake)
	}
	db := wrapCached(t, f, func(cfg *tursoopt.Config) { cfg.CacheTables = tables })
	return db, f
}

// asked are the lines that say that the fake was asked to run something.
func (f *fake) asked() (n int) {
	for _, l := range f.lines() {
		if !strings.Contains(l, "ResetSession") && !strings.Contains(l, "IsValid") && !strings.Contains(l, "CheckNamedValue") {
			n++
		}
	}
	return n
}

// A base that is not SQLite says at its first use that tables have to be declared.
func TestBaseCacheNeedsDeclaredTables(t *testing.T) {
	db, f := notSQLite(t, "everything", "contexts", nil)
	for range 2 {
		if err := db.Ping(); err == nil || !strings.Contains(err.Error(), "CacheTables") {
			t.Errorf("a ping gives %v", err)
		}
	}
	if <-f.closed != 1 {
		t.Error("the connection is still open")
	}
	// One that does not work at all is not taken for one that is none.
	broken := newFake(fakeConns["everything"], fakeStmts["contexts"])
	broken.answer("PrepareContext", errFake, errFake)
	db = wrapCached(t, broken, nil)
	if err := db.Ping(); err != nil {
		t.Errorf("a base that has answered nothing yet: %v", err)
	}
	for _, cfg := range []tursoopt.Config{
		{Cache: 1 << 20, CacheTables: map[string][]string{"": nil}}, {Cache: 1 << 20, CacheTables: map[string][]string{"a": {""}}},
		{Cache: 1}, {Cache: 1 << 20, Shared: tursoopt.NewShared(tursoopt.SharedConfig{})},
	} {
		if _, err := tursoopt.Wrap(f, &cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
		if cfg.Shared != nil {
			_ = cfg.Shared.Close()
		}
	}
}

// With declared tables, a hit asks the base for nothing, whatever interfaces it has, and writes
// drop what they change.
func TestBaseCacheOfDeclaredTables(t *testing.T) {
	for conns := range fakeConns {
		for _, stmts := range []string{"minimal", "contexts"} {
			t.Run(strings.ReplaceAll(conns, " ", "-")+"/"+stmts, func(t *testing.T) {
				db, f := notSQLite(t, conns, stmts, map[string][]string{"users": {"active"}, "posts": nil, "active": nil})
				db.SetMaxOpenConns(1)
				read := func(query string, args ...any) (asked bool) {
					t.Helper()
					before, hits := f.asked(), cacheStats(t, db).Hits
					var a string
					if err := db.QueryRow(query, args...).Scan(&a); err != nil || a != "row" {
						t.Fatalf("%s: %q, %v", query, a, err)
					}
					tursoopt.CacheWait(db)
					asked = f.asked() > before
					if asked == (cacheStats(t, db).Hits > hits) {
						t.Errorf("%s: asked %v, and %+v", query, asked, cacheStats(t, db))
					}
					return asked
				}
				queries := []string{"SELECT a FROM users", "SELECT a FROM posts", "SELECT a FROM active"}
				warm := func() {
					t.Helper()
					for _, q := range queries {
						if read(q); read(q) {
							t.Fatalf("%s is not kept: %+v", q, cacheStats(t, db))
						}
					}
				}
				drops := func(what string, want [3]bool, do func()) {
					t.Helper()
					warm()
					do()
					for i, q := range queries {
						if asked := read(q); asked != want[i] {
							t.Errorf("after %s: %s asks the base: %v", what, q, asked)
						}
					}
				}
				exec := func(query string, args ...any) func() {
					return func() {
						t.Helper()
						if _, err := db.Exec(query, args...); err != nil {
							t.Fatal(err)
						}
					}
				}
				drops("a write to posts", [3]bool{false, true, false}, exec("UPDATE posts SET a = ? WHERE id = ?", 1, "x"))
				drops("a write to users", [3]bool{true, false, true}, exec("DELETE FROM users"))
				drops("a read", [3]bool{}, exec("SELECT now()"))
				drops("a write to who knows what", [3]bool{true, true, true}, exec("UPDATE others SET a = 1"))
				drops("DDL", [3]bool{true, true, true}, exec("TRUNCATE posts"))
				drops("a transaction", [3]bool{false, true, false}, func() {
					tx, err := db.Begin()
					if err != nil {
						t.Fatal(err)
					}
					if _, err := tx.Exec("INSERT INTO posts VALUES (1)"); err != nil {
						t.Fatal(err)
					}
					if err := tx.Commit(); err != nil {
						t.Fatal(err)
					}
				})
				drops("one that was rolled back", [3]bool{}, func() {
					tx, err := db.Begin()
					if err != nil {
						t.Fatal(err)
					}
					if _, err := tx.Exec("INSERT INTO posts VALUES (1)"); err != nil {
						t.Fatal(err)
					}
					if err := tx.Rollback(); err != nil {
						t.Fatal(err)
					}
				})
				// What depends on more than tables.
				for _, q := range []string{"SELECT a FROM others", "SELECT now() FROM users"} {
					if read(q); !read(q) {
						t.Errorf("%s is kept", q)
					}
				}
				const arg = "SELECT a FROM users WHERE at > ?"
				if read(arg, "2024-01-01"); read(arg, "2024-01-01") {
					t.Error("a read with an argument is not kept")
				}
				if read(arg, "now"); !read(arg, "now") {
					t.Error("a read with the time as its argument is kept")
				}
				// After what leaves nobody knows what, the connection is left out.
				drops("what may do anything", [3]bool{true, true, true}, exec("CALL f()"))
				if !read(queries[0]) {
					t.Error("a connection of which nothing is known any more answers from the cache")
				}
			})
		}
	}
}

// What an error says of a write: one that shows that the database has answered leaves nothing
// to wait for.
func TestBaseCacheOutcomes(t *testing.T) {
	for _, c := range []struct {
		err  error
		lost bool
	}{
		{errFake, true}, {driver.ErrBadConn, true}, {fmt.Errorf("wrapped: %w", io.ErrUnexpectedEOF), true}, {context.DeadlineExceeded, true},
		{io.EOF, true}, {fmt.Errorf("%w: %w", driver.ErrBadConn, stateError{}), true},
		{stateError{}, false}, {fmt.Errorf("wrapped: %w", stateError{}), false}, {&MySQLError{}, false},
	} {
		var ahead atomic.Int64
		tursoopt.CacheClock(func() (wall, mono int64) { return ahead.Load(), ahead.Load() })
		db, f := notSQLite(t, "texts", "contexts", map[string][]string{"users": nil, "posts": nil})
		tursoopt.CacheClock(nil)
		kept := func(query string) bool {
			t.Helper()
			for range 2 {
				if err := db.QueryRow(query).Scan(new(string)); err != nil {
					t.Fatal(err)
				}
				tursoopt.CacheWait(db)
			}
			before := cacheStats(t, db).Hits
			_ = db.QueryRow(query).Scan(new(string))
			return cacheStats(t, db).Hits > before
		}
		const users, posts = "SELECT a FROM users", "SELECT a FROM posts"
		for _, write := range []func() error{
			func() error {
				f.answer("ExecContext UPDATE", c.err, c.err, c.err, c.err)
				_, err := db.Exec("UPDATE users SET a = 1")
				f.answer("ExecContext UPDATE")
				return err
			},
			func() error {
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.Exec("UPDATE users SET a = 1"); err != nil {
					t.Fatal(err)
				}
				f.answer("Commit", c.err)
				return tx.Commit()
			},
		} {
			before := cacheStats(t, db).Lost
			if err := write(); !errors.Is(err, c.err) {
				t.Fatalf("%v: the write gives %v", c.err, err)
			}
			if lost := cacheStats(t, db).Lost > before; lost != c.lost {
				t.Errorf("%v: lost %v", c.err, lost)
			}
			db.SetMaxIdleConns(0) // of the connection nobody knows
			db.SetMaxIdleConns(2)
			if !kept(posts) || kept(users) == c.lost {
				t.Errorf("%v: %+v", c.err, cacheStats(t, db))
			}
			ahead.Add(int64(time.Minute))
			if !kept(users) {
				t.Errorf("%v: after a minute: %+v", c.err, cacheStats(t, db))
			}
		}
	}
}

type stateError struct{}

func (stateError) Error() string    { return "a state" }
func (stateError) SQLState() string { return "23505" }

// MySQLError has the name that the driver for MySQL gives to what the server answers.
type MySQLError struct{}

func (*MySQLError) Error() string { return "an answer" }

// What a driver skips, so that database/sql prepares it, is one write.
func TestBaseCacheCountsSkippedWritesOnce(t *testing.T) {
	db, _ := notSQLite(t, "skips", "contexts", map[string][]string{"users": nil})
	mustExec(t, db, "UPDATE users SET a = ?", 1)
	s := cacheStats(t, db)
	if s.ByWrites != 1 || tableStats(t, s, "users").Writes != 1 {
		t.Errorf("%+v", s)
	}
}
