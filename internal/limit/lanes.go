// Package limit decides how much is sent to a server at once, as pure functions
// of what is observed: no clocks, no I/O, no goroutines.
package limit

import "time"

// Bounds of the number of lanes. sqld holds 128 streams in all; a lane more than
// the server has use for only makes requests emptier.
const (
	minLanes   = 1
	startLanes = 4
	maxLanes   = 32
)

// A Sample is one request that has ended.
type Sample struct {
	Now time.Time
	// Statements is how many shared it.
	Statements int
	RoundTrip  time.Duration
	// ServerTime is what the server worked on all of them, 0 if it did not say.
	ServerTime time.Duration
	// Waiting is how many statements wait for a lane now.
	Waiting int
	// Overloaded: the server refused it because it is at a limit of its own.
	Overloaded bool
}

// Lanes is the number of lanes that a server can make use of, found by trying:
// while statements wait, a few lanes more or fewer are given for a short time,
// and kept if more lanes carry clearly more statements, or fewer as many. More
// round-trip time alone is no sign of load, so it does not count; time on the
// server does.
//
// It is not safe for concurrent use.
type Lanes struct {
	fixed bool
	limit int

	rtt                    time.Duration // the least round trip, forgotten slowly
	serverLeast, serverNow float64       // per statement, in ns: the least, and lately

	epoch epoch
	// trial is the limit before the trial under way, 0 without one, and rate what
	// it carried.
	trial int
	rate  float64
	down  bool // the direction of the next trial
	rest  int  // epochs to go until then
	pause int  // how many there are after a trial that failed
}

// epoch is the stretch of time that a limit is judged by.
type epoch struct {
	began      time.Time
	requests   int
	statements int
	waited     int // requests after which statements were waiting
}

// NewLanes returns a fixed number of lanes, or one that adapts if n is 0.
func NewLanes(n int) *Lanes {
	l := &Lanes{fixed: n > 0, limit: n, pause: firstPause}
	if !l.fixed {
		l.limit = startLanes
	}
	return l
}

const (
	firstPause = 4
	lastPause  = 64
	// inflated is how many times the least server time says that the server is
	// working on too much at once.
	inflated = 4
)

// Limit is the number of lanes now.
func (l *Lanes) Limit() int { return l.limit }

// RoundTrip is the least round trip seen lately.
func (l *Lanes) RoundTrip() time.Duration { return l.rtt }

// Observe takes a sample into account.
func (l *Lanes) Observe(s Sample) {
	if s.Overloaded {
		l.backOff()
		return
	}
	switch {
	case l.rtt == 0 || s.RoundTrip < l.rtt:
		l.rtt = s.RoundTrip
	default:
		l.rtt += l.rtt / 128
	}
	if s.ServerTime > 0 && s.Statements > 0 {
		per := float64(s.ServerTime) / float64(s.Statements)
		if l.serverLeast == 0 || per < l.serverLeast {
			l.serverLeast = per
		} else {
			l.serverLeast *= 1.002
		}
		l.serverNow += (per - l.serverNow) / 16
	}
	if l.fixed {
		return
	}
	e := &l.epoch
	if e.began.IsZero() {
		e.began = s.Now
		return
	}
	e.requests++
	e.statements += s.Statements
	if s.Waiting > 0 {
		e.waited++
	}
	if took := s.Now.Sub(e.began); e.requests >= 8+4*l.limit && took >= 4*l.rtt {
		l.judge(float64(e.statements) / took.Seconds())
		*e = epoch{began: s.Now}
	}
}

// backOff halves the lanes at once.
func (l *Lanes) backOff() {
	if l.fixed {
		return
	}
	l.limit = max(minLanes, l.limit/2)
	l.trial, l.rest, l.pause = 0, lastPause, lastPause
	l.epoch = epoch{}
}

// judge ends an epoch in which rate statements were carried in a second.
func (l *Lanes) judge(rate float64) {
	saturated := 2*l.epoch.waited >= l.epoch.requests
	switch {
	case l.trial != 0:
		l.conclude(rate, saturated)
	case !saturated:
		// Lanes that nobody waits for cost nothing.
	case l.rest > 0:
		l.rest--
		l.rate += (rate - l.rate) / 4
	case l.serverNow > inflated*l.serverLeast && l.limit > minLanes:
		l.rate = rate
		l.try(true)
	default:
		l.rate = rate
		l.try(l.down)
	}
}

// try changes the limit by a quarter, to be judged after the next epoch.
func (l *Lanes) try(down bool) {
	step := max(1, l.limit/4)
	if down {
		step = -step
	}
	next := min(max(l.limit+step, minLanes), maxLanes)
	if next == l.limit {
		l.down = !down
		return
	}
	l.trial, l.limit = l.limit, next
}

// conclude keeps what a trial has changed, or takes it back.
func (l *Lanes) conclude(rate float64, saturated bool) {
	before, grew := l.trial, l.limit > l.trial
	l.trial = 0
	switch {
	case grew && (rate > 1.05*l.rate || !saturated), !grew && rate > 0.97*l.rate:
		l.rate, l.rest, l.pause = rate, 0, firstPause
		l.down = !grew // go on in the same direction
	default:
		l.limit, l.down = before, grew
		l.rest, l.pause = l.pause, min(2*l.pause, lastPause)
	}
}
