// Package sqltext knows SQL as far as a driver has to without a schema: where
// SQLite's tokens and statements begin and end, what kind a statement is, which
// parameters it has, and what it needs of, or leaves on, a connection.
//
// It is not a parser: a text that SQLite would refuse is sorted as well as it
// can be, and the server says what is wrong with it. Where something is not
// certain the answer is the careful one: not read-only, stateful, RowidMaybe.
package sqltext
