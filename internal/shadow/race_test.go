//go:build race

package shadow

// raceEnabled: the race detector makes SQLite, which is Go here, some thirty
// times slower.
const raceEnabled = true
