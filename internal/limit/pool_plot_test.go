package limit

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var plots = flag.Bool("plots", false, "write docs/pool/*.svg")

// A panel is one diagram of a picture: lines over time.
type panel struct {
	title string
	log   bool
	lines []plotLine
}

type plotLine struct {
	name, colour string
	dashed, mean bool      // mean: over the points that become one, instead of the largest
	values       []float64 // one for each tenth of a second
}

const (
	plotWidth, panelHeight                  = 760.0, 150.0
	plotLeft, plotRight, plotTop, panelGap  = 56.0, 170.0, 34.0, 44.0
	lawColour, fixedColour, rivalColour     = "#1a7f37", "#9a6700", "#cf222e"
	rateColour, usedColour, inkColour, grid = "#0969da", "#8c959f", "#24292f", "#d0d7de"
)

// draw is a picture of panels that share the axis of time.
func draw(title string, length time.Duration, panels []panel) string {
	var b strings.Builder
	height := plotTop + float64(len(panels))*(panelHeight+panelGap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="11" fill="%s">`+"\n",
		plotWidth, height, inkColour)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<text x="%.0f" y="18" font-size="14">%s</text>`+"\n", plotLeft, title)
	for i, p := range panels {
		p.draw(&b, plotTop+float64(i)*(panelHeight+panelGap)+14, length)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p panel) draw(b *strings.Builder, top float64, length time.Duration) {
	width := plotWidth - plotLeft - plotRight
	low, high, ticks := p.scale()
	place := func(v float64) float64 {
		if p.log {
			v = math.Log10(max(v, low))
			return top + panelHeight*(1-(v-math.Log10(low))/(math.Log10(high)-math.Log10(low)))
		}
		return top + panelHeight*(1-v/high)
	}
	fmt.Fprintf(b, `<text x="%.0f" y="%.1f">%s</text>`+"\n", plotLeft, top-6, p.title)
	for _, v := range ticks {
		fmt.Fprintf(b, `<path d="M%.0f %.1fh%.0f" stroke="%s"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, place(v), width, grid, plotLeft-6, place(v)+4, short(v))
	}
	tick := 10 * sec
	if length > 90*sec {
		tick *= 2
	}
	for s := time.Duration(0); s <= length; s += tick {
		x := plotLeft + width*s.Seconds()/length.Seconds()
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%.0f s</text>`+"\n", x, top+panelHeight+14, s.Seconds())
	}
	for i, l := range p.lines {
		dash := ""
		if l.dashed {
			dash = ` stroke-dasharray="4 3"`
		}
		var points []string
		// More points than dots are not to be seen.
		const step = 5
		for j := 0; j+step <= len(l.values); j += step {
			v, sum := 0.0, 0.0
			for _, x := range l.values[j : j+step] {
				v, sum = max(v, x), sum+x
			}
			if l.mean {
				v = sum / step
			}
			points = append(points, fmt.Sprintf("%.1f,%.1f", plotLeft+width*(float64(j)+step/2.0)/float64(len(l.values)), place(v)))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5"%s points="%s"/>`+"\n", l.colour, dash, strings.Join(points, " "))
		y := top + 12 + 16*float64(i)
		fmt.Fprintf(b, `<path d="M%.0f %.1fh18" stroke="%s" stroke-width="2"%s/><text x="%.0f" y="%.1f">%s</text>`+"\n",
			plotWidth-plotRight+10, y-4, l.colour, dash, plotWidth-plotRight+33, y, l.name)
	}
}

// scale is where the axis begins and ends, and what is written beside it.
func (p panel) scale() (low, high float64, ticks []float64) {
	for _, l := range p.lines {
		for _, v := range l.values {
			high = max(high, v)
		}
	}
	if p.log {
		low, high = 10, math.Pow(10, math.Ceil(math.Log10(max(high, 100))))
		for v := low; v <= high; v *= 10 {
			ticks = append(ticks, v)
		}
		return low, high, ticks
	}
	unit := math.Pow(10, math.Floor(math.Log10(max(high, 1))))
	for high/unit < 3 {
		unit /= 2
	}
	high = math.Ceil(high/unit) * unit
	for v := 0.0; v <= high+unit/2; v += unit {
		ticks = append(ticks, v)
	}
	return 0, high, ticks
}

func short(v float64) string {
	if v >= 10000 {
		return fmt.Sprintf("%gk", v/1000)
	}
	return fmt.Sprintf("%g", v)
}

// column is one value of every point of a run.
func (r poolRun) column(value func(poolPoint) float64) (all []float64) {
	for _, p := range r.track {
		all = append(all, value(p))
	}
	return all
}

// picture shows a load under the law, a pool fixed at 100, and thresholds.
func picture(l poolLoad) string {
	law, fixed, rival := l.run(newLawful(), 1), l.run(fixedSize(100), 1), l.run(newThresholds(), 1)
	open := func(p poolPoint) float64 { return float64(p.open) }
	p99 := func(p poolPoint) float64 { return msOf(p.p99) }
	panels := []panel{
		{title: "uses that come, a second", lines: []plotLine{
			{name: "rate", colour: rateColour, mean: true, values: law.column(func(p poolPoint) float64 { return p.rate })},
		}},
		{title: "connections", lines: []plotLine{
			{name: "adaptive: limit", colour: lawColour, dashed: true, values: law.column(func(p poolPoint) float64 { return float64(p.size) })},
			{name: "adaptive: open", colour: lawColour, values: law.column(open)},
			{name: "adaptive: in use", colour: usedColour, values: law.column(func(p poolPoint) float64 { return float64(p.used) })},
			{name: "fixed at 100: open", colour: fixedColour, values: fixed.column(open)},
			{name: "thresholds: open", colour: rivalColour, values: rival.column(open)},
		}},
		{title: "99th percentile of the last second, ms", log: true, lines: []plotLine{
			{name: fmt.Sprintf("adaptive (all: %s)", roundMs(law.p99)), colour: lawColour, values: law.column(p99)},
			{name: fmt.Sprintf("fixed at 100 (%s)", roundMs(fixed.p99)), colour: fixedColour, values: fixed.column(p99)},
			{name: fmt.Sprintf("thresholds (%s)", roundMs(rival.p99)), colour: rivalColour, values: rival.column(p99)},
		}},
	}
	return draw(l.name, l.length, panels)
}

func roundMs(d time.Duration) string {
	if d > time.Second {
		return d.Round(100 * ms).String()
	}
	return d.Round(ms).String()
}

// The pictures of docs/pool.md are made by
//
//	go test ./internal/limit -run TestPoolPictures -plots
func TestPoolPictures(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine simulates")
	}
	dir := filepath.Join("..", "..", "docs", "pool")
	for _, l := range poolLoads {
		file := filepath.Join(dir, strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(l.name))+".svg")
		if !*plots {
			if _, err := os.Stat(file); err != nil {
				t.Errorf("docs/pool.md shows what is not there: %v", err)
			}
			if l.name != "burst" { // one is enough to see that pictures are well formed
				continue
			}
		}
		svg := picture(l)
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: the picture has a point that is none", l.name)
		}
		if *plots {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(svg), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tableRows are the loads that docs/pool.md tells of, in its words.
var tableRows = []struct{ words, load string }{
	{"burst, 50 to 1,500/s", "burst"},
	{"RTT from 5 to 100 ms, 500/s", "RTT step"},
	{"sine, 100 to 1,000/s", "sine"},
	{"a server that gets 8 times slower", "slow server"},
	{"overload, a server that loses time in a crowd", "overload"},
	{"the same, on a base that tells nothing", "overload, told nothing"},
	{"a server with 40 streams, overloaded", "refusals"},
	{"flapping between 50 and 1,500/s", "flapping"},
	{"idle for 20 s between bursts", "idle"},
	{"two days of traffic in two minutes", "diurnal"},
	{"transactions of four round trips, 50 to 400/s", "transactions"},
}

// The table in docs/pool.md is what the simulation gives. (Other processors round
// otherwise, and in a simulation that is enough to change the third digit.)
func TestPoolTable(t *testing.T) {
	all := programme(t)
	cell := func(r poolRun) string { return fmt.Sprintf("%s / %.0f", roundMs(r.p99), r.open) }
	var b strings.Builder
	for _, row := range tableRows {
		i := slices.IndexFunc(poolLoads, func(l poolLoad) bool { return l.name == row.load })
		best := 0
		for j := range fixedSizes {
			if all.fixed[j][i].p99 < all.fixed[best][i].p99 {
				best = j
			}
		}
		fmt.Fprintf(&b, "| %s | **%s** | %s | %s (%d) | %s |\n", row.words, cell(all.law[i]), cell(all.fixed[len(fixedSizes)-1][i]),
			roundMs(all.fixed[best][i].p99), fixedSizes[best], cell(poolLoads[i].run(newThresholds(), 1)))
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "pool.md"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOARCH == "amd64" && !strings.Contains(string(text), b.String()) {
		t.Errorf("docs/pool.md should have:\n%s", b.String())
	}
}
