package limit

import "time"

// A Range bounds a number that adapts.
type Range struct{ Least, Start, Most int }

// A Sample is one request that has ended.
type Sample struct {
	Now time.Time
	// Statements is how many shared it.
	Statements int
	RoundTrip  time.Duration
	// ServerTime is what the server worked on all of them, 0 if it did not say.
	ServerTime time.Duration
	// Busy is how many lanes were out when it ended, its own included.
	Busy int
	// Inside is how many statements were waiting or on their way when it ended,
	// its own included.
	Inside int
}

// Lanes is the number of lanes that serves its callers soonest, found by trying:
// while lanes are in use, some more or some fewer are given for a short time,
// and kept if statements take clearly less time with more, or no more time with
// fewer.
//
// The time that counts is the whole of it, the wait for a lane included. By
// Little's law it is the number of statements inside over the rate at which they
// leave, so no statement is timed. Where callers wait for their answers before
// they ask again, less of it is more throughput; where they do not, throughput
// would show nothing before it is too late. The round trip alone counts for
// nothing: it grows with the distance and with how full requests are.
//
// It is not safe for concurrent use.
type Lanes struct {
	fixed bool
	limit int
	Range Range

	rtt                    time.Duration // the least round trip, forgotten slowly
	serverLeast, serverNow float64       // per statement, in ns: the least, and lately

	epoch epoch
	// score is how soon statements are served at limit: epochs' speeds, smoothed;
	// 0 if it is not known.
	score float64
	// before is the limit before the trial under way, 0 without one.
	before int
	down   bool // the direction of the next trial
	agreed bool // the last trial in it has succeeded; it takes two
	rest   int  // epochs to go until then
	pause  int  // how many there are after a trial that failed
}

// epoch is the stretch of time that a limit is judged by.
type epoch struct {
	began                              time.Time
	requests, statements, busy, inside int
}

// NewLanes returns a number of lanes that is fixed, or one that adapts within r
// if n is 0.
func NewLanes(n int, r Range) *Lanes {
	l := &Lanes{fixed: n > 0, limit: n, Range: r, pause: firstPause}
	if !l.fixed {
		l.limit = r.Start
	}
	return l
}

const (
	// epochRequests for each lane, and epochTime, are what an epoch takes at least:
	// in less, chance decides.
	epochRequests = 4
	epochTime     = 25 * time.Millisecond

	firstPause = 2
	lastPause  = 32
	// gain is how much sooner more lanes must serve to be kept, and loss how much
	// later fewer may.
	gain, loss = 1.04, 0.985
	// inflated is how many times its least a statement's time on the server is when
	// the server is working on too much at once. Lanes must bring more then.
	inflated     = 4
	inflatedGain = 1.15
	inflatedLoss = 0.95
)

// Limit is the number of lanes now.
func (l *Lanes) Limit() int { return l.limit }

// RoundTrip is the least round trip seen lately.
func (l *Lanes) RoundTrip() time.Duration { return l.rtt }

// Observe takes a sample into account.
func (l *Lanes) Observe(s Sample) {
	if l.rtt == 0 || s.RoundTrip < l.rtt {
		l.rtt = s.RoundTrip
	} else {
		l.rtt += l.rtt / 1024
	}
	if s.ServerTime > 0 && s.Statements > 0 {
		per := float64(s.ServerTime) / float64(s.Statements)
		if l.serverLeast == 0 || per < l.serverLeast {
			l.serverLeast = per
		} else {
			l.serverLeast *= 1.0005
		}
		l.serverNow += (per - l.serverNow) / 16
	}
	if l.fixed {
		return
	}
	e := &l.epoch
	if e.began.IsZero() {
		e.began = s.Now // what it ended was under way before
		return
	}
	e.requests++
	e.statements += s.Statements
	e.busy += s.Busy
	e.inside += s.Inside
	if took := s.Now.Sub(e.began); e.requests >= epochRequests*(l.limit+1) && took >= max(epochTime, 2*l.rtt) {
		l.judge(e, took)
		*e = epoch{began: s.Now}
	}
}

// Overloaded is told when the server has refused a request because it is at a
// limit of its own: the lanes are halved at once, and no more are tried for a
// while.
func (l *Lanes) Overloaded() {
	if l.fixed {
		return
	}
	l.limit = max(l.Range.Least, l.limit/2)
	l.before, l.score, l.down, l.agreed = 0, 0, false, false
	l.rest, l.pause = lastPause, lastPause
	l.epoch = epoch{}
}

// judge ends an epoch.
func (l *Lanes) judge(e *epoch, took time.Duration) {
	mean := float64(e.inside) / float64(e.requests)
	speed := float64(e.statements) / took.Seconds() / mean
	switch {
	case l.before != 0:
		l.conclude(speed)
	case l.score == 0:
		l.score = speed
	case speed < l.score/2 || speed > 2*l.score:
		// Another load, server or path: what was found does not count any more.
		l.score, l.rest, l.pause, l.agreed = speed, 0, firstPause, false
	default:
		l.score += (speed - l.score) / 4
	}
	switch {
	case l.before != 0:
	case l.rest > 0:
		l.rest--
	case 2*e.busy < e.requests*l.limit:
		// More lanes than are in use make no difference, nor do a few fewer.
	default:
		l.try()
	}
}

// try changes the limit, to be judged by the next epoch.
func (l *Lanes) try() {
	next := l.limit + max(1, l.limit/2)
	if l.down {
		next = l.limit - max(1, l.limit/3)
	}
	next = min(max(next, l.Range.Least), l.Range.Most)
	if next == l.limit {
		l.down = !l.down
		return
	}
	l.before, l.limit = l.limit, next
}

// conclude keeps what a trial has changed, or takes it back.
func (l *Lanes) conclude(speed float64) {
	before, grew := l.before, l.limit > l.before
	l.before = 0
	gain, loss := gain, loss
	if l.serverNow > inflated*l.serverLeast {
		gain, loss = inflatedGain, inflatedLoss
	}
	switch succeeded := grew && speed > gain*l.score || !grew && speed > loss*l.score; {
	case !succeeded:
		l.limit, l.down, l.agreed = before, grew, false
		l.rest, l.pause = l.pause, min(2*l.pause, lastPause)
	case !l.agreed:
		// It may have been luck. The limit as it was is judged once more, and then
		// the trial is repeated.
		l.limit, l.agreed, l.rest = before, true, 1
	default:
		l.score, l.rest, l.pause, l.agreed = speed, 0, firstPause, false
		l.down = !grew // go on in the same direction
	}
}
