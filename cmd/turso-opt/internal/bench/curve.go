package bench

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// A Curve is how a metric of one side depends on a number: throughput on the number
// of goroutines, for most.
type Curve struct {
	Name string `json:"name"`
	// Axis and Metric say what X and Y are; X is rising.
	Axis   string    `json:"axis"`
	Metric string    `json:"metric"`
	Unit   ui.Unit   `json:"unit"`
	X      []int     `json:"x"`
	Y      []float64 `json:"y"`
}

// plotted and axis are what the scenario's curves show.
func (s *Scenario) plotted() Metric {
	if s.Plotted != nil {
		return *s.Plotted
	}
	return Throughput
}

func (s *Scenario) axis() string {
	if s.Axis != "" {
		return s.Axis
	}
	return "goroutines"
}

// x is where on its curve a point is.
func (s Side) x() int {
	if s.at > 0 {
		return s.at
	}
	return s.goroutines
}

// steepestRise is the most by which the metric per unit of the axis grows anywhere on
// a curve, from the least that it was before: 1 if it never does.
func steepestRise(m Metric, points []Side) Figure {
	return Figure{Name: "most that " + m.Name + " grows by per unit, " + points[0].curve, Unit: ui.Factor, read: func(o *observed) Value {
		least, most := 0.0, 1.0
		for i, p := range points {
			v := m.Of(merge(o.samples(p.Name, m))) / float64(p.x())
			if math.IsNaN(v) {
				return spread(v, nil)
			}
			if i > 0 {
				most = max(most, v/least)
			}
			if i == 0 || v < least {
				least = v
			}
		}
		return spread(most, nil)
	}}
}

// steepestFall is the least part that is left anywhere on a curve of what had
// been reached with fewer goroutines: 1 if the metric never falls.
func steepestFall(m Metric, points []Side) Figure {
	return Figure{Name: "least part kept of the best " + m.Name + " so far, " + points[0].curve, Unit: ui.Factor, read: func(o *observed) Value {
		best, least := 0.0, 1.0
		for _, p := range points {
			v := m.Of(merge(o.samples(p.Name, m)))
			if math.IsNaN(v) {
				return spread(v, nil)
			}
			if best > 0 {
				least = min(least, v/best)
			}
			best = max(best, v)
		}
		return spread(least, nil)
	}}
}

// curves are those that the sides are points of.
func (r *runner) curves() (curves []Curve) {
	for _, side := range r.sides() {
		m := r.plotted()
		v := m.Of(merge(r.samples.rounds[side.Name]))
		if side.curve == "" || math.IsNaN(v) {
			continue
		}
		if len(curves) == 0 || curves[len(curves)-1].Name != side.curve {
			curves = append(curves, Curve{Name: side.curve, Axis: r.axis(), Metric: m.Name, Unit: m.Unit})
		}
		c := &curves[len(curves)-1]
		c.X = append(c.X, side.x())
		c.Y = append(c.Y, v)
	}
	return curves
}

// plotCurves draws them, both axes by orders of magnitude.
func (s *Result) plotCurves() (p *plot.Plot, lines int, err error) {
	p = plot.New()
	p.Title.Text = s.Title
	p.X.Label.Text = s.Curves[0].Axis + ", " + s.network()
	p.Y.Label.Text = s.Curves[0].Metric
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = plot.TickerFunc(measuredTicks(s.Curves))
	p.Y.Tick.Marker = plot.TickerFunc(metricTicks(s.Curves[0].Unit))
	p.Legend.Top, p.Legend.Left = true, true
	for i, c := range s.Curves {
		xys := make(plotter.XYs, len(c.X))
		for j := range xys {
			xys[j] = plotter.XY{X: float64(c.X[j]), Y: c.Y[j]}
		}
		line, dots, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, 0, err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		dots.Color = line.Color
		p.Add(line, dots)
		p.Legend.Add(c.Name, line, dots)
	}
	p.Add(plotter.NewGrid())
	// The curves do not touch the frame, and one point alone has a scale, too.
	p.X.Min, p.X.Max = p.X.Min/1.1, p.X.Max*1.1
	p.Y.Min, p.Y.Max = p.Y.Min/1.5, p.Y.Max*1.5
	return p, len(s.Curves), nil
}

// measuredTicks are the numbers that were measured.
func measuredTicks(curves []Curve) func(low, high float64) []plot.Tick {
	return func(float64, float64) (ticks []plot.Tick) {
		seen := map[int]bool{}
		for _, c := range curves {
			for _, n := range c.X {
				if !seen[n] {
					ticks = append(ticks, plot.Tick{Value: float64(n), Label: ui.Thousands(int64(n))})
				}
				seen[n] = true
			}
		}
		return ticks
	}
}

func metricTicks(u ui.Unit) func(low, high float64) []plot.Tick {
	return func(low, high float64) (ticks []plot.Tick) {
		for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
			for _, n := range []float64{1, 2, 5} {
				if v := n * math.Pow(10, power); v >= low && v <= high {
					ticks = append(ticks, plot.Tick{Value: v, Label: u.Format(v)})
				}
			}
		}
		return ticks
	}
}
