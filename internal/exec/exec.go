// Package exec is the one interface between the layers of the driver.
//
// A layer takes an Executor and is one: cache, lanes, retry and the round trip
// itself are stacked by the Connector, and a layer that is switched off is not
// there at all. The package knows no protocol and does no I/O; everything above
// and below it speaks in its Requests, Results and Errors.
package exec

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Executor runs autocommit statements that need nothing of, and leave nothing
// on, a particular connection.
//
// Do may be called by any number of goroutines at once. The request, its
// arguments included, belongs to the caller again when Do returns, whatever the
// outcome. An error of Do means that no statement has an outcome of its own;
// what it proves about execution is in Error.Proof.
type Executor interface {
	Do(ctx context.Context, req *Request) (*Response, error)
}

// A Request is what one caller wants done in one go.
type Request struct {
	Stmts []Stmt
	// Class tells what may be done with the request as a whole.
	Class Class
	// Late, if there is one, is called once when the exchange of a Write has ended
	// that went on after its caller had left.
	Late func()
}

// Class sorts requests by what a second execution would do.
type Class uint8

const (
	// Write is any request that is not known to be a Read: it is sent again only
	// if the first attempt provably did not execute.
	Write Class = iota
	// Read changes nothing: it may be sent any number of times.
	Read
)

// A Stmt is one SQL statement with its arguments bound by position: Args[i] is
// the value of the parameter that SQLite numbers i+1.
type Stmt struct {
	SQL  string
	Args []Value
	// Names are the names of all parameters, with their prefixes; nil if they are
	// bound by number. sqld binds a parameter that has a name by its name only.
	Names []string
	// WantRows is false when nobody will read the rows.
	WantRows bool
	// Note is what earlier executions of this text have taught; never nil.
	Note *Note
	// Rowid tells how last_insert_rowid() is to be read in the result.
	Rowid RowidRule
	// Star: its columns may be all of a table's, as of when the server compiles it.
	Star bool
	// Shares: it may run in one transaction with statements of others: a single
	// INSERT, UPDATE or DELETE that gives no rows and asks nothing of the
	// connection.
	Shares bool
	// Fill: who asks tells the cache of the answer before anybody gets it.
	Fill bool
}

// RowidRule says whether a statement sets last_insert_rowid(). On a stream that
// others have used, a statement that does not set it would report theirs.
type RowidRule uint8

const (
	// RowidNone: the statement never sets it (SELECT, UPDATE, DELETE, DDL).
	RowidNone RowidRule = iota
	// RowidAlways: a plain INSERT, which sets it if its table has rowids at all.
	RowidAlways
	// RowidMaybe: an INSERT that may leave it as it was (OR IGNORE, upsert,
	// INSERT ... SELECT).
	RowidMaybe
)

// A Note is what running an SQL text has taught about it, shared by everybody
// who runs the text. The zero value knows nothing.
type Note struct {
	// Large: the result has exceeded the server's limit for one response.
	Large atomic.Bool
	// SetsRowid: an execution on a stream of its own has reported a rowid, so
	// the table has rowids.
	SetsRowid atomic.Bool
	// KeepsRowid: the last execution that may have left last_insert_rowid() as it
	// was has done so.
	KeepsRowid atomic.Bool
	// Succeeded: an execution has, and the server has not refused to read it since.
	Succeeded atomic.Bool
	// ServerTime is how long the server works on it, in nanoseconds, without what
	// load adds; 0 if it has not said. See Learn.
	ServerTime atomic.Int64
	// Answer is how many bytes its result takes, as far as seen.
	Answer atomic.Int64
	// Body is how many bytes its answer takes on the wire, uncompressed.
	Body atomic.Int64
	// packs is what Packs gives: two float32.
	packs atomic.Uint64
	// Alone is how many more times it travels in a request of its own, because a
	// request that others shared with it has failed as a whole.
	Alone atomic.Int32
}

// Learn keeps what an execution teaches about its text. waited: the server's time
// for it includes the wait for other writers, so that the rows it has read and
// written say more.
//
// Of the server's time the least counts, forgotten slowly: a busy machine makes
// every statement slow, and says nothing about the text. Of the answer's size it
// is the largest.
func (n *Note) Learn(r *StmtResult, waited bool) {
	if r.Result == nil {
		// One that the server cannot read would have it refuse its neighbours too;
		// any other failure is the statement's own.
		if r.Err != nil && r.Err.Proof == NotExecuted {
			n.Succeeded.Store(false)
		}
		return
	}
	if !n.Succeeded.Load() {
		n.Succeeded.Store(true)
	}
	t := int64(r.Result.ServerTime)
	if waited {
		t = int64(r.Result.RowsRead)*int64(rowRead) + int64(r.Result.RowsWritten)*int64(rowWritten)
	}
	n.learnTime(t)
	n.LearnSize(r.Result)
}

