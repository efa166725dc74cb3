package tursoopt

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/limit"
)

// Defaults of the pool controller.
const (
	// DefaultPoolMin and DefaultPoolMax bound the size of the pool.
	DefaultPoolMin = 2
	DefaultPoolMax = 100
	// DefaultPoolInterval is how often the controller looks. While all connections
	// are in use it looks eight times as often.
	DefaultPoolInterval = 100 * time.Millisecond
	// DefaultPoolUp is the utilisation from which the pool may grow although nobody
	// waits, DefaultPoolDown the one up to which it may shrink.
	DefaultPoolUp   = 0.8
	DefaultPoolDown = 0.8
	// DefaultPoolCooldown is how long less must have been needed before the pool
	// shrinks.
	DefaultPoolCooldown = 2 * time.Second
)

const (
	// poolDecisions is how many decisions are remembered.
	poolDecisions = 256
	// minPoolInterval is the least PoolInterval: database/sql's statistics cost a
	// lock that every use of a connection needs too.
	minPoolInterval = time.Millisecond
	// poolRest is after how many intervals without any use the controller's
	// goroutine ends, once the pool is at its least.
	poolRest = 10
)

// A PoolSizer moves SetMaxOpenConns and SetMaxIdleConns of a sql.DB, always both
// together, to what the load needs; docs/pool.md explains how. It has a goroutine
// only while the DB is in use. It is safe for concurrent use.
type PoolSizer struct {
	db        *sql.DB
	connector *Connector
	cfg       limit.PoolConfig
	interval  time.Duration
	life      context.Context // ends with Stop
	end       context.CancelFunc

	uses    poolUses
	size    atomic.Int64  // as last applied
	running atomic.Bool   // there is a goroutine, or is going to be
	pressed chan struct{} // all connections are in use

	mu      sync.Mutex
	stopped bool
	own     sync.WaitGroup // goroutines
	law     *limit.Pool
	stats   PoolStats
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
	// Decisions are the last 256, each of which changed the size, the oldest first.
	Decisions []PoolDecision
}

// A PoolDecision is one change of the pool's size.
type PoolDecision struct {
	Time     time.Time
	From, To int
	// Reason is what was observed, in words.
	Reason string
}

// TunePool has a controller adjust the size of db's pool from now on, as the
// fields of cfg say whose names begin with Pool; nil is the DB's own Config. It
// ends with Stop or with db.Close. A DB of OpenDB has one from the start, and a
// second is refused.
//
// db must be directly one of this driver; it may be one of any base, or of Wrap.
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
	p := &PoolSizer{db: db, connector: c, cfg: cfg.pool(), interval: cfg.poolInterval(), pressed: make(chan struct{}, 1)}
	p.uses.start = time.Now()
	p.life, p.end = context.WithCancel(context.Background())
	// A DB that is in use already keeps what it uses.
	p.law = limit.NewPool(p.cfg, limit.Staff(float64(db.Stats().InUse)))
	p.size.Store(int64(p.law.Size()))
	if !c.sizer.CompareAndSwap(nil, p) {
		p.end()
		return nil, errors.New("turso-opt: TunePool: the database has a pool controller already")
	}
	if c.closed.Load() {
		p.Stop()
		return nil, ErrClosed
	}
	p.apply(p.law.Size())
	return p, nil
}

// validatePool refuses what contradicts itself.
func (c *Config) validatePool() error {
	switch p := c.pool(); {
	case p.Min < 1:
		return errors.New("turso-opt: pool_min: want 1 or more")
	case p.Max < p.Min:
		return errors.New("turso-opt: pool_max: is less than pool_min")
	case !(p.Up > 0 && p.Up <= 1): // NaN is neither
		return errors.New("turso-opt: PoolUp: want more than 0 and at most 1")
	case !(p.Down > 0 && p.Down <= p.Up):
		return errors.New("turso-opt: PoolDown: want more than 0 and at most PoolUp")
	case p.Cooldown < 0:
		return errors.New("turso-opt: PoolCooldown: must not be negative")
	case c.poolInterval() < minPoolInterval:
		return errors.New("turso-opt: PoolInterval: want 1ms or more")
	}
	return nil
}

// pool is c's part of the law's configuration.
func (c *Config) pool() limit.PoolConfig {
	p := limit.PoolConfig{Min: c.PoolMin, Max: c.PoolMax, Up: c.PoolUp, Down: c.PoolDown, Cooldown: c.PoolCooldown}
	if p.Min == 0 {
		p.Min = DefaultPoolMin
		if p.Max > 0 {
			p.Min = min(p.Min, p.Max)
		}
	}
	if p.Max == 0 {
		p.Max = max(DefaultPoolMax, p.Min)
	}
	if p.Up == 0 {
		p.Up = DefaultPoolUp
		if p.Down > 0 && p.Down <= 1 {
			p.Up = max(p.Up, p.Down)
		}
	}
	if p.Down == 0 {
		p.Down = min(DefaultPoolDown, p.Up)
	}
	if p.Cooldown == 0 {
		p.Cooldown = DefaultPoolCooldown
	}
	return p
}

func (c *Config) poolInterval() time.Duration {
	if c.PoolInterval == 0 {
		return DefaultPoolInterval
	}
	return c.PoolInterval
}

