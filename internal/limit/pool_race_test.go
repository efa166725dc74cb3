//go:build race

package limit

func init() { raceDetector = true }
