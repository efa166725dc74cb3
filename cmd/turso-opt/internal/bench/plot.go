package bench

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// PlotFormats are what Plot can write.
var PlotFormats = []string{"svg", "png"}

// palette has colours that people who see no red or no green can tell apart.
var palette = []color.Color{
	color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
}

// Plot writes pictures into dir, which it makes: how far each figure with a goal
// is from it, and for each scenario how its latencies are distributed, or how
// throughput depends on the number of goroutines. It returns the files' names.
func (r *Report) Plot(dir, format string) (files []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	save := func(p *plot.Plot, name string, height vg.Length) error {
		file := filepath.Join(dir, name+"."+format)
		if err := p.Save(20*vg.Centimeter, height, file); err != nil {
			return fmt.Errorf("plot %s: %w", name, err)
		}
		files = append(files, file)
		return nil
	}
	if p, bars, err := r.plotGoals(); err != nil {
		return nil, err
	} else if bars > 0 {
		if err := save(p, "goals", vg.Length(bars)*vg.Centimeter+3*vg.Centimeter); err != nil {
			return files, err
		}
	}
	for _, s := range r.Results {
		draw := s.plotLatencies
		if len(s.Curves) > 0 {
			draw = s.plotCurves
		}
		if slices.ContainsFunc(s.Sides, func(side SideResult) bool { return len(side.Loads) > 0 }) {
			draw = s.plotLoads
		}
		p, lines, err := draw()
		if err != nil {
			return files, err
		}
		if lines > 0 {
			if err := save(p, s.Name, 10*vg.Centimeter); err != nil {
				return files, err
			}
		}
	}
	return files, nil
}

// plotGoals draws how many times better than its goal each figure is.
func (r *Report) plotGoals() (p *plot.Plot, bars int, err error) {
	var values plotter.Values
	var names []string
	for _, s := range r.Results {
		for _, f := range s.Figures {
			if f.Goal == nil || f.Value == nil {
				continue
			}
			better := *f.Value / f.Goal.Limit
			switch {
			case f.Goal.AtMost && f.Goal.Limit == 0:
				better = 0
				if *f.Value <= 0 {
					better = 1
				}
			case f.Goal.AtMost:
				// What is to be little may be nothing at all.
				better = f.Goal.Limit / math.Max(*f.Value, f.Goal.Limit/10)
			}
			values = append(values, math.Min(better, 10))
			names = append(names, "  "+s.ID+": "+f.label())
		}
	}
	if len(values) == 0 {
		return nil, 0, nil
	}
	p = plot.New()
	p.Title.Text = "Figures against their goals"
	p.X.Label.Text = "times better than the goal (1 is the goal; 10 is 10 or more)"
	p.X.Min = 0
	b, err := plotter.NewBarChart(values, 0.6*vg.Centimeter)
	if err != nil {
		return nil, 0, err
	}
	b.Horizontal, b.Color, b.Width = true, palette[1], 0.5*vg.Centimeter
	line, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(values)) - 0.5}})
	if err != nil {
		return nil, 0, err
	}
	line.Color, line.Width = palette[0], vg.Points(1.5)
	p.Add(b, line)
	p.NominalY(names...)
	p.Y.Tick.Label.Font.Size = vg.Points(9)
	return p, len(values), nil
}

// plotLatencies draws what part of a side's operations took no longer than so
// much.
func (s *Result) plotLatencies() (p *plot.Plot, lines int, err error) {
	p = plot.New()
	p.Title.Text = s.ID + ": " + s.Title
	p.X.Label.Text = "latency, " + s.network()
	p.Y.Label.Text = "part of the operations"
	p.Y.Min, p.Y.Max = 0, 1
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = latencyTicks{}
	for i, side := range s.Sides {
		if len(side.Latencies) < 2 {
			continue
		}
		// The last one is the slowest operation of all, which would squeeze
		// everything else into a corner.
		shown := side.Latencies[:len(side.Latencies)-1]
		points := make(plotter.XYs, len(shown))
		for j, v := range shown {
			points[j] = plotter.XY{X: math.Max(v, 1e-9), Y: float64(j+1) / float64(len(side.Latencies))}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, 0, err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(side.Name, line)
		lines++
	}
	if lines == 0 {
		return nil, 0, nil
	}
	p.Add(plotter.NewGrid())
	if p.X.Max <= p.X.Min {
		p.X.Max = p.X.Min * 2
	}
	return p, lines, nil
}

// latencyTicks are at 1, 2 and 5 times the powers of ten, in seconds, or at even
// distances where these are too far apart.
type latencyTicks struct{}

func (latencyTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	if high < 5*low {
		const parts = 6
		for i := range parts + 1 {
			v := low + (high-low)*float64(i)/parts
			ticks = append(ticks, plot.Tick{Value: v, Label: ui.Seconds.Format(v)})
		}
		return ticks
	}
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for _, n := range []float64{1, 2, 5} {
			if v := n * math.Pow(10, power); v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: ui.Seconds.Format(v)})
			}
		}
	}
	return ticks
}
