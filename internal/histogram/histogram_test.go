package histogram

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Bounds grow, by at most a quarter, and each bucket ends where the next begins.
func TestBuckets(t *testing.T) {
	for i := range Buckets {
		end := Bound(i)
		if i < Buckets-1 && (bucket(end-1) != i || bucket(end) != i+1) {
			t.Errorf("bucket %d ends at %v, and what is just below is in %d, what is there in %d", i, end, bucket(end-1), bucket(end))
		}
		if i >= steps && (end <= Bound(i-1) || end-Bound(i-1) > Bound(i-1)/4) {
			t.Errorf("bucket %d is from %v to %v", i, Bound(i-1), end)
		}
	}
	if d := Bound(Buckets - 1); d < 2*time.Minute {
		t.Errorf("the last bucket ends at %v", d)
	}
	for d, want := range map[time.Duration]int{0: 0, time.Hour: Buckets - 1, 1<<63 - 1: Buckets - 1} {
		if got := bucket(d); got != want {
			t.Errorf("%v is in bucket %d, want %d", d, got, want)
		}
	}
}

// What is recorded at once is all there.
func TestRecord(t *testing.T) {
	var h Histogram
	if counts, sum := h.Snapshot(); counts != [Buckets]uint64{} || sum != 0 {
		t.Errorf("an empty one has %v, %v", counts, sum)
	}
	var wg sync.WaitGroup
	var want time.Duration
	for g := range 8 {
		d := time.Duration(g) * time.Millisecond
		want += 1000 * d
		wg.Go(func() {
			for range 1000 {
				h.Record(d)
			}
		})
	}
	h.Record(-time.Second) // a clock that was set back
	wg.Wait()
	counts, sum := h.Snapshot()
	n := uint64(0)
	for _, c := range counts {
		n += c
	}
	if n != 8001 || sum != want || counts[0] != 1001 {
		t.Errorf("%d are there, with a sum of %v, want %v", n, sum, want)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	var h Histogram
	h.Record(0)
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Its floor is two atomic additions.
func BenchmarkRecord(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		d := rand.N(10 * time.Millisecond)
		for pb.Next() {
			h.Record(d)
		}
	})
}
