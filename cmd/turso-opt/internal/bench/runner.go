package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// Defaults of Options.
const (
	// DefaultTime is what each side of a scenario gets, over all its rounds.
	DefaultTime = 5 * time.Second
	// DefaultRounds is how often the sides take turns.
	DefaultRounds = 5
)

// Options say how scenarios are run.
type Options struct {
	Target target.Options
	// RTT replaces the scenarios' own, if it is not nil.
	RTT    *time.Duration
	Time   time.Duration
	Rounds int
	// Short is for trying things out: tables of a hundredth of their size, and
	// no figure is judged.
	Short    bool
	Progress *ui.Progress
}

// Steps is how many steps of progress the scenarios take.
func Steps(scenarios []*Scenario) int { return stepsEach * len(scenarios) }

const (
	// stepsEach are those of one scenario: server, tables, warm-up, rounds,
	// counted pass.
	stepsEach = 5
	// shortDivisor is what the tables' sizes are divided by in a short run.
	shortDivisor = 100
)

// A runner runs one scenario.
type runner struct {
	*Scenario
	opts    Options
	target  *target.Target
	link    *target.Link // the network of the rounds; nil for none
	rtt     time.Duration
	world   World
	dbs     map[string]*sql.DB
	failed  map[string]string
	samples observed
	// links are measured round-trip times of the emulated network.
	links []time.Duration
	// countable: a proxy could be put in front of the target.
	countable bool
}

// Run runs the scenarios one after the other, each with a server of its own
// unless the target is a database. What goes wrong in one is in its result, and
// the others still run; err is for what ends all of them.
func Run(ctx context.Context, scenarios []*Scenario, o Options) (*Report, error) {
	report := newReport(o)
	for _, s := range scenarios {
		o.Progress.Stage("scenario %s: %s", s.ID, s.Title)
		result, err := runOne(ctx, s, o, report)
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		if err != nil {
			result.Error = err.Error()
		}
		report.Results = append(report.Results, result)
	}
	return report, nil
}

func runOne(ctx context.Context, s *Scenario, o Options, report *Report) (result *Result, err error) {
	r := &runner{Scenario: s, opts: o, rtt: s.RTT, dbs: map[string]*sql.DB{}, failed: map[string]string{}}
	r.samples = observed{rounds: map[string][]Sample{}, counted: map[string][]Sample{}}
	result = &Result{ID: s.ID, Name: s.Name, Title: s.Title, About: s.About, Goroutines: s.goroutines()}
	if r.target, err = target.Start(ctx, o.Target); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.target.Close()) }()
	report.sawServer(r.target)
	result.Server = r.target.String()
	switch {
	case o.RTT != nil:
		r.rtt = *o.RTT
	case !r.target.Own():
		r.rtt = 0 // it has a network of its own
	}
	result.RTT = r.rtt
	o.Progress.Step()
	if err := r.run(ctx); err != nil {
		return result, err
	}
	r.read(result)
	return result, nil
}

func (r *runner) run(ctx context.Context) (err error) {
	if r.rtt > 0 {
		if r.link, err = r.target.Link(netem.Conditions{RTT: r.rtt}); err != nil {
			return fmt.Errorf("no network can be emulated: %w", err)
		}
		defer r.link.Close()
		r.countable = true
	}
	defer r.close()
	divisor := 1
	if r.opts.Short {
		divisor = shortDivisor
	}
	var drop func() error
	if r.world, drop, err = MakeTables(ctx, r.target, r.Setup, divisor); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	r.opts.Progress.Step()
	cfg := r.target.Config
	if r.link != nil {
		cfg = r.link.Config
	}
	if !r.CountOnly {
		for _, side := range r.sides() {
			if r.dbs[side.Name], err = side.Open(cfg, r.goroutines()); err != nil {
				return fmt.Errorf("%s: %w", side.Name, err)
			}
		}
		if err := r.warm(ctx); err != nil {
			return err
		}
	}
	r.opts.Progress.Step()
	if err := r.rounds(ctx); err != nil {
		return err
	}
	r.opts.Progress.Step()
	if err := r.count(ctx); err != nil {
		return err
	}
	r.opts.Progress.Step()
	return nil
}

func (r *runner) close() {
	for _, db := range r.dbs {
		db.Close()
	}
	CloseBase()
}

