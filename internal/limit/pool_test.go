package limit

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// A steadyPool is a law under a load that never changes.
type steadyPool struct {
	law      *Pool
	rate     float64       // uses a second
	use      time.Duration // of each
	interval time.Duration
	work     time.Duration // of the server on each
	carry    float64
	last     PoolDecision
	changes  []PoolDecision
}

// run lets a time pass.
func (s *steadyPool) run(d time.Duration) {
	for t := time.Duration(0); t < d; t += s.interval {
		s.carry += s.rate * s.interval.Seconds()
		n := int(s.carry)
		s.carry -= float64(n)
		inUse := min(int(s.rate*s.use.Seconds()), s.law.Size())
		s.observe(PoolSample{
			Interval: s.interval, InUse: inUse, Working: inUse, Idle: s.law.Size() - inUse, Busy: time.Duration(inUse) * s.interval,
			Begun: n, Finished: n, Held: time.Duration(n) * s.use,
			Answered: n, Server: time.Duration(n) * s.work,
		})
	}
}

func (s *steadyPool) observe(x PoolSample) {
	s.last = s.law.Observe(x)
	if s.last.Change != Kept {
		s.changes = append(s.changes, s.last)
	}
}

func newSteady(cfg PoolConfig, size int) *steadyPool {
	return &steadyPool{law: NewPool(cfg, size), rate: 100, use: 200 * ms, interval: 100 * ms, work: ms}
}

// What is in use on average, and twice the square root of it, whatever the
// interval is. From below less will do if nobody waits for it.
func TestPoolStaffsByTheSquareRoot(t *testing.T) {
	for _, interval := range []time.Duration{5 * ms, 100 * ms, time.Second} {
		for _, c := range []struct {
			rate float64
			use  time.Duration
			size int
		}{{100, 200 * ms, 30}, {1000, 64 * ms, 81}, {20, 250 * ms, 11}, {4, 2 * time.Second, 15}} {
			for _, from := range []int{2, 99} {
				s := newSteady(poolDefaults, from)
				s.interval, s.rate, s.use = interval, c.rate, c.use
				s.run(2 * time.Minute)
				least := min(c.size, int(c.rate*c.use.Seconds()/poolDefaults.Up))
				if got := s.law.Size(); got < least || got > c.size+c.size/4+1 {
					t.Errorf("%v uses/s of %v, from %d every %v: the size is %d, not %d", c.rate, c.use, from, interval, got, c.size)
				}
			}
		}
	}
}

func TestPoolShrinksSlowly(t *testing.T) {
	s := newSteady(poolDefaults, 100)
	s.run(time.Second)
	if len(s.changes) != 0 {
		t.Errorf("in the first second: %+v", s.changes)
	}
	s.run(time.Minute)
	size := 100
	for _, d := range s.changes {
		if d.Change != Shrunk || size-d.Size > max(size/5, (size-30)/2+1) || !strings.Contains(d.Reason, "need") {
			t.Errorf("from %d: %+v", size, d)
		}
		size = d.Size
	}
	if len(s.changes) < 3 {
		t.Errorf("%d steps from 100 to %d", len(s.changes), size)
	}
	// The most that was needed in the time counts, not the last.
	s = newSteady(poolDefaults, 100)
	for range 60 {
		s.rate = 20
		s.run(900 * ms)
		s.rate = 400
		s.run(100 * ms)
	}
	if n := s.law.Size(); n < 25 {
		t.Errorf("with a peak every second the size is %d", n)
	}
}

func TestPoolShrinksFastWithoutUse(t *testing.T) {
	s := newSteady(poolDefaults, 100)
	s.run(time.Minute)
	s.rate = 0
	s.run(15 * time.Second)
	if s.law.Size() != poolDefaults.Min {
		t.Errorf("after 15 s without use the size is %d", s.law.Size())
	}
}

