package tursoopt

import (
	"time"

	"github.com/turso-opt/turso-opt/internal/histogram"
)

// A Histogram is how durations are spread: a snapshot that does not change. Its
// buckets end at fixed times, four for each doubling, from 1 microsecond to 2
// minutes, so that those of several Connectors, or of two moments, fit together.
type Histogram struct {
	// Count is how many durations there are, and Sum all of them together.
	Count uint64
	Sum   time.Duration

	buckets [histogram.Buckets]uint64
}

func snapshot(h *histogram.Histogram) Histogram {
	s := Histogram{}
	s.buckets, s.Sum = h.Snapshot()
	for _, n := range s.buckets {
		s.Count += n
	}
	return s
}

// Quantile is the time within which a share q of the durations, from 0 to 1, has
// been: 0.5 gives the median. It is at most a quarter more than the true value, or
// a microsecond, never less; 0 if nothing has been counted. Beyond 2 minutes, all it
// says is 2 minutes.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count == 0 {
		return 0
	}
	want := max(uint64(min(max(q, 0), 1)*float64(h.Count)+0.999999), 1)
	seen := uint64(0)
	for i, n := range h.buckets {
		if seen += n; seen >= want {
			return histogram.Bound(i)
		}
	}
	return histogram.Bound(len(h.buckets) - 1)
}

// Mean is the average, 0 if nothing has been counted.
func (h *Histogram) Mean() time.Duration {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / time.Duration(h.Count)
}

// Buckets calls yield with the end of each bucket and how many durations it holds,
// the shortest first; what ends earlier is not in it. It is for metrics that want
// the whole of it. The last bucket holds all that is longer, too.
func (h *Histogram) Buckets(yield func(end time.Duration, count uint64) bool) {
	for i, n := range h.buckets {
		if !yield(histogram.Bound(i), n) {
			return
		}
	}
}

// Sub is what has been counted since earlier, a snapshot of the same Connector.
func (h *Histogram) Sub(earlier *Histogram) Histogram {
	d := Histogram{Count: h.Count - earlier.Count, Sum: h.Sum - earlier.Sum}
	for i := range d.buckets {
		d.buckets[i] = h.buckets[i] - earlier.buckets[i]
	}
	return d
}
