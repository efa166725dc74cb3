package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// Statements one after the other use one stream for reads and one for writes.
func TestPoolKeepsStreams(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		before := r.Counters()
		for i := range 5 {
			r.exec(t, exec.Read, "SELECT 1")
			r.exec(t, exec.Write, fmt.Sprintf("UPDATE t SET b = %d", i))
		}
		n := r.Counters()
		if opened, reused := n.Opened-before.Opened, n.Reused-before.Reused; opened > 1 || reused < 9 {
			t.Errorf("%d streams were opened, %d requests on open ones", opened, reused)
		}
	})
}

// A stream that has been idle for too long is not trusted, nor missed.
func TestPoolExpiry(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		r.exec(t, exec.Read, "SELECT 1")
		r.pass(IdleLimit - time.Second)
		before := r.Counters()
		r.exec(t, exec.Read, "SELECT 1")
		if n := r.Counters(); n.Opened != before.Opened {
			t.Error("a stream was dropped too early")
		}
		r.pass(IdleLimit + time.Second)
		before = r.Counters()
		r.exec(t, exec.Read, "SELECT 1")
		r.exec(t, exec.Write, "UPDATE t SET b = 1")
		if n := r.Counters(); n.Opened-before.Opened != 1 || n.Expired-before.Expired != 2 || n.Retries != before.Retries {
			t.Errorf("before %+v, after %+v", before, n)
		}
		if len(r.free) != 1 || r.kept != 1 {
			t.Errorf("%d streams are free, %d kept", len(r.free), r.kept)
		}
	})
}

// A stream that the server has dropped all the same costs a retry.
func TestPoolRetries(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		for name, drop := range map[string]func(){
			"expired": func() { r.server.ExpireStreams() },
			"invalid": func() { r.server.ForgetStreams() },
		} {
			for i, class := range []exec.Class{exec.Read, exec.Write} {
				text := []string{"SELECT 1", "INSERT INTO t (b) VALUES (1)"}[i]
				r.exec(t, class, text)
				rows := r.count(t)
				drop()
				before := r.Counters()
				r.exec(t, class, text)
				if n := r.Counters(); n.Retries != before.Retries+1 {
					t.Errorf("%s, %s: %d retries", name, text, n.Retries-before.Retries)
				}
				if n := r.count(t); n != rows+int64(i) {
					t.Errorf("%s, %s: %d rows, before %d", name, text, n, rows)
				}
			}
		}
	})
}

// What may have been executed is sent again only if it is a read, and not for
// ever.
func TestPoolRetriesOnlyReads(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		r.exec(t, exec.Read, "SELECT 1")
		for _, f := range []hranatest.Fault{hranatest.DropBefore, hranatest.DropAfter, hranatest.Truncate} {
			for _, faults := range []int{maxAttempts - 1, maxAttempts} {
				r.server.Inject(faults, f)
				r.budget = new(limit.Budget)
				before := r.posts()
				_, err := r.do(exec.Read, exec.Stmt{SQL: "SELECT 1"})
				if faults < maxAttempts != (err == nil) {
					t.Errorf("a read, %d faults: %v", faults, err)
				}
				if n := r.posts() - before; n != maxAttempts {
					t.Errorf("a read, %d faults: %d requests", faults, n)
				}
				r.server.Behave()
			}
			r.server.Inject(1, f)
			before := r.posts()
			_, err := r.do(exec.Write, exec.Stmt{SQL: "INSERT INTO t (b) VALUES (1)"})
			var e *exec.Error
			if !errors.As(err, &e) || e.Proof != exec.OutcomeUnknown || r.posts() != before+1 {
				t.Errorf("a write: %v after %d requests", err, r.posts()-before)
			}
			r.server.Behave()
		}
		// No stream was lost, so another one would not help.
		for _, status := range []int{401, 429, 500, 503} {
			r.pass(IdleLimit + time.Second)
			r.server.Inject(1, hranatest.Status(status, 0))
			before := r.posts()
			if _, err := r.do(exec.Read, exec.Stmt{SQL: "SELECT 1"}); err == nil || r.posts() != before+1 {
				t.Errorf("%d: %v after %d requests", status, err, r.posts()-before)
			}
			r.server.Behave()
		}
	})
}