// Stop ends the controller and leaves the pool as it is. Nothing of the
// controller runs when it returns. Calls after the first do nothing.
func (p *PoolSizer) Stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.end()
	p.own.Wait()
	p.connector.sizer.CompareAndSwap(p, nil)
}

// begin counts a use of a connection that begins, and gives its time.
func (p *PoolSizer) begin() time.Duration {
	since, inUse := p.uses.begin()
	if int64(inUse) >= p.size.Load() {
		select {
		case p.pressed <- struct{}{}:
		default:
		}
	}
	if !p.running.Load() {
		p.start()
	}
	return since
}

// start starts the controller's goroutine, unless there is one.
func (p *PoolSizer) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped && p.running.CompareAndSwap(false, true) {
		p.own.Go(p.run)
	}
}

func (p *PoolSizer) run() {
	last := p.see()
	timer := time.NewTimer(p.interval)
	defer timer.Stop()
	for idle := time.Duration(0); ; {
		select {
		case <-p.life.Done():
			return
		case <-p.pressed:
			if !last.mayGrow {
				continue
			}
			if soon := last.at + p.interval/limit.PoolHaste - p.uses.now(); soon > 0 {
				timer.Reset(soon)
				continue
			}
		case <-timer.C:
		}
		now := p.look(last)
		if idle += now.at - last.at; now.inUse > 0 || now.begun > last.begun {
			idle = 0
		}
		last = now
		if idle >= poolRest*p.interval && p.rest(now) {
			return
		}
		next := p.interval
		if now.out >= now.size && now.mayGrow {
			next /= limit.PoolHaste
		}
		timer.Reset(next)
	}
}

// rest lets the goroutine end if the pool is at its least and nobody has come
// since it was last looked at.
func (p *PoolSizer) rest(now poolSeen) bool {
	p.mu.Lock()
	small := p.law.Size() == p.cfg.Min
	p.mu.Unlock()
	if !small {
		return false
	}
	p.running.Store(false)
	// Who has begun before that relies on this goroutine; it goes on unless there is
	// another by now.
	return p.uses.totals().begun == now.begun || !p.running.CompareAndSwap(false, true)
}

// poolSeen is what there was to see at one time.
type poolSeen struct {
	poolTotals
	out     int // connections, those that are being opened included
	idle    int
	waited  int64
	backoff uint64
	size    int  // after what has been decided since
	mayGrow bool // beyond that
}

func (p *PoolSizer) see() poolSeen {
	db := p.db.Stats()
	now := poolSeen{poolTotals: p.uses.totals(), out: db.InUse, idle: db.Idle, waited: db.WaitCount, size: int(p.size.Load()), mayGrow: true}
	if l := p.connector.lanes; l != nil {
		now.backoff = l.Counters().Backoffs
	}
	return now
}

// look takes what has happened since the last look into account.
func (p *PoolSizer) look(last poolSeen) poolSeen {
	now := p.see()
	if p.life.Err() != nil {
		return now
	}
	p.mu.Lock()
	d := p.law.Observe(limit.PoolSample{
		Interval: now.at - last.at, InUse: now.out, Working: now.inUse, Idle: now.idle, Busy: now.busy - last.busy,
		Begun: now.begun - last.begun, Finished: now.finished - last.finished, Held: now.held - last.held,
		Waited: int(now.waited - last.waited), Answered: now.answered - last.answered, Server: now.server - last.server,
		Refused: now.refused - last.refused + int(now.backoff-last.backoff),
	})
	if d.Change != limit.Kept {
		p.record(d.Change, PoolDecision{Time: time.Now(), From: now.size, To: d.Size, Reason: d.Reason})
	}
	now.mayGrow = p.law.MayGrow()
	p.mu.Unlock()
	if d.Change != limit.Kept {
		p.apply(d.Size)
		now.size = d.Size
	}
	for range min(now.size-now.out-now.idle, d.Waiting) {
		p.own.Go(p.lend)
	}
	return now
}

// record counts and remembers a decision. The caller holds mu.
func (p *PoolSizer) record(change limit.PoolChange, d PoolDecision) {
	switch change {
	case limit.Grown:
		p.stats.Grown++
	case limit.Shrunk:
		p.stats.Shrunk++
	case limit.Capped:
		p.stats.Capped++
	}
	if len(p.stats.Decisions) == poolDecisions {
		p.stats.Decisions = append(p.stats.Decisions[:0], p.stats.Decisions[1:]...)
	}
	p.stats.Decisions = append(p.stats.Decisions, d)
	p.connector.log.Debug("turso-opt: pool size", "from", d.From, "to", d.To, "reason", d.Reason)
}

// apply sets both limits: a lower one of open connections lowers that of idle
// ones for good.
func (p *PoolSizer) apply(size int) {
	p.size.Store(int64(size))
	p.db.SetMaxOpenConns(size)
	p.db.SetMaxIdleConns(size)
}

// lend takes a connection out of the pool and gives it back at once. database/sql
// gives a larger limit to those who come, and those who wait already would go on
// waiting for a connection that comes back. This one does.
func (p *PoolSizer) lend() {
	ctx, cancel := bound(p.life, p.connector.cfg.connectTimeout())
	defer cancel()
	if c, err := p.db.Conn(ctx); err == nil {
		_ = c.Close() // what is wrong with it is told to who uses it
	}
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
