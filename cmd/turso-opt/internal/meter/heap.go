package meter

import (
	"runtime/metrics"
	"time"
)

// heapEvery is the time between two looks at the heap. At 100 MB/s of
// allocations the heap grows by 0.1 MB between two of them.
const heapEvery = time.Millisecond

// heapObjects is the memory of live objects and of dead ones not yet swept.
const heapObjects = "/memory/classes/heap/objects:bytes"

// WatchHeap looks at the heap until stop is called, which gives the largest
// size in bytes that was seen.
func WatchHeap() (stop func() uint64) {
	quit := make(chan struct{})
	result := make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: heapObjects}}
		var peak uint64
		tick := time.NewTicker(heapEvery)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-quit:
				result <- peak
				return
			}
		}
	}()
	return func() uint64 {
		close(quit)
		return <-result
	}
}