// warm has each side do some of the work before anything is measured, so that
// connections exist, versions are agreed on and caches are as they will be.
func (r *runner) warm(ctx context.Context) error {
	if r.Once {
		return nil
	}
	for _, side := range r.sides() {
		load := Load{Goroutines: r.goroutines(), Time: r.slice()}
		if _, err := load.Run(ctx, r.dbs[side.Name], r.Work(r.world)); err != nil {
			return fmt.Errorf("%s, warming up: %w", side.Name, err)
		}
	}
	return nil
}

// slice is the time of one side in one round.
func (r *runner) slice() time.Duration {
	return r.opts.Time / time.Duration(r.opts.Rounds)
}

func (r *runner) rounds(ctx context.Context) error {
	if r.CountOnly {
		return nil
	}
	load := Load{Goroutines: r.goroutines(), Time: r.slice(), WatchHeap: r.WatchHeap, Link: r.link}
	n := r.opts.Rounds
	if r.Once {
		load.Ops, n = 1, 1
	}
	for round := range n {
		if err := r.calibrate(ctx); err != nil {
			return err
		}
		sides := slices.Clone(r.sides())
		if round%2 == 1 {
			slices.Reverse(sides) // nobody always goes first
		}
		for _, side := range sides {
			sample, err := load.Run(ctx, r.dbs[side.Name], r.Work(r.world))
			if err != nil {
				if err := r.failure(ctx, side, err); err != nil {
					return err
				}
				continue
			}
			r.samples.rounds[side.Name] = append(r.samples.rounds[side.Name], sample)
			if r.link != nil {
				r.samples.counted[side.Name] = r.samples.rounds[side.Name]
			}
		}
	}
	return nil
}

// calibrate measures the emulated network by itself, in every round as what is
// measured through it.
func (r *runner) calibrate(ctx context.Context) error {
	if r.link == nil {
		return nil
	}
	rtt, err := target.Calibrate(ctx, r.link.Conditions())
	r.links = append(r.links, rtt)
	return err
}

// linkRTT is the round-trip time of the emulated network with what the emulation
// itself adds, 0 if there is none.
func (r *runner) linkRTT() time.Duration {
	if len(r.links) == 0 {
		return r.rtt
	}
	slices.Sort(r.links)
	return r.links[len(r.links)/2]
}

// failure notes a failure that the scenario knows of, and gives back any other.
func (r *runner) failure(ctx context.Context, side Side, err error) error {
	reason, known := r.MayFail[side.Name]
	if !known || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", side.Name, err)
	}
	r.failed[side.Name] = reason + ": " + strings.Join(strings.Fields(err.Error()), " ")
	return nil
}

// wantsCounts tells whether there are figures about what passes.
func (r *runner) wantsCounts() bool { return r.Counted > 0 || r.RTT > 0 }

// count does some of the work through a network that counts and costs nothing
// more than the scenario's own.
func (r *runner) count(ctx context.Context) error {
	if r.Counted == 0 || r.link != nil && !r.CountOnly {
		return nil
	}
	link := r.link
	if link == nil {
		var err error
		if link, err = r.target.Link(netem.Conditions{}); errors.Is(err, target.ErrNotCountable) {
			return nil // the figures say so
		} else if err != nil {
			return err
		}
		defer link.Close()
		r.countable = true
	}
	for _, side := range r.sides() {
		sample, err := r.countSide(ctx, link, side)
		if err != nil {
			return fmt.Errorf("%s, counting: %w", side.Name, err)
		}
		r.samples.counted[side.Name] = []Sample{sample}
		if r.CountOnly {
			r.samples.rounds[side.Name] = []Sample{sample}
		}
	}
	return nil
}

func (r *runner) countSide(ctx context.Context, link *target.Link, side Side) (Sample, error) {
	db, err := side.Open(link.Config, r.goroutines())
	if err != nil {
		return Sample{}, err
	}
	defer func() {
		db.Close()
		CloseBase()
	}()
	load := Load{Goroutines: r.goroutines(), Ops: r.Counted}
	if r.opts.Short {
		load.Ops = min(load.Ops, 10)
	}
	if _, err := load.Run(ctx, db, r.Work(r.world)); err != nil {
		return Sample{}, err
	}
	load.Link = link
	return load.Run(ctx, db, r.Work(r.world))
}
