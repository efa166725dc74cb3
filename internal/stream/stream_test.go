package stream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
)

// begun is a stream with a transaction that has written.
func begun(t testing.TB, r *rig) *Stream {
	t.Helper()
	s := r.Session()
	o := run(t, s, exec.Write, Plan{Begin: "BEGIN", AskState: true}, "INSERT INTO t (b) VALUES (1)")
	if o.State != InTransaction || o.Results[0].Err != nil {
		t.Fatalf("%+v", o)
	}
	s.Pin()
	return s
}

func TestStreamGuard(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		s := begun(t, r)
		o := run(t, s, exec.Write, Plan{Guard: true, AskState: true}, "INSERT INTO t (b) VALUES (2)")
		if o.Refused || o.State != InTransaction {
			t.Errorf("in the transaction: %+v", o)
		}
		if !r.server.TakeTransaction() {
			t.Fatal("there was no transaction")
		}
		o = run(t, s, exec.Write, Plan{Guard: true, AskState: true}, "INSERT INTO t (b) VALUES (3)")
		if !TxTimeout(o.Results[0].Err) && !o.Refused {
			t.Errorf("taken away: %+v", o)
		}
		for range 2 {
			o = run(t, s, exec.Write, Plan{Guard: true, AskState: true}, "INSERT INTO t (b) VALUES (4)")
			if !o.Refused || o.State != Autocommit {
				t.Errorf("after it: %+v", o)
			}
		}
		o, err := s.Run(context.Background(), exec.Write, &Plan{Guard: true, Tail: Commit, AskState: true})
		if err != nil || !o.Refused {
			t.Errorf("commit: %+v, %v", o, err)
		}
		if n := r.count(t); n != 0 {
			t.Errorf("%d rows", n)
		}
		s.End()
	})
}

// A pinned stream is never replaced in silence, and says so until it is unpinned.
func TestStreamPinned(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		for name, drop := range map[string]func(){
			"expired": func() { r.server.ExpireStreams() },
			"invalid": func() { r.server.ForgetStreams() },
		} {
			s := begun(t, r)
			drop()
			for i := range 3 {
				_, err := s.Run(context.Background(), exec.Read, &Plan{Stmts: stmts("SELECT 1")})
				var e *exec.Error
				if !errors.As(err, &e) || e.Proof != exec.NotExecuted || i > 0 && e.Code != exec.CodeSessionLost {
					t.Errorf("%s, %d: %v", name, i, err)
				}
			}
			s.Unpin()
			run(t, s, exec.Read, Plan{}, "SELECT 1")
			s.End()
		}
	})
}

// A pinned stream is not given up because of its age, and one that is not pinned
// is.
func TestStreamAge(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	plain, pinned := r.Session(), r.Session()
	for _, s := range []*Stream{plain, pinned} {
		run(t, s, exec.Write, Plan{}, "PRAGMA foreign_keys = off")
	}
	pinned.Pin()
	r.pass(IdleLimit)
	for s, want := range map[*Stream]int64{plain: 1, pinned: 0} {
		o := run(t, s, exec.Read, Plan{}, "PRAGMA foreign_keys")
		if n := o.Results[0].Result.Rows.Int(0, 0); n != want {
			t.Errorf("foreign_keys = %d, want %d", n, want)
		}
		s.End()
	}
}

// A server that cannot be reached has not seen the baton, so nothing is lost.
func TestStreamUnreachable(t *testing.T) {
	e := &exec.Error{Source: exec.FromTransport, Proof: exec.NotExecuted, StreamLost: true}
	r := newRig(t, hranatest.Options{})
	s := begun(t, r)
	baton := s.baton
	if got := s.failed(context.Background(), e); got.StreamLost || s.baton != baton || !e.StreamLost {
		t.Errorf("%+v, baton kept: %v", got, s.baton == baton)
	}
	run(t, s, exec.Write, Plan{Guard: true}, "INSERT INTO t (b) VALUES (2)")
	if o, err := s.Run(context.Background(), exec.Write, &Plan{Guard: true, Tail: Commit}); err != nil || o.Tail.Err != nil {
		t.Errorf("%+v, %v", o, err)
	}
	if n := r.count(t); n != 2 {
		t.Errorf("%d rows", n)
	}
	s.Unpin()
	r.Release(s)
}

// Whoever waits for a stream waits no longer than the context.
func TestStreamTurn(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	s := r.Session()
	s.take()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := s.Run(ctx, exec.Write, &Plan{Stmts: stmts("SELECT 1")})
	var e *exec.Error
	if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || e.Proof != exec.NotExecuted || e.StreamLost {
		t.Errorf("%v", err)
	}
	s.leave()
	run(t, s, exec.Read, Plan{}, "SELECT 1")
	s.End()
}

// A statement that its caller has left goes on, and then its stream is closed
// with whatever is open on it.
func TestStreamLeft(t *testing.T) {
	r, hold := holding(t)
	s := begun(t, r)
	reached, release := hold()
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan error)
	late := make(chan struct{})
	go func() {
		_, err := s.Run(ctx, exec.Write, &Plan{Guard: true, Stmts: stmts("INSERT INTO t (b) VALUES (2)"), Late: func() { close(late) }})
		returned <- err
	}()
	<-reached
	cancel()
	var e *exec.Error
	if err := <-returned; !errors.As(err, &e) || e.Proof != exec.OutcomeUnknown || !e.StreamLost || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	closed := r.Counters().Closed
	release()
	<-late
	await(t, "the close", func() bool { return r.Counters().Closed == closed+1 })
	r.exec(t, exec.Write, "UPDATE t SET b = 2") // would wait for the lock
	if n := r.count(t); n != 0 {
		t.Errorf("%d rows", n)
	}
	s.End()
}
