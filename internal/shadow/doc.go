// Package shadow knows what a statement touches without sending it: which tables
// it reads and writes, through views, triggers and cascades, whether its answer
// depends on nothing else, and whether it is about one row alone.
//
// It asks SQLite itself. A copy of the server's schema, without a row in it, is
// kept in memory, and each distinct text is compiled there once, as EXPLAIN.
// That gives two accounts: what SQLite's authorizer was asked while it compiled,
// and the program that would run. Neither is complete on its own. The authorizer
// is not told of sqlite_sequence, and it is told of functions in a column's
// default that a read never calls; the program does not name virtual tables. So
// a table counts if either of them names it, a function if the program calls it
// or the authorizer was told of it and the schema does not account for it, and
// whatever neither explains is Unknown.
//
// Everything here is decided so that a mistake can only be one of caution: a
// table too many, a read that is not cached.
package shadow
