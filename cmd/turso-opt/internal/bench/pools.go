package bench

import (
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// poolSizes are what a program's author might have chosen.
var poolSizes = []int{10, 30, maxConns}

// adaptiveName is the size of the pool that sizes itself.
const adaptiveName = "adaptive"

// A poolSweep is one base with pools of fixed sizes and an adaptive one.
type poolSweep struct {
	name     string
	fixed    []Side
	adaptive Side
}

func newPoolSweep(name string, open func(*tursoopt.Config) (*sql.DB, error)) poolSweep {
	p := poolSweep{name: name}
	for _, n := range poolSizes {
		p.fixed = append(p.fixed, Side{Name: fmt.Sprintf("%s, %d", name, n), open: open, conns: n})
	}
	p.adaptive = Side{Name: name + ", " + adaptiveName, sizesItself: true, open: func(cfg *tursoopt.Config) (*sql.DB, error) {
		db, err := open(cfg)
		if err == nil {
			_, err = tursoopt.TunePool(db, &tursoopt.Config{PoolMax: maxConns})
		}
		return db, err
	}}
	return p
}

// openWrapped opens libsql-client-go with this driver around it, which passes
// everything on.
func openWrapped(cfg *tursoopt.Config) (*sql.DB, error) {
	base, err := baseConnector(cfg)
	if err != nil {
		return nil, err
	}
	c, err := tursoopt.Wrap(base, nil)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

var (
	nativePools  = newPoolSweep("native", openOurs)
	wrappedPools = newPoolSweep("wrapped", openWrapped)
)

func (p poolSweep) sides() []Side { return append(slices.Clone(p.fixed), p.adaptive) }

// The loads: rates are such that a machine of two cores, which client, network and
// server share, is busy at the peaks and has too much to do in the overload.
var poolLoads = []Arrival{
	{Name: "burst", Rate: func(part float64) float64 {
		if part >= 1./3 && part < 2./3 {
			return 200
		}
		return 10
	}},
	{Name: "sine", Rate: func(part float64) float64 { return 65 - 55*math.Cos(2*math.Pi*part) }},
	{Name: "RTT step", Rate: func(float64) float64 { return 60 }, RTT: func(part float64) time.Duration {
		if part < 1./3 {
			return 5 * time.Millisecond
		}
		return 60 * time.Millisecond
	}},
	{Name: overloadName, Rate: func(part float64) float64 {
		if part >= 1./3 && part < 1./2 {
			return 600
		}
		return 20
	}},
}

const overloadName = "overload"

var poolScenario = &Scenario{
	ID: "13", Name: "pool", Title: "adaptive pool under variable load, RTT 20 ms",
	About: "Transactions of three reads that come whatever becomes of those before, in four loads one after the other: a burst from 10 to 200 a second, a sine between 10 and 120, " +
		"60 a second while the round trip goes from 5 to 60 ms, and 600 a second, which is more than there is the processor for. Each on pools of 10, 30 and 100 connections and on an adaptive one " +
		"(TunePool, pool_max=100), on the native base and on Wrap(libsql-client-go). An operation that fails or takes 15 s counts as one of 15 s. " +
		"The p99 of all loads is the geometric mean of each load's. Where connections cost nothing, as for reads on a server with streams to spare, no pool can be better than " +
		"one of 100; callers come at rates of their own here, so that any pool that keeps up has the same throughput; and database/sql opens a connection only " +
		"when somebody needs one, so that a pool of 100 has far fewer, and there is less to save. What an adaptive one is for is to be as good wherever that is, with fewer connections, and not to be the small one that somebody guessed. " +
		"A longer --time makes each load longer; p99 is of few operations in a short one.",
	RTT: 20 * time.Millisecond, Setup: People, Work: readThree, Arrivals: poolLoads,
	Sides:   append(nativePools.sides(), wrappedPools.sides()...),
	Figures: append(nativePools.figures(), wrappedPools.figures()...),
	Tell:    func(o *observed) []string { return append(nativePools.tell(o), wrappedPools.tell(o)...) },
}

// The metrics of programmes.
var (
	allP99 = Metric{"p99 of all loads", ui.Seconds, false, func(s Sample) float64 {
		sum := 0.0
		for _, a := range s.Arrivals {
			sum += math.Log(a.p99())
		}
		return math.Exp(sum / float64(len(s.Arrivals)))
	}}
	meanOpen = Metric{"mean connections", ui.Count, false, func(s Sample) float64 {
		sum := 0.0
		for _, a := range s.Arrivals {
			sum += a.Open
		}
		return sum / float64(len(s.Arrivals))
	}}
	overloadRate = Metric{"throughput in the overload", ui.Rate, false, func(s Sample) float64 {
		for _, a := range s.Arrivals {
			if a.Name == overloadName {
				return float64(len(a.Latencies)-a.Failed) / a.Elapsed.Seconds()
			}
		}
		return math.NaN()
	}}
)

func (a *ArrivalSample) p99() float64 {
	if len(a.Latencies) == 0 {
		return math.NaN()
	}
	return quantile(a.Latencies, 0.99)
}

func (p poolSweep) figures() []Figure {
	hundred := p.fixed[len(p.fixed)-1]
	return slices.Concat(
		[]Figure{
			p.best(allP99, true).atLeast(1.15), p.best(Throughput, false).atLeast(1.15),
			p.worst().atMost(1.5), ratio(p.adaptive, hundred, meanOpen).atMost(0.6), p.best(overloadRate, false).atLeast(1 / 1.5),
		},
		both(allP99, p.sides()...), both(Throughput, p.sides()...), both(meanOpen, p.sides()...),
	)
}

// best is how many times better the adaptive pool is than the best of the fixed sizes.
func (p poolSweep) best(m Metric, low bool) Figure {
	name := fmt.Sprintf("%s, %s: adaptive / best fixed size", p.name, m.Name)
	if low {
		name = fmt.Sprintf("%s, %s: best fixed size / adaptive", p.name, m.Name)
	}
	return Figure{Name: name, Unit: ui.Factor, read: func(o *observed) Value {
		own, least := m.Of(merge(o.samples(p.adaptive.Name, m))), math.Inf(1)
		for _, f := range p.fixed {
			v := own / m.Of(merge(o.samples(f.Name, m)))
			if low {
				v = 1 / v
			}
			least = math.Min(least, v) // NaN stays
		}
		return spread(least, nil)
	}}
}

// worst is how many times longer the adaptive pool's p99 is in the load that it does
// worst in than that of the size that is best there.
func (p poolSweep) worst() Figure {
	return Figure{Name: p.name + ", p99 of its worst load: adaptive / best fixed size", Unit: ui.Factor, read: func(o *observed) Value {
		own := merge(o.rounds[p.adaptive.Name])
		most := math.NaN()
		for i := range own.Arrivals {
			best := math.Inf(1)
			for _, f := range p.fixed {
				if s := merge(o.rounds[f.Name]); i < len(s.Arrivals) {
					best = math.Min(best, s.Arrivals[i].p99())
				}
			}
			if v := own.Arrivals[i].p99() / best; !(v <= most) {
				most = v
			}
		}
		return spread(most, nil)
	}}
}

// tell has a line for each load: p99 and mean connections with each size.
func (p poolSweep) tell(o *observed) (lines []string) {
	for i, a := range poolLoads {
		var words []string
		for _, side := range p.sides() {
			s := merge(o.rounds[side.Name])
			if i >= len(s.Arrivals) {
				continue
			}
			x := &s.Arrivals[i]
			word := fmt.Sprintf("%s %s / %.0f", strings.TrimPrefix(side.Name, p.name+", "), ui.Seconds.Format(x.p99()), x.Open)
			if x.Failed > 0 {
				word += fmt.Sprintf(" (%d failed)", x.Failed)
			}
			words = append(words, word)
		}
		lines = append(lines, fmt.Sprintf("%s, %s, p99 / mean connections: %s", p.name, a.Name, strings.Join(words, "; ")))
	}
	return lines
}