// However many callers come at once, only so many streams are kept; the others
// end with their request.
func TestPoolBounds(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	r.server.Delay(20 * time.Millisecond)
	var callers sync.WaitGroup
	for range maxKept + 40 {
		callers.Go(func() {
			if _, err := r.do(exec.Read, exec.Stmt{SQL: "SELECT 1"}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if r.kept > maxKept || len(r.free) != r.kept {
		t.Errorf("%d streams are free, %d kept", len(r.free), r.kept)
	}
	if n := r.server.Stats().Streams; n > maxKept {
		t.Errorf("the server holds %d", n)
	}
	r.server.Delay(0)
	before := r.Counters()
	for range 50 {
		r.exec(t, exec.Read, "SELECT 1")
	}
	if n := r.Counters(); n.Opened != before.Opened {
		t.Errorf("%d more streams were opened", n.Opened-before.Opened)
	}
}

// A session gets a stream on which nothing has been written, and gives it back.
func TestPoolSession(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	r.exec(t, exec.Write, "INSERT INTO t VALUES (5, 0)")
	s := r.Session()
	o := run(t, s, exec.Read, Plan{}, "SELECT last_insert_rowid() + changes() + total_changes()")
	if n := o.Results[0].Result.Rows.Int(0, 0); n != 0 {
		t.Errorf("the stream of a new session has %d", n)
	}
	run(t, s, exec.Write, Plan{}, "INSERT INTO t VALUES (6, 0)")
	if s.Rowid() != 6 || !s.Open() {
		t.Errorf("row id %d, open %v", s.Rowid(), s.Open())
	}
	kept := r.kept
	r.Release(s)
	if r.kept != kept+1 {
		t.Error("the stream was not kept")
	}
	if other := r.Session(); other == s {
		t.Error("another session got the stream that was written on")
	}
	// One with a setting is not for anybody else.
	s = r.Session()
	run(t, s, exec.Write, Plan{}, "PRAGMA foreign_keys = off")
	s.Pin()
	kept, closed := r.kept, r.Counters().Closed
	r.Release(s)
	await(t, "the close", func() bool { return r.Counters().Closed == closed+1 })
	if r.kept != kept || s.Open() {
		t.Error("a pinned stream was kept")
	}
}

// Which streams a statement may use.
func TestPoolRowids(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		r.exec(t, exec.Write, "CREATE TABLE k (a PRIMARY KEY) WITHOUT ROWID")
		always, keyed, maybe := new(exec.Note), new(exec.Note), new(exec.Note)
		opened := func() uint64 { return r.Counters().Opened }
		for i := range 10 {
			before := opened()
			res, err := r.do(exec.Write, exec.Stmt{SQL: fmt.Sprintf("INSERT INTO t VALUES (%d, 0)", 10+i), Rowid: exec.RowidAlways, Note: always})
			if err != nil || res.LastInsertID != int64(10+i) {
				t.Fatalf("%v, %v", res, err)
			}
			if i > 0 && opened() != before {
				t.Error("a table that is known to have row ids took a new stream")
			}
			before = opened()
			res, err = r.do(exec.Write, exec.Stmt{SQL: fmt.Sprintf("INSERT INTO k VALUES (%d)", i), Rowid: exec.RowidAlways, Note: keyed})
			if err != nil || res.LastInsertID != 0 {
				t.Fatalf("without row ids: %v, %v", res, err)
			}
			if i > 1 && opened() != before {
				t.Error("one that sets no row id left nothing to use again")
			}
			before = opened()
			res, err = r.do(exec.Write, exec.Stmt{SQL: "INSERT OR IGNORE INTO t VALUES (10, 0)", Rowid: exec.RowidMaybe})
			if err != nil || res.LastInsertID != 0 {
				t.Fatalf("ignored: %v, %v", res, err)
			}
			if i > 2 && opened() != before {
				t.Error("one that inserts nothing found nothing to use again")
			}
			res, err = r.do(exec.Write, exec.Stmt{SQL: "UPDATE t SET b = 1", Rowid: exec.RowidNone})
			if err != nil || res.LastInsertID != 0 {
				t.Fatalf("an update: %v, %v", res, err)
			}
		}
		free := len(r.free)
		for i := range 10 {
			text := fmt.Sprintf("INSERT OR IGNORE INTO t VALUES (%d, 0)", 100+i)
			res, err := r.do(exec.Write, exec.Stmt{SQL: text, Rowid: exec.RowidMaybe, Note: maybe})
			if err != nil || res.LastInsertID != int64(100+i) {
				t.Fatalf("not ignored: %v, %v", res, err)
			}
		}
		if r.client.Level().V3() && len(r.free) > free {
			t.Errorf("those that set one have filled the pool: %d streams, before %d", len(r.free), free)
		}
		if !always.SetsRowid.Load() || keyed.SetsRowid.Load() {
			t.Errorf("learnt: %v, %v", always.SetsRowid.Load(), keyed.SetsRowid.Load())
		}
	})
}

// An INSERT that fails halfway has set a row id that no result tells.
func TestPoolRowidsUnsure(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	r.exec(t, exec.Write, "CREATE TABLE k (a PRIMARY KEY) WITHOUT ROWID")
	r.exec(t, exec.Write, "INSERT INTO t VALUES (1, 0)")
	r.pass(IdleLimit + time.Second) // without streams
	_, err := r.do(exec.Write, exec.Stmt{SQL: "INSERT OR FAIL INTO t VALUES (77, 0), (1, 0)", Rowid: exec.RowidMaybe})
	if err == nil {
		t.Fatal("no error")
	}
	res, err := r.do(exec.Write, exec.Stmt{SQL: "INSERT INTO k VALUES (1)", Rowid: exec.RowidAlways})
	if err != nil || res.LastInsertID != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// Closing the pool closes what is idle and what sessions have set up.
func TestPoolClose(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	r.exec(t, exec.Read, "SELECT 1")
	s := r.Session()
	run(t, s, exec.Write, Plan{}, "BEGIN IMMEDIATE")
	s.Pin()
	r.Pool.Close()
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	if n := r.server.Stats().Streams; n != 0 {
		t.Errorf("%d streams are open", n)
	}
	if _, err := r.do(exec.Read, exec.Stmt{SQL: "SELECT 1"}); err == nil {
		t.Error("the pool still works")
	}
	if len(r.keeper.held) != 0 {
		t.Error("the keeper holds streams")
	}
}

// A server of version 2 without close is asked for it once; transactions are
// rolled back there.
func TestPoolWithoutClose(t *testing.T) {
	r := newRig(t, hranatest.Options{Profile: hranatest.V2})
	for i := range 3 {
		s := r.Session()
		run(t, s, exec.Write, Plan{}, "BEGIN IMMEDIATE")
		run(t, s, exec.Write, Plan{}, "INSERT INTO t (b) VALUES (1)")
		s.Pin()
		s.End()
		await(t, "the rollback", func() bool { return r.Counters().Closed == uint64(i+1) })
		r.exec(t, exec.Write, "UPDATE t SET b = 2") // would wait for the lock
		if n := r.count(t); n != 0 {
			t.Errorf("%d rows", n)
		}
	}
	await(t, "the answer", r.noClose.Load)
	before := r.posts()
	s := r.Session()
	run(t, s, exec.Read, Plan{}, "SELECT 1")
	s.End()
	if n := r.posts() - before; n != 1 {
		t.Errorf("%d requests: it was asked again", n)
	}
}

// A server that was away while a request was tried has forgotten the stream when it
// is back. That takes no attempt away.
func TestALostStreamCostsNoAttempt(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	away := &exec.Error{Source: exec.FromTransport, Proof: exec.NotExecuted}
	lost := &exec.Error{Source: exec.FromServer, Status: 400, Proof: exec.NotExecuted, StreamLost: true}
	var all tries
	for i, e := range []*exec.Error{away, away, lost} {
		if !all.again(context.Background(), r.Pool, exec.Write, e) {
			t.Fatalf("given up after %d failures", i+1)
		}
	}
	if all.again(context.Background(), r.Pool, exec.Write, away) {
		t.Errorf("tried more than %d times", maxAttempts)
	}
}
