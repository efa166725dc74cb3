package stream

import (
	"context"
	"errors"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// maxAttempts bounds how often one request is sent here.
const maxAttempts = 3

// remedy is what may be done about a request that failed without having been
// executed, or that may be executed twice.
type remedy uint8

const (
	// none: it would fail again, or be executed twice.
	none remedy = iota
	// reopen: the server has dropped the stream that was kept on it. Another costs
	// one round trip; it is sent at once, and never twice, since a new stream has
	// no baton that could be refused.
	reopen
	// wait: something on the way is in trouble, for a moment perhaps.
	wait
)

// remedyFor is the table of what is sent again; docs/semantics.md has it in words,
// with what is done elsewhere: 401 in hranahttp, 429, 503 and SQLITE_BUSY in lane.
func remedyFor(class exec.Class, e *exec.Error) remedy {
	switch {
	case e == errUnreceived:
		return reopen // where it was: see overdue.go
	case class != exec.Read && e.Proof != exec.NotExecuted, e.Hopeless:
		return none
	case e.Source == exec.FromTransport && errors.Is(e, context.DeadlineExceeded):
		return reopen // the horizon's limit: see pipelineRead
	case e.Source == exec.FromTransport:
		return wait
	case e.Source != exec.FromServer:
		return none
	}
	switch e.Status {
	case 400, 404, 410:
		if e.StreamLost {
			return reopen
		}
	case 408, 502, 504:
		return wait
	case 500:
		if e.StreamLost {
			return wait
		}
	}
	return none
}

// tries are the attempts at one request.
type tries struct {
	failed   int
	reopened bool
	waited   time.Duration // before the attempt that is next
	backoff  limit.Backoff
}

// again tells whether to send once more what has failed with e, when the time for
// that has come.
func (t *tries) again(ctx context.Context, p *Pool, class exec.Class, e *exec.Error) bool {
	remedy := remedyFor(class, e)
	if remedy == reopen && e.Source == exec.FromServer && !t.reopened && ctx.Err() == nil {
		// It does not count: the attempts before may all have been made while the
		// server was away, and have kept the baton that the next one does not know.
		t.reopened = true
		p.retries.Add(1)
		return true
	}
	if t.failed++; t.failed >= maxAttempts || ctx.Err() != nil {
		return false
	}
	t.waited = 0
	switch remedy {
	case none:
		return false
	case wait:
		d := t.backoff.Next(e.RetryAfter)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d || d > longestWait || !p.budget.Spend() {
			return false
		}
		t.waited = d
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	p.retries.Add(1)
	return true
}

// errBehind is for a read whose caller would have waited longer than the driver does
// for a replica.
var errBehind = &exec.Error{Source: exec.FromServer, Proof: exec.NotExecuted,
	Message: "the replica has not caught up with what has been written or read before"}

// told is the error for the caller: the context's own, if that has ended a wait.
func (t *tries) told(ctx context.Context, e *exec.Error) *exec.Error {
	if e.Source == exec.FromTransport && errors.Is(e, context.DeadlineExceeded) && ctx.Err() == nil {
		return errBehind // the limit was ours
	}
	if err := ctx.Err(); err != nil && t.failed > 0 && !errors.Is(e, err) {
		return &exec.Error{Source: exec.FromClient, Proof: e.Proof, StreamLost: e.StreamLost, Err: err}
	}
	return e
}

// longestWait is the longest that a server may ask for.
const longestWait = 30 * time.Second
