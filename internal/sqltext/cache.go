package sqltext

import (
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/turso-opt/turso-opt/internal/exec"
)

const (
	// cacheMaxText is the longest text that a Cache remembers: some tools write
	// values into the text, which then never comes again.
	cacheMaxText = 64 << 10
	// sqlcommentMax is how much longer than a remembered text one with a trailing
	// comment may be and still be looked for.
	sqlcommentMax = 4 << 10
	// cacheShare is how much memory each place of a Cache allows for, all
	// together; a typical text takes a tenth of it.
	cacheShare = 8 << 10
	// cacheMinBudget is the memory that a Cache of few places may take: they may
	// be all for bulk statements with thousands of parameters.
	cacheMinBudget = 1 << 20
)

// A Cache remembers the Texts of the SQL texts that came last, as many as it has
// places for and within a bound of memory. It is safe for concurrent use; a hit
// takes no lock and allocates nothing.
//
// A text's identity is what is left of it without a trailing /* comment */,
// white space and semicolons.
type Cache struct {
	size int
	// shared has read the texts that others use too; nil if there are none.
	shared *Cache
	seed   maphash.Seed

	table atomic.Pointer[cacheTable]

	mu sync.Mutex // guards what follows, the ring's links and all writes to table
	// hand goes round the ring of entries and forgets those that were not used
	// since it last came by. New ones join behind it. Nil if there are none.
	hand  *cacheEntry
	count int
	cost  int

	misses, evictions atomic.Uint64
	hits              [8]paddedCounter
}

// CacheStats are a Cache's counters since it was made.
type CacheStats struct {
	// Hits and Misses count Gets: a miss is a Get that parsed.
	Hits, Misses uint64
	// Evictions counts texts forgotten to make room.
	Evictions uint64
	// Size is how many texts are remembered now.
	Size int
}

// A paddedCounter has a cache line of its own.
type paddedCounter struct {
	n atomic.Uint64
	_ [56]byte
}

// NewCache makes a Cache that remembers size texts, or none if size is not
// positive. It takes memory as it fills.
func NewCache(size int) *Cache {
	c := &Cache{size: max(size, 0), seed: maphash.MakeSeed()}
	c.table.Store(newCacheTable(8))
	return c
}

// NewCacheOver is NewCache for one of several servers: texts are read and kept
// once, in shared, and what running them teaches is kept here. shared may be nil.
func NewCacheOver(shared *Cache, size int) *Cache {
	c := NewCache(size)
	c.shared = shared
	return c
}

// Get is the Text of sql, as Parse gives it of the text's identity. Whoever runs
// a text again gets it again: a Text that is held on to misses what
// InvalidateNotes says, once it is not remembered here any more.
func (c *Cache) Get(sql string) *Text {
	if e := c.find(sql); e != nil {
		if !e.used.Load() {
			e.used.Store(true)
		}
		c.hits[rand.Uint32()%uint32(len(c.hits))].n.Add(1)
		return e.text.Load()
	}
	c.misses.Add(1)
	return c.fill(sql)
}

func (c *Cache) lookup(key string) *cacheEntry {
	return c.table.Load().lookup(maphash.String(c.seed, key), key)
}

