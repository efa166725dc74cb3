//go:build !race

package hranahttp

import (
	"context"
	"testing"
)

// A point query's round trip has a budget: it is a part of the 40 allocations
// that the whole driver may make, and net/http alone makes 45. (With the race
// detector a sync.Pool forgets at random.)
func TestRoundTripAllocations(t *testing.T) {
	for _, level := range []Level{V3JSON, V3Protobuf} {
		req, answer := pointSelect(t, level.Encoding())
		c := newBenchClient(t, trivialServer(t, contentType(level.Encoding()), answer))
		if n := testing.AllocsPerRun(300, func() {
			if _, err := c.Pipeline(context.Background(), c.Home(), level, req, Expect{}); err != nil {
				t.Fatal(err)
			}
		}); n > 10 {
			t.Errorf("%v: %v allocations, want at most 10", level, n)
		}
	}
}
