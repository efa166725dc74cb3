package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// facts is what must be known to make anything of the figures.
func (r *Report) facts() [][2]string {
	m := r.Machine
	machine := fmt.Sprintf("%s/%s, %d CPUs, %s", m.OS, m.Arch, m.CPUs, m.Go)
	if m.Model != "" {
		machine += ", " + m.Model
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		names = append(names, name+" "+r.Versions[name])
	}
	effort := fmt.Sprintf("%s for each side of a scenario, in %d rounds that take turns", ui.Duration(time.Duration(r.Seconds*float64(time.Second))), r.Rounds)
	if r.Short {
		effort += "; SHORT: small tables, no figure is judged"
	}
	all := [][2]string{
		{"time", r.Time.Format(time.RFC3339)},
		{"machine", machine},
		{"versions", strings.Join(names, ", ")},
		{"server", r.Server},
		{"effort", effort},
	}
	if r.Command != "" {
		all = append(all, [2]string{"command", r.Command})
	}
	return all
}

// network says what was between client and server.
func (s *Result) network() string {
	if s.RTT == 0 && s.Mbit > 0 {
		return bandwidth(s.Mbit)
	}
	if s.RTT == 0 {
		return "no emulated network"
	}
	if s.LinkRTT == 0 {
		return "RTT " + ui.Duration(s.RTT)
	}
	return fmt.Sprintf("RTT %s (a byte takes %s through the emulated network)", ui.Duration(s.RTT), ui.Duration(s.LinkRTT))
}

// Text writes the report for a terminal.
func (r *Report) Text(w io.Writer) error {
	for _, fact := range r.facts() {
		if _, err := fmt.Fprintf(w, "%-9s %s\n", fact[0], fact[1]); err != nil {
			return err
		}
	}
	for _, s := range r.Results {
		if _, err := fmt.Fprintf(w, "\n%s  %s\n    %s\n", s.ID, s.Title, s.network()); err != nil {
			return err
		}
		if err := s.text(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.verdict())
	return err
}

func (s *Result) text(w io.Writer) error {
	if s.Error != "" {
		_, err := fmt.Fprintf(w, "    FAILED: %s\n", s.Error)
		return err
	}
	t := ui.Table{Left: 1}
	for _, f := range s.Figures {
		t.Add("    "+f.label(), f.text(), f.spread(), f.Goal.text(f.Unit), f.Goal.verdict())
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	for _, note := range s.notes() {
		if _, err := fmt.Fprintf(w, "    note: %s\n", note); err != nil {
			return err
		}
	}
	return nil
}

// notes are the result's own and why a side could not do the work.
func (s *Result) notes() []string {
	notes := slices.Clone(s.Notes)
	for _, side := range s.Sides {
		if side.Failure != "" {
			notes = append(notes, side.Name+" could not do it: "+side.Failure)
		}
	}
	return notes
}

// verdict counts the goals.
func (r *Report) verdict() string {
	var goals, met, open, failed int
	for _, s := range r.Results {
		if s.Error != "" {
			failed++
		}
		for _, f := range s.Figures {
			switch {
			case f.Goal == nil:
			case f.Goal.Met == nil:
				open++
			case *f.Goal.Met:
				met++
				fallthrough
			default:
				goals++
			}
		}
	}
	text := fmt.Sprintf("%d of %d goals met", met, goals)
	if open > 0 {
		text += fmt.Sprintf(", %d not judged", open)
	}
	if failed > 0 {
		text += fmt.Sprintf(", %d of %d scenarios failed", failed, len(r.Results))
	}
	return text
}

func (f Measured) label() string {
	if f.Side == "" {
		return f.Name
	}
	return f.Name + ", " + f.Side
}

func (f Measured) text() string {
	if f.Value == nil {
		return "-"
	}
	return f.Unit.Format(*f.Value)
}

func (f Measured) spread() string {
	if f.Low == nil || f.High == nil || *f.Low == *f.High {
		return ""
	}
	return f.Unit.Format(*f.Low) + " to " + f.Unit.Format(*f.High)
}

func (g *Goal) text(u ui.Unit) string {
	switch {
	case g == nil:
		return ""
	case g.AtMost:
		return "goal <= " + u.Format(g.Limit)
	}
	return "goal >= " + u.Format(g.Limit)
}

func (g *Goal) verdict() string {
	switch {
	case g == nil:
		return ""
	case g.Met == nil:
		return "not judged"
	case *g.Met:
		return "met"
	}
	return "NOT MET"
}
