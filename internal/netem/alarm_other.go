//go:build !linux

package netem

import (
	"sync"
	"time"
)

// An alarm waits as precisely as the runtime's timers do.
type alarm struct {
	done chan struct{}
	once sync.Once
}

func newAlarm() (*alarm, error) { return &alarm{done: make(chan struct{})}, nil }

// until waits for t. It reports false if the alarm was stopped.
func (a *alarm) until(t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.done:
		return false
	}
}

func (a *alarm) stop() { a.once.Do(func() { close(a.done) }) }
