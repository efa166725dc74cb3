package cache

import (
	"context"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A Flight is a read on its way, which others who want the same may join.
type Flight struct {
	cache  *Cache
	hash   uint64
	key    Key
	deps   Deps
	epochs []uint64
	sent   Instant
	keep   bool

	done   chan struct{} // closed when what follows is there
	result exec.StmtResult
	err    error
	again  bool
}

// Fly is called when Get has found nothing, before a request is sent. If leads is
// true the caller makes the request and must call Land; otherwise it calls Wait
// on another's flight.
func (c *Cache) Fly(k *Key, deps Deps, o Options) (f *Flight, leads bool) {
	hash := k.hash(c.seed)
	now := c.cfg.Clock()
	fresh, _ := c.age(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveUp()
	if f = c.flights[hash]; f != nil && !o.Fresh && f.key.equal(k) && c.younger(now, f.sent, fresh) &&
		(c.drop == joinCheck || c.quiet(f.deps, f.epochs)) {
		c.coalesced.Add(1)
		return f, false
	}
	f = &Flight{cache: c, hash: hash, key: k.clone(), deps: deps, sent: now, keep: !o.NoStore, done: make(chan struct{})}
	f.epochs = c.snapshot(make([]uint64, 0, len(deps)), deps)
	c.flights[hash] = f
	return f, true
}

// Args are the arguments, which nobody changes.
func (f *Flight) Args() []exec.Value { return f.key.Args }

// Land ends a flight with what its request has brought. keep is false if the
// result must not be kept, and again if those who have joined should ask for
// themselves: their leader has failed for a reason of its own.
func (f *Flight) Land(r exec.StmtResult, err error, keep, again bool) {
	f.result, f.err, f.again = r, err, again
	if e := f.entry(keep && f.keep && err == nil && !again); e != nil {
		c := f.cache
		if e.cost = e.size(); e.cost > c.cfg.Bytes/8 {
			c.tooLarge.Add(1)
		} else if s := c.keeper(); s != nil {
			c.fills.Add(1)
			s.set(e, c.cfg.TTL)
		}
	}
	close(f.done)
}

// entry takes the flight from those that may be joined, and makes an entry of it
// if it may be one.
func (f *Flight) entry(keep bool) *entry {
	c := f.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[f.hash] == f {
		delete(c.flights, f.hash)
	}
	r := f.result.Result
	if !keep || r == nil || r.Cursor != nil {
		return nil
	}
	epochs := f.epochs
	switch c.drop {
	case markedCheck:
	case earlyEpochs:
		epochs = c.snapshot(nil, f.deps)
		fallthrough
	default:
		if !c.quiet(f.deps, epochs) {
			c.refused.Add(1)
			return nil
		}
	}
	return &entry{key: f.key, hash: f.hash, deps: f.deps, epochs: epochs, sent: f.sent, result: kept(r)}
}

// Wait gives the result of another's flight. again: the caller has to ask for
// itself. err is its own context's end, or what the flight's request failed with.
func (f *Flight) Wait(ctx context.Context) (r exec.StmtResult, again bool, err error) {
	select {
	case <-f.done:
		return f.result, f.again, f.err
	case <-ctx.Done():
		return exec.StmtResult{}, false, ctx.Err()
	}
}
