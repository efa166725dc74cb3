package tursoopt

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// Defaults of the pool controller.
const (
	// DefaultPoolMin and DefaultPoolMax bound the size of the pool.
	DefaultPoolMin = 2
	DefaultPoolMax = 100
	// DefaultPoolInterval is how often the controller looks.
	DefaultPoolInterval = 100 * time.Millisecond
	// DefaultPoolUp is the utilisation from which the pool may grow,
	// DefaultPoolDown the one below which it may shrink.
	DefaultPoolUp   = 0.7
	DefaultPoolDown = 0.6
	// DefaultPoolCooldown is how long less must have been needed before the pool
	// shrinks.
	DefaultPoolCooldown = 2 * time.Second
)

// poolDecisions is how many decisions are remembered.
const poolDecisions = 256

// A PoolSizer moves SetMaxOpenConns and SetMaxIdleConns of a sql.DB, always both
// together, to what the load needs. It has a goroutine only while the DB is in
// use.
type PoolSizer struct {
	db        *sql.DB
	connector *Connector
	cfg       limit.PoolConfig
	interval  time.Duration

	running atomic.Bool // looked at by every use of a connection
	mu      sync.Mutex
	stopped bool
	stop    context.CancelFunc // of the goroutine; nil while there is none
	done    chan struct{}
	law     *limit.Pool
	stats   PoolStats
	last    poolTotals
}

// PoolStats are those of the pool controller.
type PoolStats struct {
	// Managed: there is one. No driver can see the sql.DB above it, so after a bare
	// sql.Open there is none until TunePool.
	Managed bool
	// Size is what SetMaxOpenConns and SetMaxIdleConns were last given.
	Size int
	// Grown, Shrunk and Capped count the decisions of each kind.
	Grown, Shrunk, Capped uint64
	// Decisions are the last 256 that changed the size, the oldest first.
	Decisions []PoolDecision
}

// A PoolDecision is one change of the pool's size.
type PoolDecision struct {
	Time     time.Time
	From, To int
	// Reason is what was observed, in words.
	Reason string
}

// TunePool has a controller adjust the size of db's pool from now on, as cfg
// says; nil is the DB's own Config. It ends with Stop or with db.Close. A DB of
// OpenDB has one from the start, and a second is refused.
func TunePool(db *sql.DB, cfg *Config) (*PoolSizer, error) {
	d, ok := db.Driver().(*Driver)
	if !ok || d.connector == nil {
		return nil, errors.New("turso-opt: TunePool: the database is not directly one of this driver")
	}
	c := d.connector
	if cfg == nil {
		cfg = c.cfg
	}
	if err := cfg.validatePool(); err != nil {
		return nil, err
	}
	p := &PoolSizer{db: db, connector: c, cfg: cfg.pool(), interval: cfg.PoolInterval}
	if p.interval == 0 {
		p.interval = DefaultPoolInterval
	}
	p.law = limit.NewPool(p.cfg)
	if !c.sizer.CompareAndSwap(nil, p) {
		return nil, errors.New("turso-opt: TunePool: the database has a pool controller already")
	}
	if c.closed.Load() {
		p.Stop()
		return nil, ErrClosed
	}
	p.apply(p.law.Size())
	p.last = p.totals()
	return p, nil
}

// validatePool refuses bounds that contradict each other.
func (c *Config) validatePool() error {
	switch p := c.pool(); {
	case p.Min < 1:
		return errors.New("turso-opt: pool_min: want 1 or more")
	case p.Max < p.Min:
		return errors.New("turso-opt: pool_max: is less than pool_min")
	case p.Up <= 0 || p.Up > 1:
		return errors.New("turso-opt: PoolUp: want more than 0 and at most 1")
	case p.Down < 0 || p.Down > p.Up:
		return errors.New("turso-opt: PoolDown: want from 0 to PoolUp")
	case p.Cooldown < 0, c.PoolInterval < 0:
		return errors.New("turso-opt: PoolCooldown, PoolInterval: must not be negative")
	}
	return nil
}

func (c *Config) pool() limit.PoolConfig {
	p := limit.PoolConfig{Min: c.PoolMin, Max: c.PoolMax, Up: c.PoolUp, Down: c.PoolDown, Cooldown: c.PoolCooldown}
	if p.Min == 0 {
		p.Min = DefaultPoolMin
	}
	if p.Max == 0 {
		p.Max = max(DefaultPoolMax, p.Min)
	}
	if p.Up == 0 {
		p.Up = DefaultPoolUp
	}
	if p.Down == 0 {
		p.Down = min(DefaultPoolDown, p.Up)
	}
	if p.Cooldown == 0 {
		p.Cooldown = DefaultPoolCooldown
	}
	return p
}

// Stop ends the controller and leaves the pool as it is.
func (p *PoolSizer) Stop() {
	p.mu.Lock()
	p.stopped = true
	stop, done := p.stop, p.done
	p.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
	p.connector.sizer.CompareAndSwap(p, nil)
}