// Whatever has been before: if all connections are held, nothing comes back, and
// somebody may be waiting, there are more soon.
func TestPoolLeavesNobodyWaiting(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := NewPool(poolDefaults, 2)
		some := func() int { return int(r.ExpFloat64() * 10 * float64(r.IntN(2))) }
		for range 1 + r.IntN(50) {
			inUse := r.IntN(p.Size() + 1)
			x := PoolSample{
				Interval: time.Duration(1+r.IntN(100)) * ms, InUse: inUse, Working: r.IntN(inUse + 1), Idle: r.IntN(p.Size() - inUse + 1),
				Begun: some(), Finished: some(), Waited: some(), Answered: some(),
			}
			x.Held = time.Duration(x.Finished) * time.Duration(r.IntN(100)) * ms
			x.Busy = x.Interval * time.Duration(x.InUse)
			x.Server = time.Duration(x.Answered) * time.Duration(r.IntN(2000)) * us
			p.Observe(x)
		}
		size := p.Size()
		if size == poolDefaults.Max {
			continue
		}
		held := PoolSample{Interval: 100 * ms / PoolHaste, InUse: size, Busy: 100 * ms / PoolHaste * time.Duration(size)}
		first := held
		first.Waited = 1
		d := p.Observe(first)
		for t := time.Duration(0); t < 3*time.Second && d.Size == size; t += held.Interval {
			d = p.Observe(held)
		}
		if d.Size <= size || d.Waiting < 1 {
			t.Errorf("seed %d: 1 of %d waits, and then: %+v", seed, size, d)
		}
	}
}

// No sequence of samples leads out of the bounds, or to a decision without a
// reason.
func TestPoolKeepsItsBounds(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 2))
		cfg := poolDefaults
		cfg.Min, cfg.Max = 1+r.IntN(5), 5+r.IntN(200)
		p := NewPool(cfg, r.IntN(300))
		any := func() int {
			if r.IntN(3) == 0 {
				return 0
			}
			return int(math.Exp(r.Float64() * 12))
		}
		size := p.Size()
		for range 200 {
			d := p.Observe(PoolSample{
				Interval: time.Duration(any()-1) * us, InUse: any(), Working: any(), Idle: any(), Busy: time.Duration(any()) * us,
				Begun: any(), Finished: any(), Held: time.Duration(any()) * us, Waited: any(),
				Answered: any(), Server: time.Duration(any()) * us, Refused: any() / 1000,
			})
			if d.Size != p.Size() || d.Size < cfg.Min || d.Size > cfg.Max || d.Waiting < 0 {
				t.Fatalf("seed %d: %+v, bounds %d and %d", seed, d, cfg.Min, cfg.Max)
			}
			if (d.Size != size) != (d.Change != Kept) || (d.Change != Kept) != (d.Reason != "") ||
				d.Change == Grown && d.Size < size || (d.Change == Shrunk || d.Change == Capped) && d.Size > size ||
				strings.Contains(d.Reason, "NaN") || strings.Contains(d.Reason, "Inf") {
				t.Fatalf("seed %d: from %d: %+v", seed, size, d)
			}
			size = d.Size
		}
	}
}

// full is an interval in which all connections were in use and others waited.
func (s *steadyPool) full(n int, use, work time.Duration) PoolSample {
	size := s.law.Size()
	return PoolSample{
		Interval: s.interval, InUse: size, Working: size, Busy: s.interval * time.Duration(size), Begun: n, Finished: n, Waited: n + 5,
		Held: use * time.Duration(n), Answered: n, Server: work * time.Duration(n),
	}
}

