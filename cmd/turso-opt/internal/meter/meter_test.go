package meter

import (
	"runtime"
	"testing"
	"time"
)

var sink []byte

func TestUsageCountsThisProcess(t *testing.T) {
	before := Now()
	const n, size = 1000, 4 << 10
	for range n {
		sink = make([]byte, size)
	}
	// Until the clock of the processor time has moved, whatever its grain.
	for began := time.Now(); before.HasCPU && Now().CPU == before.CPU && time.Since(began) < 10*time.Second; {
		sink = make([]byte, size)
	}
	used := Now().Sub(before)
	if used.Allocs < n || used.AllocBytes < n*size {
		t.Errorf("%d allocations of %d bytes are counted as %d of %d", n, n*size, used.Allocs, used.AllocBytes)
	}
	switch runtime.GOOS {
	case "linux", "darwin", "windows":
		if !used.HasCPU || used.CPU <= 0 {
			t.Errorf("no processor time is counted: %+v", used)
		}
	}
	if (Usage{HasCPU: true}).Sub(Usage{}).HasCPU {
		t.Error("processor time is taken from a reading that has none")
	}
}

func TestWatchHeapSeesBothEnds(t *testing.T) {
	const size = 64 << 20
	fill := func() { sink = make([]byte, size) }
	drop := func() {
		sink = nil
		runtime.GC()
	}
	drop()
	stop := WatchHeap()
	fill()
	if peak := stop(); peak < size {
		t.Errorf("of what is in use at the end %d were seen", peak)
	}
	stop = WatchHeap()
	drop()
	if peak := stop(); peak < size {
		t.Errorf("of what was in use at the beginning %d were seen", peak)
	}
	stop = WatchHeap()
	if peak := stop(); peak >= size {
		t.Errorf("%d were seen that had been freed before", peak)
	}
}
