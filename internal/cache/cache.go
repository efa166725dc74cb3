package cache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Config is what a Cache needs to know.
type Config struct {
	// Bytes bounds the entries, with what it takes to keep them.
	Bytes int64
	// Lease is how old a result may be at most, counted from when it was asked
	// for, because others may have written since. TTL bounds it once more, and what
	// a caller may ask for in place of Lease.
	Lease, TTL time.Duration
	// Revalidate is how long after its lease a result is still served while
	// another is fetched.
	Revalidate time.Duration
	// Patience is how long a write stays lost that nothing settles.
	Patience time.Duration
	// Clock is the machine's if nil.
	Clock Clock
}

// A Cache is safe for concurrent use. It starts a goroutine when it keeps its
// first entry, and must be closed.
type Cache struct {
	epochs
	cfg  Config
	seed maphash.Seed

	// store is made when it is first needed; it is nil before, and after Close.
	store   atomic.Pointer[store]
	flights map[uint64]*Flight // guarded by epochs.mu
	closed  bool               // guarded by making
	making  sync.Mutex

	hits, misses, stale, expired, revalidated, coalesced atomic.Uint64
	fills, refused, tooLarge                             atomic.Uint64
}

// New returns an empty Cache.
func New(cfg Config) *Cache {
	if cfg.Clock == nil {
		cfg.Clock = systemClock()
	}
	c := &Cache{cfg: cfg, seed: maphash.MakeSeed(), flights: map[uint64]*Flight{}}
	c.open, c.clock, c.patience = map[*Write]struct{}{}, cfg.Clock, cfg.Patience
	return c
}

// Close drops all entries and ends what runs for them.
func (c *Cache) Close() {
	c.making.Lock()
	c.closed = true
	s := c.store.Swap(nil)
	c.making.Unlock()
	if s != nil {
		(*s).close()
	}
}

// Wait waits until the results that have been kept are there to be found.
func (c *Cache) Wait() {
	if s := c.store.Load(); s != nil {
		(*s).wait()
	}
}

// keeper is the store, made if there is none; nil after Close.
func (c *Cache) keeper() store {
	if s := c.store.Load(); s != nil {
		return *s
	}
	c.making.Lock()
	defer c.making.Unlock()
	if s := c.store.Load(); s != nil {
		return *s
	}
	if c.closed {
		return nil
	}
	made, err := newRistretto(c.cfg.Bytes)
	if err != nil {
		return nil
	}
	s := store(made)
	c.store.Store(&s)
	return s
}

// Options are one caller's wishes.
type Options struct {
	// Fresh: nothing that was asked for before is good enough.
	Fresh bool
	// MaxStale, if Bounded, is how old a result may be, in place of the lease.
	MaxStale time.Duration
	Bounded  bool
	// NoStore: the result is not kept.
	NoStore bool
}

// age is how old a result may be, without and with revalidation.
func (c *Cache) age(o Options) (fresh, served time.Duration) {
	if o.Bounded {
		d := min(o.MaxStale, c.cfg.TTL)
		return d, d
	}
	fresh = min(c.cfg.Lease, c.cfg.TTL)
	return fresh, min(fresh+c.cfg.Revalidate, c.cfg.TTL)
}

// Hit is Get for who asks with Get if it gives nil, and has nothing fetched: it
// gives what need not be, and counts nothing else.
func (c *Cache) Hit(k *Key, o Options) *exec.Result {
	s := c.store.Load()
	if s == nil || o.Fresh {
		return nil
	}
	e := (*s).get(k.hash(c.seed))
	if e == nil || !e.key.equal(k) {
		return nil
	}
	fresh, _ := c.age(o)
	if !c.younger(c.cfg.Clock(), e.sent, fresh) || !c.current(e.deps, e.epochs) {
		return nil
	}
	c.hits.Add(1)
	return e.result
}

// Get gives the result that is kept for a key, nil if there is none that may be
// served. revalidate: its lease has ended, and the caller should have it fetched.
func (c *Cache) Get(k *Key, o Options) (r *exec.Result, revalidate bool) {
	s := c.store.Load()
	if s == nil || o.Fresh {
		c.misses.Add(1)
		return nil, false
	}
	e := (*s).get(k.hash(c.seed))
	if e == nil || !e.key.equal(k) {
		c.misses.Add(1)
		return nil, false
	}
	now := c.cfg.Clock()
	fresh, served := c.age(o)
	young := c.younger(now, e.sent, fresh)
	switch {
	case !young && !c.younger(now, e.sent, served):
		c.expired.Add(1)
		c.misses.Add(1)
		return nil, false
	case c.drop != hitCheck && !c.current(e.deps, e.epochs):
		c.stale.Add(1)
		c.misses.Add(1)
		return nil, false
	}
	c.hits.Add(1)
	if !young {
		c.revalidated.Add(1)
	}
	return e.result, !young
}

func (c *Cache) younger(now, then Instant, d time.Duration) bool {
	switch c.drop {
	case leaseWall:
		then.Wall = now.Wall
	case leaseMono:
		then.Mono = now.Mono
	}
	return now.younger(then, d)
}

// Counters is a snapshot of what a Cache has done.
type Counters struct {
	Hits, Misses uint64
	// Stale counts misses because of a write, Expired those because of the lease.
	Stale, Expired uint64
	// Revalidated counts hits after the lease.
	Revalidated uint64
	// Coalesced counts reads that got the result of another's flight.
	Coalesced uint64
	// Fills counts results kept; Refused those that were not because of a write in
	// the meantime, TooLarge those because of their size.
	Fills, Refused, TooLarge uint64
	// Invalidations counts bumps by writes and by Invalidate, Moves changes of the
	// schema.
	Invalidations, Moves uint64
	// Lost counts writes of unknown outcome, Settled those of them whose end was
	// found out, and GaveUp those for which it was waited long enough.
	Lost, Settled, GaveUp uint64
	Usage
}

// Counters returns what has been counted so far.
func (c *Cache) Counters() Counters {
	n := Counters{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Stale: c.stale.Load(), Expired: c.expired.Load(),
		Revalidated: c.revalidated.Load(), Coalesced: c.coalesced.Load(), Fills: c.fills.Load(),
		Refused: c.refused.Load(), TooLarge: c.tooLarge.Load(), Invalidations: c.bumps.Load(), Moves: c.moved.Load(),
		Lost: c.losses.Load(), Settled: c.settled.Load(), GaveUp: c.gaveUp.Load(),
	}
	if s := c.store.Load(); s != nil {
		n.Usage = (*s).usage()
	}
	return n
}