// wake starts the controller's goroutine when the DB comes into use. It is
// called for each use of a connection.
func (p *PoolSizer) wake() {
	if p.running.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.running.Load() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.done = cancel, make(chan struct{})
	p.running.Store(true)
	go p.run(ctx, p.done)
}

// idleAfter is how many intervals without any use end the goroutine, once the
// pool is at its least.
const idleAfter = 10

func (p *PoolSizer) run(ctx context.Context, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	quiet := 0
	for {
		select {
		case <-ctx.Done():
			p.running.Store(false)
			return
		case <-tick.C:
		}
		if p.look() {
			quiet = 0
		} else if quiet++; quiet >= idleAfter && p.rest() {
			return
		}
	}
}

// rest ends the goroutine unless the DB is in use again.
func (p *PoolSizer) rest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.law.Size() > p.cfg.Min || p.stopped {
		return false
	}
	p.running.Store(false)
	p.stop()
	p.stop = nil
	return true
}

// poolTotals are counters whose differences make a sample.
type poolTotals struct {
	at       time.Time
	finished int64
	busy     time.Duration
	waited   int64
	server   time.Duration
	answered int64
	refused  uint64
}

func (p *PoolSizer) totals() poolTotals {
	u := &p.connector.uses
	t := poolTotals{
		at: time.Now(), finished: u.finished.Load(), busy: time.Duration(u.busy.Load()),
		waited: p.db.Stats().WaitCount, server: time.Duration(u.server.Load()), answered: u.answered.Load(),
	}
	if l := p.connector.lanes; l != nil {
		t.refused = l.Counters().Backoffs
	}
	return t
}

// look takes what has happened since the last look into account. It reports
// whether the DB is in use.
func (p *PoolSizer) look() bool {
	now, inUse := p.totals(), p.db.Stats().InUse
	p.mu.Lock()
	defer p.mu.Unlock()
	s := limit.PoolSample{
		Interval: now.at.Sub(p.last.at), InUse: inUse, Finished: int(now.finished - p.last.finished),
		Busy: now.busy - p.last.busy, Waited: int(now.waited - p.last.waited), Refused: int(now.refused - p.last.refused),
	}
	if n := now.answered - p.last.answered; n > 0 {
		s.Server = (now.server - p.last.server) / time.Duration(n)
	}
	p.last = now
	if p.stopped {
		return true
	}
	from := p.law.Size()
	if d := p.law.Observe(s); d.Size != from {
		p.decide(d.Change, PoolDecision{Time: now.at, From: from, To: d.Size, Reason: d.Reason}, s.Waited > 0)
	}
	return inUse > 0 || s.Finished > 0
}

// decide carries a decision out. The caller holds mu.
func (p *PoolSizer) decide(change limit.PoolChange, d PoolDecision, waited bool) {
	switch change {
	case limit.Grown:
		p.stats.Grown++
		if waited {
			// database/sql gives a larger limit to those who wait already only when a
			// connection ends, so the next one that comes back does.
			p.connector.uses.kick.Store(true)
		}
	case limit.Capped:
		p.stats.Capped++
	case limit.Shrunk:
		p.stats.Shrunk++
	}
	if len(p.stats.Decisions) == poolDecisions {
		p.stats.Decisions = append(p.stats.Decisions[:0], p.stats.Decisions[1:]...)
	}
	p.stats.Decisions = append(p.stats.Decisions, d)
	p.connector.log.Debug("turso-opt: pool size", "from", d.From, "to", d.To, "reason", d.Reason)
	p.apply(d.To)
}

func (p *PoolSizer) apply(size int) {
	// A lower limit of open connections lowers that of idle ones for good, so both
	// are set each time.
	p.db.SetMaxOpenConns(size)
	p.db.SetMaxIdleConns(size)
}

// Stats is what the controller has done.
func (p *PoolSizer) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Managed, s.Size = !p.stopped, p.law.Size()
	s.Decisions = append([]PoolDecision(nil), s.Decisions...)
	return s
}

// uses counts what connections are used for, from when they are taken out of the
// pool until they are back.
type uses struct {
	finished, busy   atomic.Int64 // and their time, in ns
	answered, server atomic.Int64 // statements of which the server told its time
	kick             atomic.Bool  // the next connection that comes back is to end
}

func (u *uses) begin(c *Connector) time.Time {
	if p := c.sizer.Load(); p != nil {
		p.wake()
	}
	return time.Now()
}

// end reports whether the connection is to end too.
func (u *uses) end(since time.Time) (kick bool) {
	if since.IsZero() {
		return false
	}
	u.finished.Add(1)
	u.busy.Add(int64(time.Since(since)))
	return u.kick.Load() && u.kick.Swap(false)
}

// served counts how long the server worked on statements.
func (u *uses) served(results []exec.StmtResult) {
	for i := range results {
		if r := results[i].Result; r != nil && r.ServerTime > 0 {
			u.answered.Add(1)
			u.server.Add(int64(r.ServerTime))
		}
	}
}
