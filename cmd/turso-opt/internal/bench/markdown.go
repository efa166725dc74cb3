package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// Markdown writes the report as a document: the goals in one table, then each
// scenario with what it means and every figure.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	for _, fact := range r.facts() {
		text := fact[1]
		if fact[0] == "command" {
			text = "`" + text + "`"
		}
		fmt.Fprintf(&b, "- %s: %s\n", fact[0], text)
	}
	fmt.Fprintf(&b, "\n\"base\" is libsql-client-go with enough idle connections, at most %d in all. Ratios are medians over the rounds, "+
		"each of two samples taken one after the other; absolute times hold for this machine only.\n\n## Goals: %s\n\n", maxConns, r.verdict())
	goals := ui.Table{Header: []string{"#", "scenario", "figure", "measured", "goal", ""}, Left: 3}
	for _, s := range r.Results {
		for _, f := range s.Figures {
			if f.Goal != nil {
				goals.Add(s.ID, s.Title, f.label(), f.text(), strings.TrimPrefix(f.Goal.text(f.Unit), "goal "), f.Goal.verdict())
			}
		}
	}
	if err := goals.Markdown(&b); err != nil {
		return err
	}
	for _, s := range r.Results {
		if err := s.markdown(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Result) goroutines() string {
	if s.Goroutines == 0 {
		return "as many as come"
	}
	return strconv.Itoa(s.Goroutines)
}

func (s *Result) markdown(b *strings.Builder) error {
	fmt.Fprintf(b, "\n## %s. %s\n\n%s\n\nGoroutines: %s. Network: %s.\n\n", s.ID, s.Title, s.About, s.goroutines(), s.network())
	if s.Error != "" {
		fmt.Fprintf(b, "**Failed**: %s\n", s.Error)
		return nil
	}
	t := ui.Table{Header: []string{"figure", "measured", "rounds", "goal", ""}, Left: 1}
	for _, f := range s.Figures {
		t.Add(f.label(), f.text(), f.spread(), strings.TrimPrefix(f.Goal.text(f.Unit), "goal "), f.Goal.verdict())
	}
	if err := t.Markdown(b); err != nil {
		return err
	}
	for _, note := range s.notes() {
		fmt.Fprintf(b, "\nNote: %s.\n", note)
	}
	return nil
}
