// Package hrana holds the messages of the Hrana protocol over HTTP, versions 2
// and 3, and their two encodings, JSON and protobuf. It does no I/O.
//
// The protocol is specified in docs/HRANA_3_SPEC.md of tursodatabase/libsql;
// where sqld differs from it, a comment says so. Requests are encoded and
// responses decoded on the driver's hot path; the opposite direction serves
// hranatest.
package hrana

import "github.com/turso-opt/turso-opt/internal/exec"

// RequestType is what a client may ask of a stream.
type RequestType uint8

const (
	Close RequestType = iota + 1
	Execute
	BatchRequest
	Sequence
	Describe
	StoreSQL
	CloseSQL
	GetAutocommit
)

// A PipelineReq is the body of POST /v2/pipeline, /v3/pipeline and
// /v3-protobuf/pipeline. An empty Baton opens a new stream.
type PipelineReq struct {
	Baton    string
	Requests []StreamReq
}

// A StreamReq is one request of a pipeline. Which fields count depends on Type:
// Stmt for Execute, Batch for BatchRequest, SQL or SQLID for Sequence and
// Describe, both for StoreSQL, SQLID for CloseSQL.
type StreamReq struct {
	Type  RequestType
	Stmt  Stmt
	Batch Batch
	SQL   string
	SQLID int32
	// HasSQLID: SQLID stands for the text, SQL does not count (Sequence, Describe).
	HasSQLID bool
}

// A Stmt is a statement with its arguments. If HasSQLID, SQLID names a text
// stored on the stream and SQL does not count.
type Stmt struct {
	SQL      string
	SQLID    int32
	HasSQLID bool
	Args     []exec.Value
	Named    []NamedArg
	WantRows bool
	// ReplicationIndex is the lowest state the statement may see; 0 for none.
	ReplicationIndex uint64
}

// A NamedArg binds a parameter by name, with or without its prefix.
type NamedArg struct {
	Name  string
	Value exec.Value
}

// A Batch is a list of steps, each executed if its condition holds.
type Batch struct {
	Steps            []BatchStep
	ReplicationIndex uint64
}

// A BatchStep is a statement and the condition under which it is executed; nil
// for always.
type BatchStep struct {
	Cond *Cond
	Stmt Stmt
}

// CondType is a kind of condition of a batch step.
type CondType uint8

const (
	CondOK CondType = iota + 1
	CondError
	CondNot
	CondAnd
	CondOr
	// CondIsAutocommit exists since version 3.
	CondIsAutocommit
)

// A Cond is a condition: Step for CondOK and CondError, Conds[0] for CondNot,
// Conds for CondAnd and CondOr.
type Cond struct {
	Type  CondType
	Step  uint32
	Conds []*Cond
}

// A PipelineResp is the answer to a PipelineReq. An empty Baton means that the
// stream is closed; an empty BaseURL, that the next request goes where this
// one went.
type PipelineResp struct {
	Baton   string
	BaseURL string
	Results []StreamResult
}

// A StreamResult is the answer to one StreamReq: Err, or the field that Type
// names.
type StreamResult struct {
	Err          *Error
	Type         RequestType
	Stmt         *exec.Result  // Execute
	Batch        *BatchResult  // BatchRequest
	Describe     *DescribeInfo // Describe
	IsAutocommit bool          // GetAutocommit
}

// An Error is the server's error for one request or step. Code may be empty.
type Error struct {
	Message string
	Code    string
	// ExtendedCode is SQLite's name of the extended code, such as
	// SQLITE_CONSTRAINT_UNIQUE; only Turso Cloud tells it, in JSON.
	ExtendedCode string
}

// A BatchResult has one entry for each step in both slices; a step that was
// skipped has neither a result nor an error. Both may be shorter than the batch
// where trailing steps were skipped (protobuf leaves them out).
type BatchResult struct {
	Steps  []*exec.Result
	Errors []*Error
	// ReplicationIndex is 0 if the server did not say (protobuf never does).
	ReplicationIndex uint64
}

// DescribeInfo is what the server says of a statement it did not execute.
type DescribeInfo struct {
	Params     []string // "" for an anonymous parameter
	Cols       []exec.Column
	IsExplain  bool
	IsReadonly bool
}

// A CursorReq is the body of POST /v3/cursor and /v3-protobuf/cursor.
type CursorReq struct {
	Baton string
	Batch Batch
}

// A CursorResp is the first message of the answer to a CursorReq.
type CursorResp struct {
	Baton   string
	BaseURL string
}

// EntryType is a kind of entry of a cursor.
type EntryType uint8

const (
	StepBegin EntryType = iota + 1
	StepEnd
	StepError
	Row
	CursorError
	// ReplicationIndexEntry is sqld's own addition to JSON cursors.
	ReplicationIndexEntry
)

// A CursorEntry is one message after the first of the answer to a CursorReq.
// The cells of a Row are appended to the table that is given to the decoder.
type CursorEntry struct {
	Type             EntryType
	Step             uint32        // StepBegin, StepError
	Cols             []exec.Column // StepBegin
	RowsAffected     int64         // StepEnd
	LastInsertID     int64         // StepEnd
	Err              *Error        // StepError, CursorError
	ReplicationIndex uint64
}

// Encoding is how messages are written.
type Encoding uint8

const (
	JSON Encoding = iota
	Protobuf
)

func (e Encoding) String() string {
	if e == Protobuf {
		return "protobuf"
	}
	return "json"
}
