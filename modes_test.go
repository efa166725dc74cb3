package tursoopt_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver" // registers "sqlite3", for file: databases
	"go.uber.org/goleak"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

func TestMain(m *testing.M) {
	// libsql-client-go goes through http.DefaultClient, whose idle connections
	// nobody closes.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// A mode is a kind of server and a way to reach it. The same test bodies run in
// several of them.
type mode struct {
	name   string
	params string // of the DSN: one, or none
	// native: the driver's own client.
	native bool
	// profile of the embedded server; real and file exclude it.
	profile hranatest.Profile
	// nullBatons: the server keeps a stream only as long as it must.
	nullBatons bool
	// real: a real sqld.
	real bool
	// file: a local database through the registered SQLite driver.
	file bool
	// v2: the server has version 2 of the protocol only.
	v2 bool
	// covered: another mode does nearly the same, and a short run does without.
	covered bool
}

var (
	nativeModes = []mode{
		{name: "sqld protobuf", native: true, real: true, params: "encoding=protobuf"},
		{name: "sqld json", native: true, real: true, params: "encoding=json", covered: true},
		{name: "sqld without coalescing", native: true, real: true, params: "coalesce=off", covered: true},
		{name: "embedded sqld", native: true, profile: hranatest.Sqld, covered: true},
		{name: "embedded cloud with group commit", native: true, profile: hranatest.Cloud, params: "group_commit=on", covered: true},
		{name: "embedded cloud without batons", native: true, profile: hranatest.Cloud, nullBatons: true},
		{name: "embedded v2", native: true, profile: hranatest.V2, v2: true},
	}
	otherModes = []mode{
		{name: "libsql-client-go", real: true, params: "base=libsql-client-go"},
		{name: "file", file: true},
	}
	allModes = append(append([]mode(nil), nativeModes...), otherModes...)
)

// An env is one database in one mode.
type env struct {
	mode
	url      string
	sqld     *sqld.Server      // where real
	embedded *hranatest.Server // where neither real nor file
}

// inModes runs body in each mode, with an empty database each time.
func inModes(t *testing.T, modes []mode, body func(t *testing.T, e *env)) {
	t.Helper()
	for _, m := range chosen(modes) {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) { body(t, newEnv(t, m)) })
	}
}

// inModesBeside is inModes for bodies that keep a processor busy and touch nothing
// that is set for the whole package: as many at once as there are processors.
func inModesBeside(t *testing.T, modes []mode, body func(t *testing.T, e *env)) {
	t.Helper()
	for _, m := range chosen(modes) {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			body(t, newEnv(t, m))
		})
	}
}

// chosen leaves of modes, in a short run, those that another one stands for.
func chosen(modes []mode) []mode {
	if !testing.Short() {
		return modes
	}
	if some := slices.DeleteFunc(slices.Clone(modes), func(m mode) bool { return m.covered }); len(some) > 0 {
		return some
	}
	return modes[:1]
}

func newEnv(t testing.TB, m mode) *env {
	t.Helper()
	e := &env{mode: m}
	switch {
	case m.real:
		e.sqld = sqld.ForTest(t, sqld.Options{})
		e.url = e.sqld.URL()
	case m.file:
		e.url = "file:" + filepath.Join(t.TempDir(), "test.db")
	default:
		e.embedded = hranatest.NewServer(t, hranatest.Options{Profile: m.profile, NullBatons: m.nullBatons})
		e.url = e.embedded.URL()
	}
	return e
}

// dsn is the env's with more parameters, which count more than the mode's.
func (e *env) dsn(params ...string) string {
	name, _, _ := strings.Cut(e.params, "=")
	if !slices.ContainsFunc(params, func(p string) bool { return strings.HasPrefix(p, name+"=") }) {
		params = append(params, e.params)
	}
	return withParams(e.url, params...)
}

func withParams(url string, params ...string) string {
	sep := "?"
	for _, p := range params {
		if p != "" {
			url, sep = url+sep+p, "&"
		}
	}
	return url
}

// open opens the env's database; the test closes it.
func (e *env) open(t testing.TB, params ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("turso-opt", e.dsn(params...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// openConfig opens the env's database with fields that have no DSN parameter.
func (e *env) openConfig(t testing.TB, change func(*tursoopt.Config)) *sql.DB {
	t.Helper()
	cfg, err := tursoopt.ParseDSN(e.dsn())
	if err != nil {
		t.Fatal(err)
	}
	change(cfg)
	db, err := tursoopt.OpenDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// conn pins a connection for the length of the test.
func conn(t testing.TB, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // some tests close it, or lose it
	return c
}

// An execer is what runs statements: a DB, a Conn, a Tx.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func mustExec(t testing.TB, db execer, query string, args ...any) sql.Result {
	t.Helper()
	res, err := db.ExecContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return res
}

// queryInt is the one integer that a query gives.
func queryInt(t testing.TB, db execer, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := db.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
