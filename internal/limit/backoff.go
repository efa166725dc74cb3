package limit

import (
	"math/rand/v2"
	"time"
)

// Waits before something is sent again, where a Backoff does not say otherwise.
const (
	firstWait = 20 * time.Millisecond
	lastWait  = 2 * time.Second
)

// A Backoff gives the waits before one thing is tried again and again: twice as
// long each time, of which a random part is taken, so that those who failed
// together do not come back together ("full jitter"). The zero value is ready.
type Backoff struct {
	// First and Last bound the first wait and any; 0 for 20 ms and 2 s.
	First, Last time.Duration

	next time.Duration
}

// Next is the next wait, and at least what the server asked for.
func (b *Backoff) Next(retryAfter time.Duration) time.Duration {
	last := b.Last
	if last == 0 {
		last = lastWait
	}
	switch {
	case b.next > 0:
	case b.First > 0:
		b.next = b.First
	default:
		b.next = firstWait
	}
	wait := rand.N(b.next) + time.Millisecond
	b.next = min(2*b.next, last)
	return max(wait, retryAfter)
}
