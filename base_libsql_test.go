package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// seeAll runs a program and gives what it has seen: results, and errors in their
// own words.
func seeAll(t *testing.T, db *sql.DB) (seen []string) {
	t.Helper()
	ctx := context.Background()
	see := func(what string, v ...any) { seen = append(seen, what+": "+fmt.Sprintln(v...)) }
	exec := func(db execer, query string, args ...any) {
		res, err := db.ExecContext(ctx, query, args...)
		see(query, err)
		if err == nil {
			id, err := res.LastInsertId()
			n, err2 := res.RowsAffected()
			see(query, id, err, n, err2)
		}
	}
	query := func(db execer, query string, args ...any) {
		rows, err := db.QueryContext(ctx, query, args...)
		see(query, err)
		if err != nil {
			return
		}
		for more := true; more; more = rows.NextResultSet() {
			cols, err := rows.Columns()
			see(query, cols, err)
			types, err := rows.ColumnTypes()
			for i := range types {
				see(query, types[i].DatabaseTypeName(), types[i].ScanType(), err)
			}
			values, dest := make([]any, len(cols)), make([]any, len(cols))
			for i := range dest {
				dest[i] = &values[i]
			}
			for rows.Next() {
				see(query, rows.Scan(dest...), values)
			}
		}
		see(query, rows.Err(), rows.Close())
	}
	see("ping", db.PingContext(ctx))
	exec(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT UNIQUE, at DATETIME)")
	exec(db, "INSERT INTO t (x, at) VALUES (?, ?)", "a", "2024-01-02 03:04:05")
	exec(db, "INSERT INTO t (x) VALUES (?)", "a")
	exec(db, "INSERT INTO t (x) VALUES (:x)", sql.Named("x", "b"))
	exec(db, "INSERT INTO t (x) VALUES (?); UPDATE t SET x = x || '!'", "c")
	exec(db, "INSERT INTO t (x) VALUES (?)")
	exec(db, "INSERT INTO t (x) VALUES (?)", []string{"no"})
	exec(db, "this is not SQL")
	exec(db, "")
	query(db, "SELECT * FROM t ORDER BY id")
	query(db, "SELECT * FROM nowhere")
	query(db, "SELECT ?, ?", 1.5, []byte("x"))
	query(db, "SELECT 1; SELECT 2, 3")
	query(db, "SELECT 1 WHERE 0")
	s, err := db.PrepareContext(ctx, "SELECT x FROM t WHERE id = ?")
	see("prepare", err)
	if err == nil {
		_, err = s.ExecContext(ctx, 1)
		see("run", err)
		_, err = s.ExecContext(ctx, 1, 2)
		see("run with two", err)
		see("close", s.Close())
	}
	_, err = db.PrepareContext(ctx, "SELECT 1; SELECT 2")
	see("prepare two", err)
	for _, opts := range []*sql.TxOptions{nil, {ReadOnly: true}, {Isolation: sql.LevelReadCommitted}} {
		tx, err := db.BeginTx(ctx, opts)
		see("begin", err)
		if err != nil {
			continue
		}
		exec(tx, "UPDATE t SET x = 'd' WHERE id = 1")
		query(tx, "SELECT count(*) FROM t")
		see("rollback", tx.Rollback(), tx.Commit())
	}
	query(db, "SELECT x FROM t WHERE id = 1")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = db.ExecContext(ended, "DELETE FROM t")
	see("too late", err)
	see("close", db.Close())
	return seen
}

// Through turso-opt libsql-client-go does what it does alone, over HTTP and over
// a WebSocket, and so does the SQLite driver for a file.
func TestBaseLibsqlBehavesAsAlone(t *testing.T) {
	for name, c := range map[string]struct{ driver, scheme, params string }{
		"http": {"libsql", "http", "?base=libsql-client-go"},
		"ws":   {"libsql", "ws", ""},
		"file": {"sqlite3", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var seen [2][]string
			for i, open := range []func(url string) (*sql.DB, error){
				func(url string) (*sql.DB, error) { return sql.Open(c.driver, url) },
				func(url string) (*sql.DB, error) { return sql.Open("turso-opt", url+c.params) },
			} {
				url := "file:" + filepath.Join(t.TempDir(), "test.db")
				if c.scheme != "" {
					url = strings.Replace(sqld.ForTest(t, sqld.Options{}).URL(), "http", c.scheme, 1)
				}
				db, err := open(url)
				if err != nil {
					t.Fatal(err)
				}
				db.SetMaxOpenConns(1)
				seen[i] = seeAll(t, db)
			}
			compareLines(t, "the program sees", seen[1], seen[0])
		})
	}
}

