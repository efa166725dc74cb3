package tursoopt

import (
	"context"
	"time"
)

// A Tracer is told when statements begin and end. One that is a RequestTracer, a
// RetryTracer or a DialTracer too is told of these, which is found out once. Its
// methods may be called by any number of goroutines at once, and a statement waits
// for them. Without a Tracer nothing of this costs anything.
//
// No event holds a token or an argument, and SQL has its literals replaced. A
// Batch, and what a pipelined transaction has put off, is told statement by
// statement. BEGIN, COMMIT and ROLLBACK of a sql.Tx are statements where they ask
// the server for something. On a base other than the native one nothing is told.
type Tracer interface {
	// StatementStart is called before a text is run. The context that it returns is
	// that of StatementEnd, and of the statement's requests, unless it shares them.
	StatementStart(ctx context.Context, e StatementStart) context.Context
	StatementEnd(ctx context.Context, e StatementEnd)
}

// A StatementStart is a text that is about to be run.
type StatementStart struct {
	SQL string
	Tx  bool // in a transaction
}

// A StatementEnd is what has become of a text: all of its results are there, or
// have begun to arrive.
type StatementEnd struct {
	SQL string
	// Took is how long the caller has waited, Server what the server says of its own
	// work, 0 if nothing.
	Took, Server time.Duration
	// Rows are those that are there, without those that are still to arrive.
	// RowsAffected are those that were written.
	Rows, RowsAffected int64
	// Cached: it has cost no request of its own, because the result was known, or
	// another caller had just asked for it.
	Cached bool
	Err    error
}

// A RequestTracer is told of HTTP requests, whoever shares them, and of those that the
// driver makes for itself, such as one that ends a stream. Pings of idle connections
// and what finds out the server's encodings are not told.
type RequestTracer interface {
	// RequestStart is called before a request is sent. The context that it returns is
	// that of RequestEnd. It is given that of the statement, or one without values if
	// several callers share the request.
	RequestStart(ctx context.Context, e RequestStart) context.Context
	RequestEnd(ctx context.Context, e RequestEnd)
}

// A RequestStart is a request that is about to be sent.
type RequestStart struct {
	// Callers is how many wait for its answer, and Statements how many they want run;
	// both are 0 if the driver asks for itself.
	Callers, Statements int
	// Retries is how many times the same was sent before.
	Retries int
	Sent    int // bytes of the body
}

// A RequestEnd is what has become of a request: its answer is there, of a result that
// is too large for one the first part, or it has failed. If the token had to be
// renewed, there are two requests in it.
type RequestEnd struct {
	RequestStart
	// Took is how long it has taken, Server what the server says of its own work, 0
	// if nothing.
	Took, Server time.Duration
	Received     int // bytes of the body
	Err          error
}

// A RetryTracer is told when something is about to be sent again: what the last
// attempt has failed with, how many there were, and how long the next one was put
// off.
type RetryTracer interface {
	Retry(ctx context.Context, cause error, attempts int, waited time.Duration)
}

// A DialTracer is told when a connection has been opened, or has not been, before TLS.
// The context may be that of a statement that another connection serves in the end.
// Connections of a Shared are told to its own.
type DialTracer interface {
	DialEnd(ctx context.Context, addr string, took time.Duration, err error)
}
