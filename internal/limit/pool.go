package limit

import (
	"fmt"
	"math"
	"time"
)

// PoolHaste is how many times as often as usual a Pool wants to be told while
// all connections are in use: a pool that is too small by much must not stay so
// for a whole interval.
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
	// InUse is how many connections are out now.
	InUse int
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
	// Waiting is how many wait for a connection, as far as can be told.
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
	backlog     float64 // callers who wait
	granted     float64 // connections given since all were in use

	inside           float64 // statements inside the server
	server, answered float64 // of statements, in seconds and in number, faded
	alone            float64 // a statement's time while few are inside, in seconds
	crowded          bool
	cap              float64       // on the size, +Inf without one
	calm             time.Duration // since the server last refused anything

	quiet time.Duration // for how long less has been needed
	peak  float64       // the most that was needed in that time
}

// NewPool returns a Pool that begins with size, as far as the bounds allow.
func NewPool(cfg PoolConfig, size int) *Pool {
	return &Pool{cfg: cfg, size: min(max(size, cfg.Min), cfg.Max), cap: math.Inf(1)}
}

// Size is the size now.
func (p *Pool) Size() int { return p.size }

const (
	// reserveFactor is how many standard deviations of the number in use are kept
	// in reserve.
	reserveFactor = 2
	// surprise is how many standard deviations above the usual an interval's
	// arrivals are another rate, not chance.
	surprise = 4
	// rateMemory, useMemory and insideMemory are how long the averages remember.
	rateMemory   = time.Second
	useMemory    = 500 * time.Millisecond
	insideMemory = 300 * time.Millisecond
	aloneMemory  = 2 * time.Second

	// shrinkBy is the part of the size that is given up after each cooldown, and
	// idleBy the part when nothing has been in use.
	shrinkBy, idleBy = 0.2, 0.5

	// fewInside is how many statements inside never are too many.
	fewInside = 8
	// crowding is how many times its time alone a statement takes inside a server
	// that has too much to do, and relief when that is over.
	crowding, relief = 3, 2
	// capDown is what a refusal leaves of the connections in use; capUp is how much
	// a cap rises in a second when there is no more reason for it.
	capDown, capUp = 0.8, 0.25
)

// Observe takes an interval into account.
func (p *Pool) Observe(s PoolSample) PoolDecision {
	if s.Interval <= 0 {
		return PoolDecision{Size: p.size}
	}
	busy := s.Busy.Seconds() / s.Interval.Seconds()
	p.measure(s)
	p.guard(s, busy)
	need := p.demand(s, busy)
	want := min(max(int(math.Ceil(min(need, p.cap))), p.cfg.Min), p.cfg.Max)
	used := max(float64(s.InUse), busy) / float64(p.size)
	from, waiting := p.size, int(math.Ceil(p.backlog))
	switch {
	case want > from && (used >= p.cfg.Up || s.Waited > 0 || p.backlog > 0):
		p.quiet, p.peak, p.size = 0, 0, want
		p.granted += float64(want - from)
		return PoolDecision{want, Grown, fmt.Sprintf("%.0f uses/s of %s, %d of %d in use, %d waiting",
			p.rate, seconds(p.service()), s.InUse, from, waiting), waiting}
	case want < from && p.cap < float64(from):
		p.quiet, p.peak, p.size = 0, 0, want
		return PoolDecision{want, Capped, p.capReason(s), waiting}
	case want < from:
		return p.shrink(s, used, need)
	}
	p.quiet, p.peak = 0, 0
	return PoolDecision{Size: p.size}
}

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
	p.granted = max(0, p.granted-max(0, let-float64(s.Finished)))
	if p.backlog += waited - let; s.InUse < p.size {
		p.backlog, p.granted = 0, 0
	}
	if usual := p.rate * secs; came > usual+surprise*(math.Sqrt(usual)+1) {
		p.rate = came / secs
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
func (p *Pool) demand(s PoolSample, busy float64) float64 {
	inUse := p.rate * p.service()
	if p.backlog > 0 {
		// Uses that have not ended, and may take longer than those that have, count
		// when they are all that can be seen.
		inUse = max(inUse, busy)
	}
	return staff(inUse) + p.backlog/2
}

// Staff is how many connections are needed where so many are in use on average.
func Staff(inUse float64) int { return int(math.Ceil(staff(inUse))) }

func staff(inUse float64) float64 { return inUse + reserveFactor*math.Sqrt(inUse) + 1 }

// guard moves the cap.
func (p *Pool) guard(s PoolSample, busy float64) {
	secs := s.Interval.Seconds()
	p.inside += (s.Server.Seconds()/secs - p.inside) * (1 - fade(s.Interval, insideMemory))
	if s.Answered > 0 {
		f := fade(s.Interval, useMemory)
		p.server = p.server*f + s.Server.Seconds()
		p.answered = p.answered*f + float64(s.Answered)
		if now := p.server / p.answered; p.alone == 0 || now < p.alone {
			p.alone = now
		} else if p.inside <= fewInside {
			p.alone += (now - p.alone) * (1 - fade(s.Interval, aloneMemory))
		}
	}
	times := p.times()
	p.crowded = p.inside > fewInside && (times > crowding || p.crowded && times > relief)
	p.calm += s.Interval
	switch {
	case s.Refused > 0:
		if p.calm >= p.cfg.Cooldown/8 || math.IsInf(p.cap, 1) {
			p.cap = max(1, min(p.cap, busy)*capDown)
		}
		p.calm = 0
	case p.crowded:
		// p.inside/times is what the server works on side by side.
		p.cap = busy - p.inside + max(fewInside, crowding*p.inside/times)
	case math.IsInf(p.cap, 1), p.calm < p.cfg.Cooldown:
	default:
		if p.cap += max(1, p.cap*capUp) * secs; p.cap > float64(p.cfg.Max) {
			p.cap = math.Inf(1)
		}
	}
}

// times is how many times as long a statement takes as it does alone.
func (p *Pool) times() float64 {
	if p.answered == 0 || p.alone == 0 {
		return 1
	}
	return p.server / p.answered / p.alone
}

func (p *Pool) capReason(s PoolSample) string {
	if s.Refused > 0 {
		return fmt.Sprintf("the server refused %d", s.Refused)
	}
	return fmt.Sprintf("%.0f statements in the server take %.1f times as long as alone", p.inside, p.times())
}

// shrink gives some up if less has been needed for long enough.
func (p *Pool) shrink(s PoolSample, used, need float64) PoolDecision {
	p.peak = max(p.peak, need)
	if used > p.cfg.Down {
		return PoolDecision{Size: p.size}
	}
	p.quiet += s.Interval
	if p.quiet < p.cfg.Cooldown {
		return PoolDecision{Size: p.size}
	}
	by := shrinkBy
	if p.peak < 1.5 {
		by = idleBy
	}
	step := max(1, int(float64(p.size)*by))
	next := max(int(math.Ceil(p.peak)), p.size-step, p.cfg.Min)
	p.quiet, p.peak = 0, 0
	if next > p.size-(step+1)/2 {
		// So little is chance, and would be taken back soon.
		return PoolDecision{Size: p.size}
	}
	p.size = next
	return PoolDecision{p.size, Shrunk, fmt.Sprintf("%.0f uses/s of %s need %.0f", p.rate, seconds(p.service()), need), 0}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Microsecond)
}
