package limit

import (
	"fmt"
	"math"
	"time"
)

// PoolHaste is how many times as often as usual a Pool wants to be told while
// all connections are in use and there may be more: a pool that is much too small
// must not stay so for a whole interval.
const PoolHaste = 8

// PoolConfig are the bounds and manners of a Pool.
type PoolConfig struct {
	// Min and Max bound the size.
	Min, Max int
	// Up is the utilisation (connections in use, of those allowed) from which the
	// size may grow although nobody waits, Down the one up to which it may shrink.
	Up, Down float64
	// Cooldown is how long demand must have been lower before the size shrinks.
	Cooldown time.Duration
}

// A PoolSample is what happened in one interval, which may be of any length.
type PoolSample struct {
	Interval time.Duration
	// InUse is how many connections are out now, Working how many of these have a
	// use (the others are being opened), and Idle how many are in the pool.
	InUse, Working, Idle int
	// Busy is for how long connections were out in the interval, all together.
	Busy time.Duration
	// Begun and Finished are how many uses of a connection began and ended, and
	// Held how long those that ended had it, all together.
	Begun, Finished int
	Held            time.Duration
	// Waited is how many callers began to wait for a connection.
	Waited int
	// Answered is how many statements ended of which the server told its time, and
	// Server that time, all together.
	Answered int
	Server   time.Duration
	// Refused is how often the server was at a limit of its own (429, 503).
	Refused int
}

// A PoolDecision is the size to have from now on, and, if it is another, why.
type PoolDecision struct {
	Size   int
	Change PoolChange
	Reason string
	// Waiting is how many may be waiting for a connection, at most.
	Waiting int
}

// PoolChange is a kind of decision.
type PoolChange uint8

const (
	// Kept: the size is as it was.
	Kept PoolChange = iota
	// Grown: more is needed.
	Grown
	// Shrunk: less has been needed for a while.
	Shrunk
	// Capped: the server has more to do than is good for it.
	Capped
)

// Pool is the law of a connection pool's size: what Little's law says is in use
// at the rate and the service time of now, and a reserve that grows with the
// square root of it, as for the staffing of a call centre, so that few callers
// wait. It grows at once, and shrinks slowly after a time of lower demand.
//
// Service time counts in full, whatever it consists of: on a longer path more
// connections are needed, and cost the server nothing. Only time that the server
// itself says it worked, and what it refuses, are taken for overload.
//
// Little's law also says how many statements are inside the server: the time it
// says it has worked, over the time that has passed. While they are few the law
// learns how long a statement takes then. When they are many and take several
// times as long, each hinders the others; connections are then taken away until
// no more are inside than the server could work on side by side, with some to
// spare. What is on the path does not count, so that the cap never takes what a
// server that is merely far or slow needs.
//
// It is not safe for concurrent use.
type Pool struct {
	cfg  PoolConfig
	size int

	rate        float64 // uses that come, a second
	held, ended float64 // of uses, in seconds and in number, faded
	backlog     float64 // callers who wait, as far as can be told
	waited      float64 // callers who began to wait since one was idle
	granted     float64 // connections given that are being opened, faded

	guard poolGuard

	quiet time.Duration // for how long less has been needed
	peak  float64       // the most that was needed in that time
}

// NewPool returns a Pool that begins with size, as far as the bounds allow.
func NewPool(cfg PoolConfig, size int) *Pool {
	return &Pool{cfg: cfg, size: min(max(size, cfg.Min), cfg.Max), guard: newPoolGuard(cfg)}
}

// Size is the size now.
func (p *Pool) Size() int { return p.size }

// MayGrow tells whether there may be more.
func (p *Pool) MayGrow() bool { return float64(p.size) < min(p.guard.bound(), float64(p.cfg.Max)) }

const (
	// reserveFactor is how many standard deviations of the number in use are kept
	// in reserve.
	reserveFactor = 2
	// surprise is how many standard deviations above the usual an interval's
	// arrivals are another rate, not chance.
	surprise = 4
	// rateMemory and useMemory are how long the averages remember.
	rateMemory = time.Second
	useMemory  = 500 * time.Millisecond
	// grantMemory is how long a connection may take to open. Others may have got it
	// by then, and those who wait need another.
	grantMemory = 500 * time.Millisecond

	// shrinkBy is the part of the size that is given up after each cooldown, idleBy the
	// part when nothing has been in use, and excessBy that of what was not needed.
	shrinkBy, idleBy, excessBy = 0.2, 0.5, 0.5
)

