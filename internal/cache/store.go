package cache

import (
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// An entry is a result with what it takes to know whether it may be served. It is
// never changed, but for asked.
type entry struct {
	key    Key
	hash   uint64
	deps   Deps
	epochs []uint64
	sent   Instant
	result *exec.Result
	cost   int64 // in bytes
	// asked is how often the store has been asked for it, as far as the front counts.
	asked atomic.Uint32
}

// Results of so few and so small cells are kept in the form in which they leave the
// driver, too.
const (
	maxBoxes    = 16
	maxBoxArena = 1 << 10
)

// kept is a result as an entry has it.
func kept(r *exec.Result) *exec.Result {
	if n := r.Rows.Len() * r.Rows.Width(); n == 0 || n > maxBoxes || r.Rows.Used() > maxBoxArena {
		return r
	}
	own := *r
	own.Boxed = r.Rows.Box()
	return &own
}

// A store holds entries by the hashes of their keys, as long as it likes. It may
// lose them, and show old ones again.
type store interface {
	get(hash uint64) *entry
	set(e *entry, ttl time.Duration)
	usage() Usage
	wait()
	close()
}

// Usage is what a store holds, as far as it has counted.
type Usage struct {
	Entries, Bytes, Evictions uint64
}

// What an entry takes beside its key, its dependencies and its rows: its own
// fields and the result's, and ristretto's maps, policy and counters.
const (
	entryBytes  = 400
	columnBytes = 32
	boxBytes    = 32 // the interface, and the number or the string that it points to
)

func (e *entry) size() int64 {
	n := e.key.size() + int64(4*len(e.deps)+8*len(e.epochs)) + entryBytes
	for i := range e.result.Cols {
		n += columnBytes + int64(len(e.result.Cols[i].Name)+len(e.result.Cols[i].Decltype))
	}
	return n + int64(e.result.Rows.Size()) + boxBytes*int64(len(e.result.Boxed))
}

// ristrettoStore keeps what is asked for most. It drops sets under load and makes
// them visible late, which is why entries prove themselves.
type ristrettoStore struct {
	cache *ristretto.Cache[uint64, *entry]
	front front

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
		OnEvict:            func(*ristretto.Item[*entry]) { s.evictions.Add(1) },
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

func (s *ristrettoStore) set(e *entry, ttl time.Duration) {
	s.front.put(e)
	s.entries.Add(1)
	s.bytes.Add(e.cost)
	if !s.cache.SetWithTTL(e.hash, e, e.cost, ttl) {
		s.exit(e)
	}
}

// exit is called for each entry that has been set, when it is not kept any more.
func (s *ristrettoStore) exit(e *entry) {
	s.front.drop(e)
	s.entries.Add(-1)
	s.bytes.Add(-e.cost)
}

func (s *ristrettoStore) usage() Usage {
	return Usage{Entries: uint64(max(s.entries.Load(), 0)), Bytes: uint64(max(s.bytes.Load(), 0)), Evictions: s.evictions.Load()}
}

func (s *ristrettoStore) wait() { s.cache.Wait() }

func (s *ristrettoStore) close() { s.cache.Close() }
