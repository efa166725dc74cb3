package lane

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A read that is late because of a neighbour is sent again by itself, after 50 ms
// or two round trips.
func TestLateReadsAreSentAgain(t *testing.T) {
	for _, roundTrip := range []time.Duration{time.Millisecond, 40 * time.Millisecond} {
		bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
			f.took = roundTrip
			late := max(50*time.Millisecond, 2*roundTrip)
			q, tar := known("q"), known("tar")
			f.slow = func(r *sent) time.Duration {
				if r.has("tar") {
					return time.Second
				}
				return 0
			}
			first := start(l, q.read(integer(0)))
			var asks []*asked
			for i := range 5 {
				asks = append(asks, start(l, q.read(integer(i))))
			}
			slow := start(l, tar.read(integer(9)))
			first.gets(t, "q", 0)
			began := time.Now() // the shared request leaves now
			for i, a := range asks {
				a.gets(t, "q", i)
				if took := a.at.Sub(began); took != late+roundTrip {
					t.Errorf("round trip %v: a read that its neighbour kept took %v", roundTrip, took)
				}
			}
			slow.gets(t, "tar", 9)
			if took := slow.at.Sub(began); took != time.Second+roundTrip {
				t.Errorf("round trip %v: the slow one took %v", roundTrip, took)
			}
			if c := l.Counters(); c.Hedged != 6 {
				t.Errorf("%d sent again, want 6", c.Hedged)
			}
		})
	}
}

// When all but the slow one have their answers the request they shared still
// serves that one; when nobody needs it any more it is given up.
func TestARequestIsGivenUpWhenReadsSentAgainHaveAnswered(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		f.slow = func(r *sent) time.Duration {
			if r.kind == "batch" {
				return 1000 * time.Hour // a connection that was dropped in silence
			}
			return 0
		}
		asks := []*asked{start(l, q.read(integer(0)))}
		for i := range 5 {
			asks = append(asks, start(l, q.read(integer(i+1))))
		}
		for i, a := range asks {
			a.gets(t, "q", i)
		}
		synctest.Wait()
		if f.cutNow() != 1 || f.insideNow() != 0 {
			t.Errorf("%d requests given up, %d still under way", f.cutNow(), f.insideNow())
		}
	})
}

// A server that is slow altogether is not asked twice for everything: one read in
// ten, after the first few.
func TestFewReadsAreSentAgain(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		f.slow = func(r *sent) time.Duration {
			if r.kind == "batch" {
				return 200 * time.Millisecond
			}
			return 0
		}
		const rounds, each = 100, 21
		for range rounds {
			var asks []*asked
			for i := range each {
				asks = append(asks, start(l, q.read(integer(i))))
			}
			for i, a := range asks {
				a.gets(t, "q", i)
			}
		}
		shared := l.Counters().Shared
		if n, most := l.Counters().Hedged, firstHedges+shared/10; n > most || n < most-5 {
			t.Errorf("%d of %d reads sent again, want about %d", n, shared, most)
		}
	})
}

// Requests in time cost no second one.
func TestReadsInTimeAreNotSentAgain(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 2}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		for range 50 {
			var asks []*asked
			for i := range 10 {
				asks = append(asks, start(l, q.read(integer(i))))
			}
			for i, a := range asks {
				a.gets(t, "q", i)
			}
			time.Sleep(time.Duration(len(asks)) * time.Millisecond)
		}
		if c := l.Counters(); c.Hedged != 0 || c.Late != 0 {
			t.Errorf("counted %+v", c)
		}
	})
}

