package bench

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	tursoopt "github.com/turso-opt/turso-opt"
)

// again is a Work for a driver that leaves it to its caller to try again when the
// database is locked.
func again(work func(w World) Work) func(w World) Work {
	return func(w World) Work {
		work := work(w)
		return func(ctx context.Context, db *sql.DB, worker int) (Task, error) {
			task, err := work(ctx, db, worker)
			do := task.Do
			task.Do = func(ctx context.Context) error {
				for {
					if err := do(ctx); err == nil || !locked(err) || ctx.Err() != nil {
						return err
					}
				}
			}
			return task, err
		}
	}
}

// locked reads the message: libsql-client-go drops the code.
func locked(err error) bool { return strings.Contains(err.Error(), "database is locked") }

// pipelinedUpdates is ThreeUpdates without waiting for each.
func pipelinedUpdates(w World) Work {
	update := w.update()
	return func(_ context.Context, db *sql.DB, worker int) (Task, error) {
		key := w.keys(worker)
		return Task{Do: func(ctx context.Context) error {
			tx, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Pipelined: true})
			if err != nil {
				return err
			}
			defer tx.Rollback() // does nothing after Commit
			var results [3]sql.Result
			for i := range results {
				if results[i], err = tx.ExecContext(ctx, update, "changed@example.com", key()); err != nil {
					return err
				}
			}
			if err := tx.Commit(); err != nil {
				return err
			}
			for _, res := range results {
				if err := changedOne(res); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	}
}

// bulkRows is how many rows a bulk insert has.
const bulkRows = 1000

var bulkColumns = []string{"name", "email", "score"}

func bulkRow(i int) []any {
	return []any{fmt.Sprintf("person %d", i), fmt.Sprintf("person%d@example.com", i), float64(i) * 0.5}
}

// bulkInsert inserts rows in bulk; an operation is a row.
func bulkInsert(w World) Work {
	var rows iter.Seq2[[]any, error] = func(yield func([]any, error) bool) {
		for i := range bulkRows {
			if !yield(bulkRow(i), nil) {
				return
			}
		}
	}
	return func(_ context.Context, db *sql.DB, _ int) (Task, error) {
		did := 0
		return Task{Did: func() int { return did }, Do: func(ctx context.Context) error {
			n, err := tursoopt.BulkInsert(ctx, db, w.table("people"), bulkColumns, rows)
			if err == nil && n != bulkRows {
				err = fmt.Errorf("%d of %d rows are in", n, bulkRows)
			}
			did += int(n)
			return err
		}}, nil
	}
}

// rowByRow inserts the same rows one by one, in one transaction that is open
// before the first and ends after the last.
func rowByRow(w World) Work {
	insert := "INSERT INTO " + w.table("people") + " (name, email, score) VALUES (?, ?, ?)"
	return func(ctx context.Context, db *sql.DB, _ int) (Task, error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return Task{}, err
		}
		i := 0
		return Task{Done: tx.Commit, Do: func(ctx context.Context) error {
			res, err := tx.ExecContext(ctx, insert, bulkRow(i%bulkRows)...)
			if err != nil {
				return err
			}
			i++
			return changedOne(res)
		}}, nil
	}
}
