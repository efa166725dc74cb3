package lane

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// An Outage tells whether the server is down, so that who waits for a place or a
// lane need not wait for it to fail.
type Outage interface {
	// Down is closed while the server is down. It is asked for at the beginning of
	// each wait, since it is another one afterwards; nil if nothing is known.
	Down() <-chan struct{}
	// Refusal is the error of a statement that is not sent because of that.
	Refusal() *exec.Error
}

// never is for servers of which nothing is known.
type never struct{}

func (never) Down() <-chan struct{} { return nil }
func (never) Refusal() *exec.Error  { return nil }

// sleep waits, and gives the error of who has waited in vain: the context has ended,
// or the server is down.
func sleep(ctx context.Context, o Outage, d time.Duration) *exec.Error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx, false)
	case <-o.Down():
		return o.Refusal()
	}
}
