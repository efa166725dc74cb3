package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A workload is a way to write. Its run writes one unit or several and tells the
// book; odd is one in a few, to be written in another way or not to be wanted.
var workloads = []struct {
	name    string
	writers int
	run     func(w *writer, ctx context.Context)
}{
	{"autocommit", 3, func(w *writer, ctx context.Context) { w.autocommit(ctx, w.db) }},
	{"group commit", 12, func(w *writer, ctx context.Context) { w.autocommit(ctx, w.grouped) }},
	{"transaction", 2, (*writer).transaction},
	{"pipelined transaction", 2, (*writer).pipelined},
	{"batch", 2, (*writer).batch},
	{"independent batch", 1, (*writer).independent},
	{"BulkInsert", 2, (*writer).bulk},
	{"RunTx", 2, (*writer).runTx},
}

// A writer is one goroutine that writes in one way.
type writer struct {
	book        *book
	db, grouped *sql.DB
	by          int // the workload
	count       int // units so far
	hurt        bool
	hurries     bool // some of its calls have hardly any time
}

// tell notes what the writer was told of a unit: no error is an acknowledgement.
func (w *writer) tell(u *unit, err error) {
	switch {
	case err == nil:
		w.enter(u, isAcked, nil)
	case tursoopt.OutcomeUnknown(err):
		w.enter(u, isUnknown, err)
	default:
		w.enter(u, isFailed, err)
	}
}

func (w *writer) enter(u *unit, e ending, err error) {
	w.hurt = w.hurt || e == isFailed || e == isUnknown
	w.book.enter(u, e, err)
}

const (
	insertOne = "INSERT INTO book (id, unit, amount) VALUES (?, ?, ?)"
	insertTwo = "INSERT INTO book (id, unit, amount) VALUES (?, ?, ?), (?, ?, ?)"
)

// begin opens a unit. odd is true for one in so many.
func (w *writer) begin(rows, oneIn int) (u *unit, odd bool) {
	w.count++
	return w.book.open(w.by, rows), w.count%oneIn == oneIn-1
}

// unwanted tells the book of a unit that must have failed by itself.
func (w *writer) unwanted(u *unit, err error) {
	var e *tursoopt.Error
	switch {
	case err == nil:
		w.enter(u, isAcked, errForbidden)
	case errors.As(err, &e) && e.Code == 19:
		w.enter(u, isUndone, err)
	default:
		w.tell(u, err)
	}
}

// pair are the arguments of insertTwo: rows i and i+1 of a unit.
func (u *unit) pair(i, amount int) []any {
	return []any{u.first + i, u.first, amount, u.first + i + 1, u.first, amount}
}

// autocommit writes one statement. Some fail by themselves, one in many so that it
// takes the transaction that it shares down with it, and some callers leave at once.
func (w *writer) autocommit(ctx context.Context, db *sql.DB) {
	u, bad := w.begin(2, 11)
	args := u.pair(0, 1)
	switch {
	case bad && w.count%3 == 0:
		args[5] = 13
	case bad:
		args[5] = -1
	case w.hurries && w.count%23 == 7:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(w.count%3000)*time.Microsecond)
		defer cancel()
	}
	_, err := db.ExecContext(ctx, insertTwo, args...)
	if bad {
		w.unwanted(u, err)
		return
	}
	w.tell(u, err)
}

// uncommitted tells the book of a transaction that ended before its COMMIT was
// asked for: whatever is not known of a statement, it is not in.
func (w *writer) uncommitted(u *unit, err error) { w.enter(u, isFailed, err) }

// transaction is an interactive one: by BeginTx with each lock, or by texts on a
// connection that is held. One in a few is rolled back, and so is one with a statement
// that has failed, but only after the next, which must not commit by itself.
func (w *writer) transaction(ctx context.Context) {
	u, undo := w.begin(4, 7)
	if w.count%4 == 0 {
		w.texts(ctx, u, undo)
		return
	}
	tx, err := tursoopt.BeginTx(ctx, w.db, tursoopt.TxOptions{Lock: tursoopt.TxLock(w.count % 4)})
	if err != nil {
		w.uncommitted(u, err)
		return
	}
	defer tx.Rollback()
	for i := range 2 {
		_, own := tx.ExecContext(ctx, insertTwo, u.pair(2*i, 1)...)
		err = errors.Join(err, own)
	}
	switch {
	case err != nil:
		w.uncommitted(u, err)
	case undo:
		w.enter(u, isUndone, tx.Rollback())
	default:
		w.tell(u, tx.Commit())
	}
}