// A server that takes several times as long while many statements are inside gets
// fewer; one that takes as long while few are does not.
func TestPoolCapsWhatCrowds(t *testing.T) {
	s := newSteady(poolDefaults, 60)
	s.run(20 * time.Second) // a statement takes 1 ms alone
	for range 20 {
		s.observe(s.full(100, 60*ms, 40*ms)) // 40 inside, 20 on the path
	}
	if s.last.Size > 30 || s.last.Size < 20+fewInside-2 {
		t.Errorf("the size is %d, want those on the path and a few", s.last.Size)
	}
	reason := ""
	for _, d := range s.changes {
		if d.Change == Capped {
			reason = d.Reason
		}
	}
	if !strings.Contains(reason, "in the server") {
		t.Errorf("the reason is %q", reason)
	}
	if s.law.MayGrow() {
		t.Error("it may grow")
	}
	// It is over: the cap goes.
	for range 200 {
		s.observe(s.full(100, 21*ms, ms))
	}
	if s.last.Size < 60 {
		t.Errorf("the server is idle, and the size %d", s.last.Size)
	}

	s = newSteady(poolDefaults, 60)
	s.run(20 * time.Second)
	for range 50 {
		s.observe(s.full(10, 400*ms, 40*ms)) // 4 inside
	}
	for _, d := range s.changes {
		if d.Change == Capped {
			t.Errorf("with 4 statements inside: %+v", d)
		}
	}
}

func TestPoolCapsAfterRefusals(t *testing.T) {
	s := newSteady(poolDefaults, 60)
	s.rate, s.use = 500, 100*ms
	s.run(5 * time.Second)
	from := s.law.Size()
	less := int(math.Ceil(float64(from) * refusedDown))
	x := s.full(50, 100*ms, ms)
	x.Refused = 3
	s.observe(x)
	if s.last.Change != Capped || s.last.Size != less || s.last.Reason != "the server has refused 3" {
		t.Errorf("%d in use: %+v", from, s.last)
	}
	s.observe(x) // the server has had no time to answer to that
	if s.last.Change != Kept {
		t.Errorf("at once again: %+v", s.last)
	}
	for range 5 {
		s.observe(x)
	}
	if s.last.Size >= less {
		t.Errorf("it goes on: %+v", s.last)
	}
	low := s.law.Size()
	for range 19 {
		s.observe(s.full(50, 100*ms, ms))
	}
	if s.law.Size() > low {
		t.Errorf("within the cooldown the size is %d", s.law.Size())
	}
	for range 200 {
		s.observe(s.full(50, 100*ms, ms))
	}
	if s.law.Size() < 60 {
		t.Errorf("long after the size is %d", s.law.Size())
	}
}

// Where the server says nothing, more connections are given up if as many uses end
// without them, and kept if they are what the path needs.
func TestPoolSeeksWhereNothingIsTold(t *testing.T) {
	for _, c := range []struct {
		name        string
		perSecond   func(size int) float64
		least, most int
	}{
		{"a limited server", func(n int) float64 { return min(400, 20*float64(n)) }, 18, 30},
		{"one that thrashes", func(n int) float64 { return min(400, 20*float64(n), 400*30/float64(n)) }, 18, 32},
		{"a long path", func(n int) float64 { return 20 * float64(n) }, 90, 100},
	} {
		s := newSteady(poolDefaults, 100)
		var sizes float64
		const looks = 3000
		for i := range looks {
			n := s.law.Size()
			done := c.perSecond(n) * s.interval.Seconds()
			x := s.full(int(done), time.Duration(float64(n)/c.perSecond(n)*float64(time.Second)), 0)
			x.Answered = 0
			x.Waited = int(done) + 20
			s.observe(x)
			if i >= looks/2 {
				sizes += float64(s.law.Size()) / (looks / 2)
			}
		}
		t.Logf("%s: %.0f connections", c.name, sizes)
		if sizes < float64(c.least) || sizes > float64(c.most) {
			t.Errorf("%s: %.0f connections, want %d to %d", c.name, sizes, c.least, c.most)
		}
	}
}

func BenchmarkPoolObserve(b *testing.B) {
	s := newSteady(poolDefaults, 30)
	b.ReportAllocs()
	for b.Loop() {
		s.run(s.interval)
	}
}
