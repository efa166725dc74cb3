package cache

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A Flight is a read on its way, which others who want the same may join.
type Flight struct {
	cache  *Cache
	hash   uint64
	key    Key
	deps   []uint32
	epochs []uint64
	sent   Instant
	ttl    time.Duration
	text   *text
	stmt   *exec.Stmt
	keep   bool

	done   chan struct{} // closed when what follows is there
	answer Answer
	again  bool
}

// An Answer is what a request has brought.
type Answer struct {
	Result Result
	// Stmt is the statement's own error, and Err that of the whole request.
	Stmt *exec.Error
	Err  error
}

// Reads are what a read is known by.
type Reads struct {
	Deps Deps
	// TTL is how old the result may be; 0 for that of the Config.
	TTL time.Duration
	// Label is what the text is counted by, and Tables what it reads.
	Label  string
	Tables []string
}

// Fly is called when Get has found nothing, before a request is sent. If leads is
// true the caller makes the request and must call Land; otherwise it calls Wait
// on another's flight. found is what Get has given, and empty for whoever asks once
// more.
func (c *Cache) Fly(k *Key, reads Reads, o Options, found Found) (f *Flight, leads bool) {
	text := c.known.text(&reads)
	text.missed(found.miss)
	if reads.TTL == 0 {
		reads.TTL = c.cfg.TTL
	}
	hash := k.hash(c.seed)
	now := c.cfg.Clock()
	fresh, _ := c.age(o, reads.TTL)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveUp()
	l := c.layout()
	if f = c.flights[hash]; f != nil && !o.Fresh && f.key.equal(k) && c.younger(now, f.sent, fresh) &&
		(c.drop == joinCheck || l.quiet(f.deps, f.epochs)) {
		c.coalesced.Add(1)
		text.count(func(t *tally) { t.coalesced.Add(1) })
		return f, false
	}
	f = &Flight{cache: c, hash: hash, key: k.clone(), deps: l.indexes(reads.Deps), sent: now, ttl: reads.TTL,
		text: text, keep: !o.NoStore, done: make(chan struct{})}
	f.epochs = l.snapshot(f.deps)
	c.flights[hash] = f
	return f, true
}

// missed counts a miss.
func (t *text) missed(m miss) {
	if m == noMiss {
		return
	}
	t.count(func(t *tally) {
		t.misses.Add(1)
		switch m {
		case missStale:
			t.stale.Add(1)
		case missExpired:
			t.expired.Add(1)
		}
	})
}

// Own is a copy of the statement of which nobody changes the arguments. It is called
// before Land, and kept with the result.
func (f *Flight) Own(st *exec.Stmt) *exec.Stmt {
	own := *st
	own.Args = f.key.Args
	f.stmt = &own
	return f.stmt
}

// Land ends a flight with what its request has brought. keep is false if the
// result must not be kept, and again if those who have joined should ask for
// themselves: their leader has failed for a reason of its own.
func (f *Flight) Land(a Answer, keep, again bool) {
	f.answer, f.again = a, again
	f.text.flights.Add(1)
	f.text.took.Add(max(f.cache.cfg.Clock().Mono-f.sent.Mono, 0))
	if e := f.entry(keep && f.keep && a.Result != nil && a.Err == nil && a.Stmt == nil && !again); e != nil {
		f.admit(e)
	}
	close(f.done)
}

// admit keeps an entry if that is worth it. Which of those that are kept stay is
// ristretto's to decide.
func (f *Flight) admit(e *entry) {
	c := f.cache
	e.cost = e.size()
	switch {
	case e.cost > c.store.bytes/largestShare:
		c.tooLarge.Add(1)
		f.text.count(func(t *tally) { t.tooLarge.Add(1) })
	case f.text.rests():
		c.volatile.Add(1)
		f.text.count(func(t *tally) { t.resting.Add(1) })
	default:
		c.keep(e)
	}
}

// largestShare is the part of the budget that one entry may take: ristretto would
// evict all others for one that is asked for often enough.
const largestShare = 8

// LargestResult is the size in bytes from which on a result is never kept.
func (c *Cache) LargestResult() int64 { return c.store.bytes / largestShare }

// entry takes the flight from those that may be joined, and makes an entry of it
// if it may be one.
func (f *Flight) entry(keep bool) *entry {
	c := f.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[f.hash] == f {
		delete(c.flights, f.hash)
	}
	l := c.layout()
	if keep && !f.current(l) {
		keep = false
		c.refused.Add(1)
		f.text.count(func(t *tally) { t.refused.Add(1) })
	}
	if c.drop != showFills {
		// What the answer may show of unseen writes, older entries do not have. This
		// one is no older than itself.
		c.show(f.deps, nil)
	}
	if !keep {
		return nil
	}
	if s, ok := l.row(f.deps); ok {
		s.last = f.hash
	}
	epochs := l.snapshot(f.deps)
	if c.drop == markedCheck {
		epochs = f.epochs
	}
	return &entry{owner: c, hash: f.hash, key: f.key, deps: f.deps, epochs: epochs, sent: f.sent, ttl: f.ttl,
		result: f.answer.Result, stmt: f.stmt, text: f.text}
}

// current tells whether the answer is what anybody who asks now may get.
func (f *Flight) current(l *layout) bool {
	switch f.cache.drop {
	case markedCheck:
		return true
	case earlyEpochs:
		return l.quiet(f.deps, l.snapshot(f.deps))
	}
	return l.quiet(f.deps, f.epochs)
}

// Wait gives the answer of another's flight. again: the caller has to ask for
// itself. err is its own context's end.
func (f *Flight) Wait(ctx context.Context) (a Answer, again bool, err error) {
	select {
	case <-f.done:
		return f.answer, f.again, nil
	case <-ctx.Done():
		return Answer{}, false, ctx.Err()
	}
}
