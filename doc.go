// Package tursoopt is a database/sql driver for Turso and libSQL. Importing it
// registers the driver "turso-opt":
//
//	import _ "github.com/turso-opt/turso-opt"
//
//	db, err := sql.Open("turso-opt", "libsql://my-db.turso.io?authToken=...")
//
// It replaces github.com/tursodatabase/libsql-client-go: the same DSNs and SQL
// work, with one HTTP request for a statement instead of two, without
// STREAM_EXPIRED, and with errors that carry SQLite's codes and say whether what
// failed may have been executed (Retryable, OutcomeUnknown).
//
// # Sessions
//
// A connection of database/sql is a session here, and costs nothing: it has no
// connection of its own. Statements of all sessions travel over few HTTP
// connections and few of the server's streams. Only a session that is held (a
// transaction, a sql.Conn) has a stream to itself while it is.
//
// # Transactions
//
// BEGIN travels with the first statement, so that a transaction of k statements
// costs k+1 round trips. Each statement is guarded by the server's own
// transaction state: if the server has taken the transaction away, the statement
// does not run, and the call fails with ErrTxLost. Nothing of a transaction is
// ever committed by itself. BeginTx chooses the lock.
//
// # Bases
//
// http, https, libsql and turso URLs go through the driver's own client. ws and
// wss URLs, and base=libsql-client-go, go through libsql-client-go; file: and
// :memory: through the SQLite driver that the program has imported; Wrap takes
// any driver.Connector. The build tag tursoopt_slim leaves libsql-client-go out.
//
// # Where things are
//
//   - dsn.go, config.go, endpoint.go: DSN and Config
//   - connector.go: a Connector is put together and ended here
//   - conn.go, stmt.go, rows.go: what database/sql sees; bind.go: arguments
//   - route.go, session.go, tx.go: what a session remembers, and where its
//     statements go
//   - base_*.go: the other bases
//   - compression.go: single compressed values; compress*.go: compressed columns;
//     internal/frame: how they are stored
//   - errors.go, errors_codes.go: what an error says
//   - tracer.go: what a program may be told while it runs; tracing.go tells it,
//     tracelog.go writes it to a log
//   - internal/stream, internal/hranahttp, internal/hrana: the server's streams,
//     one round trip, the messages of the protocol; internal/exec is the
//     interface between these layers
//   - internal/sqltext: what a driver must know of a text of SQL
//   - hranatest: an embedded server for tests
package tursoopt
