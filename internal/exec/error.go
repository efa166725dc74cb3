package exec

import (
	"strconv"
	"strings"
	"time"
)

// Source tells who an Error comes from.
type Source uint8

const (
	// FromStatement: the server ran (or refused) one statement and said why.
	FromStatement Source = iota
	// FromServer: the server answered the request as a whole with an error.
	FromServer
	// FromTransport: no complete answer came.
	FromTransport
	// FromProtocol: an answer came that is not Hrana.
	FromProtocol
	// FromClient: the driver itself refused or gave up.
	FromClient
)

// Proof is what an error proves about the execution of the statements it is
// about. Everything that decides whether to send again asks it, and nothing
// else.
type Proof uint8

const (
	// OutcomeUnknown: they may or may not have been executed, now or later.
	OutcomeUnknown Proof = iota
	// NotExecuted: they were not and will not be executed; the server's state is
	// as before.
	NotExecuted
	// Failed: the statement was executed and failed; SQLite undid what it had
	// done.
	Failed
)

// An Error is every error that the layers below the root package return, except
// a context's own.
type Error struct {
	Source Source
	Proof  Proof
	// Code is the server's name of the error, such as SQLITE_CONSTRAINT or
	// STREAM_EXPIRED; empty if it gave none.
	Code string
	// Extended is the server's name of SQLite's extended code; empty if it gave
	// none.
	Extended string
	// Message is the server's, or ours where there is none. It holds neither
	// tokens nor the SQL's values.
	Message string
	// Status is the HTTP status, 0 if there was no HTTP answer.
	Status int
	// RetryAfter is what the server asked for, 0 if it did not.
	RetryAfter time.Duration
	// Hopeless: the same request would fail the same way, as with a name that
	// nobody knows or a certificate that is not trusted.
	Hopeless bool
	// StreamLost: the server's stream is gone, or in a state nobody knows.
	StreamLost bool
	// Err is the cause below, for errors.Is and errors.As; may be nil.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Status != 0 && e.Status != 200 {
		b.WriteString("HTTP " + strconv.Itoa(e.Status) + ": ")
	}
	if e.Code != "" {
		b.WriteString(e.Code + ": ")
	}
	b.WriteString(e.Message)
	if e.Err != nil {
		if e.Message != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Codes that the driver itself gives; a server's codes never begin like this.
const (
	// CodeClosed: the connector is closed.
	CodeClosed = "TURSO_OPT_CLOSED"
	// CodeUnavailable: the server is down, and nothing is sent to it until it answers
	// a ping.
	CodeUnavailable = "TURSO_OPT_UNAVAILABLE"
	// CodeTxLost: the transaction is not open any more on the server.
	CodeTxLost = "TURSO_OPT_TX_LOST"
	// CodeSessionLost: the stream that held the session's state is gone.
	CodeSessionLost = "TURSO_OPT_SESSION_LOST"
)