// Observe takes an interval into account.
func (p *Pool) Observe(s PoolSample) PoolDecision {
	if s.Interval <= 0 {
		return PoolDecision{Size: p.size}
	}
	busy := s.Busy.Seconds() / s.Interval.Seconds()
	p.measure(s)
	p.guard.observe(s, p.size, p.backlog)
	most := p.guard.bound()
	need := p.demand(s)
	want := min(max(whole(min(need, most)), p.cfg.Min), p.cfg.Max)
	used := max(float64(s.InUse), busy) / float64(p.size)
	from, waiting := p.size, int(p.waited)
	switch {
	case want > from && (used >= p.cfg.Up || s.Waited > 0 || p.backlog > 0):
		p.quiet, p.peak, p.size = 0, 0, want
		p.granted += float64(want - from)
		return PoolDecision{want, Grown, fmt.Sprintf("%.0f uses/s of %s, %d of %d in use, %.0f waiting",
			p.rate, seconds(p.service()), s.InUse, from, p.backlog), waiting}
	case most < float64(from) && max(whole(most), p.cfg.Min) < from:
		p.quiet, p.peak, p.size = 0, 0, max(whole(most), p.cfg.Min)
		return PoolDecision{p.size, Capped, p.guard.reason(), waiting}
	case want < from:
		return p.shrink(s, used, need)
	}
	p.quiet, p.peak = 0, 0
	return PoolDecision{Size: p.size, Waiting: waiting}
}

// whole is a number of connections that does not make one of next to nothing.
func whole(n float64) int { return int(math.Ceil(n - 0.1)) }

// fade is what is left after an interval of an average that remembers for a time.
func fade(interval, memory time.Duration) float64 {
	return math.Exp(-interval.Seconds() / memory.Seconds())
}

// measure follows rate, service time and backlog.
func (p *Pool) measure(s PoolSample) {
	secs := s.Interval.Seconds()
	// Those who waited and have begun came before. They got a connection that came
	// back or one that was granted; nobody waits while there are others.
	begun, waited := float64(s.Begun), float64(s.Waited)
	let := min(p.backlog+waited, begun, float64(s.Finished)+p.granted)
	came := waited + begun - let
	p.granted = max(0, p.granted-max(0, let-float64(s.Finished))) * fade(s.Interval, grantMemory)
	p.granted = max(0, min(p.granted, float64(p.size-s.Idle-s.Working)))
	p.waited += waited
	p.backlog += waited - let
	switch {
	case s.Idle > 0:
		p.backlog, p.waited, p.granted = 0, 0, 0
	case p.backlog == 0 && p.waited > 0 && s.Finished == 0:
		// Who came later may have got what was meant for one who waits, and nothing
		// comes back that would let him in.
		p.backlog = 1
	}
	if usual := p.rate * secs; came > usual+surprise*(math.Sqrt(usual)+1) {
		// At least so many, that is, as far as one interval tells: more show in those who
		// wait, and a guess too high would be kept for a cooldown.
		p.rate = max(p.rate, (came-math.Sqrt(came))/secs)
	} else {
		p.rate += (came/secs - p.rate) * (1 - fade(s.Interval, rateMemory))
	}
	if s.Finished > 0 {
		f := fade(s.Interval, useMemory)
		p.held = p.held*f + s.Held.Seconds()
		p.ended = p.ended*f + float64(s.Finished)
	}
}

// service is the time of one use, in seconds.
func (p *Pool) service() float64 {
	if p.ended == 0 {
		return 0
	}
	return p.held / p.ended
}

// demand is how many connections the load of now needs.
func (p *Pool) demand(s PoolSample) float64 {
	// Of those who wait some have a connection already that is being opened.
	waiting := max(0, p.backlog-p.granted)
	need := staff(p.rate*p.service()) + waiting/2
	if waiting > 0 {
		// Uses may take longer than those that have ended: all that are there count.
		need = max(need, float64(s.InUse)+waiting/2+1)
	}
	return need
}

// Staff is how many connections are needed where so many are in use on average.
func Staff(inUse float64) int { return whole(staff(inUse)) }

func staff(inUse float64) float64 { return inUse + reserveFactor*math.Sqrt(inUse) + 1 }

// shrink gives some up if less has been needed for long enough.
func (p *Pool) shrink(s PoolSample, used, need float64) PoolDecision {
	p.peak = max(p.peak, need)
	if used > p.cfg.Down {
		return PoolDecision{Size: p.size, Waiting: int(p.waited)}
	}
	p.quiet += s.Interval
	if p.quiet < p.cfg.Cooldown {
		return PoolDecision{Size: p.size, Waiting: int(p.waited)}
	}
	by := shrinkBy
	if p.peak < 1.5 {
		by = idleBy
	}
	step := max(1, int(float64(p.size)*by), int((float64(p.size)-p.peak)*excessBy))
	next := max(whole(p.peak), p.size-step, p.cfg.Min)
	p.quiet, p.peak = 0, 0
	if next > p.size-(step+3)/4 {
		// So little is chance, and would be taken back soon.
		return PoolDecision{Size: p.size, Waiting: int(p.waited)}
	}
	p.size = next
	return PoolDecision{p.size, Shrunk, fmt.Sprintf("%.0f uses/s of %s need %.0f", p.rate, seconds(p.service()), need), int(p.waited)}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Microsecond)
}
