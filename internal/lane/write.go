package lane

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// A database that is locked is tried again: under contention sqld says so now
// and then to a writer that has not waited for its turn.
const (
	firstBusy = 4 * time.Millisecond
	lastBusy  = 500 * time.Millisecond
	maxBusy   = 10
)

// write runs a write that shares nothing, when the gate lets it in.
func (l *Lanes) write(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	pass, err := l.gate.Enter(ctx)
	if err != nil {
		return nil, err
	}
	return l.writeInside(ctx, pass, req)
}

// writeInside is write for who has been let in. It keeps the place for as long as
// the server may be at it, also after its caller has left.
func (l *Lanes) writeInside(ctx context.Context, pass *Pass, req *exec.Request) (*exec.Response, error) {
	if ctx.Done() != nil {
		own := *req
		own.Late = pass.Leave
		req = &own
	}
	var resp *exec.Response
	var err error
	l.WhileLocked(ctx, func(ctx context.Context) (locked bool) {
		began := time.Now()
		if resp, err = l.once(ctx, pass, req); err != nil {
			return false
		}
		pass.Observe(time.Since(began), serverTime(resp))
		return Locked(resp.Results[0].Err)
	})
	if !stream.Abandoned(ctx, err) {
		pass.Leave()
	}
	return resp, err
}

// WhileLocked runs f, in ctx or one of its kind, and again after a while for as long as it reports that the
// database is locked, a few times at most and not beyond ctx. That is not taken
// from the budget: the server is well, and the gate keeps writers few.
func (l *Lanes) WhileLocked(ctx context.Context, f func(ctx context.Context) (locked bool)) {
	backoff := limit.Backoff{First: firstBusy, Last: lastBusy}
	for try := 1; f(ctx) && l.budget != nil && try < maxBusy; try++ {
		d := backoff.Next(0)
		if !l.sleepWithin(ctx, d) {
			return
		}
		l.counters.locked.Add(1)
		l.counters.resent.Add(1)
		ctx = l.retry(ctx, errLocked, d)
	}
}

// errLocked is what a Trace is told.
var errLocked = &exec.Error{Source: exec.FromStatement, Proof: exec.Failed, Code: "SQLITE_BUSY", Message: "database is locked"}

// sleepWithin is sleep that is not begun if the context's deadline comes first.
func (l *Lanes) sleepWithin(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return (!ok || time.Until(deadline) > d) && sleep(ctx, l.outage, d) == nil
}

// Locked tells whether a statement has failed because another connection had
// locked the database, so that it has changed nothing.
func Locked(e *exec.Error) bool { return e != nil && e.Code == "SQLITE_BUSY" }
