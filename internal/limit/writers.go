package limit

import "time"

// Writers is how many writers may be on their way to a server that works on one
// at a time and has the others wait inside.
//
// The server's own time for a write includes the wait for the others, so the
// share of a round trip that it makes up is the share of the writers who are
// inside. They should be Inside many: fewer would leave the server idle on a
// long path, more only wait there. The path is never guessed: it is what is left
// of the round trip.
//
// It is not safe for concurrent use.
type Writers struct {
	Inside, Most int
	limit        float64
}

// overhead is what HTTP costs beside the path: what a server on the same machine
// does with a request before and after the statement is no distance.
const overhead = time.Millisecond

// NewWriters returns a number that begins at inside, the least, and never
// exceeds most.
func NewWriters(inside, most int) *Writers {
	return &Writers{Inside: inside, Most: most, limit: float64(inside)}
}

// Limit is the number of writers now.
func (w *Writers) Limit() int { return int(w.limit) }

// Observe learns from a write: how many were on their way when it ended, itself
// included, its round trip, and the server's time for it, 0 if the server did
// not say.
func (w *Writers) Observe(busy int, roundTrip, server time.Duration) {
	if server <= 0 || roundTrip <= 0 || busy <= 0 {
		return
	}
	target := float64(w.Inside)
	path := max(0, roundTrip-server-overhead)
	inside := float64(busy) * float64(server) / float64(server+path)
	// Over one round trip, in which limit writes end, this moves it by a quarter of
	// the difference. Faster would overshoot: what is seen is one round trip old.
	step := (target - inside) / (4 * w.limit)
	if step > 0 && float64(busy) < w.limit-1 {
		return // nobody waits for more
	}
	w.limit = min(max(w.limit+step, target), float64(w.Most))
}