// LearnSize keeps how large an answer was.
func (n *Note) LearnSize(r *Result) {
	if r.Cursor != nil {
		return
	}
	largest(&n.Answer, int64(r.Rows.Used()))
}

// LearnBody keeps how many bytes an answer had on the wire.
func (n *Note) LearnBody(size int64) { largest(&n.Body, size) }

// largest keeps the largest value, forgotten slowly.
func largest(kept *atomic.Int64, v int64) {
	old := kept.Load()
	if v > old {
		kept.Store(v)
	} else if shrunk := old - old/16; v < shrunk {
		kept.Store(shrunk)
	}
}

// Packs is how the answers compress: their length over that of the plain ones, and
// what it takes in nanoseconds for each byte; zeros where nothing is known.
func (n *Note) Packs() (ratio, cost float32) {
	v := n.packs.Load()
	return math.Float32frombits(uint32(v >> 32)), math.Float32frombits(uint32(v))
}

// SetPacks sets what Packs gives.
func (n *Note) SetPacks(ratio, cost float32) {
	n.packs.Store(uint64(math.Float32bits(ratio))<<32 | uint64(math.Float32bits(cost)))
}

// What a row costs a server, roughly.
const (
	rowRead    = 100 * time.Nanosecond
	rowWritten = time.Microsecond
)

func (n *Note) learnTime(t int64) {
	old := n.ServerTime.Load()
	switch grown := old + old/64 + 1; {
	case t <= 0 || t == old:
	case old == 0 || t < grown:
		n.ServerTime.Store(t)
	default:
		n.ServerTime.Store(grown)
	}
}

// A Response holds one StmtResult for each statement of the request, in order.
type Response struct {
	Results []StmtResult
}

// StmtResult is the outcome of one statement: a Result, or an error, or neither
// if the statement was skipped because one before it failed.
type StmtResult struct {
	Result *Result
	Err    *Error
}

// A Result is what one statement gave. It is immutable once returned, except
// for Cursor, which one reader owns.
type Result struct {
	Cols []Column
	// Rows are the rows held in memory.
	Rows Table
	// Boxed, if it is not nil, has Rows' cells as interfaces: int64, float64 and
	// string, nil for the others. Nobody changes it. It is a pointer because few
	// results have it, and an answer can hold very many results.
	Boxed *[]any
	// Cursor gives the rows that are still on their way; nil if Rows is all.
	Cursor Cursor

	RowsAffected int64
	// LastInsertID is SQLite's last_insert_rowid(), 0 where there is none.
	LastInsertID int64

	RowsRead    uint64
	RowsWritten uint64
	// ServerTime is how long the server worked on the statement, 0 if it did
	// not say.
	ServerTime time.Duration
	// ReplicationIndex is the server's, 0 if it did not say.
	ReplicationIndex uint64
	// SchemaVersion is the database's when the statement had run, 0 if nobody has
	// asked for it.
	SchemaVersion int64
}

// What a Result and a Column take in memory beside what they point to.
const (
	resultBytes = 160
	columnBytes = 32
	sliceBytes  = 24
	boxBytes    = 32 // the interface, and the number or the string that it points to
)

// Results of so few and so small cells are kept in the form in which they leave the
// driver, too.
const (
	maxBoxes    = 16
	maxBoxArena = 1 << 10
)

// Kept is r as it is kept for others.
func (r *Result) Kept() *Result {
	if n := r.Rows.Len() * r.Rows.Width(); n == 0 || n > maxBoxes || r.Rows.Used() > maxBoxArena {
		return r
	}
	own := *r
	boxed := r.Rows.Box()
	own.Boxed = &boxed
	return &own
}

// Size is what r takes in memory, in bytes, without what its Cursor has not read.
func (r *Result) Size() int64 {
	n := resultBytes + r.Rows.Size()
	if r.Boxed != nil {
		n += sliceBytes + boxBytes*len(*r.Boxed)
	}
	for i := range r.Cols {
		n += columnBytes + len(r.Cols[i].Name) + len(r.Cols[i].Decltype)
	}
	return int64(n)
}

// A Column describes one column of a result. Decltype is the declared type of
// the table's column it comes from, empty for expressions.
type Column struct {
	Name     string
	Decltype string
}

// A Cursor streams rows from the server. It is not safe for concurrent use.
type Cursor interface {
	// Next replaces the contents of t with the next rows, at least one. It
	// returns io.EOF after the last, or an *Error.
	Next(t *Table) error
	// Close stops the transfer; it is idempotent and does not block on the
	// network.
	Close() error
}
