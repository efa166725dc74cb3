package bench

import (
	"context"
	"errors"
	"fmt"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A ground is what a side works on. On a server of its own none is hindered by
// the streams that another has left open, nor by the rows it has written, nor by
// what it has done to the server. On a database of somebody's, all share one.
type ground struct {
	target *target.Target
	link   *target.Link // the network of the rounds; nil for none
	world  World
	seen   *seenText // what passes the network of the rounds; may be nil
	drop   func() error
}

// start begins the grounds of all sides.
func (r *runner) start(ctx context.Context) error {
	r.grounds = map[string]*ground{}
	for _, side := range r.sides() {
		switch {
		case side.raw != nil || r.grounds[side.pool()] != nil:
			continue
		case len(r.all) > 0 && !r.all[0].target.Own():
			r.grounds[side.pool()] = r.all[0]
			continue
		}
		t, err := target.Start(ctx, r.opts.Target)
		if err != nil {
			return err
		}
		g := &ground{target: t}
		r.grounds[side.pool()] = g
		r.all = append(r.all, g)
	}
	return nil
}

// furnish puts networks in front of the grounds and tables on them.
func (r *runner) furnish(ctx context.Context) (err error) {
	divisor := 1
	if r.opts.Short {
		divisor = shortDivisor
	}
	for _, g := range r.all {
		if r.rtt > 0 || r.Mbit > 0 && g.target.Own() {
			perSecond := int64(r.Mbit) * 1e6 / 8
			c := netem.Conditions{RTT: r.rtt, IdleDrop: r.IdleDrop, UpBytesPerSecond: perSecond, DownBytesPerSecond: perSecond}
			if g.link, err = g.target.Link(c); err != nil {
				return fmt.Errorf("no network can be emulated: %w", err)
			}
			r.countable = true
		}
		if g.world, g.drop, err = MakeTables(ctx, g.target, r.Setup, divisor); err != nil {
			return err
		}
		if g.link != nil && r.Watch != nil {
			g.seen = watchFor(g.link.Proxy, r.Watch(g.world))
		}
	}
	return nil
}

// ground is the one that a side works on; a raw pipe follows Ours.
func (r *runner) ground(side Side) *ground {
	if side.raw != nil {
		side = Ours
	}
	return r.grounds[side.pool()]
}

// config reaches the ground's server through its network.
func (g *ground) config() *tursoopt.Config {
	if g.link != nil {
		return g.link.Config
	}
	return g.target.Config
}

func (g *ground) close() error {
	var err error
	if g.drop != nil {
		err = g.drop()
	}
	if g.link != nil {
		g.link.Close()
	}
	return errors.Join(err, g.target.Close())
}
