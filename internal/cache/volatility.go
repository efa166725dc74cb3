package cache

import "sync/atomic"

// What the policy of texts that are not worth keeping is made of.
//
// An entry has been worth its room if it was served once before it ended by a write
// or its lease. TinyLFU, by which ristretto admits, counts how often a key is asked
// for, and so it takes a key that is asked for and written all the time for its best:
// it evicts what would be served for what never will be. A text of which no more
// than one entry in usefulEvery is ever served is therefore not kept for a while, and
// then tried again.
//
// In the test that shows it (TestVolatileTextsMakeRoom) this doubles the hits. What is
// not here did not pay: ristretto's own policy already keeps out what is asked for
// once, and LZ4 of large entries, which would take a third of the room, would have
// each hit decompress them into memory of its own: 157 us for 175 KB of rows with
// pierrec/lz4, where a hit now copies nothing and takes one or two.
const (
	// usefulEvery is by how many unserved entries one that was served is outweighed.
	usefulEvery = 16
	// tiredAt is the weight at which a text rests, and afterRest the one that it begins
	// again with, so that a few more tell that it is as it was.
	tiredAt   = 64
	afterRest = tiredAt - 8
	// A text rests for restFor misses, and each time that it is found as it was for
	// twice as long, up to restLongest.
	restFor     = 256
	restLongest = restFor << 6
)

// volatility is what is known of how a text's entries end.
type volatility struct {
	weight, rest, last atomic.Int32
}

// served is called when an entry is served for the first time.
func (v *volatility) served() {
	if v.last.Load() != 0 {
		v.last.Store(0)
	}
	if w := v.weight.Load(); w > 0 {
		v.weight.Store(max(w-usefulEvery, 0))
	}
}

// ended is called when an entry has ended that was never served.
func (v *volatility) ended() {
	if v.weight.Add(1) < tiredAt {
		return
	}
	n := min(max(2*v.last.Load(), restFor), restLongest)
	v.weight.Store(afterRest)
	v.last.Store(n)
	v.rest.Store(n)
}

// rests tells whether a result is not worth keeping.
func (v *volatility) rests() bool {
	n := v.rest.Load()
	return n > 0 && v.rest.CompareAndSwap(n, n-1)
}
