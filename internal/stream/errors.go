package stream

import (
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// stmtError is the server's error for one statement. sqld sends these inside an
// answer of status 200: the statement was looked at, and failed.
func stmtError(e *hrana.Error) *exec.Error {
	if e == nil {
		return nil
	}
	x := &exec.Error{Source: exec.FromStatement, Proof: exec.Failed, Code: e.Code, Extended: e.ExtendedCode, Message: e.Message}
	switch e.Code {
	case "SQL_PARSE_ERROR", "SQL_NO_STATEMENT", "SQL_MANY_STATEMENTS", "ARGS_INVALID", "ARGS_BOTH_POSITIONAL_AND_NAMED":
		x.Proof = exec.NotExecuted
	case codeTooLarge:
		// The statement has run to its end; only its answer was thrown away.
		x.Proof = exec.OutcomeUnknown
	}
	return x
}

const (
	codeTooLarge  = "RESPONSE_TOO_LARGE"
	codeTxTimeout = "TRANSACTION_TIMEOUT"
)

// TooLarge tells whether a statement failed only because its result exceeds the
// server's limit for one response.
func TooLarge(e *exec.Error) bool { return e != nil && e.Code == codeTooLarge }

// TxTimeout tells whether the server has taken the transaction away because
// another writer was waiting.
func TxTimeout(e *exec.Error) bool { return e != nil && e.Code == codeTxTimeout }

// badReply is for an answer whose shape does not fit the request.
func badReply(what string) *exec.Error {
	return &exec.Error{Source: exec.FromProtocol, Message: "the server answered " + what, StreamLost: true}
}

var errClosed = &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeClosed, Message: "the connector is closed"}
