package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// An ending is what a writer was told of a unit.
type ending uint8

const (
	// isPending: nothing yet. A phase ends with none of them.
	isPending ending = iota
	// isAcked: it is in.
	isAcked
	// isFailed: it is not in, and never will be.
	isFailed
	// isUnknown: nobody knows.
	isUnknown
	// isUndone: the writer itself did not want it to be in: it has rolled it back, or
	// has asked for what the schema forbids.
	isUndone
	endings
)

func (o ending) String() string {
	return [endings]string{"pending", "acknowledged", "failed", "unknown", "undone"}[o]
}

// A unit is rows that are in together or not at all: those of a statement, a batch
// or a transaction. Each row has an id of its own, which no other in the book has.
type unit struct {
	first, rows int
	by          int // its workload
	told        ending
	err         error
}

// A tally counts units or rows by their endings.
type tally [endings]int

func (t tally) String() string {
	return fmt.Sprintf("%d acknowledged, %d failed, %d unknown, %d undone", t[isAcked], t[isFailed], t[isUnknown], t[isUndone])
}

func (t *tally) add(o *tally) {
	for i := range t {
		t[i] += o[i]
	}
}

// A book holds all that was written in a phase, and what the writers were told.
type book struct {
	mu    sync.Mutex
	moved sync.Cond
	all   []*unit
	next  int // the first id that is free
	// units and rows are what has been told so far, and per of each workload.
	units, rows tally
	per         []tally
}

func newBook(workloads int) *book {
	b := &book{per: make([]tally, workloads), next: 1}
	b.moved.L = &b.mu
	return b
}

// open begins a unit.
func (b *book) open(workload, rows int) *unit {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := &unit{first: b.next, rows: rows, by: workload}
	b.next += rows
	b.all = append(b.all, u)
	return u
}

// errForbidden is for what the schema does not allow and was acknowledged.
var errForbidden = errors.New("what the schema forbids was taken")

// enter notes what a unit's writer was told.
func (b *book) enter(u *unit, o ending, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.told, u.err = o, err
	b.units[o]++
	b.rows[o] += u.rows
	b.per[u.by][o]++
	b.moved.Broadcast()
}

// await waits until ok, which is called with the book locked, or ctx ends.
func (b *book) await(ctx context.Context, ok func() bool) bool {
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.moved.Broadcast()
	})()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !ok() {
		if ctx.Err() != nil {
			return false
		}
		b.moved.Wait()
	}
	return true
}

// bookSchema forbids amounts below zero, and 13 ends the transaction it is in.
var bookSchema = []string{
	"CREATE TABLE book (id, unit, amount CHECK (amount >= 0))",
	"CREATE TRIGGER thirteen BEFORE INSERT ON book WHEN new.amount = 13 BEGIN SELECT RAISE(ROLLBACK, 'thirteen'); END",
}

// audit holds the book against the table, row by row.
func (b *book) audit(t *testing.T, db *sql.DB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	rows, err := db.Query("SELECT id, unit FROM book")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	times := make([]int, b.next)
	for rows.Next() {
		var id, first int
		if err := rows.Scan(&id, &first); err != nil {
			t.Fatal(err)
		}
		if id < 1 || id >= b.next {
			t.Fatalf("the row %d is there, and nobody wrote it", id)
		}
		times[id]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, u := range b.all {
		if what := u.judge(times[u.first : u.first+u.rows]); what != "" {
			if wrong++; wrong <= 10 {
				t.Errorf("the rows %d to %d, by %s: %s (%v, told %v)", u.first, u.first+u.rows-1, workloads[u.by].name, what, u.told, u.err)
			}
		}
	}
	if wrong > 10 {
		t.Errorf("and %d more", wrong-10)
	}
}

// judge says what is wrong with a unit whose rows are there so many times each;
// nothing if nothing is.
func (u *unit) judge(times []int) string {
	there := 0
	for _, n := range times {
		if n > 1 {
			return fmt.Sprintf("a row is there %d times", n)
		}
		there += n
	}
	switch {
	case u.told == isPending:
		return "its writer has not come back"
	case u.told == isAcked && errors.Is(u.err, errForbidden):
		return u.err.Error()
	case there != 0 && there != u.rows:
		return fmt.Sprintf("%d of %d rows are there", there, u.rows)
	case u.told == isAcked && there == 0:
		return "it was acknowledged and is not there"
	case (u.told == isFailed || u.told == isUndone) && there != 0:
		return "it is there"
	}
	return ""
}
