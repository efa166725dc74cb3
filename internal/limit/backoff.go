package limit

import (
	"math/rand/v2"
	"time"
)

// Waits before something is sent again.
const (
	firstWait = 20 * time.Millisecond
	lastWait  = 2 * time.Second
)

// A Backoff gives the waits before one thing is tried again and again: twice as
// long each time, of which a random part is taken, so that those who failed
// together do not come back together ("full jitter"). The zero value is ready.
type Backoff struct{ next time.Duration }

// Next is the next wait, and at least what the server asked for.
func (b *Backoff) Next(retryAfter time.Duration) time.Duration {
	if b.next == 0 {
		b.next = firstWait
	}
	wait := rand.N(b.next) + time.Millisecond
	b.next = min(2*b.next, lastWait)
	return max(wait, retryAfter)
}
