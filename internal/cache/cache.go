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
	// Store holds the entries, together with those of others; nil for one of its own
	// of so many Bytes.
	Store *Store
	Bytes int64
	// Lease is how old a result may be at most, counted from when it was asked
	// for, because others may have written since. TTL bounds it once more, and what
	// a caller may ask for in place of Lease, where the read says no other.
	Lease, TTL time.Duration
	// Revalidate is how long after its lease a result is still served while
	// another is fetched.
	Revalidate time.Duration
	// Patience is how long a write stays lost that nothing settles.
	Patience time.Duration
	// Renew has a read made again beside, when a write of its row has been done; nil
	// if nobody does.
	Renew func(st *exec.Stmt)
	// Clock is the machine's if nil.
	Clock Clock
}

// A Result is what is kept: immutable, with its size in bytes of memory.
type Result interface{ Size() int64 }

// A Cache is safe for concurrent use. It starts a goroutine when it keeps its
// first entry, unless it is on a Store, and must be closed.
type Cache struct {
	epochs
	cfg    Config
	seed   maphash.Seed
	store  *Store
	shared bool // the store is not its own
	held   sync.Map
	closed atomic.Bool

	flights map[uint64]*Flight // guarded by epochs.mu
	known   known

	hits, misses                           counter
	stale, expired, revalidated, coalesced atomic.Uint64
	renewed                                atomic.Uint64
	fills, refused, tooLarge, volatile     atomic.Uint64
	entries, bytes                         atomic.Int64
	evictions                              atomic.Uint64
}

// New returns an empty Cache.
func New(cfg Config) *Cache {
	if cfg.Clock == nil {
		cfg.Clock = SystemClock()
	}
	c := &Cache{cfg: cfg, seed: maphash.MakeSeed(), flights: map[uint64]*Flight{}, store: cfg.Store, shared: cfg.Store != nil}
	if c.store == nil {
		c.store = NewStore(cfg.Bytes)
	}
	c.open, c.clock, c.patience, c.few = map[*Write]struct{}{}, cfg.Clock, cfg.Patience, c.shared
	c.known.few = c.shared
	return c
}

// Close drops its entries and ends what runs for them.
func (c *Cache) Close() {
	if c.closed.Swap(true) {
		return
	}
	if !c.shared {
		c.store.Close()
		return
	}
	kept := c.store.kept.Load()
	if kept == nil {
		return
	}
	c.held.Range(func(hash, _ any) bool {
		(*kept).del(hash.(uint64))
		return true
	})
}

// Wait waits until the results that have been kept are there to be found.
func (c *Cache) Wait() {
	if s := c.store.kept.Load(); s != nil {
		(*s).wait()
	}
}

// keep gives an entry to the store.
func (c *Cache) keep(e *entry) {
	s := c.store.keeper()
	if s == nil || c.closed.Load() {
		return
	}
	c.fills.Add(1)
	e.text.count(func(t *tally) { t.fills.Add(1) })
	c.holds(e, 1)
	if c.shared {
		c.held.Store(e.hash, e)
	}
	s.set(e)
	if c.closed.Load() {
		s.del(e.hash) // Close may not have seen it
	}
}

// holds counts an entry that comes or goes.
func (c *Cache) holds(e *entry, n int64) {
	c.entries.Add(n)
	c.bytes.Add(n * e.cost)
	e.text.count(func(t *tally) {
		t.entries.Add(n)
		t.bytes.Add(n * e.cost)
	})
}

// lost is called once for each entry that the store does not hold any more, or has
// not taken.
func (c *Cache) lost(e *entry) {
	c.holds(e, -1)
	c.held.CompareAndDelete(e.hash, e)
}

