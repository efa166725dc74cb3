package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/turso-opt/turso-opt/bench/peers/loops"
)

// A cell is what one peer did in one scenario.
type cell struct {
	report loops.Report
	err    error
}

// rate is in operations per second, 0 if there is none.
func (c cell) rate() float64 {
	if c.err != nil {
		return 0
	}
	return float64(c.report.Ops) / c.report.Seconds
}

// text is the rate, the median and how many times the baseline's rate it is.
func (c cell) text(baseline cell) string {
	if c.err != nil {
		return "failed"
	}
	s := fmt.Sprintf("%.0f/s, %.2f ms", c.rate(), c.report.P50)
	if b := baseline.rate(); b > 0 {
		s += fmt.Sprintf(", %.1fx", c.rate()/b)
	}
	if c.report.Errors > 0 {
		s += fmt.Sprintf(", %d errors", c.report.Errors)
	}
	return s
}

// printTable writes a table in Markdown, a row for each peer; the first peer is
// the baseline. The peers' versions and what went wrong follow it.
func printTable(w io.Writer, peers []peer, cells [][]cell) {
	rows := [][]string{{"peer"}}
	for _, s := range scenarios {
		rows[0] = append(rows[0], s.title)
	}
	for p := range peers {
		row := []string{peers[p].name}
		for i, c := range cells[p] {
			row = append(row, c.text(cells[0][i]))
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, s := range row {
			widths[i] = max(widths[i], len(s))
		}
	}
	for n, row := range rows {
		for i, s := range row {
			fmt.Fprintf(w, "| %-*s ", widths[i], s)
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for _, width := range widths {
				fmt.Fprint(w, "|", strings.Repeat("-", width+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
	fmt.Fprintf(w, "\nOperations per second, median time, and the rate over that of %s. A transaction is three updates.\n"+
		"Each run had a fresh sqld on this machine; writers shared %d connections.\n", peers[0].name, loops.Writers)
	for p := range peers {
		for _, c := range cells[p] {
			if c.report.Version != "" {
				fmt.Fprintf(w, "%s: %s\n", peers[p].name, c.report.Version)
				break
			}
		}
	}
	for p := range peers {
		for i, c := range cells[p] {
			switch {
			case c.err != nil:
				fmt.Fprintf(w, "%s, %s: %v\n", peers[p].name, scenarios[i].title, c.err)
			case c.report.Errors > 0:
				fmt.Fprintf(w, "%s, %s: the first of %d errors: %s\n", peers[p].name, scenarios[i].title, c.report.Errors, c.report.Error)
			}
		}
	}
}

// terminal tells whether progress can be overwritten in place.
func terminal() bool {
	info, err := os.Stderr.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func progress(n, of int, scenario, peer string) {
	line := fmt.Sprintf("%d/%d  %s: %s", n, of, scenario, peer)
	if terminal() {
		fmt.Fprint(os.Stderr, "\r\x1b[K", line)
	} else {
		fmt.Fprintln(os.Stderr, line)
	}
}

func progressDone() {
	if terminal() {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
