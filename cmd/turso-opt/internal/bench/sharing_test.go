package bench

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// The claims about many callers, by their rows.
func TestClaimsAboutManyCallers(t *testing.T) {
	for id, goals := range map[string][]string{
		"2": {"throughput, ours / base: goal >= 18.0x", "throughput, ours / raw pipe: goal >= 0.70x"},
		"3": {"throughput, ours / base: goal >= 40.0x", "throughput, ours / raw pipe: goal >= 0.70x"},
		"6": {"throughput, ours, group_commit / base, 8 connections: goal >= 15.0x"},
		"7": {"throughput, ours, group_commit / base, 8 connections: goal >= 40.0x"},
		"8": {"HTTP requests per op, ours, pipelined: goal <= 1.00", "latency p50, base / ours, pipelined: goal >= 4.00x"},
		"9": {"time for 1,000 rows, base / ours: goal >= 500x"},
		"18": {
			"HTTP requests per op, ours, batches / base, 8 connections: goal <= 0.20x",
			"HTTP requests per op, ours, batches, group_commit / base, 8 connections: goal <= 0.20x",
		},
		"16": {
			"reads that reach the server, per op, ours, cache / base: goal <= 0.15x", "throughput, ours, cache / base: goal >= 10.0x",
			"stale answers, ours, cache: goal <= 0.00",
		},
		"17": {"time per op, ours, cache / no-op driver: goal <= 1.50x", "allocations more than the no-op driver makes, ours, cache: goal <= 2.00"},
		"19": {"throughput, ours, everything on / base, 8 connections: goal >= 15.0x", "latency p99, ours, everything on / base, 8 connections: goal <= 1.00x"},
	} {
		chosen, err := Select(id)
		if err != nil {
			t.Error(err)
			continue
		}
		var list strings.Builder
		if err := List(&list, chosen); err != nil {
			t.Fatal(err)
		}
		for _, goal := range goals {
			if !strings.Contains(list.String(), goal+"\n") {
				t.Errorf("scenario %s lacks %q:\n%s", id, goal, list.String())
			}
		}
	}
	for id, goroutines := range map[string]int{"2": 32, "3": 256, "6": 32, "7": 256, "16": 64, "18": 64, "19": 64} {
		if chosen, err := Select(id); err != nil || chosen[0].Goroutines != goroutines {
			t.Errorf("scenario %s: %v", id, err)
		}
	}
}

func TestSidesOfTheirOwn(t *testing.T) {
	points := Base.points(1, 8)
	if len(points) != 2 || points[1].Name != "base, 8" || points[1].pool() != "base" || points[1].goroutines != 8 || points[1].conns != maxConns {
		t.Errorf("%+v", points)
	}
	s := &Scenario{Goroutines: 3, Work: PointSelect}
	if s.goroutinesOf(Ours) != 3 || s.goroutinesOf(points[1]) != 8 || Ours.pool() != "ours" {
		t.Error("goroutines or pools are mixed up")
	}
	own := errors.New("own")
	side := Ours.by(func(World) Work {
		return func(context.Context, *sql.DB, int) (Task, error) { return Task{}, own }
	}).named("other")
	if _, err := s.workOf(side, World{})(t.Context(), nil, 0); err != own || side.Name != "other" || Ours.work != nil {
		t.Errorf("%v", err)
	}
}

func TestPoolsFit(t *testing.T) {
	server, _ := embedded(t, People)
	for _, c := range []struct {
		side Side
		most int
	}{{Base, maxConns}, {fewConns, 8}, {Ours, 0}, {grouped, 0}} {
		if got := opened(t, c.side, server.Config, 500).Stats().MaxOpenConnections; got != c.most {
			t.Errorf("%s has at most %d connections, want %d", c.side.Name, got, c.most)
		}
	}
}

