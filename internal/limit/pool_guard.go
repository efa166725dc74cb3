package limit

import (
	"fmt"
	"math"
	"time"
)

// A poolGuard says how many connections a server can bear. It goes by what the
// server says: the time it has worked, and what it refuses. If it says nothing,
// see poolSeeker.
type poolGuard struct {
	min, max float64
	cooldown time.Duration

	// Of the uses and statements that have ended lately, faded alike, so that they
	// can be compared: the time that has passed, that of the uses and of the
	// statements inside the server, in seconds, and how many statements there were.
	passed, held, server, answered float64

	alone   float64 // a statement's time while few are inside, in seconds
	crowded bool
	crowd   float64 // the cap while statements hinder each other, +Inf without one
	room    float64 // what crowd follows, in steps: it is never still

	refusals int           // in the last interval that had any
	calm     time.Duration // since the server last refused anything
	refused  float64       // the cap after refusals, +Inf without one
	settled  time.Duration // since that was last lowered

	seeker poolSeeker
}

const (
	// guardMemory is how long the guard's averages remember, aloneMemory how long
	// it takes to learn that a statement takes longer now, and alonePlenty how many
	// statements are enough to learn from.
	guardMemory = 300 * time.Millisecond
	aloneMemory = 2 * time.Second
	alonePlenty = 20

	// fewInside is how many statements inside a server never are too many.
	fewInside = 8
	// crowding is how many times its time alone a statement takes inside a server
	// that has too much to do, and relief when that is over.
	crowding, relief = 3, 2
	// crowdUp is how much the cap rises in a second, as a part of it, while the
	// server has room, and nearUp while it has little.
	crowdUp, nearUp = 1.0, 0.1
	// crowdStep is by which part of it the cap moves at least.
	crowdStep = 0.1

	// refusedDown is what refusals leave of the connections in use, and refusedUp
	// how much that rises in a second when there have been none for a cooldown.
	refusedDown, refusedUp = 0.9, 0.2
	// refusedEvery is how long the server is given to answer to fewer connections
	// before still fewer are tried.
	refusedEvery = 500 * time.Millisecond
)

func newPoolGuard(cfg PoolConfig) poolGuard {
	return poolGuard{
		min: float64(cfg.Min), max: float64(cfg.Max), cooldown: cfg.Cooldown,
		crowd: math.Inf(1), room: math.Inf(1), refused: math.Inf(1), seeker: poolSeeker{cap: math.Inf(1)},
	}
}

// observe takes an interval into account: with how many connections, and how many
// callers were left waiting.
func (g *poolGuard) observe(s PoolSample, size int, backlog float64) {
	g.measure(s)
	g.watchCrowd(s, backlog)
	g.watchRefusals(s)
	g.seeker.observe(s, size, backlog, g.answered > 0, g.min)
}

// bound is how many connections there may be, +Inf if there is no reason for one.
func (g *poolGuard) bound() float64 { return min(g.crowd, g.refused, g.seeker.cap) }

// reason says why there may not be more.
func (g *poolGuard) reason() string {
	switch g.bound() {
	case g.refused:
		return fmt.Sprintf("the server has refused %d", g.refusals)
	case g.crowd:
		return fmt.Sprintf("%.0f statements in the server take %.1f times as long as few do", g.inside(), g.times())
	}
	return fmt.Sprintf("more bring no more than %.0f uses/s", g.seeker.best)
}

func (g *poolGuard) measure(s PoolSample) {
	f := fade(s.Interval, guardMemory)
	g.passed = g.passed*f + s.Interval.Seconds()
	g.held = g.held*f + s.Held.Seconds()
	g.server = g.server*f + s.Server.Seconds()
	g.answered = g.answered*f + float64(s.Answered)
	if s.Answered == 0 {
		return
	}
	now, memory := g.server/g.answered, aloneMemory
	switch {
	case g.alone == 0:
		g.alone = now
		return
	case now < g.alone:
		memory = guardMemory
	case g.inside() > fewInside:
		return
	}
	// A handful of statements says little.
	g.alone += (now - g.alone) * (1 - fade(s.Interval, memory)) * min(1, g.answered/alonePlenty)
}

// inside is how many statements are in the server, by Little's law.
func (g *poolGuard) inside() float64 { return g.server / g.passed }

// times is how many times as long as alone a statement takes.
func (g *poolGuard) times() float64 {
	if g.answered < 1 || g.alone == 0 {
		return 1
	}
	return g.server / g.answered / g.alone
}

func (g *poolGuard) watchCrowd(s PoolSample, backlog float64) {
	inside, times := g.inside(), g.times()
	if g.crowded {
		g.crowded = inside > fewInside && times > relief
	} else {
		// While nobody waits the server keeps up. Of few on average there are more at
		// times.
		g.crowded = inside > staff(fewInside) && times > crowding && backlog > 0
	}
	if g.crowded {
		// What is not in the server may go on as it is. inside/times is what the
		// server has to do, which it can do side by side at most.
		elsewhere := max(0, g.held-g.server) / g.passed
		g.room = max(g.min, elsewhere+max(fewInside, crowding*inside/times))
	} else {
		up := crowdUp
		if inside > fewInside/2 {
			up = nearUp
		}
		g.room = raise(g.room, up, s.Interval, g.max)
	}
	if math.IsInf(g.room, 1) || math.IsInf(g.crowd, 1) || math.Abs(g.room-g.crowd) > g.crowd*crowdStep {
		g.crowd = g.room
	}
}

func (g *poolGuard) watchRefusals(s PoolSample) {
	g.calm += s.Interval
	g.settled += s.Interval
	switch {
	case s.Refused > 0:
		if g.settled >= refusedEvery || math.IsInf(g.refused, 1) {
			// Those that were refused may have gone by now.
			inUse := max(float64(s.InUse), g.held/g.passed)
			g.refused, g.settled = max(g.min, min(g.refused, inUse)*refusedDown), 0
		}
		g.refusals, g.calm = s.Refused, 0
	case g.calm >= g.cooldown:
		g.refused = raise(g.refused, refusedUp, s.Interval, g.max)
	}
}

// raise lifts a cap by a part of it in a second, and takes it away when it is of
// no use any more.
func raise(bound, part float64, interval time.Duration, most float64) float64 {
	if bound += max(3, bound*part) * interval.Seconds(); bound > most {
		return math.Inf(1)
	}
	return bound
}
