package limit

import (
	"math"
	"time"
)

// A poolSeeker finds how many connections are of use where the server does not
// tell its time, by trying fewer: while callers keep waiting whatever the size,
// the rate at which uses end is all that the server can do with it. If as many
// end with fewer connections, the others only stood in each other's way. On a
// path that has become longer fewer connections do less, and are taken back.
type poolSeeker struct {
	cap  float64 // +Inf without one
	best float64 // uses that end in a second with the cap before the trial

	before float64 // the cap before the trial under way; 0 without one
	up     bool    // the trial under way, or the next, is of more
	rest   int     // epochs to go before the next
	pause  int     // how many there are after a trial that failed

	epoch    time.Duration
	finished int
	held     time.Duration
	swing    bool // the epoch has only just begun: what ends began before it
}

const (
	// seekTime, seekUses and seekTimes are what an epoch takes at least: so long, so
	// many uses, and so many times as long as one of them.
	seekTime  = 500 * time.Millisecond
	seekUses  = 100
	seekTimes = 3
	// seekStep is the part that a trial takes away or gives back.
	seekStep = 0.25
	// seekLoss is how much less may end with fewer, seekGain how much more must with
	// more.
	seekLoss, seekGain = 0.96, 1.06

	seekFirstPause, seekLastPause = 4, 32
)

func (k *poolSeeker) observe(s PoolSample, size int, backlog float64, told bool, least float64) {
	if told || backlog == 0 {
		// There is better to go by, or enough for all.
		*k = poolSeeker{cap: math.Inf(1)}
		return
	}
	k.epoch += s.Interval
	k.finished += s.Finished
	k.held += s.Held
	if k.finished < seekUses || k.epoch < seekTime || k.epoch < seekTimes*k.held/time.Duration(k.finished) {
		return
	}
	rate := float64(k.finished) / k.epoch.Seconds()
	k.epoch, k.finished, k.held = 0, 0, 0
	if k.swing = !k.swing; k.swing {
		return // the size has only just changed
	}
	k.conclude(rate)
	if k.before != 0 {
		return
	}
	if k.rest > 0 {
		k.rest--
		k.swing = true
		return
	}
	k.try(float64(size), least)
}

// conclude keeps what a trial has changed, or takes it back.
func (k *poolSeeker) conclude(rate float64) {
	before := k.before
	k.before = 0
	switch {
	case before == 0:
		k.best = rate
	case !k.up && rate >= seekLoss*k.best, k.up && rate >= seekGain*k.best:
		k.best = max(rate, k.best*seekLoss)
		k.pause = seekFirstPause
	default:
		k.cap, k.up = before, !k.up
		k.rest, k.pause = k.pause, min(max(2*k.pause, seekFirstPause), seekLastPause)
	}
}

func (k *poolSeeker) try(size, least float64) {
	now := min(k.cap, size)
	next := max(math.Floor(now*(1-seekStep)), least)
	if k.up {
		next = math.Ceil(now / (1 - seekStep))
	}
	if next == now {
		k.up = !k.up
		return
	}
	k.before, k.cap = k.cap, next
}
