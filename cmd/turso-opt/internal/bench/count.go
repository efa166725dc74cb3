package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// wantsCounts tells whether there are figures about what passes.
func (r *runner) wantsCounts() bool { return r.Counted > 0 || r.RTT > 0 || r.Mbit > 0 }

// count does some of the work through a network that counts and costs nothing
// more than the scenario's own.
func (r *runner) count(ctx context.Context) error {
	if r.Counted == 0 || r.rtt > 0 && !r.CountOnly {
		return nil
	}
	for _, side := range r.sides() {
		if side.raw != nil || r.failed[side.Name] != "" {
			continue
		}
		sample, err := r.countSide(ctx, side)
		if errors.Is(err, target.ErrNotCountable) {
			return nil // the figures say so
		}
		if err != nil {
			if err := r.failure(ctx, side, err); err != nil {
				return fmt.Errorf("counting: %w", err)
			}
			continue
		}
		r.samples.counted[side.Name] = []Sample{sample}
		if r.CountOnly {
			r.samples.rounds[side.Name] = []Sample{sample}
		}
	}
	r.countable = true
	return nil
}

func (r *runner) countSide(ctx context.Context, side Side) (Sample, error) {
	g := r.ground(side)
	link := g.link
	if link == nil {
		var err error
		if link, err = g.target.Link(netem.Conditions{}); err != nil {
			return Sample{}, err
		}
		defer link.Close()
	}
	db, err := side.openIn(link.Config, g.world, r.goroutinesOf(side))
	if err != nil {
		return Sample{}, err
	}
	defer func() {
		db.Close()
		CloseBase()
	}()
	load, work := Load{Goroutines: r.goroutinesOf(side), Ops: r.Counted}, r.workOf(side, g.world)
	if r.opts.Short {
		load.Ops = min(load.Ops, max(10/load.Goroutines, 1))
	}
	if _, err := load.Run(ctx, db, work); err != nil {
		return Sample{}, err
	}
	load.Link = link
	return load.Run(ctx, db, work)
}
