package hranahttp

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// KeepAlive says how connections are kept alive that nobody uses. The zero value
// does nothing.
type KeepAlive struct {
	// Interval is the longest time between pings; 0 has it learnt.
	Interval time.Duration
	// Warm is how many connections to the database are pinged and kept ready. If
	// it is 0 there are no pings.
	Warm int
	// Timeout bounds the answer to a ping, and is needed.
	Timeout time.Duration
	// StaleAfter is for how long an idle connection is trusted where no ping tells
	// more; 0 is without a limit.
	StaleAfter time.Duration
	// IdleStop is how long after the last request pings are sent; 0 is forever.
	IdleStop time.Duration
}

func (k *KeepAlive) pings() bool { return k.Warm > 0 }

// A keeper pings the connections to a place while clients use it that are at home
// there. A connection that carries requests often enough needs no ping and gets
// none. Between pings there is a timer and no goroutine, and before the first use
// and some time after the last there is no timer either.
type keeper struct {
	transport *Transport
	place     *place
	cfg       KeepAlive
	// user is one of the clients that use the place, whose token the pings carry;
	// nil if it has been closed and no other has come since.
	user atomic.Pointer[Client]
	// used is set by each request and taken back by each round; running tells
	// that there will be another round.
	used, running atomic.Bool
	busy          atomic.Bool  // net/http's ping is under way
	asking        atomic.Int32 // rounds whose pings have not all been answered

	mu     sync.Mutex
	timer  *time.Timer
	closed bool
	last   time.Time // the last round that found used set
	pace   pace

	pings, failed, opened, refreshed, stale atomic.Uint64
}

func newKeeper(t *Transport, p *place) *keeper {
	return &keeper{transport: t, place: p, cfg: t.cfg.KeepAlive, pace: newPace(&t.cfg.KeepAlive)}
}

// Use tells that the client is about to be used: connections are made ready.
func (c *Client) Use() { c.keeper.touch(c) }

// touch is called by every request.
func (k *keeper) touch(c *Client) {
	if k.used.Load() && k.user.Load() != nil || !k.cfg.pings() {
		return
	}
	k.user.Store(c)
	k.used.Store(true)
	if !k.running.Load() {
		k.start()
	}
}

// leave is called when a client is closed, whose token is not used any more.
func (k *keeper) leave(c *Client) { k.user.CompareAndSwap(c, nil) }

func (k *keeper) start() {
	k.mu.Lock()
	if k.closed || k.running.Load() {
		k.mu.Unlock()
		return
	}
	k.running.Store(true)
	k.last = time.Now()
	k.timer = time.AfterFunc(k.pace.jittered(), k.tick)
	k.mu.Unlock()
	k.transport.besides(func() { k.warm(k.cfg.Warm, 0) })
}

// close ends the pings; a round that is under way ends with the
// Transport.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.running.Store(false)
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// tick is the timer's. It goes on before the answers are there: a connection that
// does not answer must not cost the others their pings.
func (k *keeper) tick() {
	if !k.goesOn() {
		return
	}
	k.mu.Lock()
	d := k.pace.jittered()
	scout := k.pace.next(time.Now())
	k.mu.Unlock()
	next, pings := d, func() {}
	if c := k.user.Load(); c != nil {
		next, pings = k.round(c, d, scout)
	}
	if !k.transport.besides(pings) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.timer = time.AfterFunc(next, k.tick)
	}
}

// goesOn tells whether there is to be another round.
func (k *keeper) goesOn() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	now := time.Now()
	if k.used.Swap(false) {
		k.last = now
	}
	if k.cfg.IdleStop <= 0 || now.Sub(k.last) < k.cfg.IdleStop {
		return true
	}
	// Who uses the client now sees either that it has stopped and starts it again,
	// or is seen here.
	k.running.Store(false)
	if k.used.Load() && k.running.CompareAndSwap(false, true) {
		k.last = now
		return true
	}
	k.timer = nil
	return false
}

// interval is the longest time between pings, also where none are sent.
func (k *keeper) interval() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pace.interval()
}

func (k *keeper) learn(f func(p *pace)) {
	k.mu.Lock()
	f(&k.pace)
	trust := k.pace.trust()
	k.mu.Unlock()
	switch {
	case !k.cfg.pings():
	case k.transport.owner != nil:
		k.transport.pool.SetTrust(trust)
	default:
		k.place.target.SetTrust(trust)
	}
}

// warm dials until the warm connections are there that can be trusted, and open
// ones in all; dead are those that have been closed.
func (k *keeper) warm(open, dead int) (opened int, err error) {
	t, p := k.transport, k.place
	ctx, cancel := t.bounded(t.life)
	defer cancel()
	manner, err := t.mannerOf(ctx, p)
	if err != nil || manner != viaHTTP1 {
		return 0, err
	}
	return t.pool.Ready(&p.target, k.cfg.Warm, open, dead)
}