func TestAgainWhileLocked(t *testing.T) {
	calls := 0
	busy, bad := errors.New("failed to execute SQL:\nSQLite error: database is locked"), errors.New("bad")
	outcomes := []error{busy, busy, nil, bad}
	work := again(func(World) Work {
		return func(context.Context, *sql.DB, int) (Task, error) {
			return Task{Do: func(context.Context) error { calls++; return outcomes[calls-1] }}, nil
		}
	})
	task, err := work(World{})(t.Context(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := task.Do(t.Context()); err != nil || calls != 3 {
		t.Errorf("after %d calls: %v", calls, err)
	}
	if err := task.Do(t.Context()); err != bad || calls != 4 {
		t.Errorf("after %d calls: %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	outcomes = append(outcomes, busy)
	if err := task.Do(ctx); err != busy {
		t.Errorf("after its end: %v", err)
	}
}

// Both ways to insert do the same, and count rows.
func TestBulkAndRowByRow(t *testing.T) {
	server, w := embedded(t, People)
	for _, side := range []Side{oneByOne, inBulk} {
		db := opened(t, side, server.Config, 1)
		table := w.table("people")
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
		calls := 2
		if side.Name == Base.Name {
			calls = 40
		}
		s, err := Load{Goroutines: 1, Ops: calls}.Run(t.Context(), db, side.work(w))
		var n, fit int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*), sum(name||'@example.com' = replace(email, 'person', 'person ') AND 'person '||cast(score * 2 AS INTEGER) = name) FROM "+table).Scan(&n, &fit); err != nil {
			t.Fatal(err)
		}
		if err != nil || n != s.Ops || n != fit || n%calls != 0 {
			t.Errorf("%s: %d rows of which %d are right, %d counted, %v", side.Name, n, fit, s.Ops, err)
		}
		if v := thousandTime.Of(Sample{Ops: 500, Elapsed: time.Second, Latencies: []time.Duration{1}}); v != 2 {
			t.Errorf("500 rows in a second make 1,000 in %g", v)
		}
	}
}

// A side that may fail is left out from then on, and its rounds before count.
func TestSideThatFailsIsLeftOut(t *testing.T) {
	calls := map[string]int{}
	work := func(name string, failAt int) func(World) Work {
		return func(World) Work {
			return func(context.Context, *sql.DB, int) (Task, error) {
				return Task{Do: func(context.Context) error {
					if calls[name]++; calls[name] == failAt {
						return errors.New("locked up")
					}
					return nil
				}}, nil
			}
		}
	}
	a, b := Base.by(work("base", 3)), Ours.by(work("ours", 0))
	r := &runner{
		Scenario: &Scenario{Sides: []Side{a, b}, MayFail: map[string]string{a.Name: "known"}, Counted: 1},
		opts:     Options{Time: 4, Rounds: 4}, failed: map[string]string{},
		samples: observed{rounds: map[string][]Sample{}, counted: map[string][]Sample{}},
		grounds: map[string]*ground{a.Name: {}, b.Name: {}},
	}
	if err := r.rounds(t.Context()); err != nil || calls["base"] != 3 || calls["ours"] != 4 {
		t.Errorf("%v calls, %v", calls, err)
	}
	if n := []int{len(r.samples.rounds[a.Name]), len(r.samples.rounds[b.Name])}; !slices.Equal(n, []int{2, 4}) || r.failed[a.Name] == "" {
		t.Errorf("%v rounds, %q", n, r.failed)
	}
}

func TestSteepestFall(t *testing.T) {
	points := Ours.points(1, 2, 4, 8)
	o := &observed{rounds: map[string][]Sample{}}
	for i, ops := range []int{100, 400, 300, 600} {
		o.rounds[points[i].Name] = []Sample{{Ops: ops, Elapsed: time.Second, Latencies: []time.Duration{1}}}
	}
	f := steepestFall(Throughput, points)
	if v := f.read(o); v.Value != 0.75 {
		t.Errorf("from 400 to 300: %+v", v)
	}
	if v := steepestFall(Throughput, points[:2]).read(o); v.Value != 1 {
		t.Errorf("what only rises: %+v", v)
	}
	delete(o.rounds, points[0].Name)
	if v := f.read(o); v.Value == v.Value {
		t.Errorf("with a point missing: %+v", v)
	}
	r := &runner{Scenario: &Scenario{Sides: append(Base.points(1), points...)}, samples: *o}
	c := r.curves()
	if len(c) != 1 || c[0].Name != "ours" || !slices.Equal(c[0].X, []int{2, 4, 8}) || !slices.Equal(c[0].Y, []float64{400, 300, 600}) {
		t.Errorf("%+v", c)
	}
}

func TestCurvesArePlotted(t *testing.T) {
	r := exampleReport()
	r.Results = []*Result{{Name: "curves", Curves: []Curve{{Name: "base", X: []int{1, 2}, Y: []float64{10, 11}}, {Name: "ours", X: []int{1, 2, 512}, Y: []float64{10, 20, 5000}}}}}
	files, err := r.Plot(t.TempDir(), "svg")
	if err != nil || len(files) != 1 || !strings.HasSuffix(files[0], "curves.svg") {
		t.Errorf("%q, %v", files, err)
	}
	r.Results[0].Curves = []Curve{{Name: "one", X: []int{1}, Y: []float64{10}}}
	if _, err := r.Plot(t.TempDir(), "png"); err != nil {
		t.Error(err)
	}
}
