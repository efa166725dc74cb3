package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"

	tursoopt "github.com/turso-opt/turso-opt"
)

// Callers come at their rate whatever becomes of those before, and each one's time
// begins when he came.
func TestProgrammeIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside := make(chan struct{}, 1)
		work := func(context.Context, *sql.DB, int) (Task, error) {
			return Task{Do: func(ctx context.Context) error {
				select {
				case inside <- struct{}{}:
				case <-ctx.Done():
					return ctx.Err()
				}
				time.Sleep(10 * ms)
				<-inside
				return nil
			}}, nil
		}
		p := &programme{length: time.Second, parts: []Arrival{
			{Name: "idle", Rate: func(float64) float64 { return 10 }},
			{Name: "too much", Rate: func(part float64) float64 {
				if part > 0.5 {
					return 0.001
				}
				return 400
			}},
		}}
		s, err := p.run(t.Context(), idleDB(t), work)
		if err != nil || len(s.Arrivals) != 2 {
			t.Fatalf("%+v, %v", s.Arrivals, err)
		}
		idle, much := s.Arrivals[0], s.Arrivals[1]
		if n := len(idle.Latencies); n < 5 || n > 20 || idle.p99() > 0.05 || idle.Failed != 0 {
			t.Errorf("idle: %d came, p99 %v", n, idle.p99())
		}
		// 200 came in half a second, of whom 100 a second are served.
		if n := len(much.Latencies); n < 150 || n > 250 || much.p99() < 1 || much.Elapsed < 1500*ms {
			t.Errorf("too much: %d came, p99 %v, all in %v", n, much.p99(), much.Elapsed)
		}
		if s.Ops != len(idle.Latencies)+len(much.Latencies) || s.Elapsed < 2*time.Second {
			t.Errorf("%d operations in %v", s.Ops, s.Elapsed)
		}
	})
}

// idleDB is a pool that nobody uses.
func idleDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := openOurs(&tursoopt.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Who is late to let callers come lets all of them come, and the time that they have
// lost is theirs.
func TestProgrammeComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := func(context.Context, *sql.DB, int) (Task, error) {
			return Task{Do: func(context.Context) error { return nil }}, nil
		}
		came := func(stall time.Duration) (n [2]int, p99 float64) {
			once := sync.OnceFunc(func() { time.Sleep(stall) })
			p := &programme{length: time.Second, parts: []Arrival{
				{Name: "first", Rate: func(float64) float64 { once(); return 20 }},
				{Name: "second", Rate: func(float64) float64 { return 20 }},
			}}
			s, err := p.run(t.Context(), idleDB(t), work)
			if err != nil {
				t.Fatal(err)
			}
			return [2]int{len(s.Arrivals[0].Latencies), len(s.Arrivals[1].Latencies)}, s.Arrivals[1].p99()
		}
		inTime, _ := came(0)
		late, p99 := came(5 * time.Second)
		if late != inTime || inTime[0] < 10 || inTime[1] < 10 || p99 < 3 {
			t.Errorf("%v came late, %v in time; p99 %v", late, inTime, p99)
		}
	})
}

// What fails, or is not answered in time, counts as one that took as long as anybody
// waits.
func TestProgrammeCountsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		work := func(context.Context, *sql.DB, int) (Task, error) {
			return Task{Do: func(ctx context.Context) error {
				switch n.Add(1) {
				case 1:
					return nil
				case 2:
					return errors.New("refused")
				}
				<-ctx.Done()
				return ctx.Err()
			}}, nil
		}
		p := &programme{length: time.Second, parts: []Arrival{{Name: "x", Rate: func(float64) float64 { return 20 }}}}
		s, err := p.run(t.Context(), idleDB(t), work)
		if err != nil {
			t.Fatal(err)
		}
		a := s.Arrivals[0]
		if s.Ops != 1 || a.Failed != len(a.Latencies)-1 || a.Latencies[1] != giveUp || a.p99() != giveUp.Seconds() {
			t.Errorf("%d done, %d failed of %v", s.Ops, a.Failed, a.Latencies)
		}
		n.Store(1)
		if _, err := p.run(t.Context(), idleDB(t), work); err == nil {
			t.Error("a programme of failures only is none")
		}
	})
}

