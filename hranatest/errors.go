package hranatest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A failure ends a whole HTTP request, and with it the stream. What its
// statements did until then is not undone, except that an open transaction is
// rolled back.
type failure struct {
	status int
	// message is a text/plain body, unless json or code says otherwise: json is
	// {"error": message} with the code if there is one, code alone is Hrana's
	// error in the encoding of the request.
	message string
	json    bool
	code    string
	// undecodable: the body was not what was expected.
	undecodable bool
}

func (f *failure) Error() string { return f.message }

// misuse is what sqld says to a client that does not keep to the protocol.
func misuse(message string) *failure {
	return &failure{status: http.StatusBadRequest, message: message}
}

// internal is sqld's way with errors it has no better answer for.
func internal(message string) *failure {
	return &failure{status: http.StatusInternalServerError, message: message, json: true}
}

var (
	errBatonInvalid = misuse("Received an invalid baton")
	errBatonReused  = misuse("Received a baton that has already been used")
	errStreamClosed = misuse("Stream for this baton was closed")
	errStreamGone   = &failure{
		status:  http.StatusBadRequest,
		message: "The stream has expired due to inactivity",
		code:    "STREAM_EXPIRED",
	}
	// errStreamLost is about a baton from before all were forgotten.
	errStreamLost   = misuse("Received an invalid baton")
	errNoStreamFree = &failure{
		status:  http.StatusTooManyRequests,
		message: "Timed out while opening database connection",
		json:    true,
	}
)

// A refusal is the error of one request of a pipeline, or of one step of a
// batch.
type refusal hrana.Error

func (r *refusal) Error() string { return r.Message }

func refuse(code, message string) *refusal { return &refusal{Code: code, Message: message} }

func parseRefusal(message string) *refusal {
	return refuse("SQL_PARSE_ERROR", "SQL string could not be parsed: "+message)
}

func argsRefusal(message string) *refusal {
	return refuse("ARGS_INVALID", "Arguments do not match SQL parameters: "+message)
}

var (
	errNoStmt       = refuse("SQL_NO_STATEMENT", "SQL string does not contain any statement")
	errManyStmts    = refuse("SQL_MANY_STATEMENTS", "SQL string contains more than one statement")
	errBothArgs     = refuse("ARGS_BOTH_POSITIONAL_AND_NAMED", "Specifying both positional and named arguments is not supported")
	errTooLarge     = refuse("RESPONSE_TOO_LARGE", "Response is too large")
	errTxTimeout    = refuse("TRANSACTION_TIMEOUT", "Transaction timed out")
	errServerClosed = refuse("SQLITE_INTERRUPT", "SQLite error: interrupted")
)

// codes are sqld's names of SQLite's primary codes. Those that are not listed,
// SQLITE_ERROR among them, are SQLITE_UNKNOWN.
var codes = map[sqlite3.ErrorCode]string{
	sqlite3.INTERNAL: "SQLITE_INTERNAL", sqlite3.PERM: "SQLITE_PERM", sqlite3.ABORT: "SQLITE_ABORT",
	sqlite3.BUSY: "SQLITE_BUSY", sqlite3.LOCKED: "SQLITE_LOCKED", sqlite3.NOMEM: "SQLITE_NOMEM",
	sqlite3.READONLY: "SQLITE_READONLY", sqlite3.INTERRUPT: "SQLITE_INTERRUPT", sqlite3.IOERR: "SQLITE_IOERR",
	sqlite3.CORRUPT: "SQLITE_CORRUPT", sqlite3.NOTFOUND: "SQLITE_NOTFOUND", sqlite3.FULL: "SQLITE_FULL",
	sqlite3.CANTOPEN: "SQLITE_CANTOPEN", sqlite3.PROTOCOL: "SQLITE_PROTOCOL", sqlite3.SCHEMA: "SQLITE_SCHEMA",
	sqlite3.TOOBIG: "SQLITE_TOOBIG", sqlite3.CONSTRAINT: "SQLITE_CONSTRAINT", sqlite3.MISMATCH: "SQLITE_MISMATCH",
	sqlite3.MISUSE: "SQLITE_MISUSE", sqlite3.NOLFS: "SQLITE_NOLFS", sqlite3.AUTH: "SQLITE_AUTH",
	sqlite3.RANGE: "SQLITE_RANGE", sqlite3.NOTADB: "SQLITE_NOTADB",
}

// sqliteRefusal is an error of SQLite as sqld tells it. Where SQLite knows the
// place in the text it is an input error, whatever else it may be.
func sqliteRefusal(err error, sql string) *refusal {
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) {
		return refuse("SQLITE_UNKNOWN", "SQLite error: "+err.Error())
	}
	message := messageOf(err)
	if at, ok := offsetOf(err, sql); ok {
		return refuse("SQL_INPUT_ERROR", "SQL input error: "+message+" (at offset "+itoa(at)+")")
	}
	name, ok := codes[code]
	if !ok {
		name = "SQLITE_UNKNOWN"
	}
	return refuse(name, "SQLite error: "+message)
}

// messageOf is SQLite's own message. The library puts its name and the text of
// the code in front of it.
func messageOf(err error) string {
	message := strings.TrimPrefix(err.Error(), "sqlite3: ")
	var code sqlite3.ErrorCode
	if errors.As(err, &code) {
		general := strings.TrimPrefix(code.Error(), "sqlite3: ")
		if special := strings.TrimPrefix(message, general+": "); special != message {
			message = special
		}
	}
	return older(message)
}

// older puts a message of today's SQLite into the words of the SQLite in sqld,
// 3.45.
func older(message string) string {
	if column, ok := strings.CutSuffix(message, `" - should this be a string literal in single-quotes?`); ok {
		return strings.Replace(column, `"`, "", 1)
	}
	return message
}

// offsetOf is where in the text SQLite found the error.
func offsetOf(err error, sql string) (int, bool) {
	var e *sqlite3.Error
	if !errors.As(err, &e) || e.SQL() == "" {
		return 0, false
	}
	return len(sql) - len(e.SQL()), true
}
