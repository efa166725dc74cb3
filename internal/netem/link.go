package netem

import (
	"sync"
	"time"
)

// A link is one direction of the network. Bandwidth is a queue that all
// connections stand in: link.free is when the last byte handed to it has left.
type link struct {
	mu   sync.Mutex
	free time.Time
}

// arrival is when n bytes that are ready to leave at start reach the other end.
// Only the time on the wire adds up from one call to the next; the delay does
// not, so that any amount may be under way at once.
func (l *link) arrival(start time.Time, n int, bytesPerSecond int64, delay time.Duration) time.Time {
	if bytesPerSecond <= 0 {
		return start.Add(delay)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.Before(start) {
		l.free = start
	}
	l.free = l.free.Add(time.Duration(float64(n) / float64(bytesPerSecond) * float64(time.Second)))
	return l.free.Add(delay)
}