// fill parses sql and remembers it under its identity.
func (c *Cache) fill(sql string) *Text {
	keep := c.size > 0 && len(sql) <= cacheMaxText+sqlcommentMax
	t := c.read(sql, keep)
	cost := t.cost()
	// One text is no reason to forget most of the others.
	if !keep || len(t.SQL) > cacheMaxText || cost > c.budget()/4 {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &cacheEntry{key: t.SQL, hash: maphash.String(c.seed, t.SQL), cost: cost}
	if other := c.table.Load().lookup(e.hash, e.key); other != nil {
		return other.text.Load() // another goroutine was faster
	}
	for c.count >= c.size || c.cost+cost > c.budget() {
		c.evict()
	}
	e.text.Store(t)
	c.link(e)
	if tab := c.table.Load(); c.count > len(tab.buckets) {
		c.grow(2 * len(tab.buckets))
	} else {
		tab.add(e)
	}
	return t
}

// read is the Text of sql with Notes that nobody else has.
func (c *Cache) read(sql string, keep bool) *Text {
	if c.shared == nil {
		return identify(sql, keep)
	}
	t := c.shared.Get(sql)
	if keep && t.SQL != "" && c.shared.lookup(t.SQL) == nil {
		return identify(sql, keep) // it may refer to sql
	}
	own := *t
	own.Stmts = append([]Stmt(nil), t.Stmts...)
	for i := range own.Stmts {
		own.Stmts[i].Note = new(exec.Note)
	}
	return &own
}

func (c *Cache) budget() int { return max(c.size*cacheShare, cacheMinBudget) }

// cost is about how many bytes of memory t takes in a Cache.
func (t *Text) cost() int {
	n := len(t.SQL) + int(unsafe.Sizeof(*t)+unsafe.Sizeof(cacheEntry{})+unsafe.Sizeof(cacheNode{}))
	for i := range t.Stmts {
		s := &t.Stmts[i]
		n += int(unsafe.Sizeof(*s)+unsafe.Sizeof(exec.Note{})) +
			cap(s.Params)*int(unsafe.Sizeof(Param{})) +
			cap(s.vars)*int(unsafe.Sizeof(variableSpan{})) +
			cap(s.calls)*int(unsafe.Sizeof(callSpan{}))
	}
	return n
}

// link puts e behind the hand, which comes to it last. The caller holds mu.
func (c *Cache) link(e *cacheEntry) {
	if c.hand == nil {
		e.prev, e.next = e, e
		c.hand = e
	} else {
		e.prev, e.next = c.hand.prev, c.hand
		e.prev.next, e.next.prev = e, e
	}
	c.count++
	c.cost += e.cost
}

// unlink takes e, where the hand is, out of the ring. The caller holds mu.
func (c *Cache) unlink(e *cacheEntry) {
	if c.hand = e.next; c.hand == e {
		c.hand = nil
	}
	e.prev.next, e.next.prev = e.next, e.prev
	c.count--
	c.cost -= e.cost
}

// evict forgets one text. In one round the hand comes by every entry; those who
// get texts meanwhile may have used them all again, and one has to go
// nevertheless. The caller holds mu.
func (c *Cache) evict() {
	for range c.count {
		if !c.hand.used.Load() {
			break
		}
		c.hand.used.Store(false)
		c.hand = c.hand.next
	}
	e := c.hand
	c.unlink(e)
	c.table.Load().remove(e)
	c.evictions.Add(1)
}

// grow makes a table with more buckets. Its nodes are new, since readers may be
// on the old ones. The caller holds mu.
func (c *Cache) grow(buckets int) {
	t := newCacheTable(buckets)
	for e := range c.all {
		t.add(e)
	}
	c.table.Store(t)
}

// all are the entries. The caller holds mu.
func (c *Cache) all(yield func(*cacheEntry) bool) {
	for e, n := c.hand, c.count; n > 0 && yield(e); n-- {
		e = e.next
	}
}

// Stats are the counters now; they are not read at one instant.
func (c *Cache) Stats() CacheStats {
	s := CacheStats{Misses: c.misses.Load(), Evictions: c.evictions.Load()}
	for i := range c.hits {
		s.Hits += c.hits[i].n.Load()
	}
	c.mu.Lock()
	s.Size = c.count
	c.mu.Unlock()
	return s
}

// InvalidateNotes forgets which texts have set a rowid: after own DDL a table of
// the same name may be another. Texts that are got from now on have Notes of
// their own, so that an execution still on its way cannot teach them what was
// true before. A Text that somebody still holds is reset too, if it is still
// remembered here.
func (c *Cache) InvalidateNotes() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := range c.all {
		old := e.text.Load()
		t := *old
		t.Stmts = append([]Stmt(nil), old.Stmts...)
		for i := range t.Stmts {
			note := new(exec.Note)
			note.Large.Store(old.Stmts[i].Note.Large.Load())
			old.Stmts[i].Note.SetsRowid.Store(false)
			t.Stmts[i].Note = note
		}
		e.text.Store(&t)
	}
}
