// Package lane lets many callers share one round trip.
//
// A lane is the right to one request in flight. A statement that finds a lane
// free goes out at once and alone, on its caller's goroutine; statements that
// come while all lanes are out wait, and share the next request. Nothing ever
// waits for a timer: load alone makes requests fuller.
//
// A request carries reads or writes, never both, so that no stranger's large or
// failing SELECT can make the outcome of a write unknown. Reads are free to be
// sent again, and that is how every failure of a shared request is kept from
// the innocent: what failed as a whole is run again statement by statement.
//
// Reads whose texts have succeeded before share as steps of one batch, which
// costs the server least; it refuses a batch as a whole if it cannot read one of
// them. Others share as requests of one pipeline, of which each has an outcome
// of its own.
//
// Writes pass a Gate on their way, shared or not: SQLite has one writer, and
// sqld's queue of those who wait inside it can lock up for good.
package lane
