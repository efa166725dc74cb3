package lane

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// Waiting for a server at its limit.
const (
	maxBackoffs = 8
	// longestWait is the longest that a server may ask for; the error of one that
	// asks for more is the caller's.
	longestWait = 30 * time.Second
)

// refused tells whether the server has refused a request because it is at a
// limit of its own, and it may be sent again. The stream is lost with it where
// there was one, so who holds state on it must not ask.
func refused(err error, class exec.Class) bool {
	e, ok := err.(*exec.Error)
	return ok && e.Source == exec.FromServer && (e.Status == 429 || e.Status == 503) &&
		(class == exec.Read || e.Proof == exec.NotExecuted)
}

// Once runs f, which sends a request for the first time and only once.
func (l *Lanes) Once(f func() error) error {
	l.budget.Earn()
	return f()
}

// Patiently runs f, in ctx or one of its kind, and again for as long as the server refuses because it is at a
// limit of its own, after a wait that grows and that the server may set. It
// returns f's last error. What is sent again to a server in trouble (503) is taken
// from one budget. One that is full (429) is well, and refuses at the door: a crowd
// of callers is to wait there, not to fail. Nothing waits beyond ctx's deadline: the
// error comes at once then.
//
// pass is f's right to write, nil if it needs none. Nobody holds it while he waits:
// the server has no stream for him, and those who have the streams may be waiting
// for that right. If it is not given again, the error says so and pass is left.
func (l *Lanes) Patiently(ctx context.Context, class exec.Class, pass *Pass, f func(ctx context.Context) error) error {
	l.budget.Earn()
	err := f(ctx)
	var backoff limit.Backoff
	for try := 0; refused(err, class); try++ {
		l.reads.overloaded()
		e := err.(*exec.Error)
		wait := backoff.Next(e.RetryAfter)
		deadline, ok := ctx.Deadline()
		if l.budget == nil || try == maxBackoffs || wait > longestWait || ok && time.Until(deadline) <= wait {
			break
		}
		if e.Status != 429 && !l.budget.Spend() {
			break
		}
		l.counters.backoffs.Add(1)
		pass.Leave()
		if err := sleep(ctx, l.outage, wait); err != nil {
			return err
		}
		if e := pass.again(ctx); e != nil {
			return e
		}
		l.counters.resent.Add(1)
		ctx = l.retry(ctx, e, wait)
		err = f(ctx)
	}
	return err
}
