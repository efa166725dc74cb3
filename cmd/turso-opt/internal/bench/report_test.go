package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

func ptr[T any](v T) *T { return &v }

func exampleReport() *Report {
	return &Report{
		Time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Command: "turso-opt bench", Machine: thisMachine(),
		Versions: map[string]string{"server": "sqld 1"}, Server: "sqld 1", Seconds: 5, Rounds: 5,
		Results: []*Result{
			{
				ID: "1", Name: "point", Title: "a title", About: "what it is about", Goroutines: 1, RTT: 20 * ms, LinkRTT: 21 * ms,
				Notes: []string{"a note"},
				Figures: []Measured{
					{Name: "latency p50, base / ours", Unit: ui.Factor, Value: ptr(4.0), Low: ptr(3.5), High: ptr(4.5), Goal: &Goal{Limit: 3, Met: ptr(true)}},
					{Name: "latency p50", Side: "ours", Unit: ui.Seconds, Value: ptr(0.03), Low: ptr(0.03), High: ptr(0.03), Goal: &Goal{AtMost: true, Limit: 0.021, Met: ptr(false)}},
					{Name: "peak heap", Side: "ours", Unit: ui.Bytes, Value: ptr(0.0), Goal: &Goal{AtMost: true, Limit: 32e6}},
					{Name: "peak heap", Side: "base", Unit: ui.Bytes},
				},
				Sides: []SideResult{{Name: "base", Failure: "too large"}, {Name: "ours", Ops: 3, Latencies: []float64{0.02, 0.021, 0.022}}},
			},
			{ID: "2", Name: "other", Title: "another title", Error: "it broke"},
		},
	}
}

func TestReportAsText(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport().Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"server    sqld 1\n", "command   turso-opt bench\n", "1  a title\n    RTT 20.0 ms (a byte takes 21.0 ms through the emulated network)\n",
		"latency p50, base / ours    4.00x  3.50x to 4.50x  goal >= 3.00x         met\n",
		"latency p50, ours         30.0 ms                  goal <= 21.0 ms     NOT MET\n",
		"goal <= 32.0 MB  not judged\n", "peak heap, base                 -\n",
		"note: a note\n", "note: base could not do it: too large\n",
		"FAILED: it broke\n", "\n1 of 2 goals met, 1 not judged, 1 of 2 scenarios failed\n",
	} {
		if !strings.Contains(squeeze(b.String()), squeeze(want)) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
}

// squeeze makes all runs of blanks one.
func squeeze(s string) string {
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

func TestReportAsMarkdown(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport().Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"- command: `turso-opt bench`\n",
		"| 1 | a title | latency p50, base / ours | 4.00x | >= 3.00x | met |\n",
		"## 1. a title\n\nwhat it is about\n", "| latency p50, ours | 30.0 ms |  | <= 21.0 ms | NOT MET |\n",
		"Note: a note.\n", "**Failed**: it broke\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	f := back.Results[0].Figures
	if *f[0].Value != 4 || !*f[0].Goal.Met || *f[1].Goal.Met || f[2].Goal.Met != nil || f[3].Value != nil {
		t.Errorf("read back: %+v", f)
	}
}

func TestReportMissed(t *testing.T) {
	r := exampleReport()
	if !r.Failed() || !r.Missed() {
		t.Error("a scenario that broke counts for nothing")
	}
	r.Results = r.Results[:1]
	if r.Failed() || !r.Missed() {
		t.Error("a goal that is not met is missed, not failed")
	}
	r.Results[0].Figures[1].Goal.Met = ptr(true)
	if r.Missed() {
		t.Error("a goal that does not apply is missed")
	}
}

func TestPlot(t *testing.T) {
	for _, format := range PlotFormats {
		dir := filepath.Join(t.TempDir(), "new")
		files, err := exampleReport().Plot(dir, format)
		if err != nil || len(files) != 2 {
			t.Fatalf("%s: %q, %v", format, files, err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.Size() < 1000 {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if _, err := exampleReport().Plot(filepath.Join(os.DevNull, "x"), "svg"); err == nil {
		t.Error("a folder that cannot be made is no error")
	}
	// All the same, and nothing at all: no picture may break.
	r := exampleReport()
	r.Results[0].Sides[1].Latencies = []float64{0, 0, 0}
	if _, err := r.Plot(t.TempDir(), "svg"); err != nil {
		t.Error(err)
	}
	if files, err := (&Report{}).Plot(t.TempDir(), "svg"); err != nil || len(files) != 0 {
		t.Errorf("nothing gives %q, %v", files, err)
	}
}

func TestLatencyTicks(t *testing.T) {
	for _, c := range []struct{ low, high float64 }{{0.0001, 0.2}, {0.0201, 0.0222}, {0.001, 0.0049}} {
		ticks := latencyTicks{}.Ticks(c.low, c.high)
		if len(ticks) < 3 || len(ticks) > 20 {
			t.Errorf("from %g to %g there are %d ticks", c.low, c.high, len(ticks))
		}
	}
}

func TestFailuresThatAreKnown(t *testing.T) {
	r := &runner{Scenario: &Scenario{MayFail: map[string]string{"base": "too large for it"}}, failed: map[string]string{}}
	bad := errors.New("bad:\nvery bad")
	if err := r.failure(t.Context(), Base, bad); err != nil || r.failed["base"] != "too large for it: bad: very bad" {
		t.Errorf("%v, %v", err, r.failed)
	}
	if err := r.failure(t.Context(), Ours, bad); !errors.Is(err, bad) {
		t.Errorf("a failure that nobody expects: %v", err)
	}
}

func TestCPUModel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpuinfo")
	if err := os.WriteFile(file, []byte("processor\t: 0\nmodel name\t: Good CPU\n\nmodel name\t: Other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := cpuModel(file); got != "Good CPU" {
		t.Errorf("the model is %q", got)
	}
	if got := cpuModel(file + "-missing"); got != "" {
		t.Errorf("the model of nothing is %q", got)
	}
}
