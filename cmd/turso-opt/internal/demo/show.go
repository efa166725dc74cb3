package demo

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/bench"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// A column of the table, and which of a row's samples it is read from.
type column struct {
	title  string
	memory bool
	unit   ui.Unit
	of     func(bench.Sample) float64
	// total: the column is added up in the last lines.
	total bool
}

var columns = []column{
	{"latency p50", false, ui.Seconds, bench.P50.Of, false},
	{"time", false, ui.Seconds, func(s bench.Sample) float64 { return s.Elapsed.Seconds() }, true},
	{"requests", false, ui.Count, whole(bench.Requests), true},
	{"bytes", false, ui.Bytes, whole(bench.WireBytes), true},
	{"connections", false, ui.Count, whole(bench.Dials), true},
	{"allocations", true, ui.Count, whole(bench.Allocs), true},
}

// whole is a metric of all operations together.
func whole(m bench.Metric) func(bench.Sample) float64 {
	return func(s bench.Sample) float64 {
		return math.Round(m.Of(s) * float64(len(s.Latencies)))
	}
}

func (d *demo) show(w io.Writer, rtt time.Duration, rows []row) error {
	network := "as it is"
	if rtt > 0 {
		network = "emulated, round-trip time " + ui.Duration(rtt)
	}
	if _, err := fmt.Fprintf(w, "server:  %s\nnetwork: %s\n\n", d.target, network); err != nil {
		return err
	}
	t := ui.Table{Header: []string{""}, Left: 1}
	for _, c := range columns {
		t.Header = append(t.Header, c.title)
	}
	totals := make([][]float64, len(sides))
	for i, r := range rows {
		values := r.values()
		add(&totals[i%len(sides)], values)
		if i%len(sides) == 0 {
			t.Add(r.step)
		}
		t.Add(cells(r.side, values)...)
		if i%len(sides) == len(sides)-1 {
			t.Add(timesLess(rows[i-1].values(), values)...)
		}
	}
	t.Add("all of it")
	for i, s := range sides {
		t.Add(cells(s.name, totals[i])...)
	}
	t.Add(timesLess(totals[0], totals[1])...)
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	return d.explain(w)
}

func (d *demo) explain(w io.Writer) error {
	counted := "Requests, bytes and connections were counted by a proxy between client and server,"
	if d.link == nil {
		counted = "Requests, bytes and connections were not counted: this takes a plain http:// URL, where a proxy can look on."
	}
	text := "\n" + counted + "\n"
	if d.link != nil {
		text += "allocations by the Go runtime in a second run without the proxy; the server is another process.\n"
	} else {
		text += "Allocations were counted by the Go runtime in a second run.\n"
	}
	text += "\nNext: \"turso-opt bench --list\" for measurements with goals, \"turso-opt doctor DSN\" to have a look at your database.\n"
	_, err := io.WriteString(w, text)
	return err
}

func (r row) values() (values []float64) {
	for _, c := range columns {
		s := r.network
		if c.memory {
			s = r.memory
		}
		values = append(values, c.of(s))
	}
	return values
}

func add(sum *[]float64, values []float64) {
	if *sum == nil {
		*sum = make([]float64, len(columns))
	}
	for i, c := range columns {
		if c.total {
			(*sum)[i] += values[i]
		} else {
			(*sum)[i] = math.NaN()
		}
	}
}

func cells(side string, values []float64) []string {
	row := []string{"  " + side}
	for i, c := range columns {
		switch v := values[i]; {
		case math.IsNaN(v):
			row = append(row, "-")
		case c.unit == ui.Count:
			row = append(row, ui.Thousands(int64(v)))
		default:
			row = append(row, c.unit.Format(v))
		}
	}
	return row
}

// timesLess is the line that says how often the second goes into the first.
func timesLess(first, second []float64) []string {
	row := []string{"  times less"}
	for i := range columns {
		cell := ""
		if q := first[i] / second[i]; !math.IsNaN(q) && !math.IsInf(q, 0) {
			cell = fmt.Sprintf("%.1fx", q)
		}
		row = append(row, cell)
	}
	return row
}
