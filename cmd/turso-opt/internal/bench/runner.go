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
	rtt     time.Duration
	all     []*ground
	grounds map[string]*ground // by the sides' pools, as dbs
	dbs     map[string]*sql.DB
	pipe    *pipe // nil without a side that is one
	tap     *tap  // on Ours, if there is a pipe to follow it
	failed  map[string]string
	samples observed
	// links are measured round-trip times of the emulated network.
	links []time.Duration
	// countable: a proxy could be put in front of the server.
	countable bool
}

// Run runs the scenarios one after the other, each side with a server of its own
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
	r := &runner{Scenario: s, opts: o, rtt: s.RTT, failed: map[string]string{}}
	r.samples = observed{rounds: map[string][]Sample{}, counted: map[string][]Sample{}}
	result = &Result{ID: s.ID, Name: s.Name, Title: s.Title, About: s.About, Goroutines: s.goroutines()}
	if s.Arrivals != nil {
		result.Goroutines = 0
	}
	defer func() {
		for _, g := range r.all {
			err = errors.Join(err, g.close())
		}
	}()
	if err := r.start(ctx); err != nil {
		return result, err
	}
	first := r.all[0].target
	report.sawServer(first)
	result.Server = first.String()
	switch {
	case o.RTT != nil:
		r.rtt = *o.RTT
	case !first.Own():
		r.rtt = 0 // it has a network of its own
	}
	result.RTT = r.rtt
	if first.Own() {
		result.Mbit = r.Mbit
	}
	o.Progress.Step()
	if err := r.run(ctx); err != nil {
		return result, err
	}
	r.read(result)
	return result, nil
}

func (r *runner) run(ctx context.Context) (err error) {
	if err := r.furnish(ctx); err != nil {
		return err
	}
	r.opts.Progress.Step()
	if !r.CountOnly {
		defer r.close()
		if err := r.open(ctx); err != nil {
			return err
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
	r.close() // what is counted opens pools of its own, and the server's streams are few
	if err := r.count(ctx); err != nil {
		return err
	}
	r.opts.Progress.Step()
	return nil
}

func (r *runner) rounds(ctx context.Context) error {
	if r.CountOnly {
		return nil
	}
	load := Load{WatchHeap: r.WatchHeap}
	n := r.opts.Rounds
	if r.Once {
		load.Ops, n = 1, 1
	}
	if r.Arrivals != nil {
		n = 1
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
			if r.failed[side.Name] != "" {
				continue
			}
			if !r.Once {
				load.Time = r.slice(side)
			}
			load.Link, load.Seen = r.ground(side).link, r.ground(side).seen
			sample, err := r.measure(ctx, side, load)
			if err != nil {
				if err := r.failure(ctx, side, err); err != nil {
					return err
				}
				continue
			}
			r.samples.rounds[side.Name] = append(r.samples.rounds[side.Name], sample)
			if load.Link != nil {
				r.samples.counted[side.Name] = r.samples.rounds[side.Name]
			}
		}
	}
	return nil
}

// calibrate measures the emulated network by itself, in every round as what is
// measured through it.
func (r *runner) calibrate(ctx context.Context) error {
	if r.rtt == 0 {
		return nil
	}
	rtt, err := target.Calibrate(ctx, netem.Conditions{RTT: r.rtt})
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
