package cache

import "time"

// An Instant is read from two clocks, in nanoseconds: the wall's, which somebody
// may set, and a monotonic one, which may stand still while the machine sleeps.
type Instant struct{ Wall, Mono int64 }

// A Clock gives the time.
type Clock func() Instant

// SystemClock is the machine's.
func SystemClock() Clock {
	start := time.Now()
	return func() Instant {
		now := time.Now()
		return Instant{Wall: now.UnixNano(), Mono: int64(now.Sub(start))}
	}
}

// Younger tells whether less than d has passed since then, by both clocks. A wall
// clock that has gone back says nothing, which is no.
func (now Instant) Younger(then Instant, d time.Duration) bool {
	wall, mono := now.Wall-then.Wall, now.Mono-then.Mono
	return wall >= 0 && wall < int64(d) && mono < int64(d)
}
