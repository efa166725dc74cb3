package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// rawConn runs f with the driver's own connection.
func rawConn(t testing.TB, db *sql.DB, f func(c any) error) {
	t.Helper()
	if err := conn(t, db).Raw(f); err != nil {
		t.Fatal(err)
	}
}

func TestNumInput(t *testing.T) {
	db := newEnv(t, nativeModes[3]).open(t)
	rawConn(t, db, func(c any) error {
		for query, want := range map[string]int{
			"":                         0,
			"-- ?":                     0,
			"SELECT 1":                 0,
			"SELECT ?":                 1,
			"SELECT ?, ?":              2,
			"SELECT ?1, ?1":            1,
			"SELECT ?3":                3,
			"SELECT ?2, ?":             3,
			"SELECT :a":                1,
			"SELECT :a, :a, :b":        2,
			"SELECT @a, $b":            2,
			"SELECT :a, ?":             2,
			"SELECT :a, ?1":            1,
			"SELECT :a, :A":            2,
			"SELECT '?', \":a\", [?]":  0,
			"SELECT ? /* ? */ -- ?":    1,
			"INSERT INTO t VALUES (?)": 1,
			// One argument may serve both, so it is not known.
			"SELECT :a, @a": -1,
			// Nor of scripts.
			"SELECT ?; SELECT ?": -1,
			"SELECT 1; SELECT 2": -1,
		} {
			s, err := c.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
			if err != nil {
				return err
			}
			if n := s.NumInput(); n != want {
				t.Errorf("%q takes %d arguments, not %d", query, n, want)
			}
			if err := s.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

// A statement is prepared without the server, and used on whatever connection is
// free.
func TestPrepareSendsNothing(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		var all []*sql.Stmt
		for _, query := range []string{"SELECT ?", "not SQL at all", "SELECT * FROM nowhere", "", "SELECT 1; SELECT 2"} {
			s, err := db.PrepareContext(ctx, query)
			if err != nil {
				t.Fatalf("%q: %v", query, err)
			}
			all = append(all, s)
		}
		if n := e.sent(t, db); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
		var n int
		if err := all[0].QueryRowContext(ctx, 7).Scan(&n); err != nil || n != 7 {
			t.Error(n, err)
		}
		for _, s := range all[1:3] {
			var sqlErr *tursoopt.Error
			if _, err := s.ExecContext(ctx); !errors.As(err, &sqlErr) || sqlErr.Code == 0 {
				t.Errorf("what cannot be prepared is run: %v", err)
			}
		}
		if _, err := all[3].ExecContext(ctx); err != nil {
			t.Errorf("a text of no statement: %v", err)
		}
		for _, s := range all {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := all[0].QueryContext(ctx, 1); err == nil {
			t.Error("a closed statement is run")
		}
	})
}

func TestPrepared(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
		insert, err := db.PrepareContext(ctx, "INSERT INTO t (x) VALUES (?)")
		if err != nil {
			t.Fatal(err)
		}
		defer insert.Close()
		for i := range 5 {
			res, err := insert.ExecContext(ctx, fmt.Sprint("x", i))
			if err != nil {
				t.Fatal(err)
			}
			if id, err := res.LastInsertId(); id != int64(i+1) || err != nil {
				t.Errorf("the id is %d, %v", id, err)
			}
		}
		// In a transaction, whose rollback undoes it.
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.StmtContext(ctx, insert).ExecContext(ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		own, err := tx.PrepareContext(ctx, "SELECT count(*) FROM t")
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := own.QueryRowContext(ctx).Scan(&n); err != nil || n != 6 {
			t.Errorf("in the transaction there are %d, %v", n, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		// On a pinned connection, several times, beside another statement.
		c := conn(t, db)
		read, err := c.PrepareContext(ctx, "SELECT x FROM t WHERE id = ?")
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		for id := 1; id <= 5; id++ {
			var x string
			if err := read.QueryRowContext(ctx, id).Scan(&x); err != nil || x != fmt.Sprint("x", id-1) {
				t.Errorf("row %d is %q, %v", id, x, err)
			}
		}
		if _, err := read.QueryContext(ctx, 1, 2); err == nil {
			t.Error("two arguments are taken for one")
		}
	})
}

func TestStatementCacheCounters(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t, "stmt_cache=3")
		ctx := context.Background()
		check := func(hits, misses, evictions uint64, size int) {
			t.Helper()
			s, _ := tursoopt.StatsOf(db)
			want := tursoopt.StatementStats{Hits: hits, Misses: misses, Evictions: evictions, Size: size}
			if s.Statements != want {
				t.Errorf("the counters are %+v, want %+v", s.Statements, want)
			}
		}
		check(0, 0, 0, 0)
		queryInt(t, db, "SELECT 1")
		check(0, 1, 0, 1)
		queryInt(t, db, "SELECT 1")
		check(1, 1, 0, 1)
		// What trails a text does not make it another.
		queryInt(t, db, "SELECT 1 ;\n")
		queryInt(t, db, "SELECT 1 /* traceparent='00-1' */")
		check(3, 1, 0, 1)
		queryInt(t, db, "SELECT 2")
		queryInt(t, db, "SELECT 3")
		check(3, 3, 0, 3)
		queryInt(t, db, "SELECT 4")
		check(3, 4, 1, 3)
		// Preparing looks it up, and so does running what is prepared: what is known
		// of a text may have changed.
		s, err := db.PrepareContext(ctx, "SELECT 4")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		check(4, 4, 1, 3)
		for range 3 {
			if _, err := s.ExecContext(ctx); err != nil {
				t.Fatal(err)
			}
		}
		check(7, 4, 1, 3)
	})
}

func TestStatementCacheOff(t *testing.T) {
	inModes(t, nativeModes[3:5], func(t *testing.T, e *env) {
		db := e.open(t, "stmt_cache=0")
		for range 3 {
			queryInt(t, db, "SELECT 1")
		}
		s, _ := tursoopt.StatsOf(db)
		if want := (tursoopt.StatementStats{Misses: 3}); s.Statements != want {
			t.Errorf("the counters are %+v", s.Statements)
		}
	})
}

// By default it holds what DefaultStmtCache says.
func TestStatementCacheDefault(t *testing.T) {
	db := newEnv(t, nativeModes[3]).open(t)
	for i := range tursoopt.DefaultStmtCache + 10 {
		s, err := db.Prepare(fmt.Sprint("SELECT ", i))
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	}
	s, _ := tursoopt.StatsOf(db)
	if s.Statements.Size != tursoopt.DefaultStmtCache || s.Statements.Evictions != 10 {
		t.Errorf("the counters are %+v", s.Statements)
	}
}

// The Connectors of two databases do not share it.
func TestStatementCacheIsTheConnectors(t *testing.T) {
	e := newEnv(t, nativeModes[3])
	one, two := e.open(t), e.open(t)
	queryInt(t, one, "SELECT 1")
	if s, _ := tursoopt.StatsOf(two); s.Statements.Misses != 0 {
		t.Errorf("the other database has %+v", s.Statements)
	}
}

// A result set is bounded by its own text's statement: several are gone through
// one by one, with their own columns and errors.
func TestNextResultSet(t *testing.T) {
	inModes(t, allModes[:len(allModes)-1], func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
		rows, err := db.QueryContext(ctx, "SELECT 1 AS a; INSERT INTO t VALUES (5); SELECT id AS b, 'x' AS c FROM t WHERE id = ?; SELECT 1 WHERE 0", 5)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []string
		for {
			cols, err := rows.Columns()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Join(cols, ","))
			for rows.Next() {
				dest := make([]any, len(cols))
				for i := range dest {
					dest[i] = new(string)
				}
				if err := rows.Scan(dest...); err != nil {
					t.Fatal(err)
				}
				line := ""
				for _, d := range dest {
					line += *d.(*string)
				}
				got = append(got, line)
			}
			if !rows.NextResultSet() {
				break
			}
		}
		if want := "a|1||b,c|5x|1"; strings.Join(got, "|") != want || rows.Err() != nil {
			t.Errorf("got %q, %v", strings.Join(got, "|"), rows.Err())
		}
	})
}

