package sqltext

import "sync/atomic"

// A cacheEntry is a remembered text. All but its text and used are immutable
// for those who read without the Cache's lock.
type cacheEntry struct {
	key  string
	hash uint64
	cost int
	text atomic.Pointer[Text]
	// used since the hand last came by.
	used atomic.Bool

	// The ring of all entries, guarded by the Cache's lock.
	prev, next *cacheEntry
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

// newCacheTable makes a table of a power of two of buckets.
func newCacheTable(buckets int) *cacheTable {
	return &cacheTable{mask: uint64(buckets - 1), buckets: make([]atomic.Pointer[cacheNode], buckets)}
}

func (t *cacheTable) lookup(hash uint64, key string) *cacheEntry {
	for n := t.buckets[hash&t.mask].Load(); n != nil; n = n.next.Load() {
		if n.entry.hash == hash && n.entry.key == key {
			return n.entry
		}
	}
	return nil
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
