package shadow

import (
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// maxTexts is how many texts are remembered, maxBytes how long they may be
	// all together, and a single one an eighth of that.
	maxTexts = 4096
	maxBytes = 8 << 20
)

// texts remembers the Accesses of the texts that came last. Its zero value is
// empty.
type texts struct {
	mu    sync.RWMutex
	byKey map[string]*text
	// hand goes round the ring of all and forgets those that were not used since
	// it last came by. New ones join behind it.
	hand  *text
	bytes int
}

type text struct {
	sql        string
	done       chan struct{} // closed when access is there
	access     *Access
	used       atomic.Bool
	prev, next *text
}

// get is the Access of sql, which analyse finds out for all who ask at the same
// time.
func (t *texts) get(sql string, analyse func(string) *Access) *Access {
	t.mu.RLock()
	e := t.byKey[sql]
	t.mu.RUnlock()
	if e == nil {
		if len(sql) > maxBytes/8 {
			return analyse(sql)
		}
		var first bool
		if e, first = t.add(sql); first {
			e.access = analyse(e.sql)
			close(e.done)
			return e.access
		}
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	<-e.done
	return e.access
}

func (t *texts) add(sql string) (e *text, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byKey[sql]; e != nil {
		return e, false
	}
	for len(t.byKey) >= maxTexts || t.bytes+len(sql) > maxBytes {
		t.evict()
	}
	// A clone, for sql may be a small part of something large.
	e = &text{sql: strings.Clone(sql), done: make(chan struct{})}
	if t.byKey == nil {
		t.byKey = make(map[string]*text)
	}
	t.byKey[e.sql] = e
	t.bytes += len(e.sql)
	if t.hand == nil {
		e.prev, e.next = e, e
		t.hand = e
	} else {
		e.prev, e.next = t.hand.prev, t.hand
		e.prev.next, e.next.prev = e, e
	}
	return e, true
}

// evict forgets one text. The caller holds mu.
func (t *texts) evict() {
	// One round at most: all may have been used again meanwhile.
	for range len(t.byKey) {
		if !t.hand.used.Load() {
			break
		}
		t.hand.used.Store(false)
		t.hand = t.hand.next
	}
	e := t.hand
	if t.hand = e.next; t.hand == e {
		t.hand = nil
	}
	e.prev.next, e.next.prev = e.next, e.prev
	delete(t.byKey, e.sql)
	t.bytes -= len(e.sql)
}