// What the Config says reaches the server.
func TestBaseLibsqlConfig(t *testing.T) {
	var mu sync.Mutex
	var got []*http.Request
	server := hranatest.NewServer(t, hranatest.Options{Token: "t0ken", Prefix: "/my/db", OnRequest: func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r)
	}})
	db, err := tursoopt.OpenDB(&tursoopt.Config{
		URL: "http://db.example:1/my/db", Proxy: strings.TrimSuffix(server.URL(), "/my/db"), Base: tursoopt.BaseLibsql, AuthToken: "t0ken",
		RemoteEncryptionKey: "k3y", Header: http.Header{"X-Test": {"yes"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n := queryInt(t, db, "SELECT 7"); n != 7 {
		t.Errorf("7 is %d", n)
	}
	if s, _ := tursoopt.StatsOf(db); s.Requests.Sent != 0 {
		t.Errorf("the native base has sent %d requests", s.Requests.Sent)
	}
	mu.Lock()
	defer mu.Unlock()
	r := got[0]
	if r.Host != "db.example:1" || r.URL.Path != "/my/db/v2/pipeline" || r.Header.Get("Authorization") != "Bearer t0ken" ||
		r.Header.Get("X-Turso-Encryption-Key") != "k3y" || r.Header.Get("X-Test") != "yes" {
		t.Errorf("the request is for %s%s, with %v", r.Host, r.URL.Path, r.Header)
	}
}

// No error shows a token, a key or a password, whatever goes wrong.
func TestErrorsHideCredentials(t *testing.T) {
	const token, key, password = "t0kenS3CRET", "k3yS3CRET", "passS3CRET"
	denying := hranatest.NewServer(t, hranatest.Options{Token: "another"})
	broken := hranatest.NewServer(t, hranatest.Options{})
	broken.Inject(-1, hranatest.Garbage)
	failing := hranatest.NewServer(t, hranatest.Options{})
	failing.Inject(-1, hranatest.Status(http.StatusInternalServerError, 0))
	dropping := hranatest.NewServer(t, hranatest.Options{})
	dropping.Inject(-1, hranatest.DropAfter)
	for name, url := range map[string]string{
		"refused": "http://me:" + password + "@127.0.0.1:1", "no host": "http://me:" + password + "@nowhere.invalid",
		"denied": strings.Replace(denying.URL(), "://", "://me:"+password+"@", 1),
		"broken": broken.URL(), "failing": failing.URL(), "dropping": dropping.URL(), "not tls": strings.Replace(broken.URL(), "http", "https", 1),
	} {
		for _, base := range []string{tursoopt.BaseNative, tursoopt.BaseLibsql} {
			db, err := tursoopt.OpenDB(&tursoopt.Config{URL: url, AuthToken: token, RemoteEncryptionKey: key, Base: base})
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			_, errExec := db.ExecContext(ctx, "INSERT INTO t VALUES (1)")
			_, errQuery := db.QueryContext(ctx, "SELECT 1")
			c, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_, errTx := c.ExecContext(ctx, "BEGIN")
			for _, err := range []error{errExec, errQuery, errTx, c.Close(), db.Close()} {
				for ; err != nil; err = errors.Unwrap(err) {
					if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "S3CRET") {
						t.Errorf("%s, %s: %+v", name, base, err)
					}
				}
			}
			if errExec == nil || errQuery == nil || errTx == nil {
				t.Errorf("%s, %s: it works", name, base)
			}
		}
	}
}

// A program that lacks what a DSN needs is told what to import, or why it cannot
// have it; the rest of it works, with the build tag too.
func TestMissingBases(t *testing.T) {
	const file = "turso-opt: a file needs an SQLite driver: import one, such as modernc.org/sqlite, github.com/glebarez/go-sqlite or github.com/mattn/go-sqlite3\n"
	const slim = "turso-opt: base: this program is built with the tag tursoopt_slim, without libsql-client-go (ws and wss need it too)\n"
	for tags, want := range map[string]string{
		"":              file + file + "<nil>\n<nil>\n",
		"tursoopt_slim": file + file + slim + slim,
	} {
		if got := string(goCommand(t, "run", "-tags="+tags, "./testdata/nobase")); got != want {
			t.Errorf("with tags %q the program hears\n%s", tags, got)
		}
	}
	cmd := exec.Command("go", "vet", "-tags=tursoopt_slim", ".")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet with the tag tursoopt_slim: %v\n%s", err, out)
	}
}
