package cache

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// a handClock stands until it is moved.
type handClock struct {
	mu  sync.Mutex
	now Instant
}

func (h *handClock) read() Instant {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *handClock) pass(d time.Duration) {
	h.mu.Lock()
	h.now.Wall += int64(d)
	h.now.Mono += int64(d)
	h.mu.Unlock()
}

func newTest(t *testing.T, cfg Config) (*Cache, *handClock) {
	t.Helper()
	clock := &handClock{}
	if cfg.Bytes == 0 {
		cfg.Bytes = 1 << 20
	}
	if cfg.Lease == 0 {
		cfg.Lease = time.Second
	}
	if cfg.TTL == 0 {
		cfg.TTL = time.Minute
	}
	cfg.Patience, cfg.Clock = 10*time.Second, clock.read
	c := New(cfg)
	t.Cleanup(c.Close)
	return c, clock
}

func resultOf(values ...int64) *exec.Result {
	r := &exec.Result{Cols: []exec.Column{{Name: "v"}}}
	r.Rows.Reset(1)
	for _, v := range values {
		r.Rows.AppendInt(v)
		r.Rows.EndRow()
	}
	return r
}

func fill(t *testing.T, c *Cache, k *Key, deps Deps, r *exec.Result) {
	t.Helper()
	f, leads := c.Fly(k, Reads{Deps: deps}, Options{}, Found{})
	if !leads {
		t.Fatal("there is a flight already")
	}
	f.Land(Answer{Result: r}, true, false)
	c.Wait()
}

var one = &Key{SQL: "SELECT 1"}

func TestHitIsTheResultItself(t *testing.T) {
	c, _ := newTest(t, Config{})
	want := resultOf()
	fill(t, c, one, ReadsTables([]string{"t"}), want)
	if got := c.Get(one, Options{}).Result; got != want {
		t.Fatal("a result of no rows is not kept like any other")
	}
	if other := c.Get(&Key{SQL: "SELECT 2"}, Options{}).Result; other != nil {
		t.Error("another text has the result")
	}
	if n := c.Counters(); n.Hits != 1 || n.Misses != 1 || n.Fills != 1 || n.Entries != 1 || n.Bytes == 0 {
		t.Errorf("%+v", n)
	}
}

func TestWritesEndWhatDependsOnThem(t *testing.T) {
	table, row1, row2 := ReadsTables([]string{"T"}), ReadsRow("t", 1), ReadsRow("t", 2)
	for _, c := range []struct {
		name                  string
		touch                 func(c *Cache, t *Touched)
		all, first, second, u bool // what survives; u is of another table
	}{
		{"a row", func(c *Cache, t *Touched) { t.Row(c.Moves(), "t", 1) }, false, false, true, true},
		{"a table", func(c *Cache, t *Touched) { t.Table(c.Moves(), "t") }, false, false, false, true},
		{"everything", func(_ *Cache, t *Touched) { t.Everything() }, false, false, false, false},
		{"rows and tables", func(c *Cache, t *Touched) {
			var o Touched
			o.Row(c.Moves(), "t", 2)
			t.Table(c.Moves(), "u")
			t.Merge(&o)
		}, false, true, false, false},
		{"more than can be named", func(c *Cache, t *Touched) {
			for k := range int64(maxTouched) {
				t.Row(c.Moves(), "v", k)
			}
		}, false, false, false, false},
		{"what was found out before the schema moved", func(c *Cache, t *Touched) {
			t.Row(c.Moves(), "t", 1)
			c.Moved()
		}, false, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache, _ := newTest(t, Config{})
			keys := map[string]Deps{"all": table, "first": row1, "second": row2, "u": ReadsTables([]string{"u"})}
			for sql, deps := range keys {
				fill(t, cache, &Key{SQL: sql}, deps, resultOf(1))
			}
			var touched Touched
			c.touch(cache, &touched)
			w := cache.Begin(&touched)
			for sql, want := range map[string]bool{"all": c.all, "first": c.first, "second": c.second, "u": c.u} {
				if cache.has(&Key{SQL: sql}) != want {
					t.Errorf("%s survives: %v", sql, !want)
				}
			}
			w.Done()
		})
	}
}

