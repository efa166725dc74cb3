// Package netem puts a network between a client and a server that share a
// machine: a TCP proxy in this process that delays, limits, loses and breaks
// what passes through it, as told and as changed while it runs.
//
// It also counts. What tests and benchmarks claim about connections, requests
// and bytes is read from here, never from a driver's own counters.
//
// Everything happens above TCP: there is no packet loss, no slow start, and a
// "lost" connection is one whose bytes are no longer carried while both ends
// still believe in it.
package netem
