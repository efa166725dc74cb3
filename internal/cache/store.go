package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/turso-opt/turso-opt/internal/exec"
)

// An entry is a result with what it takes to know whether it may be served. It is
// never changed, but for how it fares.
type entry struct {
	owner  *Cache
	hash   uint64
	key    Key
	deps   []uint32
	epochs []uint64
	sent   Instant
	ttl    time.Duration
	result Result
	stmt   *exec.Stmt
	text   *text
	cost   int64 // in bytes
	fate   atomic.Uint32
	// asked is how often the store has been asked for it, as far as the front counts.
	asked atomic.Uint32
}

// The fates of an entry.
const (
	unserved uint32 = iota
	served
	ended
)

// serve notes a hit.
func (e *entry) serve() {
	if e.fate.Load() == unserved && e.fate.CompareAndSwap(unserved, served) {
		e.text.served()
	}
}

// end notes that an entry can never be served again, or not to those who ask as most
// do.
func (e *entry) end() {
	if e.fate.Load() == unserved && e.fate.CompareAndSwap(unserved, ended) {
		e.text.ended()
	}
}

// A store holds entries by the hashes of their keys, as long as it likes. It may
// lose them, and show old ones again.
type store interface {
	get(hash uint64) *entry
	set(e *entry)
	del(hash uint64)
	usage() Usage
	wait()
	close()
}

// Usage is what a store holds of a Cache, as far as it has counted.
type Usage struct {
	Entries, Bytes, Evictions uint64
}

// What an entry takes beside its key, its dependencies and its rows: its own
// fields and the result's, ristretto's maps, policy and counters, and the owner's
// list.
const entryBytes = 760

func (e *entry) size() int64 {
	return e.key.size() + int64(4*len(e.deps)+8*len(e.epochs)) + entryBytes + e.result.Size()
}

// A Store is a budget of bytes that Caches share, and what is kept within it. It is
// safe for concurrent use, starts a goroutine when it keeps its first entry, and must
// be closed.
type Store struct {
	bytes int64

	// kept is made when it is first needed; it is nil before, and after Close.
	kept   atomic.Pointer[store]
	mu     sync.Mutex // held to make and to close it
	closed bool
}

// NewStore makes a Store of so many bytes.
func NewStore(bytes int64) *Store { return &Store{bytes: bytes} }

// Close drops all entries.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	kept := s.kept.Swap(nil)
	s.mu.Unlock()
	if kept != nil {
		(*kept).close()
	}
}

// Usage is that of all its Caches.
func (s *Store) Usage() Usage {
	if kept := s.kept.Load(); kept != nil {
		return (*kept).usage()
	}
	return Usage{}
}

// keeper is what keeps entries, made if there is none; nil after Close.
func (s *Store) keeper() store {
	if kept := s.kept.Load(); kept != nil {
		return *kept
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.kept.Load(); kept != nil {
		return *kept
	}
	if s.closed {
		return nil
	}
	made, err := newRistretto(s.bytes)
	if err != nil {
		return nil
	}
	kept := store(made)
	s.kept.Store(&kept)
	return kept
}

// ristrettoStore keeps what is asked for most. It drops sets under load and makes
// them visible late, which is why entries prove themselves.
type ristrettoStore struct {
	cache *ristretto.Cache[uint64, *entry]
	front front
	// ending is held to close the cache, and to send it what it takes in: that would
	// be on a closed channel afterwards.
	ending sync.RWMutex
	ended  bool

	// What has been set and has not left. ristretto's own metrics say so, too, and
	// keep a map of up to 100,000 keys for it.
	entries, bytes atomic.Int64
	evictions      atomic.Uint64
}

// perEntry is a guess at an entry's cost, for the number of counters that
// ristretto keeps of how often keys are asked for: ten for each entry, of about
// three bytes.
const perEntry = 1 << 10

func newRistretto(bytes int64) (*ristrettoStore, error) {
	s := &ristrettoStore{}
	c, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters: max(1000, 10*bytes/perEntry), MaxCost: bytes, BufferItems: 64,
		IgnoreInternalCost: true, // cost says all
		OnExit:             s.exit,
		OnEvict:            s.evict,
	})
	if err != nil {
		return nil, err
	}
	s.cache = c
	return s, nil
}

func (s *ristrettoStore) get(hash uint64) *entry {
	e, ask := s.front.get(hash)
	if !ask {
		return e
	}
	stored, ok := s.cache.Get(hash)
	if e == nil && ok {
		s.front.put(stored)
		return stored
	}
	return e
}

func (s *ristrettoStore) set(e *entry) {
	s.front.put(e)
	s.entries.Add(1)
	s.bytes.Add(e.cost)
	s.ending.RLock()
	defer s.ending.RUnlock()
	if s.ended || !s.cache.SetWithTTL(e.hash, e, e.cost, e.ttl) {
		s.exit(e)
	}
}

func (s *ristrettoStore) del(hash uint64) {
	s.ending.RLock()
	defer s.ending.RUnlock()
	if !s.ended {
		s.cache.Del(hash)
	}
}

// exit is called for each entry that has been set, when it is not kept any more, and
// with nil if one was deleted that was not there.
func (s *ristrettoStore) exit(e *entry) {
	if e == nil {
		return
	}
	s.front.drop(e)
	s.entries.Add(-1)
	s.bytes.Add(-e.cost)
	if e.owner != nil {
		e.owner.lost(e)
	}
}

// evict is called before exit for an entry that has had to make room.
func (s *ristrettoStore) evict(i *ristretto.Item[*entry]) {
	s.evictions.Add(1)
	if e := i.Value; e != nil && e.owner != nil {
		e.owner.evicted(e)
	}
}

// usage is that of all owners.
func (s *ristrettoStore) usage() Usage {
	return Usage{Entries: uint64(max(s.entries.Load(), 0)), Bytes: uint64(max(s.bytes.Load(), 0)), Evictions: s.evictions.Load()}
}

func (s *ristrettoStore) wait() { s.cache.Wait() }

func (s *ristrettoStore) close() {
	s.ending.Lock()
	defer s.ending.Unlock()
	s.ended = true
	s.cache.Close()
}