func (w *writer) texts(ctx context.Context, u *unit, undo bool) {
	c, err := w.db.Conn(ctx)
	if err != nil {
		w.uncommitted(u, err)
		return
	}
	defer c.Close()
	if _, err = c.ExecContext(ctx, "BEGIN IMMEDIATE"); err == nil {
		for i := range 2 {
			_, own := c.ExecContext(ctx, insertTwo, u.pair(2*i, 1)...)
			err = errors.Join(err, own)
		}
	}
	switch {
	case err != nil:
		w.uncommitted(u, err)
	case undo:
		_, err = c.ExecContext(ctx, "ROLLBACK")
		w.enter(u, isUndone, err)
	default:
		_, err = c.ExecContext(ctx, "COMMIT")
		w.tell(u, err)
	}
}

func (w *writer) pipelined(ctx context.Context) {
	u, undo := w.begin(4, 7)
	tx, err := tursoopt.BeginTx(ctx, w.db, tursoopt.TxOptions{Pipelined: true})
	if err != nil {
		w.uncommitted(u, err)
		return
	}
	defer tx.Rollback()
	for i := range 2 {
		res, err := tx.ExecContext(ctx, insertTwo, u.pair(2*i, 1)...)
		if err == nil && undo {
			_, err = res.RowsAffected() // which sends it
		}
		if err != nil {
			w.uncommitted(u, err)
			return
		}
	}
	if undo {
		w.enter(u, isUndone, tx.Rollback())
		return
	}
	w.tell(u, tx.Commit())
}

func (w *writer) batch(ctx context.Context) {
	u, bad := w.begin(6, 7)
	b := &tursoopt.Batch{}
	for i := range 3 {
		amount := 1
		if bad && i == 1 {
			amount = -1
		}
		b.Queue(insertTwo, u.pair(2*i, amount)...)
	}
	results, err := tursoopt.SendBatch(ctx, w.db, b)
	if err == nil {
		err = results.Close()
	}
	if bad {
		w.unwanted(u, err)
		return
	}
	w.tell(u, err)
}

// independent sends a batch whose items are units of their own, of which one has to
// fail by itself now and then.
func (w *writer) independent(ctx context.Context) {
	b := &tursoopt.Batch{Independent: true}
	units := make([]*unit, 4)
	bad := make([]bool, len(units))
	for i := range units {
		units[i], bad[i] = w.begin(2, 11)
		args := units[i].pair(0, 1)
		if bad[i] {
			args[5] = -1
		}
		b.Queue(insertTwo, args...)
	}
	results, err := tursoopt.SendBatch(ctx, w.db, b)
	for i, u := range units {
		own := err
		if err == nil {
			_, own = results.Exec()
		}
		if bad[i] {
			w.unwanted(u, own)
		} else {
			w.tell(u, own)
		}
	}
	if err == nil {
		_ = results.Close() // all has been read
	}
}

// bulk inserts in one statement, or in several that are one transaction.
func (w *writer) bulk(ctx context.Context) {
	u, several := w.begin(ledgerBulk, 3)
	rows := iter.Seq2[[]any, error](func(yield func([]any, error) bool) {
		row := make([]any, 3)
		for i := range u.rows {
			row[0], row[1], row[2] = u.first+i, u.first, 1
			if !yield(row, nil) {
				return
			}
		}
	})
	var opts []tursoopt.BulkOption
	if several {
		opts = append(opts, tursoopt.BulkChunkRows(u.rows/3))
	}
	n, err := tursoopt.BulkInsert(ctx, w.db, "book", []string{"id", "unit", "amount"}, rows, opts...)
	if err == nil && n != int64(u.rows) {
		err = errors.New("it was acknowledged with another number of rows")
	}
	w.tell(u, err)
}

// ledgerBulk is how many rows a BulkInsert inserts.
const ledgerBulk = 400

func (w *writer) runTx(ctx context.Context) {
	u, undo := w.begin(3, 7)
	unwanted := errors.New("not wanted any more")
	err := tursoopt.RunTx(ctx, w.db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
		for i := range 3 {
			if _, err := tx.ExecContext(ctx, insertOne, u.first+i, u.first, 1); err != nil {
				return err
			}
		}
		if undo {
			return unwanted
		}
		return nil
	})
	if errors.Is(err, unwanted) && err == unwanted {
		w.enter(u, isUndone, err)
		return
	}
	w.tell(u, err)
}
