package hranahttp

import (
	"math/rand/v2"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

const (
	// firstPing is the interval of pings that auto begins with.
	firstPing = 5 * time.Second
	// quickestPing is the shortest that it comes down to.
	quickestPing = time.Second
	// relearn is for how long auto believes that the path is as bad as it was once.
	relearn = 10 * time.Minute
	// minSlack is what a fixed interval's pings may be late by.
	minSlack = 100 * time.Millisecond
)

// A pace is how often pings are sent, and what that says about connections that
// none has been sent on. With auto it is learnt, and never at a caller's cost:
// pings stay well within what the path is known to let live, while another
// connection, that nobody is given without asking, is left idle for longer.
type pace struct {
	fixed time.Duration // 0 with auto
	stale time.Duration // StaleAfter
	bound time.Duration // the longest worth knowing
	// known is how long a connection may be idle and live, lost how long one was
	// that did not, 0 if none has died.
	known, lost time.Duration
	lostAt      time.Time
}

func newPace(cfg *KeepAlive) pace {
	p := pace{fixed: cfg.Interval, stale: cfg.StaleAfter, bound: http1.IdleTimeout}
	if p.stale > 0 {
		p.bound = min(p.bound, p.stale)
	}
	p.bound = p.bound / 10 * 9
	p.known = min(firstPing*5/4, p.bound)
	return p
}

// interval is the longest time between two pings.
func (p *pace) interval() time.Duration {
	if p.fixed > 0 {
		return p.fixed
	}
	return p.known * 4 / 5
}

// jittered is the interval of one ping: the connections of many clients that
// began together are not to be pinged together.
func (p *pace) jittered() time.Duration {
	d := p.interval()
	return d - rand.N(d/5+1)
}

// trust is for how long a connection may be idle that a caller gets unasked; 0 is
// without a limit.
func (p *pace) trust() time.Duration {
	if p.stale <= 0 {
		return 0
	}
	d := p.known
	if p.fixed > 0 {
		d = p.fixed + min(p.fixed, max(p.fixed/4, minSlack))
	}
	return min(d, p.stale)
}

// next is the idle time that is worth trying on a connection nobody depends on,
// 0 if there is nothing to learn.
func (p *pace) next(now time.Time) time.Duration {
	if p.fixed > 0 {
		return 0
	}
	if p.lost > 0 && now.Sub(p.lostAt) >= relearn {
		p.lost = 0
	}
	d := min(p.known*3/2, p.bound)
	if p.lost > 0 && d >= p.lost {
		d = (p.known + p.lost) / 2
	}
	if d < p.known*6/5 && d < p.bound || d <= p.known {
		return 0
	}
	return d
}

// survived tells that a connection has been idle for so long and lives.
func (p *pace) survived(idle time.Duration) {
	p.known = max(p.known, min(idle, p.bound))
	if idle >= p.lost {
		p.lost = 0
	}
}

// died tells that one was idle for so long and has died of it.
func (p *pace) died(idle time.Duration, now time.Time) {
	if p.lost == 0 || idle < p.lost {
		p.lost = idle
	}
	p.lostAt = now
	if idle <= p.known {
		// The path is not what it was.
		p.known = max(min(idle/2, p.known), quickestPing*5/4)
	}
}