// Reads that nobody knew to be slow hold their lanes for so long only: those who
// wait get others, up to a bound.
func TestLateLanesAreReplaced(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 2}, func(t *testing.T, f *fake, l *Lanes) {
		q, report := known("q"), fresh("report")
		f.slow = func(r *sent) time.Duration {
			if r.has("report") {
				return 10 * time.Second
			}
			return 0
		}
		a, b := start(l, report.read(integer(1))), start(l, fresh("report").read(integer(2)))
		began := time.Now()
		c, d := start(l, q.read(integer(3))), start(l, q.read(integer(4)))
		c.gets(t, "q", 3)
		d.gets(t, "q", 4)
		if took := d.at.Sub(began); took != LateAfter+f.took {
			t.Errorf("behind slow reads a read took %v", took)
		}
		if n := l.Counters().Late; n != 2 {
			t.Errorf("%d lanes replaced", n)
		}
		// The lanes are others' now, so nobody waits.
		began = time.Now()
		for i := range 10 {
			start(l, q.read(integer(i))).gets(t, "q", i)
		}
		if took := time.Since(began); took != 10*f.took {
			t.Errorf("ten reads beside slow ones took %v", took)
		}
		a.gets(t, "report", 1)
		b.gets(t, "report", 2)
	})
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		f.slow = func(r *sent) time.Duration { return time.Hour }
		var asks []*asked
		for i := range 300 {
			asks = append(asks, start(l, fresh("report").read(integer(i))))
		}
		time.Sleep(10 * time.Minute)
		if f.mostNow() > 1+lateLanes+wideLanes {
			t.Errorf("%d requests at a time", f.mostNow())
		}
		if n := l.Counters().Late; n != lateLanes {
			t.Errorf("%d lanes replaced", n)
		}
		for _, a := range asks {
			a.cancel()
			<-a.done
		}
	})
}

// A write that is late is waited for and never sent again, shared or not; those
// behind it get another lane, and are sent once, too.
func TestLateWritesAreNotSentAgain(t *testing.T) {
	bubble(t, Config{Coalesce: true, GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		f.slow = func(r *sent) time.Duration {
			if r.kind == "group" || r.class == exec.Write && len(r.args) == 1 && r.args[0] == 100 {
				return 10 * time.Second
			}
			return 0
		}
		w := known("w")
		asks := []*asked{start(l, w.write(integer(100))), start(l, w.write(integer(101)))}
		for i := range 40 {
			if i == 20 {
				time.Sleep(5 * f.took) // the first are on their way
			}
			asks = append(asks, start(l, w.write(integer(i))))
		}
		for i, a := range asks {
			if i < 2 {
				a.gets(t, "w", 100+i)
			} else {
				a.gets(t, "w", i-2)
			}
		}
		times := map[int64]int{}
		for _, r := range f.log {
			for _, n := range r.args {
				if r.kind != "schema" {
					times[n]++
				}
			}
		}
		for n, sent := range times {
			if sent != 1 {
				t.Errorf("the write %d was sent %d times", n, sent)
			}
		}
		if c := l.Counters(); len(times) != 42 || c.Hedged != 0 || c.Late == 0 || c.Committed < 10 {
			t.Errorf("%d writes; counted %+v", len(times), c)
		}
	})
}

// What is known to be slow or large travels beside the lanes, bounded by itself.
func TestSlowAndLargeTextsTravelAlone(t *testing.T) {
	slow, large, wideAnswer := known("slow"), known("large"), known("wide")
	slow.note.ServerTime.Store(int64(5 * time.Millisecond))
	large.note.Large.Store(true)
	wideAnswer.note.Answer.Store(maxAnswer)
	for _, x := range []text{slow, large, wideAnswer} {
		bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
			q := known("q")
			first := start(l, q.read(integer(0)))
			asks := []*asked{start(l, x.read(integer(1))), start(l, q.read(integer(2))), start(l, q.read(integer(3)))}
			if got := f.kinds(); got != "do 1, do 1" {
				t.Errorf("%s: sent at once %s", x.sql, got)
			}
			first.gets(t, "q", 0)
			for i, a := range asks {
				a.gets(t, []string{x.sql, "q", "q"}[i], i+1)
			}
			if got := f.kinds(); got != "do 1, do 1, batch 2" {
				t.Errorf("%s: sent %s", x.sql, got)
			}
		})
	}
	bubble(t, Config{Coalesce: true}, func(t *testing.T, f *fake, l *Lanes) {
		large.note.Large.Store(true)
		var asks []*asked
		for i := range 3 * wideLanes {
			asks = append(asks, start(l, large.read(integer(i))))
		}
		waiting := asks[len(asks)-1]
		waiting.cancel()
		if <-waiting.done; !errors.Is(waiting.err, context.Canceled) || waiting.err.(*exec.Error).Proof != exec.NotExecuted {
			t.Errorf("who left the queue got %v", waiting.err)
		}
		for i, a := range asks[:len(asks)-1] {
			a.gets(t, "large", i)
		}
		if f.mostNow() != wideLanes {
			t.Errorf("%d requests at a time", f.mostNow())
		}
	})
}

