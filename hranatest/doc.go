// Package hranatest is an embedded libSQL server: it speaks Hrana over HTTP as
// sqld and Turso Cloud do, on SQLite compiled to Go, without a process beside
// the test and without cgo.
//
//	func TestMine(t *testing.T) {
//		server := hranatest.NewServer(t, hranatest.Options{})
//		db, err := sql.Open("turso-opt", server.URL())
//		...
//	}
//
// A [Server] behaves as the server that its [Profile] names. Under [Sqld], the
// default, the same conformance tests pass against it and against the real
// sqld; where sqld differs from the protocol's specification, so does the
// Server. What differs from sqld is listed in this package's README.
//
// A Server can also be made to misbehave while it runs: it loses streams,
// transactions and connections, fails, is late, or answers nonsense. See
// [Server.Inject], [Server.Delay], [Server.ExpireStreams],
// [Server.ForgetStreams] and [Server.TakeTransaction]. What it has seen is in
// [Server.Stats].
//
// The SQLite is github.com/ncruces/go-sqlite3; no database/sql driver is
// registered by the import.
package hranatest
