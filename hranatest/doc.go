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
// A [Server] has the manners of the server that its [Profile] names. Under
// [Sqld], the default, the same conversations are held in this package's tests
// with it and with a real sqld 0.24.32, and the two must agree: values, columns,
// row counts, errors to the letter, batches and their conditions, cursors,
// batons, expiry, transactions that are taken away, limits, tokens. Where sqld
// differs from the protocol's specification, so does the Server.
//
// A Server can be made to misbehave while it runs: it loses streams,
// transactions and connections, fails, is late, or answers nonsense. See
// [Server.Inject], [Server.Delay], [Server.ExpireStreams],
// [Server.ForgetStreams] and [Server.TakeTransaction]. What it has seen is in
// [Server.Stats].
//
// # What differs from sqld
//
//   - The SQLite is 3.54, github.com/ncruces/go-sqlite3's; sqld's is a libSQL of
//     3.45. Today's SQL is understood where sqld refuses it, EXPLAIN shows other
//     plans, and a few functions exist on one side only. libSQL's vectors are
//     here, its vector indexes and its ALTER COLUMN are not.
//   - rows_read and rows_written are estimates: reads by an index and writes to
//     one are not counted. The replication index counts commits, not frames.
//   - A body that cannot be decoded is refused in other words, and a few that
//     sqld refuses are understood (an integer as a JSON number, an empty baton).
//   - Answers are compressed with gzip only.
//   - There is no WebSocket, no /v1, /dump or /beta/listen, no admin API, no
//     replica, and one namespace.
//   - sqld's queue of writers can lock up for good; this one does not.
//   - Two statements can write to one file from two processes only if the other
//     one is a SQLite that locks files as this one does.
//
// The import registers no database/sql driver.
package hranatest
