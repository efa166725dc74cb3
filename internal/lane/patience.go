package lane

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Waiting for a server at its limit.
const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 2 * time.Second
	maxBackoffs  = 8
	// longestWait is the longest that a server may ask for; the error of one that
	// asks for more is the caller's.
	longestWait = 30 * time.Second
)

// refused tells whether the server has refused a request because it is at a
// limit of its own, and it may be sent again.
func refused(err error, class exec.Class) bool {
	e, ok := err.(*exec.Error)
	return ok && e.Source == exec.FromServer && (e.Status == 429 || e.Status == 503) &&
		(class == exec.Read || e.Proof == exec.NotExecuted) && !e.StreamLost
}

// Patiently runs f, and again for as long as the server refuses because it is at a
// limit of its own, after a wait that grows and that the server may set. It
// returns f's last error.
func (l *Lanes) Patiently(ctx context.Context, class exec.Class, f func() error) error {
	err := f()
	if !refused(err, class) {
		return err
	}
	backoff := firstBackoff
	for range maxBackoffs {
		l.reads.overloaded()
		wait := max(rand.N(backoff), err.(*exec.Error).RetryAfter)
		if deadline, ok := ctx.Deadline(); wait > longestWait || ok && time.Until(deadline) < wait {
			return err
		}
		l.counters.backoffs.Add(1)
		if !sleep(ctx, wait) {
			return ended(ctx, false)
		}
		backoff = min(2*backoff, lastBackoff)
		if err = f(); !refused(err, class) {
			return err
		}
	}
	return err
}

// sleep reports false if the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
