package hranahttp

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A Trace is told what a Client does. Each function may be nil, and is called by the
// goroutine that does it, with the context of whoever it is done for. A Trace that is
// nil is told nothing, and costs nothing.
type Trace struct {
	// Request is called before a pipeline or cursor is sent; what it gives, when it
	// has been answered, of a cursor the first part.
	Request func(ctx context.Context, a Asked) func(Answer)
	// Retry is called when something is about to be sent again, after it has been
	// waited for. It is sent in the context that it gives.
	Retry func(ctx context.Context, cause error, waited time.Duration) context.Context
}

// Asked is a request that is about to be sent.
type Asked struct {
	// Callers is how many wait for the answer, and Statements how many they want run;
	// 0 for what the driver asks for itself.
	Callers, Statements int
	Sent                int // bytes of the body
}

// An Answer is what became of a request.
type Answer struct {
	Received int // bytes of the body
	// Server is how long the server says that it has worked on the statements.
	Server time.Duration
	Err    error
}

// Trace is what is told; nil if nobody is.
func (c *Client) Trace() *Trace { return c.cfg.Trace }

type aboutKey struct{}

// About says of the requests that are sent in the context that it gives whose they
// are.
func (t *Trace) About(ctx context.Context, callers, statements int) context.Context {
	if t == nil || t.Request == nil {
		return ctx
	}
	return context.WithValue(ctx, aboutKey{}, Asked{Callers: callers, Statements: statements})
}

// Again tells that something is about to be sent again, in the context that it gives.
func (t *Trace) Again(ctx context.Context, cause error, waited time.Duration) context.Context {
	if t == nil || t.Retry == nil {
		return ctx
	}
	return t.Retry(ctx, cause, waited)
}

// requested tells of a request; the function is never nil.
func (c *Client) requested(ctx context.Context, q *call) func(Answer) {
	t := c.cfg.Trace
	if t == nil || t.Request == nil {
		return func(Answer) {}
	}
	asked, _ := ctx.Value(aboutKey{}).(Asked)
	asked.Sent = len(q.body)
	return t.Request(ctx, asked)
}

// serverTime is what the server says of its own work.
func serverTime(results []hrana.StreamResult) (sum time.Duration) {
	add := func(r *exec.Result) {
		if r != nil {
			sum += r.ServerTime
		}
	}
	for i := range results {
		add(results[i].Stmt)
		if b := results[i].Batch; b != nil {
			for _, r := range b.Steps {
				add(r)
			}
		}
	}
	return sum
}