// It is learned which texts are slow, and unlearned.
func TestSlownessIsLearned(t *testing.T) {
	bubble(t, Config{Coalesce: true}, func(t *testing.T, f *fake, l *Lanes) {
		q := fresh("q")
		took := 20 * time.Millisecond
		f.result = func(s *exec.Stmt) exec.StmtResult {
			r := echo(s)
			r.Result.ServerTime = took
			return r
		}
		start(l, q.read(integer(1))).gets(t, "q", 1)
		if !wide(q.note, SlowAfter) {
			t.Error("20 ms are not slow")
		}
		f.set(func() { took = time.Millisecond })
		start(l, q.read(integer(1))).gets(t, "q", 1)
		if wide(q.note, SlowAfter) {
			t.Error("1 ms is slow")
		}
		// One slow execution of many says nothing about the text.
		f.set(func() { took = time.Second })
		start(l, q.read(integer(1))).gets(t, "q", 1)
		if wide(q.note, SlowAfter) {
			t.Error("one slow execution makes a text slow")
		}
	})
}

// Of a write the server's time tells how long it has waited for others, so it does
// not make a text slow; the rows do.
func TestAWriteIsNotSlowBecauseItHasWaited(t *testing.T) {
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		w := fresh("w")
		rows := uint64(10)
		f.result = func(s *exec.Stmt) exec.StmtResult {
			r := echo(s)
			r.Result.ServerTime, r.Result.RowsWritten, r.Result.RowsRead = time.Second, rows, rows
			return r
		}
		start(l, w.write(integer(1))).gets(t, "w", 1)
		if wide(w.note, SlowAfter) {
			t.Error("a write that has waited counts as slow")
		}
		f.set(func() { rows = 100_000 })
		heavy := fresh("heavy")
		start(l, heavy.write(integer(1))).gets(t, "heavy", 1)
		if !wide(heavy.note, SlowAfter) {
			t.Error("a write of 100,000 rows does not count as slow")
		}
	})
}

// The queue is bounded in number and bytes. Who comes when it is full waits for a
// place, first in, first out, until the context ends.
func TestAFullQueuePushesBack(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		f.took = time.Second
		l.reads.hedges = -1e9 // nothing is sent again
		l.reads.lates = lateLanes
		asks := []*asked{start(l, q.read(integer(0)))}
		for i := range maxQueue + 100 {
			asks = append(asks, start(l, q.read(integer(i+1))))
		}
		l.reads.with(func() {
			if l.reads.waiting != maxQueue {
				t.Errorf("%d wait in the queue", l.reads.waiting)
			}
		})
		left := asks[maxQueue+50]
		left.cancel()
		if <-left.done; !errors.Is(left.err, context.Canceled) || left.err.(*exec.Error).Proof != exec.NotExecuted {
			t.Errorf("who left got %v", left.err)
		}
		for i, a := range asks {
			if a != left {
				a.gets(t, "q", i)
			}
		}
		last := int64(-1)
		for _, r := range f.log {
			for _, n := range r.args {
				if n <= last {
					t.Fatalf("%d was served after %d", n, last)
				}
				last = n
			}
		}
		l.reads.with(func() { l.reads.lates = 0 })
	})
	// Who is let in at the moment at which its context ends takes no place.
	n := New(Config{}).reads
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 100 {
		first, second := n.crowd.push(), n.crowd.push()
		n.places = maxQueue - 1
		n.admit()
		if n.enterQueue(ctx, first) != nil && !second.admitted() {
			t.Fatal("the place of one who has left is lost")
		}
		n.crowd = turnstile{}
	}
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		blob := exec.Value{Kind: exec.Blob, Blob: make([]byte, 60<<10)}
		var asks []*asked
		for i := range 400 {
			asks = append(asks, start(l, q.read(integer(i), blob)))
		}
		l.reads.with(func() {
			if n := l.reads.bytes; n > maxQueueArgs+64<<10 || n < maxQueueArgs {
				t.Errorf("%d bytes wait in the queue", n)
			}
		})
		for i, a := range asks {
			a.gets(t, "q", i)
		}
	})
}
