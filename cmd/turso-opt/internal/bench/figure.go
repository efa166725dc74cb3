package bench

import (
	"math"
	"slices"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// A Figure is one line of a scenario's result.
type Figure struct {
	Name string
	Unit ui.Unit
	// Side is whose figure it is, empty for a ratio.
	Side string
	goal *goal
	read func(o *observed) Value
}

// A Value is a figure as it was measured. Low and High are the smallest and the
// largest of the rounds'.
type Value struct {
	Value, Low, High float64
}

// observed is what a scenario's figures are read from: the samples of each side,
// one for each round.
type observed struct {
	rounds, counted map[string][]Sample
}

func (o *observed) samples(side string, m Metric) []Sample {
	if m.Counted {
		return o.counted[side]
	}
	return o.rounds[side]
}

// A goal is what a figure is to be.
type goal struct {
	atMost bool
	limit  func(rtt time.Duration) float64
	anyRTT bool
}

// of is one side's figure, over all its rounds.
func of(side Side, m Metric) Figure {
	return Figure{Name: m.Name, Unit: m.Unit, Side: side.Name, read: func(o *observed) Value {
		rounds := o.samples(side.Name, m)
		return spread(m.Of(merge(rounds)), each(rounds, m))
	}}
}

// ratio is the median over the rounds of how often the metric of side b goes
// into that of side a. The two samples of a round were taken one right after the
// other, so what drifts from round to round cancels out. A side that has failed
// in some round did none after it.
func ratio(a, b Side, m Metric) Figure {
	f := Figure{Name: m.Name + ", " + a.Name + " / " + b.Name, Unit: ui.Factor}
	f.read = func(o *observed) Value {
		as, bs := each(o.samples(a.Name, m), m), each(o.samples(b.Name, m), m)
		as = as[:min(len(as), len(bs))]
		for i := range as {
			as[i] /= bs[i]
		}
		return spread(median(as), as)
	}
	return f
}

// both is the metric of each of the sides, for the eye.
func both(m Metric, sides ...Side) (figures []Figure) {
	for _, s := range sides {
		figures = append(figures, of(s, m))
	}
	return figures
}

func each(rounds []Sample, m Metric) (values []float64) {
	for _, s := range rounds {
		values = append(values, m.Of(s))
	}
	return values
}

func spread(v float64, rounds []float64) Value {
	if math.IsNaN(v) || len(rounds) == 0 {
		return Value{v, math.NaN(), math.NaN()}
	}
	return Value{v, slices.Min(rounds), slices.Max(rounds)}
}

// atLeast and atMost give the figure a goal, at the scenario's own round-trip
// time.
func (f Figure) atLeast(limit float64) Figure { return f.with(goal{limit: fixed(limit)}) }

func (f Figure) atMost(limit float64) Figure {
	return f.with(goal{atMost: true, limit: fixed(limit)})
}

// always is a goal that does not depend on the round-trip time.
func (f Figure) always() Figure {
	g := *f.goal
	g.anyRTT = true
	return f.with(g)
}

// within gives a goal that is made from the round-trip time in force.
func (f Figure) within(limit func(rtt time.Duration) float64) Figure {
	return f.with(goal{atMost: true, limit: limit, anyRTT: true})
}

// named replaces the name that the metric gave.
func (f Figure) named(name string) Figure {
	f.Name = name
	return f
}

func (f Figure) with(g goal) Figure {
	f.goal = &g
	return f
}

func fixed(limit float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return limit }
}

// met tells whether v is what the goal asks for; what was not measured is not.
func (g *goal) met(v float64, rtt time.Duration) bool {
	limit := g.limit(rtt)
	if g.atMost {
		return v <= limit
	}
	return v >= limit
}
