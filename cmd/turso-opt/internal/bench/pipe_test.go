package bench

import (
	"context"
	"database/sql"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/netem"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// embedded is a server with the tables of setup, a hundredth of their size.
func embedded(t *testing.T, setup func(World) []string) (*target.Target, World) {
	t.Helper()
	cfg, err := tursoopt.ParseDSN(hranatest.NewServer(t, hranatest.Options{}).URL())
	if err != nil {
		t.Fatal(err)
	}
	server := &target.Target{Kind: target.Embedded, Config: cfg}
	w, drop, err := MakeTables(t.Context(), server, setup, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return server, w
}

// opened is a side's pool, closed with the test.
func opened(t *testing.T, s Side, cfg *tursoopt.Config, goroutines int) *sql.DB {
	t.Helper()
	db, err := s.Open(cfg, goroutines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db.Close()
		CloseBase()
	})
	return db
}

// What a tap counts is what a network between counts.
func TestTapCountsRequests(t *testing.T) {
	server, w := embedded(t, People)
	link, err := server.Link(netem.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	seen := &tap{}
	db := opened(t, Ours, seen.through(link.Config), 8)
	if err := db.PingContext(t.Context()); err != nil { // agrees on a version, by a GET
		t.Fatal(err)
	}
	tapped, passed := seen.count(), link.Settle(t.Context())
	for _, work := range []func(World) Work{PointSelect, Insert, ThreeUpdates, pipelinedUpdates} {
		s, err := Load{Goroutines: 8, Ops: 20, Tap: seen, Link: link}.Run(t.Context(), db, work(w))
		if err != nil {
			t.Fatal(err)
		}
		// What a driver sends after its caller has gone on, the tap of a load misses.
		all, want := seen.count()-tapped, link.Counts().Sub(passed).Requests
		if s.Tapped == 0 || int64(s.Tapped) > s.Counts.Requests || int64(all) != want {
			t.Errorf("the tap has counted %d requests and %d in all, the network %d and %d", s.Tapped, all, s.Counts.Requests, want)
		}
	}
	cfg := &tursoopt.Config{DialContext: seen.dial}
	if (*tap)(nil).through(cfg) != cfg || (*tap)(nil).count() != 0 {
		t.Error("no tap does something")
	}
}

func newPeoplePipe(t *testing.T, cfg *tursoopt.Config, w World) *pipe {
	t.Helper()
	p, err := newPipe(t.Context(), cfg, 1, func(worker int) func() hrana.Stmt { return pointStatements(w, worker) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func TestPipeSendsAsMuchAsItFollows(t *testing.T) {
	server, w := embedded(t, People)
	link, err := server.Link(netem.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	p := newPeoplePipe(t, link.Config, w)
	for _, each := range []float64{1, 2.5, 13} {
		if err := p.follow(Sample{Ops: int(each * 100), Tapped: 100}); err != nil || p.each != each {
			t.Fatalf("%g, %v", p.each, err)
		}
		const calls = 2 * bodies // whatever the body it begins with
		s, err := Load{Goroutines: 3, Ops: calls, Link: link}.Run(t.Context(), nil, p.work)
		if err != nil || s.Counts.Requests != 3*calls || s.Ops != int(each*3*calls) {
			t.Errorf("at %g statements per request: %d statements in %d requests, %v", each, s.Ops, s.Counts.Requests, err)
		}
	}
	if err := p.follow(Sample{Ops: 10}); err == nil {
		t.Error("a pipe follows what nobody has counted")
	}
	if err := p.follow(Sample{Ops: 1, Tapped: 2}); err != nil || p.each != 1 {
		t.Errorf("less than a statement in a request: %g, %v", p.each, err)
	}
}

func TestPipeIsNoWiderThanItsCallers(t *testing.T) {
	server, w := embedded(t, People)
	p := newPeoplePipe(t, server.Config, w)
	for _, c := range []struct {
		each    float64
		callers int
		most    int
	}{{32, 32, 1}, {20, 32, 2}, {1, 3, 3}, {1, 100, maxInFlight}} {
		p.each, p.callers = c.each, c.callers
		if n := p.widest(); n != c.most {
			t.Errorf("%g statements for %d callers: up to %d requests at a time", c.each, c.callers, n)
		}
		if err := p.tune(t.Context(), time.Millisecond); err != nil || p.atOnce() < 1 || p.atOnce() > c.most {
			t.Errorf("%g statements for %d callers: %d requests at a time, %v", c.each, c.callers, p.atOnce(), err)
		}
	}
	// Found when requests were smaller.
	p.each, p.callers, p.inFlight = 16, 32, 7
	if n := p.atOnce(); n != 2 {
		t.Errorf("%d requests at a time", n)
	}
}

// Errors are quick to send: a pipe that took them for answers would be fast.
func TestPipeTakesNoErrorForAnAnswer(t *testing.T) {
	server, w := embedded(t, People)
	p := newPeoplePipe(t, server.Config, World{prefix: "no_such_", divisor: 1})
	p.each = 2
	if _, err := p.work(t.Context(), nil, 0); err == nil || !strings.Contains(err.Error(), "0 rows") {
		t.Errorf("statements that fail: %v", err)
	}
	p = newPeoplePipe(t, server.Config, w)
	p.each = 2
	task, err := p.work(t.Context(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	db := opened(t, Ours, server.Config, 1)
	if _, err := db.ExecContext(t.Context(), "DELETE FROM "+w.table("people")); err != nil {
		t.Fatal(err)
	}
	if err := task.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := task.Done(); err == nil {
		t.Error("rows that are not there are not missed")
	}
	none := httptest.NewServer(nil)
	defer none.Close()
	cfg, err := tursoopt.ParseDSN(none.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPeoplePipe(t, cfg, w).work(t.Context(), nil, 0); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a server that is none: %v", err)
	}
}

func TestPipeEndsItsStreams(t *testing.T) {
	server, w := embedded(t, People)
	link, err := server.Link(netem.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	p := newPeoplePipe(t, link.Config, w)
	p.each = 1
	task, err := p.work(t.Context(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := link.Settle(t.Context())
	if err := task.Done(); err != nil {
		t.Fatal(err)
	}
	if n := link.Settle(t.Context()).Sub(before).Requests; n != 1 {
		t.Errorf("the end takes %d requests", n)
	}
	// One that was broken off is not asked for what it never had.
	ctx, cancel := context.WithCancel(t.Context())
	if task, err = p.work(ctx, nil, 0); err != nil {
		t.Fatal(err)
	}
	cancel()
	if task.Do(ctx) == nil {
		t.Error("it goes on after its context")
	}
	if err := task.Done(); err != nil {
		t.Error(err)
	}
}

func TestBaton(t *testing.T) {
	for _, baton := range []string{"", "b", strings.Repeat("long ", 100)} {
		answer, err := hrana.AppendPipelineResp(nil, hrana.Protobuf, &hrana.PipelineResp{Baton: baton, BaseURL: "http://h"})
		if err != nil {
			t.Fatal(err)
		}
		if got := batonOf(answer); got != baton {
			t.Errorf("the baton of %q is %q", baton, got)
		}
	}
	for _, cut := range []string{"", "\x0a", "\x0a\x05abc", "\x0a\xff", "{}"} {
		if got := batonOf([]byte(cut)); got != "" {
			t.Errorf("the baton of %q is %q", cut, got)
		}
	}
}

func TestPortions(t *testing.T) {
	for _, each := range []float64{1, 1.3, 2, 12.75, 63.9} {
		sum := 0
		for i := range 1000 {
			n := portion(each, i)
			if sum += n; float64(n) < each-1 || float64(n) > each+1 {
				t.Errorf("a part of %d where they are %g", n, each)
			}
		}
		if want := int(each * 1000); sum < want-1 || sum > want+1 {
			t.Errorf("1,000 parts of %g are %d", each, sum)
		}
	}
}
