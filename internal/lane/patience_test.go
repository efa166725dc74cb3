package lane

import (
	"context"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func overload(status int, after time.Duration) *exec.Error {
	proof := exec.OutcomeUnknown
	if status == 429 {
		proof = exec.NotExecuted
	}
	return &exec.Error{Source: exec.FromServer, Status: status, Proof: proof, RetryAfter: after}
}

// A server at its limit is asked again after a while, with fewer lanes, and the
// caller sees nothing of it.
func TestOverloadIsWaitedOut(t *testing.T) {
	for _, group := range []bool{false, true} {
		bubble(t, Config{Coalesce: true, GroupCommit: group}, func(t *testing.T, f *fake, l *Lanes) {
			refusals := 3
			f.fails = func(r *sent) error {
				if refusals > 0 {
					refusals--
					return overload(429, 0)
				}
				return nil
			}
			q, w := known("q"), known("w")
			start(l, q.read(integer(1))).gets(t, "q", 1)
			if c := l.Counters(); c.Backoffs != 3 || c.Lanes != 1 {
				t.Errorf("counted %+v", c)
			}
			f.set(func() { refusals = 2 })
			start(l, w.write(integer(2))).gets(t, "w", 2)
			if c := l.Counters(); c.Backoffs != 5 {
				t.Errorf("counted %+v", c)
			}
			// Those who share a request, too.
			var asks []*asked
			for i := range 20 {
				asks = append(asks, start(l, q.read(integer(i))), start(l, w.write(integer(i))))
			}
			f.set(func() { refusals = 4 })
			for i, a := range asks {
				a.gets(t, []string{"q", "w"}[i%2], i/2)
			}
		})
	}
}

// Retry-After is honoured unless it asks for too much, or for more than the
// caller's context has.
func TestRetryAfterIsHonoured(t *testing.T) {
	for _, c := range []struct {
		after, deadline time.Duration
		requests        int
	}{
		{2 * time.Second, 0, 2},
		{2 * time.Second, time.Second, 1},
		{time.Hour, 0, 1},
	} {
		bubble(t, Config{Coalesce: true}, func(t *testing.T, f *fake, l *Lanes) {
			first := true
			f.fails = func(r *sent) error {
				if first {
					first = false
					return overload(503, c.after)
				}
				return nil
			}
			ctx := context.Background()
			if c.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
				defer cancel()
			}
			began := time.Now()
			_, err := l.Do(ctx, known("q").read())
			if n := len(f.log); n != c.requests {
				t.Errorf("%+v: %d requests", c, n)
			}
			switch took := time.Since(began); {
			case c.requests == 1 && (err == nil || took != f.took):
				t.Errorf("%+v: %v after %v", c, err, took)
			case c.requests == 2 && (err != nil || took != c.after+2*f.took):
				t.Errorf("%+v: %v after %v", c, err, took)
			}
		})
	}
}

// A write whose outcome is not known is not sent again, whatever the status.
func TestAWriteThatMayHaveRunIsNotSentAgain(t *testing.T) {
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		f.fails = func(r *sent) error { return overload(503, 0) }
		if _, err := l.Do(context.Background(), known("w").write()); err == nil || len(f.log) != 1 {
			t.Errorf("%d requests, %v", len(f.log), err)
		}
	})
}

// A server that refuses for ever is believed in the end.
func TestPatienceEnds(t *testing.T) {
	bubble(t, Config{Coalesce: true}, func(t *testing.T, f *fake, l *Lanes) {
		f.fails = func(r *sent) error { return overload(429, 0) }
		_, err := l.Do(context.Background(), known("q").read())
		if e, ok := err.(*exec.Error); !ok || e.Status != 429 || len(f.log) != 1+maxBackoffs {
			t.Errorf("%d requests, %v", len(f.log), err)
		}
		// A context that ends ends the wait.
		f.forget()
		a := start(l, known("q").read())
		time.Sleep(f.took)
		a.cancel()
		if <-a.done; a.err == nil || len(f.log) > 2 {
			t.Errorf("%d requests, %v", len(f.log), a.err)
		}
	})
}
