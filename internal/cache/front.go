package cache

import (
	"math/rand/v2"
	"sync/atomic"
)

// frontSlots is how many entries a front has at most.
const frontSlots = 1 << 12

// A front is a small table of the entries of a store that were asked for last, each
// in one of two slots that its hash chooses. It is there for speed alone: the store
// takes locks, and notes each time that it is asked what for.
type front [frontSlots]atomic.Pointer[entry]

// The store decides what to forget by how often it is asked for what, and counts to
// 15, now and then halved. It is asked for an entry as often at first, and then one
// time of so many.
const (
	counted = 16
	sampled = 32
)

// slots are the two in which an entry may be.
func (f *front) slots(hash uint64) (a, b *atomic.Pointer[entry]) {
	return &f[hash%frontSlots], &f[hash>>32%frontSlots]
}

// get gives an entry that is in the front, nil if there is none. ask: the store is
// to be asked for it, too.
func (f *front) get(hash uint64) (e *entry, ask bool) {
	a, b := f.slots(hash)
	if e = a.Load(); e == nil || e.hash != hash {
		if e = b.Load(); e == nil || e.hash != hash {
			return nil, true
		}
	}
	if n := e.asked.Load(); n < counted {
		e.asked.Store(n + 1) // if another does so at the same time it is one less
		return e, true
	}
	return e, rand.Uint32()%sampled == 0
}

// put has the front know an entry that the store has or is about to have. Of one
// hash there is one: the last.
func (f *front) put(e *entry) {
	a, b := f.slots(e.hash)
	x, y := a.Load(), b.Load()
	switch {
	case x == e || y == e:
	case y != nil && y.hash == e.hash, x != nil && x.hash != e.hash && y == nil:
		b.Store(e)
	default:
		a.Store(e)
	}
}

// drop has it forget an entry that the store has lost: it takes no memory then.
func (f *front) drop(e *entry) {
	a, b := f.slots(e.hash)
	a.CompareAndSwap(e, nil)
	b.CompareAndSwap(e, nil)
}
