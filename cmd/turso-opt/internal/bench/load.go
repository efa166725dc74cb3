package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/meter"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// A Task is what one goroutine does again and again.
type Task struct {
	// Before, if there is one, comes before each of Do's calls and is not part of
	// its time.
	Before func(ctx context.Context) error
	// Do is one operation, or as many as Did says; it checks what it gets.
	Do func(ctx context.Context) error
	// Did is how many operations all of Do's calls were; nil if each was one.
	Did func() int
	// Stale is how many answers were older than they may be, nil if nobody looks.
	Stale func() int
	// Weigh is called when all work is done and gives two sizes in bytes, what the work
	// takes and what somebody says that it does; may be nil.
	Weigh func() (heap, accounted float64)
	// Cases are the times of different kinds of operations, by their names; nil if
	// they are all of one.
	Cases func() map[string][]time.Duration
	// Done releases what the task holds; may be nil.
	Done func() error
}

// A Work makes the Task of each of the goroutines, which are numbered from 0.
type Work func(ctx context.Context, db *sql.DB, worker int) (Task, error)

// A Load says how much of a Work is to be done.
type Load struct {
	Goroutines int
	// Ops is the number of operations of each goroutine; if it is 0, Time
	// passes instead.
	Ops  int
	Time time.Duration
	// WatchHeap has the largest size of the heap looked for, which costs a
	// little time.
	WatchHeap bool
	// Link counts, if it is not nil.
	Link *target.Link
	// Tap counts, too, if it is not nil, and Seen the statements on Link.
	Tap  *tap
	Seen *seenText
}

// Run does the work and measures it.
func (l Load) Run(ctx context.Context, db *sql.DB, work Work) (s Sample, err error) {
	tasks := make([]Task, l.Goroutines)
	defer func() {
		for _, t := range tasks {
			if t.Done != nil {
				err = errors.Join(err, t.Done())
			}
		}
	}()
	for i := range tasks {
		if tasks[i], err = work(ctx, db, i); err != nil {
			return s, err
		}
	}
	// Made now, so that the measurement does not pay for it.
	latencies := make([][]time.Duration, l.Goroutines)
	for i := range latencies {
		latencies[i] = make([]time.Duration, 0, l.room())
	}
	errs := make([]error, l.Goroutines)
	s.counted = l.Link != nil
	if s.counted {
		s.Counts = l.Link.Settle(ctx)
	}
	runtime.GC() // what the last measurement left behind is not this one's
	stopHeap := func() uint64 { return 0 }
	if l.WatchHeap {
		stopHeap = meter.WatchHeap()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.Time+stuckAfter, errStuck)
	defer cancel()
	start := make(chan struct{})
	var began time.Time
	var wg sync.WaitGroup
	for i := range tasks {
		wg.Go(func() {
			<-start
			if latencies[i], errs[i] = l.loop(ctx, tasks[i], began, latencies[i]); errs[i] != nil {
				cancel() // one failure ends all
			}
		})
	}
	before, tapped, seen := meter.Now(), l.Tap.count(), l.Seen.total()
	began = time.Now()
	close(start)
	wg.Wait()
	s.Elapsed = time.Since(began)
	s.Usage = meter.Now().Sub(before)
	s.Tapped = l.Tap.count() - tapped
	s.PeakHeap = stopHeap()
	if s.counted {
		s.Counts = l.Link.Settle(ctx).Sub(s.Counts)
	}
	s.Seen = l.Seen.total() - seen
	s.Latencies = slices.Concat(latencies...)
	slices.Sort(s.Latencies)
	for i, t := range tasks {
		if t.Did == nil {
			s.Ops += len(latencies[i])
		} else {
			s.Ops += t.Did()
		}
		if t.Stale != nil {
			s.Stale += t.Stale()
		}
		if t.Cases != nil {
			for name, times := range t.Cases() {
				s.addCase(name, times)
			}
		}
		if t.Weigh != nil {
			heap, accounted := t.Weigh()
			s.Weight, s.Accounted = s.Weight+heap, s.Accounted+accounted
		}
	}
	if context.Cause(ctx) == errStuck {
		return s, errStuck
	}
	return s, firstCause(errs)
}

// stuckAfter is how much longer than wanted a load may take. Some things never
// end: a server whose queue of writers has locked up answers no write any more.
const stuckAfter = time.Minute

var errStuck = fmt.Errorf("still not done after %v", stuckAfter)

func (l Load) loop(ctx context.Context, t Task, began time.Time, times []time.Duration) ([]time.Duration, error) {
	for n := 0; l.Ops == 0 || n < l.Ops; n++ {
		from := time.Now()
		if l.Ops == 0 && from.Sub(began) >= l.Time && n > 0 {
			break
		}
		if t.Before != nil {
			if err := t.Before(ctx); err != nil {
				return times, err
			}
			from = time.Now()
		}
		if err := t.Do(ctx); err != nil {
			return times, err
		}
		times = append(times, time.Since(from))
	}
	return times, nil
}

// room is a guess at the number of operations of one goroutine.
func (l Load) room() int {
	if l.Ops > 0 {
		return l.Ops
	}
	const quickest = 20 * time.Microsecond
	return min(int(l.Time/quickest)+1, 1<<20)
}

// firstCause prefers a goroutine's own failure to the cancellation that it
// brought to the others.
func firstCause(errs []error) error {
	var cancelled error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled):
			cancelled = err
		default:
			return err
		}
	}
	return cancelled
}
