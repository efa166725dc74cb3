// Package target gives each tool's tests the databases to try it on.
package target

import (
	"database/sql"
	"net/http"
	"testing"

	_ "github.com/tursodatabase/libsql-client-go/libsql"
	"go.uber.org/goleak"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A Target is an empty database and a driver to reach it.
type Target struct {
	// Driver is the name that the driver has registered with database/sql.
	Driver string
	// DSN is the server's URL, with the driver's parameters if there are any.
	DSN string
	// Baseline says that libsql-client-go is at work, the driver to be replaced. It
	// shows that a test asks for nothing beyond it; where it falls short by itself,
	// the test says what it does instead.
	Baseline bool
}

// The pairs that tests run on. JSON is what servers other than sqld speak.
var pairs = []struct {
	name, driver, query string
	server              func(t *testing.T) (url string)
	baseline            bool
}{
	{"libsql on sqld", "libsql", "", real, true},
	{"turso-opt around libsql on sqld", tursoopt.DriverName, "?base=" + tursoopt.BaseLibsql, real, true},
	{"turso-opt on sqld", tursoopt.DriverName, "", real, false},
	{"turso-opt on sqld in JSON", tursoopt.DriverName, "?encoding=" + tursoopt.EncodingJSON, real, false},
	{"turso-opt on hranatest as sqld", tursoopt.DriverName, "", embedded(hranatest.Sqld), false},
	{"turso-opt on hranatest as Turso Cloud", tursoopt.DriverName, "", embedded(hranatest.Cloud), false},
	{"turso-opt on hranatest as tursodb", tursoopt.DriverName, "", embedded(hranatest.V2), false},
}

func real(t *testing.T) string {
	t.Helper()
	return sqld.ForTest(t, sqld.Options{}).URL()
}

func embedded(p hranatest.Profile) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		return hranatest.NewServer(t, hranatest.Options{Profile: p}).URL()
	}
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
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			noLeaks(t, ignored)
			body(t, Target{Driver: p.driver, DSN: p.server(t) + p.query, Baseline: p.baseline})
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
