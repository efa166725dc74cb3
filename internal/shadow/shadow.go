package shadow

import (
	"errors"
	"sync"
	"sync/atomic"
)

var errClosed = errors.New("shadow: closed")

// A Shadow answers what SQL texts touch, by the Schema that it was given last.
// It is safe for concurrent use.
//
// It owns no goroutine, and no memory to speak of before the first Load: then
// about a third of a megabyte, more for a large schema.
type Shadow struct {
	current atomic.Pointer[mirror] // nil: nothing is known

	mu     sync.Mutex // held by Load and Close
	closed bool
}

// New makes a Shadow without a schema. Until Load has succeeded every text is
// Unknown to it.
func New() *Shadow { return new(Shadow) }

// Load replaces the schema. While it builds the copy, Analyze answers by the old
// one, if there was one, and says so in the Access's Version; if it fails every
// text is Unknown until a Load succeeds.
//
// Objects that this SQLite does not understand are no error. What names them is
// Unknown, and so is every write, if a write might touch them without naming
// them.
func (s *Shadow) Load(schema Schema) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	m, err := newMirror(schema)
	old := s.current.Swap(m)
	if old != nil {
		_ = old.close() // a database in memory that nobody will ask again
	}
	return err
}

// Version is that of the schema by which Analyze answers, and false if there is
// none.
func (s *Shadow) Version() (version int64, ok bool) {
	if m := s.current.Load(); m != nil {
		return m.version, true
	}
	return 0, false
}

// Analyze is what a text touches. A text is compiled once for each schema, by
// the first of those who ask at the same time; some thousands are remembered.
// They are told apart by all their bytes: callers hand over a text without the
// comment at its end that changes every time (sqltext.Text.SQL). The Access is
// shared and must not be changed.
//
// It never fails: a text that SQLite refuses is Unknown.
func (s *Shadow) Analyze(sql string) *Access {
	for {
		m := s.current.Load()
		if m == nil {
			return unknown(0, "no schema has been loaded")
		}
		a := m.texts.get(sql, m.analyse)
		if !a.Unknown || s.current.Load() == m {
			return a
		}
		// It may be Unknown because the schema was replaced just then.
	}
}

// Unload frees the copy of the schema. Every text is Unknown until a Load succeeds.
func (s *Shadow) Unload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.current.Swap(nil); m != nil {
		_ = m.close() // a database in memory that nobody will ask again
	}
}

// Close frees the copy of the schema. Every text is Unknown from then on. It may
// be called more than once.
func (s *Shadow) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if m := s.current.Swap(nil); m != nil {
		return m.close()
	}
	return nil
}
