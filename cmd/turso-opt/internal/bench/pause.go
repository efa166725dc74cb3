package bench

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

const (
	// forgets is how long a connection may be idle on the path, pause how long
	// nobody makes a query.
	forgets = time.Second
	pause   = 3 * forgets / 2
	// patience is when a query after a pause is given up.
	patience = 2 * time.Second
)

// The sides of the scenario of keep-alive. The path forgets sooner than any real
// one, and the driver's times are as much shorter.
var (
	pinged = oursWith("ours, pings", func(c *tursoopt.Config) { c.KeepAlive = forgets * 3 / 10 })
	silent = oursWith("ours, no pings", func(c *tursoopt.Config) { c.KeepAlive, c.StaleAfter = -1, forgets/2 })
)

var keepAlive = &Scenario{
	ID: "12", Name: "keepalive", Title: "first query after a pause, RTT 20 ms",
	About: "A point SELECT after 1.5 s without any, on a path that forgets connections which have been idle for 1 s, in silence, as NAT gateways and load balancers do " +
		"after some minutes. With pings (every 0.3 s here, every 5 to 22 s by default) the connection is there; without, turso-opt does not trust it, and a new one costs a round trip more. " +
		"The base writes on the dead connection and waits; a query is given up after 2 s, and its time counted as that. " +
		"A query that comes while its only connection's ping is under way still waits for that, or for a new one: one in fifteen here, one in a thousand at 20 s.",
	RTT: 20 * time.Millisecond, IdleDrop: forgets, Sides: []Side{Base, pinged, silent}, Setup: People, Work: afterPause,
	Figures: slices.Concat(
		[]Figure{
			of(pinged, P50).within(func(rtt time.Duration) float64 { return 1.1 * rtt.Seconds() }),
			of(silent, P50).within(func(rtt time.Duration) float64 { return 2.5 * rtt.Seconds() }),
		},
		[]Figure{of(Base, P50)}, both(Dials, Base, pinged, silent), both(Requests, Base, pinged, silent),
	),
}

// afterPause is PointSelect after a pause that is not part of its time.
func afterPause(w World) Work {
	point := PointSelect(w)
	return func(ctx context.Context, db *sql.DB, worker int) (Task, error) {
		t, err := point(ctx, db, worker)
		query := t.Do
		t.Before = func(ctx context.Context) error {
			select {
			case <-time.After(pause):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		t.Do = func(ctx context.Context) error {
			bounded, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if err := query(bounded); err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
				return err
			}
			return nil
		}
		return t, err
	}
}
