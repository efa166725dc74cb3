package cache

import (
	"math/rand/v2"
	"sync/atomic"
)

// A counter is for what many cores count at once: each stripe has a cache line of
// its own.
type counter [4]struct {
	n atomic.Uint64
	_ [56]byte
}

func (c *counter) add() { c[rand.Uint32()%uint32(len(c))].n.Add(1) }

func (c *counter) load() (n uint64) {
	for i := range c {
		n += c[i].n.Load()
	}
	return n
}
