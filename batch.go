package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// A Batch is a list of statements to send in one round trip. The zero value is
// an empty batch. It may be sent any number of times, but not changed while it
// is being sent.
type Batch struct {
	// Independent has each statement succeed or fail by itself. Otherwise the
	// batch is atomic: it runs in one transaction, or inside a transaction in one
	// savepoint, the first statement that fails ends it, and nothing of it stays.
	Independent bool

	items []batchItem
}

type batchItem struct {
	query string
	args  []any
}

// Queue adds one statement with its arguments, which are as those of
// sql.DB.QueryContext and must not change before the batch has been sent.
// Statements that control transactions are refused when it is sent.
func (b *Batch) Queue(query string, args ...any) {
	b.items = append(b.items, batchItem{query, args})
}

// Len is the number of statements queued.
func (b *Batch) Len() int { return len(b.items) }

// A Queryer runs queries: *sql.DB, *sql.Conn, *sql.Tx, and what wraps them
// (sqlx, otelsql), as long as this driver is below.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// SendBatch sends a batch in one round trip. The results are read in the order of
// the statements, and BatchResults must be closed. On a base other than the
// native one the statements run one by one, in a transaction if the batch is
// atomic.
//
// The error is of the batch as a whole: what a single statement failed with is
// told where its result is read. An atomic batch has been committed if SendBatch
// gives no error and no statement failed.
func SendBatch(ctx context.Context, q Queryer, b *Batch) (*BatchResults, error) {
	if b == nil {
		return nil, errors.New("turso-opt: SendBatch: the batch is nil")
	}
	if len(b.items) == 0 {
		return &BatchResults{call: &batchCall{}}, nil
	}
	call := &batchCall{batch: b}
	rows, err := q.QueryContext(ctx, batchText, call)
	if err != nil {
		return nil, err
	}
	if !call.taken {
		_ = rows.Close() // it is another driver's, and the text gives no rows
		return nil, errForeignBatch
	}
	return &BatchResults{call: call, rows: rows, next: -1}, nil
}

// batchText is what database/sql sees of a batch; it would do nothing.
const batchText = "SELECT NULL WHERE 0 -- turso-opt batch"

// A batchCall travels to the connection as the argument of batchText, and brings
// back what a result set does not hold.
type batchCall struct {
	batch   *Batch
	taken   bool // a connection of this driver has seen it
	results []batchResult
}

type batchResult struct {
	result result
	err    error
}

// String keeps the arguments out of tools that print those of a query.
func (c *batchCall) String() string { return fmt.Sprintf("batch of %d statements", len(c.batch.items)) }

var errForeignBatch = errors.New("turso-opt: SendBatch: the database is not one of this driver")

// Value is asked for by other drivers only: this one takes the call as it is.
func (c *batchCall) Value() (driver.Value, error) { return nil, errForeignBatch }

// batchOf is the batch that a query stands for, nil if it is none.
func batchOf(args []driver.NamedValue) *batchCall {
	if len(args) != 1 {
		return nil
	}
	call, _ := args[0].Value.(*batchCall)
	return call
}

// bind gives the items their arguments. Whatever is wrong with one of them is
// found before anything is sent.
func (c *batchCall) bind(ctx context.Context, conn *conn) ([]call, error) {
	calls := make([]call, len(c.batch.items))
	var schema *compressSchema // what the items before make of it, nil if nothing
	for i := range c.batch.items {
		item := &c.batch.items[i]
		text := conn.connector.stmts.Get(item.query)
		if err := checkItem(i, text); err != nil {
			return nil, err
		}
		args, err := item.named()
		if err == nil {
			schema, err = conn.bindAfter(ctx, &calls[i], text, args, true, schema)
		}
		if err != nil {
			return nil, fmt.Errorf("turso-opt: item %d of the batch: %w", i, err)
		}
		// A slice of calls may move, and with it what backs a call's statement.
		calls[i].stmts = calls[i].stmts[:1:1]
	}
	return calls, nil
}

func checkItem(i int, text *sqltext.Text) error {
	if len(text.Stmts) != 1 {
		return fmt.Errorf("turso-opt: item %d of the batch holds %d statements, not one", i, len(text.Stmts))
	}
	if text.TxControl {
		return fmt.Errorf("turso-opt: item %d of the batch controls a transaction", i)
	}
	return nil
}

// unconverted is an item's arguments as database/sql would hand them on.
func (i *batchItem) unconverted() []driver.NamedValue {
	args := make([]driver.NamedValue, len(i.args))
	for n, v := range i.args {
		args[n] = driver.NamedValue{Ordinal: n + 1, Value: v}
		if a, ok := v.(sql.NamedArg); ok {
			args[n].Name, args[n].Value = a.Name, a.Value
		}
	}
	return args
}

// named converts an item's arguments as database/sql does it for a query.
func (i *batchItem) named() ([]driver.NamedValue, error) {
	args := i.unconverted()
	for n := range args {
		if err := checkNamedValue(&args[n]); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// errSkipped is the error of the items that an atomic batch did not come to.
func errSkipped(item int, cause error) error {
	return fmt.Errorf("turso-opt: not run, because item %d of the batch failed: %w", item, cause)
}

// tell fills in the results of a batch, in order.
func (c *batchCall) tell(conn *conn, ctx context.Context, calls []call, results []exec.StmtResult) {
	c.results = make([]batchResult, len(calls))
	var cause error
	failed := 0
	for i := range calls {
		switch r := &results[i]; {
		case r.Err != nil:
			err := conn.error(ctx, r.Err, calls[i].text.SQL, i)
			c.results[i].err = err
			if cause == nil {
				cause, failed = err, i
			}
		case r.Result != nil:
			c.results[i].result = result{r.Result.LastInsertID, r.Result.RowsAffected}
		case cause != nil:
			c.results[i].err = errSkipped(failed, cause)
		default:
			c.results[i].err = errors.New("turso-opt: the server has skipped the statement")
		}
	}
	if c.batch.Independent || cause == nil {
		return
	}
	// What ran before was undone.
	for i := range failed {
		c.results[i].err = errUndone(failed, cause)
	}
}

func errUndone(item int, cause error) error {
	return fmt.Errorf("turso-opt: undone, because item %d of the batch failed: %w", item, cause)
}
