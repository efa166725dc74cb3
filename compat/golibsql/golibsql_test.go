//go:build cgo && tursoopt_slim

package golibsql_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/tursodatabase/go-libsql"
	"go.uber.org/goleak"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Both drivers are in this program, each under its own name.
func TestRegistered(t *testing.T) {
	if got := sql.Drivers(); !slices.Equal(got, []string{"libsql", "turso-opt"}) {
		t.Fatalf("the drivers are %q", got)
	}
	db, err := sql.Open("libsql", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got, want := reflect.TypeOf(db.Driver()).PkgPath(), reflect.TypeFor[libsql.Connector]().PkgPath(); got != want {
		t.Errorf("libsql is the driver of %s", got)
	}
	s := sqld.ForTest(t, sqld.Options{})
	native, err := sql.Open("turso-opt", s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	var n int
	if err := native.QueryRow("SELECT ? + 1", 41).Scan(&n); n != 42 || err != nil {
		t.Errorf("n = %d, %v", n, err)
	}
}

// TestWrap runs one program on go-libsql's connectors and on wrapped ones: they
// must give the same.
func TestWrap(t *testing.T) {
	for name, connector := range map[string]func(t *testing.T) driver.Connector{
		"file": func(t *testing.T) driver.Connector {
			return registered(t, "file:"+filepath.Join(t.TempDir(), "local.db"))
		},
		"remote": func(t *testing.T) driver.Connector {
			return registered(t, sqld.ForTest(t, sqld.Options{}).URL())
		},
		"embedded replica": func(t *testing.T) driver.Connector {
			c, err := libsql.NewEmbeddedReplicaConnector(filepath.Join(t.TempDir(), "replica.db"), sqld.ForTest(t, sqld.Options{}).URL())
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			plain := run(t, sql.OpenDB(connector(t)))
			c, err := tursoopt.Wrap(connector(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			wrapped := run(t, sql.OpenDB(c))
			if !reflect.DeepEqual(wrapped, plain) {
				t.Errorf("wrapped\n%q\nplain\n%q", wrapped, plain)
			}
			if !slices.Contains(plain, "kept 7 0.5") {
				t.Errorf("the program gives %q", plain)
			}
		})
	}
}

func registered(t *testing.T, dsn string) driver.Connector {
	t.Helper()
	db, err := sql.Open("libsql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	d := db.Driver().(driver.DriverContext)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := d.OpenConnector(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run does what programs do, and notes what came of it.
func run(t *testing.T, db *sql.DB) (notes []string) {
	t.Helper()
	note := func(values ...any) { notes = append(notes, fmt.Sprint(values...)) }
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	db.SetMaxOpenConns(1)
	ctx := t.Context()
	noteExec := func(e interface {
		Exec(string, ...any) (sql.Result, error)
	}, query string, args ...any) {
		res, err := e.Exec(query, args...)
		if err != nil {
			note("error ", err)
			return
		}
		id, err := res.LastInsertId()
		n, err2 := res.RowsAffected()
		note(id, " ", n, " ", errors.Join(err, err2))
	}

	noteExec(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE, f REAL, b BLOB, at DATETIME)")
	noteExec(db, "INSERT INTO t (s, f, b, at) VALUES (?, ?, ?, ?)", "first", 0.25, []byte{0, 255}, "2024-02-29T12:00:00Z")
	noteExec(db, "INSERT INTO t (s) VALUES (?)", "first")
	noteExec(db, "INSERT INTO nowhere VALUES (1)")
	var (
		id int64
		s  string
		f  float64
		b  []byte
		at any
	)
	err := db.QueryRowContext(ctx, "SELECT * FROM t WHERE id = ?", 1).Scan(&id, &s, &f, &b, &at)
	note(id, s, f, b, at, err)
	note(db.QueryRowContext(ctx, "SELECT s FROM t WHERE id = 99").Scan(&s))

	stmt, err := db.PrepareContext(ctx, "INSERT INTO t (id, s) VALUES (?, ?)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := stmt.ExecContext(ctx, 10+i, fmt.Sprint("prepared ", i)); err != nil {
			note("error ", err)
		}
	}
	if err := stmt.Close(); err != nil {
		t.Error(err)
	}

	for _, commit := range []bool{true, false} {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if commit {
			noteExec(tx, "INSERT INTO t (id, s, f) VALUES (7, 'kept', 0.5)")
			note(tx.Commit())
		} else {
			noteExec(tx, "DELETE FROM t")
			note(tx.Rollback())
		}
	}
	_, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	note(err)

	rows, err := db.QueryContext(ctx, "SELECT s, id, f FROM t ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var f sql.NullFloat64
		if err := rows.Scan(&s, &id, &f); err != nil {
			t.Fatal(err)
		}
		note(s, " ", id, " ", f.Float64)
	}
	note(rows.Err())
	return notes
}

// Conn.Raw reaches go-libsql's own connection.
func TestBaseConnection(t *testing.T) {
	base := registered(t, ":memory:")
	c, err := tursoopt.Wrap(base, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Raw(func(dc any) error {
		bc, ok := dc.(tursoopt.BaseConn)
		if !ok {
			return fmt.Errorf("a %T is no BaseConn", dc)
		}
		if got := reflect.TypeOf(bc.Base()).Elem().PkgPath(); got != reflect.TypeFor[libsql.Connector]().PkgPath() {
			return fmt.Errorf("the base connection is of %s", got)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
