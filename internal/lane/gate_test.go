package lane

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// The gate lets in as many as it should, in the order in which they came.
func TestGateLetsInInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(nil)
		var passes []*Pass
		for range inServer {
			p, err := g.Enter(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			passes = append(passes, p)
		}
		order := make(chan int, 100)
		left, cancel := context.WithCancel(context.Background())
		for i := range 20 {
			ctx := context.Background()
			if i == 7 {
				ctx = left
			}
			go func() {
				if p, err := g.Enter(ctx); err == nil {
					order <- i
					time.Sleep(time.Second)
					p.Leave()
				}
			}()
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		if g.Busy() != inServer || len(order) != 0 {
			t.Fatalf("%d inside, %d more let in", g.Busy(), len(order))
		}
		last := -1
		for _, p := range passes {
			p.Leave()
			p.Leave() // does nothing
			synctest.Wait()
			if n := <-order; n != last+1 && !(n == 8 && last == 6) {
				t.Errorf("%d was let in after %d", n, last)
			} else {
				last = n
			}
			if g.Busy() != inServer {
				t.Errorf("%d inside", g.Busy())
			}
		}
		time.Sleep(time.Minute)
		if g.Busy() != 0 || g.waiting.head != nil {
			t.Errorf("%d inside in the end", g.Busy())
		}
	})
}

// Whatever comes, goes, and gives up, every place comes back.
func TestGateCountsEveryPlace(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		g := NewGate(nil)
		var wg sync.WaitGroup
		var mu sync.Mutex
		inside, most := 0, 0
		n := rapid.IntRange(1, 60).Draw(r, "writers")
		for i := range n {
			stay := time.Duration(rapid.IntRange(0, 200).Draw(r, "stay")) * time.Microsecond
			patience := time.Duration(rapid.IntRange(0, 400).Draw(r, "patience")) * time.Microsecond
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if i%3 == 0 {
					ctx = context.Background()
				}
				p, err := g.Enter(ctx)
				if err != nil {
					return
				}
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(stay)
				mu.Lock()
				inside--
				mu.Unlock()
				p.Leave()
			})
		}
		wg.Wait()
		if g.Busy() != 0 || g.waiting.head != nil || most > inServer {
			r.Fatalf("%d inside in the end, %d at most", g.Busy(), most)
		}
	})
}

// What writes tell of the server reaches the gate.
func TestWritesTellTheGate(t *testing.T) {
	for _, group := range []bool{false, true} {
		bubble(t, Config{GroupCommit: group}, func(t *testing.T, f *fake, l *Lanes) {
			f.took = 100 * time.Millisecond
			w := known("w")
			for range 30 {
				var asks []*asked
				for i := range 100 {
					x := w
					if i%2 == 0 && group {
						x = fresh("w") // by itself
					}
					asks = append(asks, start(l, x.write(integer(i))))
				}
				for i, a := range asks {
					a.gets(t, "w", i)
				}
			}
			if n := l.Counters().Writers; n < 40 {
				t.Errorf("%d writers on a long path", n)
			}
		})
	}
	// A group alone.
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		l.gate.law = limit.NewWriters(1, 9)
		f.took = 100 * time.Millisecond
		f.result = func(s *exec.Stmt) exec.StmtResult {
			r := echo(s)
			r.Result.ServerTime = 0
			return r
		}
		for range 20 {
			hold(l, f)
			for i, a := range groupOf(l, 3, nil) {
				a.gets(t, "w", i)
			}
		}
		if n := l.Counters().Writers; n < 2 {
			t.Errorf("%d writers on a long path", n)
		}
	})
}

// On a long path the gate lets more in, and fewer again when it has become short.
func TestGateFollowsTheServer(t *testing.T) {
	g := NewGate(nil)
	write := func(roundTrip, server time.Duration) {
		var passes []*Pass
		for range g.Capacity() {
			p, _ := g.Enter(context.Background())
			passes = append(passes, p)
		}
		for _, p := range passes {
			p.Observe(roundTrip, server)
		}
		for _, p := range passes {
			p.Leave()
		}
	}
	for range 100 {
		write(20*time.Millisecond, 200*time.Microsecond)
	}
	if n := g.Capacity(); n != maxWriters {
		t.Errorf("%d writers on a long path", n)
	}
	for range 100 {
		write(8*time.Millisecond, 7900*time.Microsecond)
	}
	if n := g.Capacity(); n > inServer+1 {
		t.Errorf("%d writers when all of them wait inside", n)
	}
}

// Whoever holds the gate and does not go on keeps the others out for a while only,
// and no more of them than the server bears.
func TestGateUnstuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(nil)
		g.law = limit.NewWriters(1, 9)
		held, _ := g.Enter(context.Background())
		begin := time.Now()
		var passes []*Pass
		for n := 1; n <= maxOverdue; n++ {
			p, err := g.Enter(context.Background())
			if err != nil || time.Since(begin) != time.Duration(n)*stuckAfter {
				t.Fatalf("the writer %d was let in after %v, %v", n, time.Since(begin), err)
			}
			passes = append(passes, p)
		}
		ctx, cancel := context.WithTimeout(context.Background(), forgetAfter-time.Since(begin)-time.Nanosecond)
		defer cancel()
		if _, err := g.Enter(ctx); err == nil {
			t.Errorf("%d are inside", g.Busy())
		}
		for _, p := range append(passes, held) {
			p.Leave()
		}
		// As long as they leave, only one is in.
		held, _ = g.Enter(context.Background())
		for range 3 {
			in := make(chan *Pass)
			go func() {
				p, _ := g.Enter(context.Background())
				in <- p
			}()
			time.Sleep(stuckAfter - time.Nanosecond)
			synctest.Wait()
			if g.Busy() != 1 {
				t.Errorf("%d are inside", g.Busy())
			}
			held.Leave()
			held = <-in
		}
		held.Leave()
	})
}

// A writer that never leaves, since its connection has died in silence, costs the
// others one wait, not one for each of them.
func TestGateGoesOnWithoutTheLost(t *testing.T) {
	for _, limits := range []int{1, 3 * maxOverdue} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGate(nil)
			g.law = limit.NewWriters(limits, limits)
			var lost []*Pass
			for range limits {
				p, _ := g.Enter(context.Background())
				lost = append(lost, p)
			}
			begin := time.Now()
			for range 1000 {
				p, _ := g.Enter(context.Background())
				if d := time.Since(begin); d > stuckAfter || g.Busy() != limits+1 {
					t.Fatalf("let in after %v, when %d were in", d, g.Busy())
				}
				p.Leave()
			}
			// One that comes back after all makes no place.
			lost[0].Leave()
			p, _ := g.Enter(context.Background())
			if g.Busy() != limits || g.TryEnter() != nil {
				t.Errorf("%d are in", g.Busy())
			}
			p.Leave()
			// In the end nothing is held for those who are lost, however many, and even
			// if others have come and gone all the time.
			for time.Since(begin) < forgetAfter {
				p, _ := g.Enter(context.Background())
				time.Sleep(stuckAfter / 3)
				p.Leave()
			}
			p, _ = g.Enter(context.Background())
			if g.Busy() != 1 {
				t.Errorf("%d are in", g.Busy())
			}
			for _, p := range append(lost, p) {
				p.Leave()
			}
			if g.Busy() != 0 || g.inside.n != 0 {
				t.Errorf("%d are in after the end", g.Busy())
			}
		})
	}
}
