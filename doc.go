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
// A statement's way is conn.go, route.go, the cache, lanes, streams, one request;
// Connector.Layers names what is on it.
//
//   - driver.go, connector.go: the name "turso-opt"; a Connector is put together
//     and ended here
//   - dsn.go, config.go, endpoint.go, size.go: DSN and Config
//   - conn.go, stmt.go, rows.go, columntype.go: what database/sql sees
//   - bind.go, value.go, timeparse.go, vector.go: arguments and values
//   - route.go, session*.go, writegate.go: what a session remembers, where its
//     statements go, and when a write may
//   - tx.go, runtx.go, pipe.go: transactions, those that run again, those whose
//     statements travel together
//   - batch*.go, bulk*.go: SendBatch, BulkInsert
//   - readcache.go, cache*.go: the cache of reads; internal/cache keeps results,
//     internal/shadow finds out what a statement reads and writes
//   - compression.go: single compressed values; compress*.go: compressed columns;
//     internal/frame: how they are stored
//   - keepalive.go: connections that are kept warm
//   - pool_*.go: the controller of the pool's size
//   - shared*.go: what the Connectors of many databases have in common
//   - base_*.go: the other bases
//   - errors*.go, retry.go: what an error says, and what is sent again
//   - stats.go, histogram.go: what has been counted
//   - tracer.go, tracing.go, tracelog.go: what a program may be told while it runs,
//     who tells it, and a log of it
//   - internal/exec: the interface between the layers below, which are
//     internal/lane (callers share requests, writers queue), internal/stream (the
//     server's streams, guarded transactions, cursors), internal/hranahttp (one
//     round trip) and internal/hrana (the messages of the protocol); below these
//     internal/http1 and internal/wire (connections, compressed answers)
//   - internal/limit, internal/histogram: the control laws, and how times are counted
//   - internal/sqltext: what a driver must know of a text of SQL
//   - hranatest: an embedded server for tests; internal/sqld and internal/netem run
//     real servers and bad networks for the driver's own
//   - cmd/turso-opt, compat, bench: the command, other people's tools on this
//     driver, other drivers beside it
package tursoopt