func TestInvalidate(t *testing.T) {
	c, _ := newTest(t, Config{})
	k := &Key{SQL: "t"}
	for _, tables := range [][]string{{"T"}, nil} {
		fill(t, c, k, ReadsRow("t", 1), resultOf(1))
		if c.Invalidate("other"); c.has(k) != true {
			t.Error("another table's invalidation has ended it")
		}
		if c.Invalidate(tables...); c.has(k) {
			t.Errorf("it is there after Invalidate(%q)", tables)
		}
	}
}

func (c *Cache) has(k *Key) bool {
	return c.Get(k, Options{}).Result != nil
}

func TestLease(t *testing.T) {
	c, clock := newTest(t, Config{Lease: time.Second, TTL: 10 * time.Second, Revalidate: 2 * time.Second})
	f, _ := c.Fly(one, Reads{Deps: ReadsTables(nil)}, Options{}, Found{})
	clock.pass(400 * time.Millisecond)
	f.Land(Answer{Result: resultOf(1)}, true, false)
	c.Wait()
	for _, s := range []struct {
		pass           time.Duration
		o              Options
		hit, revaldate bool
	}{
		{599 * time.Millisecond, Options{}, true, false},
		{0, Options{Fresh: true}, false, false},
		{0, Options{Bounded: true, MaxStale: 999 * time.Millisecond}, false, false},
		{0, Options{Bounded: true, MaxStale: time.Second}, true, false},
		{time.Millisecond, Options{}, true, true}, // the lease counts from when it was sent
		{1999 * time.Millisecond, Options{}, true, true},
		{time.Millisecond, Options{}, false, false},
		{0, Options{Bounded: true, MaxStale: time.Hour}, true, false},
		{7 * time.Second, Options{Bounded: true, MaxStale: time.Hour}, false, false}, // the TTL bounds all
	} {
		clock.pass(s.pass)
		f := c.Get(one, s.o)
		if (f.Result != nil) != s.hit || f.Revalidate != s.revaldate {
			t.Errorf("after %v more, %+v: %+v", s.pass, s.o, f)
		}
	}
	if n := c.Counters(); n.Revalidated != 2 || n.Expired != 3 {
		t.Errorf("%+v", n)
	}
}

func TestLostWriteKeepsItsTablesOut(t *testing.T) {
	c, clock := newTest(t, Config{Lease: time.Hour, TTL: time.Hour})
	deps := ReadsTables([]string{"t"})
	lose := func() *Write {
		var touched Touched
		touched.Table(c.Moves(), "t")
		w := c.Begin(&touched)
		w.Lose()
		return w
	}
	kept := func() bool {
		f, _ := c.Fly(one, Reads{Deps: deps}, Options{}, Found{})
		f.Land(Answer{Result: resultOf(1)}, true, false)
		c.Wait()
		return c.has(one)
	}
	w := lose()
	if kept() {
		t.Error("a result is kept while a write is lost")
	}
	if w.Settle(); !kept() {
		t.Error("nothing is kept after it was settled")
	}
	w.Settle()
	lose()
	clock.pass(9 * time.Second)
	if kept() {
		t.Error("a result is kept before patience is at its end")
	}
	if clock.pass(time.Second); !kept() {
		t.Error("nothing is kept after patience was at its end")
	}
	if n := c.Counters(); n.Lost != 2 || n.Settled != 1 || n.GaveUp != 1 || n.Refused != 2 {
		t.Errorf("%+v", n)
	}
}

// A write of which nothing was sent is none, and what it touches may be kept again.
func TestUnsentWriteIsNone(t *testing.T) {
	c, _ := newTest(t, Config{})
	deps := ReadsTables([]string{"t"})
	for _, everything := range []bool{false, true} {
		var touched Touched
		touched.Table(c.Moves(), "t")
		if everything {
			touched.Everything()
		}
		w := c.Begin(&touched)
		c.Unsent(w)
		fill(t, c, one, deps, resultOf(1))
		if !c.has(one) {
			t.Error("nothing is kept")
		}
	}
	if n := c.Counters(); n.ByWrites != 0 || n.ByUnknown != 0 || len(n.Tables) != 1 || n.Tables[0].Writes != 0 {
		t.Errorf("%+v", n)
	}
}

