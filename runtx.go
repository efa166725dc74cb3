package tursoopt

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// MaxTxTries is how often RunTx runs a transaction at most.
const MaxTxTries = 10

// longestTxWait is the longest that RunTx waits because a server has asked it to;
// the error of one that asks for more is the caller's.
const longestTxWait = 30 * time.Second

// RunTx runs fn in a transaction and commits it, or rolls it back if fn fails or
// panics. If the transaction fails in a way that proves that nothing of it was
// committed and gives hope (it was taken away by the server, the database was
// locked, the connection was lost before the COMMIT was sent), all of it is run
// again, fn included, after a wait that grows; at most MaxTxTries times and never
// beyond ctx's deadline. A transaction whose outcome is unknown is never run
// again: its error answers to OutcomeUnknown.
//
// All callers of a Connector share a budget, so that a server in trouble does not get
// much more work for it: of what fails because a connection was lost, or because of an
// HTTP status of 408 or from 500 on, a tenth of all transactions and ten more are run again. On other
// bases than the native one there is none.
//
// fn must not keep anything from a run that failed, and must not end the
// transaction itself. An error of fn counts as the transaction's if it wraps one
// that a statement gave; any other ends it, and is returned as it is.
//
// ctx bounds the COMMIT too, which on other bases than the native one takes as
// long as the base lets it.
//
// The lock of TxDefault is TxImmediate here, unless opts.ReadOnly: a transaction
// that first reads and then writes would otherwise fail whenever another writes
// in between.
func RunTx(ctx context.Context, db Beginner, opts TxOptions, fn func(*sql.Tx) error) error {
	if opts.Lock == TxDefault && !opts.ReadOnly {
		opts.Lock = TxImmediate
	}
	opts.within = ctx
	var reruns *limit.Budget
	opts.begun = func(c *Connector) {
		if reruns == nil {
			reruns = &c.reruns
			reruns.Earn()
		}
	}
	var backoff limit.Backoff
	var last error
	for try := 1; ; try++ {
		err := runTxOnce(ctx, db, opts, fn)
		switch {
		case err == nil:
			return nil
		case last != nil && (errors.Is(err, sql.ErrConnDone) || ctx.Err() != nil):
			// What kept it from running again says less than why it had to. (A base may
			// lose a sql.Conn with its transaction.)
			return errors.Join(err, last)
		case !Retryable(err) || ctx.Err() != nil:
			return err
		case try == MaxTxTries:
			return fmt.Errorf("turso-opt: the transaction has failed %d times: %w", try, err)
		}
		last = err
		wait := backoff.Next(askedWait(err))
		if deadline, ok := ctx.Deadline(); wait > longestTxWait || ok && time.Until(deadline) <= wait {
			return err
		}
		if reruns != nil && troubled(err) && !reruns.Spend() {
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

// troubled tells whether the server, or the way to it, is to blame, and not the
// database or the server's limits.
func troubled(err error) bool {
	if errors.Is(err, ErrUnavailable) {
		return false // nothing was sent
	}
	if x := (*Error)(nil); errors.As(err, &x) {
		if x.trouble {
			return true
		}
		err = x.cause
	}
	for e := asExec(err); e != nil; e = asExec(e.Err) {
		if isTrouble(e) {
			return true
		}
	}
	return false
}

func isTrouble(e *exec.Error) bool {
	return e.Source == exec.FromTransport || e.Source == exec.FromServer && (e.Status == 408 || e.Status >= 500)
}

// askedWait is how long a server has asked to be left alone.
func askedWait(err error) time.Duration {
	for e := (*Error)(nil); errors.As(err, &e); err = e.cause {
		if e.RetryAfter > 0 {
			return e.RetryAfter
		}
		if x := asExec(e.cause); x != nil {
			return x.RetryAfter // what a transaction was lost by
		}
	}
	return 0
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
