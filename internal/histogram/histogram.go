// Package histogram counts durations in buckets that grow with them, so that a
// quantile is known within a fifth of itself, whatever it is.
package histogram

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// unit is what is told apart in the first buckets.
	unit = time.Microsecond
	// steps is how many buckets there are for each doubling; a power of two.
	steps    = 4
	stepBits = 2
	// doublings is how many there are; what takes longer than 2^27 units, which is
	// more than two minutes, is counted in the last bucket.
	doublings = 26

	// Buckets is how many there are.
	Buckets = steps * doublings
)

// A Histogram is safe for concurrent use, and its zero value is empty. It takes
// memory from the first Record.
type Histogram struct{ counts atomic.Pointer[counts] }

type counts struct {
	buckets [Buckets]atomic.Uint64
	sum     atomic.Int64
}

// Record counts a duration. It allocates once in a Histogram's life.
func (h *Histogram) Record(d time.Duration) {
	c := h.counts.Load()
	if c == nil {
		h.counts.CompareAndSwap(nil, new(counts))
		c = h.counts.Load()
	}
	d = max(d, 0)
	c.buckets[bucket(d)].Add(1)
	c.sum.Add(int64(d))
}

// Snapshot gives how many durations there have been in each bucket, and their sum.
// They are not read at one instant.
func (h *Histogram) Snapshot() (buckets [Buckets]uint64, sum time.Duration) {
	c := h.counts.Load()
	if c == nil {
		return buckets, 0
	}
	for i := range c.buckets {
		buckets[i] = c.buckets[i].Load()
	}
	return buckets, time.Duration(c.sum.Load())
}

// bucket is where d belongs. Up to steps units each has a bucket of its own;
// above, the bits behind the first one of d choose among those of its doubling.
func bucket(d time.Duration) int {
	n := uint64(d / unit)
	if n < steps {
		return int(n)
	}
	shift := bits.Len64(n) - 1 - stepBits
	return min(steps*shift+int(n>>shift), Buckets-1)
}

// Bound is the end of the i-th bucket: all that is in it is less, unless it is the
// last one, which has no end.
func Bound(i int) time.Duration {
	i++
	if i <= steps {
		return time.Duration(i) * unit
	}
	shift := (i - steps) / steps
	return time.Duration(steps+(i-steps)%steps) << shift * unit
}
