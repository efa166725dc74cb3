// Package target gives each tool's tests the databases to try it on.
package target

import (
	"database/sql"
	"net/http"
	"testing"

	_ "github.com/tursodatabase/libsql-client-go/libsql"
	"go.uber.org/goleak"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A Target is an empty database and a driver to reach it.
type Target struct {
	// Driver is the name that the driver has registered with database/sql.
	Driver string
	// DSN is the server's URL, with the driver's parameters if there are any.
	DSN string
	// Baseline says that the driver is libsql-client-go, the one to be replaced.
	// It shows that a test asks for nothing beyond it; where it falls short by
	// itself, the test says what it does instead.
	Baseline bool
}

// drivers are the ways to reach a server.
var drivers = []struct{ name, driver, query string }{
	{"libsql", "libsql", ""},
	{"turso-opt", tursoopt.DriverName, ""},
	{"turso-opt in JSON", tursoopt.DriverName, "?encoding=json"},
}

// Open gives a pool of the target's own that the test's end closes.
func (tg Target) Open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open(tg.Driver, tg.DSN)
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

// Each runs body on every pair of driver and server, each time with an empty
// database, and looks for goroutines that are left once its pools are closed.
// What a tool itself never ends is named by ignored.
func Each(t *testing.T, body func(t *testing.T, tg Target), ignored ...goleak.Option) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			noLeaks(t, ignored)
			s := sqld.ForTest(t, sqld.Options{})
			body(t, Target{Driver: d.driver, DSN: s.URL() + d.query, Baseline: d.driver == "libsql"})
		})
	}
}

func noLeaks(t *testing.T, ignored []goleak.Option) {
	ignored = append(ignored, goleak.IgnoreCurrent())
	t.Cleanup(func() {
		// libsql-client-go keeps its connections in the transport of everybody.
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, ignored...)
	})
}
