package sqltext

import (
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/exec"
)

const (
	// cacheMaxText is the longest text that a Cache remembers: some tools write
	// values into the text, which then never comes again.
	cacheMaxText = 64 << 10
	// cacheTextShare is how many bytes of text each place of a Cache allows for,
	// all together.
	cacheTextShare = 4 << 10
	// sqlcommentMax is how much longer than a remembered text one with a trailing
	// comment may be and still be looked for.
	sqlcommentMax = 4 << 10
)

// A Cache remembers the Texts of the SQL texts that came last. It is safe for
// concurrent use; a hit takes no lock and allocates nothing.
//
// A text's identity is what is left of it without a trailing /* comment */,
// white space and semicolons: sqlcommenter and its like append a different
// comment every time.
type Cache struct {
	size int
	seed maphash.Seed

	table atomic.Pointer[cacheTable]

	mu    sync.Mutex // guards what follows, and all writes to table
	ring  []*cacheEntry
	hand  int
	bytes int

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

// A cacheEntry is a remembered text. All but its text and used are immutable.
type cacheEntry struct {
	key  string
	hash uint64
	text atomic.Pointer[Text]
	// used since the hand last came by.
	used atomic.Bool
}

// A cacheTable is a hash table of chains that is read without a lock. A node
// that is taken out still leads to those behind it, so a reader on it finds its
// way.
type cacheTable struct {
	mask    uint64
	buckets []atomic.Pointer[cacheNode]
}

type cacheNode struct {
	entry *cacheEntry
	next  atomic.Pointer[cacheNode]
}

// NewCache makes a Cache that remembers size texts, or none if size is not
// positive. It takes memory as it fills.
func NewCache(size int) *Cache {
	c := &Cache{size: max(size, 0), seed: maphash.MakeSeed()}
	c.table.Store(newCacheTable(8))
	return c
}

func newCacheTable(buckets int) *cacheTable {
	return &cacheTable{mask: uint64(buckets - 1), buckets: make([]atomic.Pointer[cacheNode], buckets)}
}

// Get is the Text of sql, as Parse gives it but for Text.SQL.
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

// find is the entry of sql's identity, if it is remembered.
//
// A shortened text is an identity only if it is closed: it ends outside of every
// string, quoted identifier, comment and unfinished parameter. What follows such
// a text is read as if it stood alone, so white space, semicolons and a comment
// add nothing. Nothing that looks like a comment inside of a string can be taken
// for one: the text before it would not be closed. Whether a text is closed was
// found when it was parsed, so a hit needs no reading of sql.
func (c *Cache) find(sql string) *cacheEntry {
	short := trimTail(sql)
	if len(short) > cacheMaxText+sqlcommentMax {
		return nil
	}
	if bare, ok := cutComment(short); ok {
		if e := c.lookup(bare); e != nil && e.text.Load().closed {
			return e
		}
	}
	if e := c.lookup(short); e != nil && (e.text.Load().closed || len(short) == len(sql)) {
		return e
	}
	if len(short) != len(sql) {
		return c.lookup(sql)
	}
	return nil
}

// trimTail cuts white space and semicolons off the end.
func trimTail(sql string) string { return strings.TrimRight(sql, " \t\n\f\r;") }

// cutComment is sql, which has no white space at its end, without what looks
// like a comment there.
func cutComment(sql string) (string, bool) {
	if !strings.HasSuffix(sql, "*/") {
		return sql, false
	}
	body := sql[:len(sql)-2]
	i := strings.LastIndex(body, "/*")
	if i < 0 || strings.Contains(body[i+2:], "*/") {
		return sql, false
	}
	return trimTail(sql[:i]), true
}

func (c *Cache) lookup(key string) *cacheEntry {
	h := maphash.String(c.seed, key)
	t := c.table.Load()
	for n := t.buckets[h&t.mask].Load(); n != nil; n = n.next.Load() {
		if n.entry.hash == h && n.entry.key == key {
			return n.entry
		}
	}
	return nil
}

// fill parses sql and remembers it under its identity.
func (c *Cache) fill(sql string) *Text {
	t := identify(sql)
	if c.size == 0 || len(t.SQL) > cacheMaxText {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.lookup(t.SQL); e != nil {
		return e.text.Load() // another goroutine was faster
	}
	for len(c.ring) >= c.size || c.bytes+len(t.SQL) > c.budget() && len(c.ring) > 0 {
		c.evict()
	}
	e := &cacheEntry{key: t.SQL, hash: maphash.String(c.seed, t.SQL)}
	e.text.Store(t)
	c.ring = append(c.ring, e)
	c.bytes += len(e.key)
	if tab := c.table.Load(); len(c.ring) > len(tab.buckets) {
		c.grow(2 * len(tab.buckets))
	} else {
		tab.add(e)
	}
	return t
}

// identify parses the shortest form of sql that is closed, or all of it.
func identify(sql string) *Text {
	short := trimTail(sql)
	if bare, ok := cutComment(short); ok {
		if t := Parse(strings.Clone(bare)); t.closed {
			return t
		}
	}
	if t := Parse(strings.Clone(short)); t.closed || len(short) == len(sql) {
		return t
	}
	return Parse(strings.Clone(sql))
}

func (c *Cache) budget() int { return max(c.size*cacheTextShare, cacheMaxText) }

// evict forgets one text that was not used since the hand came by. It needs at
// most two rounds. The caller holds mu.
func (c *Cache) evict() {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		if e.used.Load() {
			e.used.Store(false)
			c.hand++
			continue
		}
		last := len(c.ring) - 1
		c.ring[c.hand] = c.ring[last]
		c.ring[last] = nil
		c.ring = c.ring[:last]
		c.bytes -= len(e.key)
		c.table.Load().remove(e)
		c.evictions.Add(1)
		return
	}
}

// grow makes a table with more buckets. Its nodes are new, since readers may be
// on the old ones. The caller holds mu.
func (c *Cache) grow(buckets int) {
	t := newCacheTable(buckets)
	for _, e := range c.ring {
		t.add(e)
	}
	c.table.Store(t)
}

func (t *cacheTable) add(e *cacheEntry) {
	b := &t.buckets[e.hash&t.mask]
	n := &cacheNode{entry: e}
	n.next.Store(b.Load())
	b.Store(n)
}

func (t *cacheTable) remove(e *cacheEntry) {
	link := &t.buckets[e.hash&t.mask]
	for n := link.Load(); n != nil; n = link.Load() {
		if n.entry == e {
			link.Store(n.next.Load())
			return
		}
		link = &n.next
	}
}

// Stats are the counters now; they are not read at one instant.
func (c *Cache) Stats() CacheStats {
	s := CacheStats{Misses: c.misses.Load(), Evictions: c.evictions.Load()}
	for i := range c.hits {
		s.Hits += c.hits[i].n.Load()
	}
	c.mu.Lock()
	s.Size = len(c.ring)
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
	for _, e := range c.ring {
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
