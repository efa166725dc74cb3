package cache

import (
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// An entry is a result with what it takes to know whether it may be served. It is
// never changed.
type entry struct {
	key    Key
	deps   Deps
	epochs []uint64
	sent   Instant
	result *exec.Result
}

// A store holds entries by the hashes of their keys, as long as it likes. It may
// lose them, and show old ones again.
type store interface {
	get(hash uint64) *entry
	set(hash uint64, e *entry, cost int64, ttl time.Duration)
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
)

func (e *entry) cost() int64 {
	n := e.key.size() + int64(4*len(e.deps)+8*len(e.epochs)) + entryBytes
	for i := range e.result.Cols {
		n += columnBytes + int64(len(e.result.Cols[i].Name)+len(e.result.Cols[i].Decltype))
	}
	return n + int64(e.result.Rows.Size())
}

// ristrettoStore keeps what is asked for most. It drops sets under load and makes
// them visible late, which is why entries prove themselves.
type ristrettoStore struct {
	cache *ristretto.Cache[uint64, *entry]
}

// perEntry is a guess at an entry's cost, for the number of counters that
// ristretto keeps of how often keys are asked for: ten for each entry, of about
// three bytes.
const perEntry = 1 << 10

func newRistretto(bytes int64) (*ristrettoStore, error) {
	c, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters: max(1000, 10*bytes/perEntry), MaxCost: bytes, BufferItems: 64,
		IgnoreInternalCost: true, // cost says all
		Metrics:            true,
	})
	if err != nil {
		return nil, err
	}
	return &ristrettoStore{c}, nil
}

func (s *ristrettoStore) get(hash uint64) *entry {
	e, _ := s.cache.Get(hash)
	return e
}

func (s *ristrettoStore) set(hash uint64, e *entry, cost int64, ttl time.Duration) {
	s.cache.SetWithTTL(hash, e, cost, ttl)
}

func (s *ristrettoStore) usage() Usage {
	m := s.cache.Metrics
	return Usage{Entries: m.KeysAdded() - m.KeysEvicted(), Bytes: m.CostAdded() - m.CostEvicted(), Evictions: m.KeysEvicted()}
}

func (s *ristrettoStore) wait() { s.cache.Wait() }

func (s *ristrettoStore) close() { s.cache.Close() }
