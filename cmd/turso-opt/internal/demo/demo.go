// Package demo runs one small workload through libsql-client-go and through
// turso-opt and shows both beside each other.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/bench"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// DefaultRTT is the round-trip time that is emulated in front of the embedded
// server, about that between a service and a database in the same region.
const DefaultRTT = 10 * time.Millisecond

// tableDivisor makes the tables of the benchmarks ten times smaller.
const tableDivisor = 10

// Options say how the demo is run.
type Options struct {
	Target target.Options
	// RTT is emulated in front of a server of our own.
	RTT time.Duration
}

// A step is a part of the workload.
type step struct {
	name            string
	goroutines, ops int
	work            func(bench.World) bench.Work
}

var steps = []step{
	{"50 reads by key", 1, 50, bench.PointSelect},
	{"240 reads by key, 16 goroutines", 16, 15, bench.PointSelect},
	{"25 inserts", 1, 25, bench.Insert},
	{"5 transactions of 3 updates", 1, 5, bench.ThreeUpdates},
	{"5 lists of 1,000 rows", 1, 5, bench.ScanList},
}

// sides are the drivers by the names that their users know.
var sides = []struct {
	name string
	side bench.Side
}{
	{"libsql-client-go", bench.Base},
	{"turso-opt", bench.Ours},
}

// A demo is one run.
type demo struct {
	target   *target.Target
	link     *target.Link // nil if nothing can be counted
	world    bench.World
	progress *ui.Progress
}

// Run shows progress on progress and the result on out.
func Run(ctx context.Context, o Options, out io.Writer, progress io.Writer) (err error) {
	d := &demo{progress: ui.NewProgress(progress, 2+2*len(steps)*len(sides))}
	defer d.progress.Done()
	server, err := target.Resolve(o.Target)
	if err != nil {
		return err
	}
	if server == target.Embedded {
		d.progress.Stage("starting the embedded server")
	} else {
		d.progress.Stage("looking for the database")
	}
	if d.target, err = target.Start(ctx, o.Target); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.target.Close()) }()
	d.progress.Step()
	var network netem.Conditions
	if d.target.Own() {
		network.RTT = o.RTT
	}
	if d.link, err = d.target.Link(network); err == nil {
		defer d.link.Close()
	} else if !errors.Is(err, target.ErrNotCountable) {
		return err
	}
	d.progress.Stage("making a table of 1,000 rows")
	var drop func() error
	if d.world, drop, err = bench.MakeTables(ctx, d.target, bench.People, tableDivisor); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	d.progress.Step()
	rows, err := d.measure(ctx)
	if err != nil {
		return err
	}
	d.progress.Done()
	return d.show(out, network.RTT, rows)
}

// A row is what one side did in one step.
type row struct {
	step, side string
	// network is measured through the link, or directly if there is none; memory
	// always directly, since the link is in this process.
	network, memory bench.Sample
}

func (d *demo) measure(ctx context.Context) (rows []row, err error) {
	through := d.target.Config
	if d.link != nil {
		through = d.link.Config
	}
	bySide := make([][]row, len(sides))
	for i, s := range sides {
		bySide[i] = make([]row, len(steps))
		for j, step := range steps {
			bySide[i][j] = row{step: step.name, side: s.name}
		}
		err := d.all(ctx, s.side, through, d.link, s.name, func(j int, sample bench.Sample) { bySide[i][j].network = sample })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for i, s := range sides {
		err := d.all(ctx, s.side, d.target.Config, nil, s.name+", memory", func(j int, sample bench.Sample) { bySide[i][j].memory = sample })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for j := range steps {
		for i := range sides {
			rows = append(rows, bySide[i][j])
		}
	}
	return rows, nil
}

// all runs every step through one pool of one side.
func (d *demo) all(ctx context.Context, side bench.Side, cfg *tursoopt.Config, link *target.Link, name string, found func(int, bench.Sample)) error {
	most := 1
	for _, step := range steps {
		most = max(most, step.goroutines)
	}
	db, err := side.Open(cfg, most)
	if err != nil {
		return err
	}
	defer func() {
		db.Close()
		bench.CloseBase()
	}()
	// Connecting and agreeing on a version happen once in a program's life.
	if _, err := (bench.Load{Goroutines: 1, Ops: warmUps, Link: link}).Run(ctx, db, bench.PointSelect(d.world)); err != nil {
		return err
	}
	for j, step := range steps {
		d.progress.Stage("%s: %s", name, step.name)
		load := bench.Load{Goroutines: step.goroutines, Ops: step.ops, Link: link}
		sample, err := load.Run(ctx, db, step.work(d.world))
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		found(j, sample)
		d.progress.Step()
	}
	return nil
}

// warmUps is the number of statements before anything is measured.
const warmUps = 5
