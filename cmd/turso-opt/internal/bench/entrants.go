package bench

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// open makes the sides ready.
func (r *runner) open(ctx context.Context) (err error) {
	for _, side := range r.sides() {
		if side.raw == nil {
			continue
		}
		g := r.ground(side)
		next := func(worker int) func() hrana.Stmt { return side.raw(g.world, worker) }
		if r.pipe, err = newPipe(ctx, g.config(), r.goroutines(), next); err != nil {
			return fmt.Errorf("%s: %w", side.Name, err)
		}
		r.tap = &tap{}
	}
	r.dbs = map[string]*sql.DB{}
	for _, side := range r.sides() {
		if side.raw != nil || r.dbs[side.pool()] != nil {
			continue
		}
		cfg := r.ground(side).config()
		if side.Name == Ours.Name {
			cfg = r.tap.through(cfg)
		}
		if r.dbs[side.pool()], err = side.openIn(cfg, r.ground(side).world, r.callers()); err != nil {
			return fmt.Errorf("%s: %w", side.Name, err)
		}
	}
	return nil
}

// callers is how many connections a pool should be able to keep.
func (r *runner) callers() int {
	if r.Arrivals != nil {
		return maxConns
	}
	return r.goroutines()
}

func (r *runner) close() {
	for _, db := range r.dbs {
		db.Close()
	}
	clear(r.dbs)
	if r.pipe != nil {
		r.pipe.close()
	}
	CloseBase()
}

// measure has a side do its work once.
func (r *runner) measure(ctx context.Context, side Side, load Load) (Sample, error) {
	if side.raw != nil {
		load.Goroutines = r.pipe.atOnce()
		return load.Run(ctx, nil, r.pipe.work)
	}
	if r.Arrivals != nil {
		g := r.ground(side)
		p := &programme{parts: r.Arrivals, length: load.Time, link: g.link, rtt: r.rtt}
		return p.run(ctx, r.dbs[side.pool()], r.workOf(side, g.world))
	}
	load.Goroutines = r.goroutinesOf(side)
	follow := r.pipe != nil && side.Name == Ours.Name
	if follow {
		load.Tap = r.tap
	}
	s, err := load.Run(ctx, r.dbs[side.pool()], r.workOf(side, r.ground(side).world))
	if err == nil && follow {
		err = r.pipe.follow(s)
	}
	return s, err
}

// warm has each side do some of the work before anything is measured, so that
// connections exist, versions are agreed on and caches are as they will be.
func (r *runner) warm(ctx context.Context) error {
	if r.Once || r.Arrivals != nil {
		return nil
	}
	for _, side := range r.sides() {
		if side.raw != nil {
			continue
		}
		if _, err := r.measure(ctx, side, Load{Time: r.slice(side)}); err != nil {
			if err := r.failure(ctx, side, err); err != nil {
				return fmt.Errorf("warming up: %w", err)
			}
		}
	}
	if r.pipe == nil {
		return nil
	}
	return r.pipe.tune(ctx, r.opts.Time/time.Duration(4*r.opts.Rounds))
}

// arrivalsShare is what part of a side's time one load of a programme gets.
const arrivalsShare = 2

// slice is the time of one side in one round. Curves have many points, and get
// less for each.
func (r *runner) slice(side Side) time.Duration {
	if r.Arrivals != nil {
		return r.opts.Time / arrivalsShare
	}
	slice := r.opts.Time / time.Duration(r.opts.Rounds)
	if side.curve != "" {
		slice /= 4
	}
	return slice
}
