// Package lane lets many callers share one round trip.
//
// A lane is the right to one request in flight. A statement that finds a lane
// free goes out at once and alone, on its caller's goroutine; statements that
// come while all lanes are out wait, and share the next request as steps of one
// batch. Nothing ever waits for a timer: load alone makes requests fuller.
//
// A request carries reads or writes, never both, so that no stranger's large or
// failing SELECT can make the outcome of a write unknown. Reads are free to be
// sent again, and that is how every failure of a shared request is kept from
// the innocent: what failed as a whole is run again statement by statement.
package lane
