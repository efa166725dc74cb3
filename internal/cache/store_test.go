package cache

import (
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A store may show any entry for a hash: one of another key with the same hash, or
// another Cache's. It must be taken for what it is.
func TestAnEntryProvesItself(t *testing.T) {
	clock := func() Instant { return Instant{1, 1} }
	m := mapStore{}
	made := func() *Cache {
		c := New(Config{Bytes: 1 << 20, Lease: time.Hour, TTL: time.Hour, Clock: clock})
		s := store(m)
		c.store.kept.Store(&s)
		return c
	}
	c, other := made(), made()
	deps := Reads{Deps: ReadsTables([]string{"t"})}
	a, b := &Key{SQL: "a"}, &Key{SQL: "a", Args: []exec.Value{{}}}
	f, leads := c.Fly(a, deps, Options{}, Found{})
	if !leads {
		t.Fatal("it is under way")
	}
	f.Land(Answer{Result: &exec.Result{}}, true, false)
	e := m[a.hash(c.seed)]
	if e == nil || c.Hit(a, Options{}) == nil || c.Get(a, Options{}).Result == nil {
		t.Fatal("it is not there")
	}
	m[b.hash(c.seed)], m[a.hash(other.seed)] = e, e
	if c.Hit(b, Options{}) != nil || c.Get(b, Options{}).Result != nil {
		t.Error("it is taken for another's")
	}
	if other.Hit(a, Options{}) != nil || other.Get(a, Options{}).Result != nil {
		t.Error("it is taken for another Cache's")
	}
	// Nor is a flight to be joined for its hash alone.
	f, _ = c.Fly(b, deps, Options{}, Found{})
	c.flights[a.hash(c.seed)] = f
	if g, leads := c.Fly(a, deps, Options{}, Found{}); !leads {
		t.Errorf("it has joined the flight of %v", g.key)
	}
}

// What a caller does with its arguments afterwards is its own affair.
func TestAKeyIsNobodyElsesToChange(t *testing.T) {
	c := New(Config{Bytes: 1 << 20, Lease: time.Hour, TTL: time.Hour})
	s := store(mapStore{})
	c.store.kept.Store(&s)
	blob := func(b string) *Key { return &Key{SQL: "a", Args: []exec.Value{{Kind: exec.Blob, Blob: []byte(b)}}} }
	k := blob("one")
	f, _ := c.Fly(k, Reads{Deps: ReadsTables([]string{"t"})}, Options{}, Found{})
	copy(k.Args[0].Blob, "two")
	if g, leads := c.Fly(blob("one"), Reads{}, Options{}, Found{}); leads {
		t.Errorf("it is not the flight of %v", g.key)
	}
	f.Land(Answer{Result: &exec.Result{}}, true, false)
	copy(k.Args[0].Blob, "six")
	if c.Hit(blob("one"), Options{}) == nil {
		t.Error("the entry's key has become another")
	}
}
