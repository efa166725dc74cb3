package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// counting is a Work that counts what is done and released.
func counting(done, released *atomic.Int64, do func(worker int, n int64) error) Work {
	return func(_ context.Context, _ *sql.DB, worker int) (Task, error) {
		return Task{
			Do:   func(context.Context) error { return do(worker, done.Add(1)) },
			Done: func() error { released.Add(1); return nil },
		}, nil
	}
}

func fine(int, int64) error { return nil }

func TestLoadByNumber(t *testing.T) {
	var done, released atomic.Int64
	s, err := Load{Goroutines: 3, Ops: 5}.Run(t.Context(), nil, counting(&done, &released, fine))
	if err != nil || done.Load() != 15 || released.Load() != 3 || len(s.Latencies) != 15 || s.Ops != 15 || s.counted || s.Elapsed <= 0 {
		t.Errorf("%d done, %d released, %+v, %v", done.Load(), released.Load(), s, err)
	}
}

func TestLoadByTime(t *testing.T) {
	var done, released atomic.Int64
	const limit = 20 * time.Millisecond
	s, err := Load{Goroutines: 2, Time: limit, WatchHeap: true}.Run(t.Context(), nil, counting(&done, &released, fine))
	if err != nil || s.Elapsed < limit || int64(len(s.Latencies)) != done.Load() || s.PeakHeap == 0 {
		t.Errorf("%d done, %d latencies in %v, %v", done.Load(), len(s.Latencies), s.Elapsed, err)
	}
	// An operation longer than the time is still done once.
	s, err = Load{Goroutines: 1, Time: 1}.Run(t.Context(), nil, counting(&done, &released, fine))
	if err != nil || len(s.Latencies) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestLoadEndsAtAFailure(t *testing.T) {
	var done, released atomic.Int64
	bad := errors.New("bad")
	// The others wait for their context, which the failure ends; what they then
	// say is not the cause.
	work := func(ctx context.Context, db *sql.DB, worker int) (Task, error) {
		task, err := counting(&done, &released, fine)(ctx, db, worker)
		task.Do = func(ctx context.Context) error {
			if worker == 1 {
				return bad
			}
			<-ctx.Done()
			return ctx.Err()
		}
		return task, err
	}
	if _, err := (Load{Goroutines: 3, Time: time.Hour}).Run(t.Context(), nil, work); !errors.Is(err, bad) {
		t.Errorf("it ended with %v", err)
	}
	if released.Load() != 3 {
		t.Errorf("%d of 3 tasks were released", released.Load())
	}
	if _, err := (Load{Goroutines: 2, Ops: 1}).Run(t.Context(), nil, func(context.Context, *sql.DB, int) (Task, error) {
		return Task{}, bad
	}); !errors.Is(err, bad) {
		t.Errorf("a task that cannot be made: %v", err)
	}
}

func TestLoadCountsWhatWasDone(t *testing.T) {
	did := 0
	s, err := Load{Goroutines: 1, Ops: 3}.Run(t.Context(), nil, func(context.Context, *sql.DB, int) (Task, error) {
		return Task{Do: func(context.Context) error { did += 10; return nil }, Did: func() int { return did }}, nil
	})
	if err != nil || s.Ops != 30 || len(s.Latencies) != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestLoadThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := Load{Goroutines: 2, Time: time.Second}.Run(t.Context(), nil, func(context.Context, *sql.DB, int) (Task, error) {
			return Task{Do: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}}, nil
		})
		if err != errStuck || time.Since(began) != time.Second+stuckAfter {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
