//go:build !race

package hrana

const raceEnabled = false