// evicted is called for one that has had to make room.
func (c *Cache) evicted(e *entry) {
	c.evictions.Add(1)
	e.text.count(func(t *tally) { t.evictions.Add(1) })
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
func (c *Cache) age(o Options, ttl time.Duration) (fresh, served time.Duration) {
	if o.Bounded {
		d := min(o.MaxStale, ttl)
		return d, d
	}
	fresh = min(c.cfg.Lease, ttl)
	return fresh, min(fresh+c.cfg.Revalidate, ttl)
}

// Found is what there is for a key.
type Found struct {
	// Result is nil if there is none that may be served.
	Result Result
	// Revalidate: its lease has ended, and the caller should have it fetched.
	Revalidate bool
	miss       miss
}

// A miss is why there is nothing.
type miss uint8

const (
	noMiss miss = iota
	missing
	missStale
	missExpired
)

// Hit is Get for who asks with Get if it gives nil, and has nothing fetched: it
// gives what need not be, and counts nothing else.
func (c *Cache) Hit(k *Key, o Options) Result {
	s := c.store.kept.Load()
	if s == nil || o.Fresh {
		return nil
	}
	e := (*s).get(k.hash(c.seed))
	if e == nil || e.owner != c || !e.key.equal(k) {
		return nil
	}
	fresh, _ := c.age(o, e.ttl)
	if !c.younger(c.cfg.Clock(), e.sent, fresh) || !c.made.Load().current(e.deps, e.epochs) {
		return nil
	}
	c.served(e)
	return e.result
}

// served counts a hit.
func (c *Cache) served(e *entry) {
	c.hits.add()
	e.text.hit()
	e.serve()
}

// Get gives the result that is kept for a key.
func (c *Cache) Get(k *Key, o Options) Found {
	s := c.store.kept.Load()
	if s == nil || o.Fresh {
		c.misses.add()
		return Found{miss: missing}
	}
	hash := k.hash(c.seed)
	e := (*s).get(hash)
	if e == nil || e.owner != c || !e.key.equal(k) {
		c.misses.add()
		return Found{miss: missing}
	}
	now := c.cfg.Clock()
	fresh, servable := c.age(o, e.ttl)
	young := c.younger(now, e.sent, fresh)
	switch {
	case !young && !c.younger(now, e.sent, servable):
		c.misses.add()
		c.expired.Add(1)
		if !o.Bounded {
			e.end()
		}
		return Found{miss: missExpired}
	case c.drop != hitCheck && !c.made.Load().current(e.deps, e.epochs):
		c.misses.add()
		c.stale.Add(1)
		if e.end(); e.text.rest.Load() > 0 {
			(*s).del(hash) // its place will not be taken by the next result
		}
		return Found{miss: missStale}
	}
	c.served(e)
	if !young {
		c.revalidated.Add(1)
	}
	return Found{Result: e.result, Revalidate: !young}
}

func (c *Cache) younger(now, then Instant, d time.Duration) bool {
	switch c.drop {
	case leaseWall:
		then.Wall = now.Wall
	case leaseMono:
		then.Mono = now.Mono
	}
	return now.Younger(then, d)
}

// Begin is called before a request that may change what is touched is sent.
// Exactly one of Done and Lose must follow.
func (c *Cache) Begin(t *Touched) *Write { return c.write(t, false) }

// BeginWhole is Begin for a request that is nothing but what is touched, by one
// statement of each caller, which is not sent again before Done or Lose has been called.
func (c *Cache) BeginWhole(t *Touched) *Write { return c.write(t, true) }

func (c *Cache) write(t *Touched, whole bool) *Write {
	c.known.written(t.tables, 1)
	w := c.begin(t, whole)
	w.named = t.tables
	if w.alone && c.cfg.Renew != nil {
		c.renewal(w)
	}
	return w
}

// renewal has what is kept of the rows of a write asked for again when it is done, if
// somebody has been served by it: whoever asks next would have to wait for that. What
// nobody has asked for twice is not worth a request.
func (c *Cache) renewal(w *Write) {
	kept := c.store.kept.Load()
	if kept == nil {
		return
	}
	var again []*exec.Stmt
	c.mu.Lock()
	l := c.layout()
	for _, s := range w.slots {
		if hash := l.slots[s].last; hash != 0 {
			if e := (*kept).get(hash); e != nil && e.owner == c && e.fate.Load() == served && l.current(e.deps, e.epochs) {
				again = append(again, e.stmt)
			}
		}
	}
	c.mu.Unlock()
	if again != nil {
		w.renew = func() {
			c.renewed.Add(uint64(len(again)))
			for _, st := range again {
				c.cfg.Renew(st)
			}
		}
	}
}

// Unsent is called instead of Done and Lose when nothing of a write has been sent, or
// will be: it has never been.
func (c *Cache) Unsent(w *Write) {
	c.known.written(w.named, -1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.counted != nil {
		w.counted.Add(^uint64(0))
	}
	w.end()
}

// Counters is a snapshot of what a Cache has done.
type Counters struct {
	Hits, Misses uint64
	// Stale counts misses because of a write, Expired those because of the lease.
	Stale, Expired uint64
	// Revalidated counts hits after the lease, and Renewed results asked for again
	// beside after a write of their row.
	Revalidated, Renewed uint64
	// Coalesced counts reads that got the result of another's flight.
	Coalesced uint64
	// Fills counts results kept; Refused those that were not because of a write in
	// the meantime, TooLarge those because of their size, Volatile those of texts
	// whose results are hardly ever served.
	Fills, Refused, TooLarge, Volatile uint64
	// ByWrites counts writes of known tables, ByUnknown those of which it is not known
	// what they touch, ByCalls calls of Invalidate, and Moves changes of the schema.
	ByWrites, ByUnknown, ByCalls, Moves uint64
	// Lost counts writes of unknown outcome, Settled those of them whose end was
	// found out, and GaveUp those for which it was waited long enough.
	Lost, Settled, GaveUp uint64
	Usage
	Texts  []TextTally
	Tables []TableTally
}

// Counters returns what has been counted so far.
func (c *Cache) Counters() Counters {
	n := Counters{
		Hits: c.hits.load(), Misses: c.misses.load(), Stale: c.stale.Load(), Expired: c.expired.Load(),
		Revalidated: c.revalidated.Load(), Renewed: c.renewed.Load(), Coalesced: c.coalesced.Load(), Fills: c.fills.Load(),
		Refused: c.refused.Load(), TooLarge: c.tooLarge.Load(), Volatile: c.volatile.Load(),
		ByWrites: c.byWrites.Load(), ByUnknown: c.byUnknown.Load(), ByCalls: c.byCalls.Load(), Moves: c.moved.Load(),
		Lost: c.losses.Load(), Settled: c.settled.Load(), GaveUp: c.gaveUp.Load(),
		Usage: Usage{uint64(max(c.entries.Load(), 0)), uint64(max(c.bytes.Load(), 0)), c.evictions.Load()},
	}
	n.Texts, n.Tables = c.known.snapshot()
	return n
}
