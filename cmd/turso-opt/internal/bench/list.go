package bench

import (
	"io"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// List writes what the scenarios are and what they are to show.
func List(w io.Writer, scenarios []*Scenario) error {
	t := ui.Table{Header: []string{"#", "name", "scenario", "RTT", "goals"}, Left: 5}
	for _, s := range scenarios {
		first := []string{s.ID, s.Name, s.Title, ui.Duration(s.RTT)}
		if s.RTT == 0 {
			first[3] = "-"
		}
		for _, f := range s.Figures {
			if f.goal != nil {
				t.Add(append(first, f.describe(s.RTT))...)
				first = []string{"", "", "", ""}
			}
		}
	}
	_, err := t.WriteTo(w)
	return err
}

// describe is the figure's goal in words.
func (f Figure) describe(rtt time.Duration) string {
	g := Goal{AtMost: f.goal.atMost, Limit: f.goal.limit(rtt)}
	return Measured{Name: f.Name, Side: f.Side}.label() + ": " + g.text(f.Unit)
}
