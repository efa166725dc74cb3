package bench

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// A Curve is how the throughput of one side depends on the number of goroutines.
type Curve struct {
	Name string `json:"name"`
	// Goroutines are rising; Throughput is in operations per second.
	Goroutines []int     `json:"goroutines"`
	Throughput []float64 `json:"throughput"`
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
		v := Throughput.Of(merge(r.samples.rounds[side.Name]))
		if side.curve == "" || math.IsNaN(v) {
			continue
		}
		if len(curves) == 0 || curves[len(curves)-1].Name != side.curve {
			curves = append(curves, Curve{Name: side.curve})
		}
		c := &curves[len(curves)-1]
		c.Goroutines = append(c.Goroutines, side.goroutines)
		c.Throughput = append(c.Throughput, v)
	}
	return curves
}

// plotCurves draws them, both axes by orders of magnitude.
func (s *Result) plotCurves() (p *plot.Plot, lines int, err error) {
	p = plot.New()
	p.Title.Text = s.Title
	p.X.Label.Text = "goroutines, " + s.network()
	p.Y.Label.Text = Throughput.Name
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = plot.TickerFunc(goroutineTicks(s.Curves))
	p.Y.Tick.Marker = plot.TickerFunc(rateTicks)
	p.Legend.Top, p.Legend.Left = true, true
	for i, c := range s.Curves {
		xys := make(plotter.XYs, len(c.Goroutines))
		for j := range xys {
			xys[j] = plotter.XY{X: float64(c.Goroutines[j]), Y: c.Throughput[j]}
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

// goroutineTicks are the numbers that were measured.
func goroutineTicks(curves []Curve) func(low, high float64) []plot.Tick {
	return func(float64, float64) (ticks []plot.Tick) {
		seen := map[int]bool{}
		for _, c := range curves {
			for _, n := range c.Goroutines {
				if !seen[n] {
					ticks = append(ticks, plot.Tick{Value: float64(n), Label: ui.Thousands(int64(n))})
				}
				seen[n] = true
			}
		}
		return ticks
	}
}

func rateTicks(low, high float64) (ticks []plot.Tick) {
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for _, n := range []float64{1, 2, 5} {
			if v := n * math.Pow(10, power); v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: ui.Rate.Format(v)})
			}
		}
	}
	return ticks
}
