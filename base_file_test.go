package tursoopt_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

func openFile(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("turso-opt", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // a test that cares closes it itself
	return db
}

func TestFileMemory(t *testing.T) {
	db := openFile(t, ":memory:")
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	mustExec(t, db, "CREATE TABLE t (x)")
	mustExec(t, db, "INSERT INTO t VALUES (?)", 7)
	if n := queryInt(t, db, "SELECT x FROM t"); n != 7 {
		t.Errorf("x = %d", n)
	}
}

// What belongs to SQLite reaches the SQLite driver, what belongs to this one does
// not.
func TestFileOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with %23 and space.db")
	db := openFile(t, "file:"+path+"?_pragma=user_version(7)&timeout=5s&authToken=ignored&parse_time=off&_pragma=foreign_keys(1)")
	mustExec(t, db, "CREATE TABLE t (x)")
	if n := queryInt(t, db, "PRAGMA user_version"); n != 7 {
		t.Errorf("user_version is %d", n)
	}
	if n := queryInt(t, db, "PRAGMA foreign_keys"); n != 1 {
		t.Errorf("foreign_keys is %d", n)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "with # and space.db")); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	ro := openFile(t, "file:"+path+"?mode=ro")
	if n := queryInt(t, ro, "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("%d rows", n)
	}
	if _, err := ro.Exec("INSERT INTO t VALUES (1)"); err == nil {
		t.Error("mode=ro lets writes through")
	}
	missing := openFile(t, "file:"+filepath.Join(t.TempDir(), "none.db")+"?mode=rw")
	if err := missing.Ping(); err == nil {
		t.Error("mode=rw creates a file")
	}
}

// What the SQLite driver says of a DSN may quote it, and so is not shown.
func TestFileRefused(t *testing.T) {
	_, err := sql.Open("turso-opt", "file:x.db?_txlock=S3CRET")
	if err == nil || strings.Contains(err.Error(), "S3CRET") || !strings.Contains(err.Error(), "sqlite3") {
		t.Errorf("an option that the SQLite driver does not know: %v", err)
	}
}

// Config.TxLock is the lock of BeginTx, whatever the SQLite driver would do.
func TestFileTxLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := tursoopt.OpenDB(&tursoopt.Config{URL: "file:" + path, TxLock: tursoopt.TxImmediate})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (x)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	other := openFile(t, "file:"+path+"?_pragma=busy_timeout(0)")
	if _, err := other.Exec("INSERT INTO t VALUES (1)"); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("the transaction has no lock: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	mustExec(t, other, "INSERT INTO t VALUES (1)")
	// One that only reads takes none.
	if tx, err = db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, other, "INSERT INTO t VALUES (2)")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}
