package tursoopt

import (
	"database/sql/driver"
	"errors"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// Errors to compare with by errors.Is.
var (
	// ErrTxLost: the transaction is not open any more on the server.
	ErrTxLost = errors.New("turso-opt: the transaction is lost")
	// ErrSessionLost: the server has dropped what the connection had set up.
	ErrSessionLost = errors.New("turso-opt: the session's state is lost")
	// ErrUnavailable: the server is down, as the requests before and a ping have
	// shown. Nothing was sent, and nothing will be until it answers a ping.
	ErrUnavailable = errors.New("turso-opt: the server is down")
	// ErrClosed: the Connector is closed.
	ErrClosed = errors.New("turso-opt: closed")
)

// An Error is what a statement or request failed with. Its exported fields are
// also its JSON, where GORM's sqlite dialector looks for ExtendedCode.
type Error struct {
	// Code is SQLite's primary result code, 0 if SQLite was not reached.
	Code int
	// ExtendedCode is SQLite's extended result code, derived from the message
	// where the server names only the primary one, as sqld does. A violated primary key is 2067
	// like any unique constraint, since SQLite words both alike.
	ExtendedCode int
	// Message is the server's; it holds no credentials.
	Message string
	// ServerCode is the server's name of the error, such as SQLITE_CONSTRAINT.
	ServerCode string
	// HTTPStatus is 0 if no HTTP answer came.
	HTTPStatus int
	// RetryAfter is what the server asked for, 0 if it did not.
	RetryAfter time.Duration
	// Statement counts from 0 in a text of several statements; -1 if not known.
	Statement int
	// SQL is the statement with its literals replaced.
	SQL string

	proof exec.Proof
	// refused: the driver itself will not send such a request, however often it is
	// asked.
	refused bool
	trouble bool // see isTrouble
	cause   error
}

// newError is e for the caller; sqlText may be empty and stmt -1.
func newError(e *exec.Error, sqlText string, stmt int) error {
	if e == nil {
		return nil
	}
	x := &Error{
		Message: e.Message, ServerCode: e.Code, HTTPStatus: e.Status, RetryAfter: e.RetryAfter,
		Statement: stmt, SQL: sqltext.Redact(sqlText), proof: e.Proof, cause: e.Err,
		refused: e.Source == exec.FromClient && e.Hopeless, trouble: isTrouble(e),
	}
	x.Code, x.ExtendedCode = sqliteCodes(e.Code, e.Extended, e.Message)
	return x
}

func (e *Error) Error() string {
	x := exec.Error{Code: e.ServerCode, Message: e.Message, Status: e.HTTPStatus, Err: e.cause}
	return "turso-opt: " + x.Error()
}

func (e *Error) Unwrap() error { return e.cause }

// Is makes the driver's own codes equal to ErrTxLost, ErrSessionLost,
// ErrUnavailable and ErrClosed; a transaction that the server took away is lost too.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrTxLost:
		return e.ServerCode == exec.CodeTxLost || e.ServerCode == "TRANSACTION_TIMEOUT"
	case ErrSessionLost:
		return e.ServerCode == exec.CodeSessionLost
	case ErrUnavailable:
		return e.ServerCode == exec.CodeUnavailable
	case ErrClosed:
		return e.ServerCode == exec.CodeClosed
	}
	return false
}

func (e *Error) retryable() bool {
	if e.proof == exec.OutcomeUnknown || e.refused || e.Is(ErrClosed) {
		return false
	}
	switch {
	case e.Code == 5, e.Code == 6, e.Is(ErrTxLost), e.Is(ErrUnavailable), e.ServerCode == "STREAM_EXPIRED":
		return true
	case e.HTTPStatus == 429, e.HTTPStatus == 503:
		return true
	}
	return e.proof == exec.NotExecuted && e.HTTPStatus == 0 && e.Code == 0 && e.ServerCode == ""
}

// A sentError is a context's end after the statement had been sent.
type sentError struct{ ctxErr error }

func (e *sentError) Error() string {
	return "turso-opt: " + e.ctxErr.Error() + " (the statement was sent; its outcome is unknown)"
}
func (e *sentError) Unwrap() error { return e.ctxErr }

// ctxError is a context's error for the caller.
func ctxError(ctxErr error, sent bool) error {
	if ctxErr == nil || !sent {
		return ctxErr
	}
	return &sentError{ctxErr}
}

// OutcomeUnknown tells whether what failed with err may have been executed all
// the same, now or later. It sees through wrapped and joined errors.
func OutcomeUnknown(err error) bool {
	_, unknown, _ := verdict(err)
	return unknown
}

// Retryable tells whether the same call, or in a transaction the whole
// transaction, may be run again without being executed twice and with hope of
// success. It sees through wrapped and joined errors.
func Retryable(err error) bool {
	yes, unknown, no := verdict(err)
	return yes && !unknown && !no
}

func verdict(err error) (yes, unknown, no bool) {
	switch e := err.(type) {
	case nil:
		return false, false, false
	case *Error:
		u, r := e.proof == exec.OutcomeUnknown, e.retryable()
		return r, u, !r
	case *sentError:
		return false, true, true
	case interface{ Unwrap() []error }:
		for _, sub := range e.Unwrap() {
			y, u, n := verdict(sub)
			yes, unknown, no = yes || y, unknown || u, no || n
		}
		return yes, unknown, no
	case interface{ Unwrap() error }:
		return verdict(e.Unwrap())
	}
	return err == driver.ErrBadConn, false, false
}

// asExec is the *exec.Error that a layer's error is; nil for others.
func asExec(err error) *exec.Error {
	if err == nil {
		return nil // by far the most
	}
	var e *exec.Error
	errors.As(err, &e)
	return e
}