// The network follows the programme.
func TestProgrammeMovesTheNetwork(t *testing.T) {
	server, w := embedded(t, People)
	link, err := server.Link(netem.Conditions{RTT: ms})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	p := &programme{link: link, rtt: ms, length: 100 * ms, parts: []Arrival{
		{Name: "near", Rate: func(float64) float64 { return 50 }},
		{Name: "far", Rate: func(float64) float64 { return 50 }, RTT: func(float64) time.Duration { return 30 * ms }},
	}}
	s, err := p.run(t.Context(), opened(t, Ours, link.Config, 4), readThree(w))
	if err != nil {
		t.Fatal(err)
	}
	if near, far := s.Arrivals[0], s.Arrivals[1]; far.Latencies[0] < 4*30*ms || near.Open == 0 || near.Failed+far.Failed > 0 {
		t.Errorf("%+v, %+v", near, far)
	}
	if link.Conditions().RTT != 30*ms {
		t.Errorf("%+v", link.Conditions())
	}
}

// Each side has the pool that its name says, and the adaptive one has a controller.
func TestPoolSides(t *testing.T) {
	server := hranatest.NewServer(t, hranatest.Options{})
	cfg, err := tursoopt.ParseDSN(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, sweep := range []poolSweep{nativePools, wrappedPools} {
		for i, side := range sweep.sides() {
			db := opened(t, side, cfg, maxConns)
			s, _ := tursoopt.StatsOf(db)
			if adaptive := i == len(poolSizes); s.Pool.Managed != adaptive || !adaptive && db.Stats().MaxOpenConnections != poolSizes[i] {
				t.Errorf("%s: %+v, at most %d", side.Name, s.Pool, db.Stats().MaxOpenConnections)
			}
		}
	}
}

// poolObserved has p99 (of both loads), mean connections and operations by side.
func poolObserved(p poolSweep, by func(size int) (time.Duration, float64, int)) *observed {
	o := &observed{rounds: map[string][]Sample{}}
	for i, side := range p.sides() {
		size := 0
		if i < len(poolSizes) {
			size = poolSizes[i]
		}
		took, open, ops := by(size)
		s := Sample{Elapsed: time.Second, Ops: ops, Latencies: []time.Duration{took}}
		for _, l := range poolLoads {
			s.Arrivals = append(s.Arrivals, ArrivalSample{Name: l.Name, Latencies: []time.Duration{took}, Elapsed: time.Second, Open: open})
		}
		o.rounds[side.Name] = []Sample{s}
	}
	return o
}

func TestPoolFigures(t *testing.T) {
	p := nativePools
	o := poolObserved(p, func(size int) (time.Duration, float64, int) {
		switch size {
		case 0:
			return 100 * ms, 20, 1100
		case maxConns:
			return 120 * ms, 80, 1000
		}
		return time.Second, float64(size), 500
	})
	o.rounds[p.adaptive.Name][0].Arrivals[1].Latencies[0] = 150 * ms
	want := []float64{math.Pow(1.2, 0.75) * math.Pow(0.8, 0.25), 1.1, 1.25, 0.25, 1}
	for i, f := range p.figures()[:5] {
		if f.goal == nil || math.Abs(f.read(o).Value-want[i]) > 1e-9 {
			t.Errorf("%s is %v, want %v", f.Name, f.read(o).Value, want[i])
		}
	}
	lines := p.tell(o)
	if len(lines) != len(poolLoads) || lines[0] != "native, burst, p99 / mean connections: 10 1.00 s / 10; 30 1.00 s / 30; 100 120 ms / 80; adaptive 100 ms / 20" {
		t.Errorf("%q", lines)
	}
	if v := p.figures()[2].read(&observed{}).Value; !math.IsNaN(v) {
		t.Errorf("of nothing: %v", v)
	}
	result := &Result{ID: "13", Name: "pool", Title: "pools"}
	for _, side := range p.sides() {
		s := o.rounds[side.Name][0]
		result.Sides = append(result.Sides, SideResult{Name: side.Name, Loads: s.loads()})
	}
	report := &Report{Results: []*Result{result}}
	if files, err := report.Plot(t.TempDir(), "svg"); err != nil || len(files) != 1 {
		t.Errorf("%q, %v", files, err)
	}
	if got := fmt.Sprint(result.Sides[3].Loads[0]); got != fmt.Sprint(LoadResult{Name: "burst", P99: 0.1, Rate: 1, Open: 20}) {
		t.Errorf("%s", got)
	}
	if result.goroutines() != "as many as come" {
		t.Error(result.goroutines())
	}
}
