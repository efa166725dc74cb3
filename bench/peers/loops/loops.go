// Package loops is what every peer written in Go does while it is measured; the
// peer in JavaScript does the same in libsqljs/loop.mjs.
package loops

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The kinds of loop.
const (
	// Select reads one row by its key.
	Select = "select"
	// Insert adds one row, in autocommit.
	Insert = "insert"
	// Transaction updates three rows between BEGIN and COMMIT.
	Transaction = "transaction"
)

const (
	// Rows is how many rows table t holds, with the ids 1 to Rows.
	Rows = 1000
	// Schema makes what the loops use.
	Schema = `CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, s TEXT NOT NULL);
		CREATE TABLE log (id INTEGER PRIMARY KEY, caller INTEGER NOT NULL, s TEXT NOT NULL);
		WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 1000)
		INSERT INTO t SELECT i, 0, 'row ' || i FROM c;`
	// Writers is how many connections write at a time, whatever the number of
	// callers: more of them can lock up sqld's writer queue for good.
	Writers = 8
	// warmUp is run before the measured time.
	warmUp = 500 * time.Millisecond
	// grace is how long a call may go on after the measured time.
	grace = 10 * time.Second
	// maxErrors ends a run: something is broken, and failing is fast.
	maxErrors = 100
)

// A Job is one run of a loop.
type Job struct {
	Kind    string
	Callers int
	Time    time.Duration
}

// ParseJob reads what Args wrote: kind, callers, seconds.
func ParseJob(args []string) (j Job, err error) {
	if len(args) != 3 {
		return j, fmt.Errorf("a job is kind, callers and seconds, not %q", args)
	}
	j.Kind = args[0]
	if j.Callers, err = strconv.Atoi(args[1]); err != nil {
		return j, err
	}
	seconds, err := strconv.ParseFloat(args[2], 64)
	j.Time = time.Duration(seconds * float64(time.Second))
	return j, err
}

// Args are the job as arguments of a peer's command.
func (j Job) Args() []string {
	return []string{j.Kind, strconv.Itoa(j.Callers), strconv.FormatFloat(j.Time.Seconds(), 'f', -1, 64)}
}

// Connections is how many connections the job may have open.
func (j Job) Connections() int {
	if j.Kind == Select {
		return j.Callers
	}
	return min(j.Callers, Writers)
}

// A Report is what a peer prints, as one line of JSON.
type Report struct {
	// Ops were done in Seconds, half of them within P50 milliseconds.
	Ops     int     `json:"ops"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50"`
	// Done counts the operations of the warm-up too: so many the server must
	// remember.
	Done int `json:"done"`
	// Errors counts operations that failed; Error is the first one's text.
	Errors int    `json:"errors"`
	Error  string `json:"error,omitempty"`
	// Version is the client's.
	Version string `json:"version"`
}

// Main runs the job that args name on db and writes the report; module is the
// client's.
func Main(ctx context.Context, db *sql.DB, module string, args []string, out io.Writer) error {
	j, err := ParseJob(args)
	if err != nil {
		return err
	}
	r, err := Run(ctx, db, j)
	if err != nil {
		return err
	}
	r.Version = version(module)
	return json.NewEncoder(out).Encode(r)
}

func version(module string) string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, m := range build.Deps {
			switch {
			case m.Path != module:
			case m.Replace != nil:
				return "this checkout"
			default:
				return m.Version
			}
		}
	}
	return "unknown"
}

// Run runs the job. An error is the job's, not an operation's.
func Run(ctx context.Context, db *sql.DB, j Job) (r Report, err error) {
	op, ok := map[string]func(context.Context, *sql.DB, int) error{
		Select: selectOne, Insert: insertOne, Transaction: updateThree,
	}[j.Kind]
	if !ok {
		return r, fmt.Errorf("there is no loop %q", j.Kind)
	}
	db.SetMaxOpenConns(j.Connections())
	db.SetMaxIdleConns(j.Connections())
	ctx, cancel := context.WithTimeout(ctx, warmUp+j.Time+grace)
	defer cancel()

	begin := time.Now().Add(warmUp)
	end := begin.Add(j.Time)
	var (
		mu    sync.Mutex
		times []time.Duration
		group sync.WaitGroup
	)
	for caller := range j.Callers {
		group.Go(func() {
			var own []time.Duration
			done := 0
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				times = append(times, own...)
				r.Done += done
			}()
			for {
				start := time.Now()
				if !start.Before(end) {
					return
				}
				err := op(ctx, db, caller)
				if err != nil {
					mu.Lock()
					if r.Errors++; r.Errors == 1 {
						r.Error = err.Error()
					}
					broken := r.Errors >= maxErrors
					mu.Unlock()
					if broken {
						return
					}
					continue
				}
				done++
				if !start.Before(begin) {
					own = append(own, time.Since(start))
				}
			}
		})
	}
	group.Wait()
	// What was begun in the measured time is counted, and so is the time that it
	// took beyond it.
	r.Seconds = time.Since(begin).Seconds()
	r.Ops = len(times)
	if r.Ops > 0 {
		slices.Sort(times)
		r.P50 = float64(times[r.Ops/2]) / float64(time.Millisecond)
	}
	return r, nil
}

func selectOne(ctx context.Context, db *sql.DB, _ int) error {
	id := 1 + rand.IntN(Rows)
	var n int
	var s string
	if err := db.QueryRowContext(ctx, "SELECT n, s FROM t WHERE id = ?", id).Scan(&n, &s); err != nil {
		return err
	}
	if want := "row " + strconv.Itoa(id); n != 0 || s != want {
		return fmt.Errorf("row %d is %d, %q", id, n, s)
	}
	return nil
}

func insertOne(ctx context.Context, db *sql.DB, caller int) error {
	res, err := db.ExecContext(ctx, "INSERT INTO log (caller, s) VALUES (?, ?)", caller, "a line of the log")
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("an insert affects %d rows", n)
	}
	return err
}

func updateThree(ctx context.Context, db *sql.DB, _ int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of one that failed; after the commit it does nothing
	for range 3 {
		if _, err := tx.ExecContext(ctx, "UPDATE t SET n = n + 1 WHERE id = ?", 1+rand.IntN(Rows)); err != nil {
			return err
		}
	}
	return tx.Commit()
}
