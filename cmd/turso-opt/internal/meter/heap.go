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

// WatchHeap looks at the heap from now on until stop is called, then once more,
// and stop gives the largest size in bytes that was seen.
func WatchHeap() (stop func() uint64) {
	quit := make(chan struct{})
	result := make(chan uint64)
	sample := []metrics.Sample{{Name: heapObjects}}
	var peak uint64
	look := func() {
		metrics.Read(sample)
		peak = max(peak, sample[0].Value.Uint64())
	}
	look()
	go func() {
		tick := time.NewTicker(heapEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				look()
			case <-quit:
				look()
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