// The error of a later statement is that of its result set.
func TestNextResultSetFails(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
		rows, err := db.Query("INSERT INTO t VALUES (1); SELECT 2; INSERT INTO t VALUES (1); SELECT 3")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		sets := 1
		for rows.NextResultSet() {
			sets++
		}
		var sqlErr *tursoopt.Error
		if !errors.As(rows.Err(), &sqlErr) || sqlErr.ExtendedCode != 2067 || sqlErr.Statement != 2 || sets != 2 {
			t.Errorf("after %d sets: %v", sets, rows.Err())
		}
		if rows.NextResultSet() {
			t.Error("there is a set after the error")
		}
		if rows, err = db.Query("SELECT 1; SELECT 2"); err != nil {
			t.Fatal(err)
		}
		// Left in the middle: the connection goes back all the same.
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rows that are closed, or read to their end, free their connection.
func TestRowsFreeTheirConnection(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		db.SetMaxOpenConns(1)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for range 5 {
			rows, err := db.QueryContext(ctx, "SELECT 1 UNION ALL SELECT 2")
			if err != nil {
				t.Fatal(err)
			}
			if !rows.Next() {
				t.Fatal(rows.Err())
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
			if rows.Next() {
				t.Error("there are rows after Close")
			}
		}
	})
}