func TestFollowers(t *testing.T) {
	c, _ := newTest(t, Config{})
	deps := ReadsTables([]string{"t"})
	f, leads := c.Fly(one, Reads{Deps: deps}, Options{}, Found{})
	same, second := c.Fly(one, Reads{Deps: deps}, Options{}, Found{})
	if !leads || second || same != f {
		t.Fatal("a second reader does not join the first")
	}
	if _, fresh := c.Fly(one, Reads{Deps: deps}, Options{Fresh: true}, Found{}); !fresh {
		t.Error("who wants it fresh joins what was sent before")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := same.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a follower whose context ended got %v", err)
	}
	f.Land(Answer{Err: context.Canceled}, false, true)
	if _, again, _ := same.Wait(context.Background()); !again {
		t.Error("followers are not told to ask for themselves after their leader has left")
	}
	if n := c.Counters(); n.Coalesced != 1 {
		t.Errorf("%+v", n)
	}
}

func TestTooLargeIsNotKept(t *testing.T) {
	c, _ := newTest(t, Config{Bytes: 1 << 16})
	r := &exec.Result{}
	r.Rows.Reset(1)
	r.Rows.AppendBytes(exec.Text, []byte(strings.Repeat("x", 1<<14)))
	r.Rows.EndRow()
	f, _ := c.Fly(one, Reads{Deps: ReadsTables(nil)}, Options{}, Found{})
	f.Land(Answer{Result: r}, true, false)
	if n := c.Counters(); n.TooLarge != 1 || n.Fills != 0 {
		t.Errorf("%+v", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c, _ := newTest(t, Config{Bytes: 1 << 18})
	for i := range int64(5000) {
		k := &Key{SQL: "SELECT ?", Args: []exec.Value{{Kind: exec.Integer, Int: i}}}
		f, _ := c.Fly(k, Reads{Deps: ReadsRow("t", i)}, Options{}, Found{})
		f.Land(Answer{Result: resultOf(i)}, true, false)
	}
	c.Wait()
	if n := c.Counters(); n.Bytes > 1<<18 || n.Entries == 0 {
		t.Errorf("%+v", n.Usage)
	}
	if len(c.flights) > 0 || len(c.open) > 0 {
		t.Error("something is left of flights or writes")
	}
}

// What a store loses, the front loses too, and of two entries of one key it has the
// last.
func TestFrontFollowsItsStore(t *testing.T) {
	made, err := newRistretto(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	defer made.close()
	var last *entry
	for n := range uint64(3) {
		last = &entry{hash: 5, cost: 100, ttl: time.Hour, sent: Instant{Wall: int64(n)}}
		if made.set(last); made.get(5) != last {
			t.Fatalf("entry %d is not the one that is found", n)
		}
	}
	made.wait()
	made.front.put(&entry{hash: 5}) // one that was read before the last came
	if made.set(last); made.get(5) != last {
		t.Error("an entry that was late keeps the last one out")
	}
	for hash := range uint64(2000) {
		made.set(&entry{hash: hash << 7, cost: 1000, ttl: time.Hour})
	}
	made.wait()
	there := uint64(0)
	for i := range made.front {
		if made.front[i].Load() != nil {
			there++
		}
	}
	if u := made.usage(); there > u.Entries || u.Bytes > 1<<16 || u.Entries == 0 || u.Evictions == 0 {
		t.Errorf("%d entries in the front, %+v in the store", there, u)
	}
	before := last.asked.Load()
	for range 1000 {
		made.front.put(last)
		made.get(5)
	}
	if n := last.asked.Load(); n != counted || n < before {
		t.Errorf("the store was asked %d times before it was left alone", n)
	}
}

func TestClosed(t *testing.T) {
	c, _ := newTest(t, Config{})
	fill(t, c, one, nil, resultOf(1))
	c.Close()
	f, _ := c.Fly(one, Reads{}, Options{}, Found{})
	f.Land(Answer{Result: resultOf(1)}, true, false)
	if c.has(one) {
		t.Error("something is kept after Close")
	}
}

// What a hit costs is what the caller pays in place of a round trip: nothing is
// allocated.
func BenchmarkHit(b *testing.B) {
	c := New(Config{Bytes: 1 << 20, Lease: time.Hour, TTL: time.Hour})
	defer c.Close()
	k := &Key{SQL: "SELECT name FROM users WHERE id = ?", Args: []exec.Value{{Kind: exec.Integer, Int: 7}}}
	f, _ := c.Fly(k, Reads{Deps: ReadsRow("users", 7)}, Options{}, Found{})
	f.Land(Answer{Result: resultOf(1)}, true, false)
	c.Wait()
	b.ReportAllocs()
	for b.Loop() {
		if c.Get(k, Options{}).Result == nil {
			b.Fatal("no hit")
		}
	}
}