// round finds out what to ping, which pings does, and when the next is due. d is
// the idle time from which a connection is pinged; scout, if it is not 0, the one
// that is to be tried on a connection that nobody depends on.
func (k *keeper) round(c *Client, d, scout time.Duration) (next time.Duration, pings func()) {
	if k.place.manner.Load() == viaTransport {
		return d, func() { k.pingTransport(c) }
	}
	t, pool := &k.place.target, k.transport.pool
	due, next := pool.TakeIdle(t, k.cfg.Warm, d)
	want := k.cfg.Warm
	if scout > 0 {
		want++
		if idle, ok := pool.TakeBelow(t, k.cfg.Warm, scout); ok {
			due = append(due, idle)
		}
	}
	k.asking.Add(1)
	return next, func() { k.pingHTTP1(c, due, want) }
}

func (k *keeper) pingHTTP1(c *Client, due []http1.Idle, want int) {
	t, pool := &k.place.target, k.transport.pool
	dead, after := 0, time.Duration(0)
	var p *ping
	done := sync.OnceValue(func() bool { return k.asking.Add(-1) == 0 })
	defer done()
	if len(due) > 0 {
		var ok bool
		if p, ok = c.newPing(k.cfg.Timeout); !ok {
			for _, idle := range due {
				idle.Return()
			}
			return
		}
		dead, after = k.pingAll(p, due)
		if c.life.Err() != nil {
			return // which is why, and says nothing of the path
		}
	}
	if dead > 0 {
		pool.Suspect(t, after)
	} else if !done() {
		return // what another round asks just now is in doubt for no other reason
	}
	_, err := k.warm(want, dead)
	if err != nil && c.life.Err() == nil {
		c.circuit.suspect(c.broken(c.life, err, false))
	}
	if dead == 0 || err != nil {
		return
	}
	// If a connection that has not been idle fails as well, idleness is not the
	// reason.
	if fresh, _ := pool.TakeIdle(t, 1, 0); len(fresh) > 0 && k.ping(p, fresh[0]) {
		now := time.Now()
		k.learn(func(p *pace) { p.died(after, now) })
	}
}

// pingAll tells how many of the connections are dead, and the shortest time that
// one of these had been idle.
func (k *keeper) pingAll(p *ping, due []http1.Idle) (dead int, after time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, idle := range due {
		wg.Go(func() {
			if k.ping(p, idle) {
				k.learn(func(p *pace) { p.survived(idle.For) })
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if dead++; dead == 1 || idle.For < after {
				after = idle.For
			}
		})
	}
	wg.Wait()
	return dead, after
}

// ping asks whether a connection is alive.
func (k *keeper) ping(p *ping, idle http1.Idle) bool {
	return k.count(p.client, p.over(idle))
}

// pingTransport pings through net/http, which chooses the connection. For what
// HTTP/2 sends by itself see newTransport.
func (k *keeper) pingTransport(c *Client) {
	if !k.busy.CompareAndSwap(false, true) {
		return // the last one has not been answered yet
	}
	defer k.busy.Store(false)
	if old := k.transport.http.Load(); time.Since(old.born) >= http1.MaxAge {
		k.transport.age(old)
	}
	var err error
	for range 2 {
		p, ok := c.newPing(k.cfg.Timeout)
		if !ok {
			return
		}
		var fresh bool
		if fresh, err = p.byTransport(); k.count(c, err) {
			if fresh {
				k.opened.Add(1)
				k.refreshed.Add(1)
			}
			return
		}
		if c.life.Err() != nil {
			return
		}
		if k.transport.owner != nil { // else they are others' too, and HTTP/2 ends a dead one
			k.transport.http.Load().CloseIdleConnections()
		}
		if !fresh {
			k.stale.Add(1)
		}
	}
	c.circuit.suspect(c.broken(c.life, err, false))
}

func (k *keeper) count(c *Client, err error) bool {
	k.pings.Add(1)
	if err != nil && c.life.Err() == nil {
		k.failed.Add(1)
	}
	return err == nil
}

// KeepAliveCounters are what a Client has counted of idle connections.
type KeepAliveCounters struct {
	http1.IdleCounts
	// Pings were sent, PingFailures of them not answered.
	Pings, PingFailures uint64
	// Interval is the longest time between pings now, 0 if none are sent.
	Interval time.Duration
}

// KeepAlive returns what has been counted so far.
func (c *Client) KeepAlive() KeepAliveCounters {
	k := c.keeper
	n := KeepAliveCounters{IdleCounts: c.transport.pool.IdleCounts(), Pings: k.pings.Load(), PingFailures: k.failed.Load()}
	n.Ahead += k.opened.Load()
	n.Refreshed += k.refreshed.Load()
	n.Stale += k.stale.Load()
	if k.running.Load() {
		k.mu.Lock()
		n.Interval = k.pace.interval()
		k.mu.Unlock()
	}
	return n
}
