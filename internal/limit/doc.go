// Package limit decides how much is sent to a server at once, as pure functions
// of what is observed: no clocks, no I/O, no goroutines.
package limit
