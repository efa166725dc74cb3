// Package bench measures drivers against each other: both in the same run, in
// rounds that take turns, on the same server, through the same network.
//
// A Scenario is data: its table, what a goroutine does again and again, and the
// figures to read from the samples, with their goals. One runner runs them all.
// Connections, requests and bytes are counted by a proxy between client and
// server, processor time and memory by the runtime and the operating system;
// nothing is taken from a driver's own counters.
package bench
