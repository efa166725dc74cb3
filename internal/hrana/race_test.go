//go:build race

package hrana

// raceEnabled: the race detector allocates too, so that what is allocated is
// counted without it.
const raceEnabled = true
