package limit

import (
	"fmt"
	"math"
	"time"
)

// PoolConfig are the bounds and manners of a Pool.
type PoolConfig struct {
	// Min and Max bound the size.
	Min, Max int
	// Up is the utilisation (connections in use, of those allowed) from which the
	// size may grow, Down the one below which it may shrink.
	Up, Down float64
	// Cooldown is how long demand must have been lower before the size shrinks.
	Cooldown time.Duration
}

// A PoolSample is what happened in one interval.
type PoolSample struct {
	Interval time.Duration
	// InUse is how many connections are out now.
	InUse int
	// Finished is how many uses of a connection ended, and Busy how long these
	// had it, all together.
	Finished int
	Busy     time.Duration
	// Waited is how many callers began to wait for a connection.
	Waited int
	// Server is how long the server worked on a statement on average, 0 if it did
	// not say.
	Server time.Duration
	// Refused is how often the server was at a limit of its own (429, 503).
	Refused int
}

// A PoolDecision is the size to have from now on, and, if it is another, why.
type PoolDecision struct {
	Size   int
	Change PoolChange
	Reason string
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
	// Capped: the server is overloaded.
	Capped
)

// Pool is the law of a connection pool's size: what Little's law says is in use
// at the rate and the service time of now, and a reserve that grows with the
// square root of it, as for the staffing of a call centre, so that few callers
// wait. It grows at once, and shrinks slowly after a time of lower demand.
//
// Service time counts in full, whatever it consists of: on a longer path more
// connections are needed, and cost the server nothing. Only time that the server
// itself says it worked, and what it refuses, are taken for overload; then the
// size is capped by a factor for as long as it lasts.
//
// It is not safe for concurrent use.
type Pool struct {
	cfg     PoolConfig
	size    int
	rate    float64 // uses begun per second
	service float64 // of one use, in seconds
	backlog float64 // callers who wait

	server float64 // time of a statement, in ns: lately
	least  float64 // the least, forgotten slowly
	cap    float64 // on the size, +Inf without one

	quiet time.Duration // for how long less has been needed
	peak  float64       // the most that was needed in that time
}

// NewPool returns a Pool that begins with Min.
func NewPool(cfg PoolConfig) *Pool {
	return &Pool{cfg: cfg, size: cfg.Min, cap: math.Inf(1)}
}

// Size is the size now.
func (p *Pool) Size() int { return p.size }

const (
	// reserveFactor is how many standard deviations of the number in use are kept
	// in reserve.
	reserveFactor = 2
	// shrinkBy is the largest part of the size that is given up at once.
	shrinkBy = 0.1
	// overload is how many times the least server time is too much.
	overload = 3
	// capDown and capUp are how a cap moves in one interval.
	capDown, capUp = 0.85, 1.05
	// smooth is the part of the past that an interval forgets.
	smooth = 0.3
)

// Observe takes an interval into account.
func (p *Pool) Observe(s PoolSample) PoolDecision {
	p.measure(s)
	p.guard(s)
	need := p.demand()
	want := int(math.Ceil(min(need, p.cap)))
	want = min(max(want, p.cfg.Min), p.cfg.Max)
	utilisation := float64(s.InUse) / float64(p.size)
	switch {
	case want > p.size && (utilisation >= p.cfg.Up || p.backlog > 0):
		p.size, p.quiet, p.peak = want, 0, 0
		return PoolDecision{p.size, Grown, fmt.Sprintf("%.0f uses/s of %s, %.0f waiting", p.rate, seconds(p.service), p.backlog)}
	case p.cap < float64(p.size) && want < p.size:
		p.size, p.quiet, p.peak = want, 0, 0
		return PoolDecision{p.size, Capped, fmt.Sprintf("the server takes %.1f times its least, or refuses", p.server/max(p.least, 1))}
	case want < p.size && utilisation <= p.cfg.Down:
		return p.shrink(s, need)
	case want >= p.size:
		p.quiet, p.peak = 0, 0
	}
	return PoolDecision{Size: p.size}
}

// measure follows rate, service time and backlog.
func (p *Pool) measure(s PoolSample) {
	secs := s.Interval.Seconds()
	if secs <= 0 {
		return
	}
	// All who waited have not begun; those who finished had.
	rate := float64(s.Finished+max(0, s.Waited-s.Finished)) / secs
	if rate > p.rate {
		p.rate += (rate - p.rate) * 2 * smooth // quick up
	} else {
		p.rate += (rate - p.rate) * smooth
	}
	if s.Finished > 0 {
		service := s.Busy.Seconds() / float64(s.Finished)
		if p.service == 0 || service > p.service {
			p.service += (service - p.service) * max(2*smooth, b2f(p.service == 0))
		} else {
			p.service += (service - p.service) * smooth
		}
	}
	if s.InUse >= p.size {
		// Each use that ended has let one of them in.
		p.backlog = max(0, p.backlog+float64(s.Waited-s.Finished))
	} else {
		p.backlog = 0
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// guard moves the cap.
func (p *Pool) guard(s PoolSample) {
	if s.Server > 0 {
		t := float64(s.Server)
		if p.least == 0 || t < p.least {
			p.least = t
		} else {
			p.least *= 1.001
		}
		p.server += (t - p.server) * smooth
		if p.server == 0 || p.server < p.least {
			p.server = p.least
		}
	}
	crowded := s.Refused > 0 || p.server > overload*p.least && s.InUse*2 > p.size
	switch {
	case crowded:
		p.cap = max(float64(p.cfg.Min), min(p.cap, float64(p.size))*capDown)
	case !math.IsInf(p.cap, 1):
		if p.cap = p.cap*capUp + 0.5; p.cap > float64(p.cfg.Max) {
			p.cap = math.Inf(1)
		}
	}
}

// demand is how many connections the load of now needs.
func (p *Pool) demand() float64 {
	inUse := p.rate * p.service
	return inUse + reserveFactor*math.Sqrt(inUse) + 1 + p.backlog/2
}

// shrink gives some up if less has been needed for long enough.
func (p *Pool) shrink(s PoolSample, need float64) PoolDecision {
	p.quiet += s.Interval
	p.peak = max(p.peak, need)
	if p.quiet < p.cfg.Cooldown {
		return PoolDecision{Size: p.size}
	}
	floor := int(math.Ceil(p.peak))
	next := max(floor, p.size-max(1, int(float64(p.size)*shrinkBy)), p.cfg.Min)
	p.quiet, p.peak = 0, 0
	if next >= p.size {
		return PoolDecision{Size: p.size}
	}
	p.size = next
	return PoolDecision{p.size, Shrunk, fmt.Sprintf("%.0f uses/s of %s need %.0f", p.rate, seconds(p.service), need)}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Microsecond)
}
