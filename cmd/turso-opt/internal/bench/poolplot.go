package bench

import (
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// A LoadResult is what a side did in one load of a programme.
type LoadResult struct {
	Name string `json:"name"`
	// P99 is in seconds, Rate in operations per second; Open is how many connections
	// the pool had on average.
	P99    float64 `json:"p99"`
	Rate   float64 `json:"rate"`
	Open   float64 `json:"mean_connections"`
	Failed int     `json:"failed,omitempty"`
}

// loads are those of a sample.
func (s *Sample) loads() (loads []LoadResult) {
	for i := range s.Arrivals {
		a := &s.Arrivals[i]
		if len(a.Latencies) == 0 {
			continue
		}
		rate := 0.0
		if a.Elapsed > 0 {
			rate = float64(len(a.Latencies)-a.Failed) / a.Elapsed.Seconds()
		}
		loads = append(loads, LoadResult{Name: a.Name, P99: a.p99(), Rate: rate, Open: a.Open, Failed: a.Failed})
	}
	return loads
}

// plotLoads draws p99 over mean connections: a line for each base and load through the
// fixed sizes, and a dot of the same colour for the pool that sizes itself.
func (s *Result) plotLoads() (p *plot.Plot, lines int, err error) {
	p = plot.New()
	p.Title.Text = s.Title
	p.X.Label.Text = "mean connections (lines: pools of fixed sizes; dots: adaptive)"
	p.Y.Label.Text = "p99 of a load"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = plot.TickerFunc(countTicks)
	p.Y.Tick.Marker = latencyTicks{}
	p.Legend.Top = true
	type key struct{ base, load string }
	fixed := map[key]plotter.XYs{}
	own := map[key]plotter.XYs{}
	var order []key
	for _, side := range s.Sides {
		base, size, _ := strings.Cut(side.Name, ", ")
		for _, l := range side.Loads {
			k, xy := key{base, l.Name}, plotter.XY{X: math.Max(l.Open, 0.1), Y: math.Max(l.P99, 1e-6)}
			if fixed[k] == nil && own[k] == nil {
				order = append(order, k)
			}
			if size == adaptiveName {
				own[k] = append(own[k], xy)
			} else {
				fixed[k] = append(fixed[k], xy)
			}
		}
	}
	for i, k := range order {
		colour := palette[i%len(palette)]
		style := draw.LineStyle{Color: colour, Width: vg.Points(1.5)}
		if dashes := i / len(palette); dashes > 0 {
			style.Dashes = []vg.Length{vg.Points(float64(2 * dashes)), vg.Points(2)}
		}
		line, err := plotter.NewLine(fixed[k])
		if err != nil {
			return nil, 0, err
		}
		line.LineStyle = style
		dots, err := plotter.NewScatter(own[k])
		if err != nil {
			return nil, 0, err
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: colour, Radius: vg.Points(4), Shape: draw.CircleGlyph{}}
		p.Add(line, dots)
		p.Legend.Add(k.base+", "+k.load, line, dots)
	}
	if len(order) == 0 {
		return nil, 0, nil
	}
	p.Add(plotter.NewGrid())
	p.X.Min, p.X.Max = p.X.Min/1.2, p.X.Max*1.2
	p.Y.Min, p.Y.Max = p.Y.Min/1.5, p.Y.Max*1.5
	return p, len(order), nil
}

// countTicks are at 1, 2 and 5 times the powers of ten.
func countTicks(low, high float64) (ticks []plot.Tick) {
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for _, n := range []float64{1, 2, 5} {
			if v := n * math.Pow(10, power); v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: ui.Count.Format(v)})
			}
		}
	}
	return ticks
}
