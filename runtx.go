package tursoopt

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/turso-opt/turso-opt/internal/limit"
)

// MaxTxTries is how often RunTx runs a transaction at most.
const MaxTxTries = 10

// RunTx runs fn in a transaction and commits it, or rolls it back if fn fails or
// panics. If the transaction fails in a way that proves that nothing of it was
// committed and gives hope (it was taken away by the server, the database was
// locked, the connection was lost before the COMMIT was sent), all of it is run
// again, fn included, after a wait that grows; at most MaxTxTries times and never
// beyond ctx's deadline. A transaction whose outcome is unknown is never run
// again: its error answers to OutcomeUnknown.
//
// fn must not keep anything from a run that failed, and must not end the
// transaction itself. An error of fn counts as the transaction's if it wraps one
// that a statement gave.
//
// The lock of TxDefault is TxImmediate here, unless opts.ReadOnly: a transaction
// that first reads and then writes would otherwise fail whenever another writes
// in between.
func RunTx(ctx context.Context, db Beginner, opts TxOptions, fn func(*sql.Tx) error) error {
	if opts.Lock == TxDefault && !opts.ReadOnly {
		opts.Lock = TxImmediate
	}
	var backoff limit.Backoff
	for try := 1; ; try++ {
		err := runTxOnce(ctx, db, opts, fn)
		if err == nil || !Retryable(err) || ctx.Err() != nil {
			return err
		}
		if try == MaxTxTries {
			return fmt.Errorf("turso-opt: the transaction has failed %d times: %w", try, err)
		}
		var e *Error
		var retryAfter time.Duration
		if errors.As(err, &e) {
			retryAfter = e.RetryAfter
		}
		wait := backoff.Next(retryAfter)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

func runTxOnce(ctx context.Context, db Beginner, opts TxOptions, fn func(*sql.Tx) error) (err error) {
	tx, err := BeginTx(ctx, db, opts)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			_ = tx.Rollback() // what counts is fn's error, or its panic
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	done = true
	return tx.Commit()
}
