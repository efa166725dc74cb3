package stream

import (
	"context"
	"testing"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
)

// round lets the keeper look once, and waits for its pings.
func (r *rig) round(t testing.TB, pings uint64) {
	t.Helper()
	before := r.Counters().Pings
	r.keeper.round(context.Background()).Wait()
	if n := r.Counters().Pings - before; n != pings {
		t.Errorf("%d pings, want %d", n, pings)
	}
}

// The keeper pings what is pinned and has been idle for long, and nothing else.
func TestKeeper(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		s := begun(t, r)
		plain := r.Session()
		run(t, plain, exec.Read, Plan{}, "SELECT 1")
		r.round(t, 0)
		r.pass(pingAfter)
		r.round(t, 1)
		r.round(t, 0) // the ping counts as use
		r.pass(pingAfter - 1)
		r.round(t, 0)
		r.pass(1)
		r.round(t, 1)
		if o := run(t, s, exec.Write, Plan{Guard: true, AskState: true}, "SELECT 1"); o.Refused || o.State != InTransaction {
			t.Errorf("%+v", o)
		}
		s.Unpin()
		r.pass(pingAfter)
		r.round(t, 0)
		s.End()
		plain.End()
	})
}

// A ping that finds the stream gone is told to the session; one that cannot be
// sent is not.
func TestKeeperLoss(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	s := begun(t, r)
	r.server.ForgetStreams()
	r.pass(pingAfter)
	r.round(t, 1)
	_, err := s.Run(context.Background(), exec.Write, &Plan{Guard: true, Stmts: stmts("SELECT 1")})
	if e, ok := err.(*exec.Error); !ok || e.Code != exec.CodeSessionLost || e.Proof != exec.NotExecuted {
		t.Errorf("%v", err)
	}
	r.pass(pingAfter)
	r.round(t, 0) // it is not asked for again
	s.End()
}

// A stream that is in use is left alone.
func TestKeeperBusy(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	s := begun(t, r)
	r.pass(pingAfter)
	s.take()
	s.ping(context.Background())
	if n := r.Counters().Pings; n != 0 {
		t.Errorf("%d pings", n)
	}
	s.leave()
	s.End()
}

// There is a goroutine only while there is something to keep.
func TestKeeperGoroutine(t *testing.T) {
	r := newRig(t, hranatest.Options{})
	if r.keeper.wake != nil {
		t.Error("it runs before anything is held")
	}
	a, b := begun(t, r), r.Session()
	b.Pin()
	wake := r.keeper.wake
	a.Unpin()
	if wake == nil || r.keeper.wake != wake {
		t.Error("it does not run while something is held")
	}
	b.Unpin()
	if r.keeper.wake != nil {
		t.Error("it runs when nothing is held any more")
	}
	select {
	case <-wake:
	default:
		t.Error("nobody told it")
	}
	b.Pin()
	if r.keeper.wake == nil {
		t.Error("it does not start again")
	}
	a.End()
	b.End()
}

// End does not wait for a ping that is under way.
func TestKeeperEnd(t *testing.T) {
	r, hold := holding(t)
	s := begun(t, r)
	r.pass(pingAfter)
	reached, release := hold()
	r.keeper.round(context.Background())
	<-reached
	closed := r.Counters().Closed
	s.End() // would hang
	other := begunLater(t, r)
	r.Release(other)
	release()
	await(t, "the close", func() bool { return r.Counters().Closed > closed })
	r.exec(t, exec.Write, "UPDATE t SET b = 2") // would wait for the lock
}

// begunLater is a stream in use that has nothing to lose.
func begunLater(t testing.TB, r *rig) *Stream {
	t.Helper()
	s := r.Session()
	run(t, s, exec.Read, Plan{}, "SELECT 1")
	return s
}
