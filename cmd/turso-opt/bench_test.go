package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/bench"
	"github.com/turso-opt/turso-opt/hranatest"
)

// benchLine is a run that only shows that everything is in its place.
func benchLine(more ...string) []string {
	return append([]string{"bench", "--short", "--time", "30ms", "--rounds", "2"}, more...)
}

func TestBenchLists(t *testing.T) {
	o := run(t, nil, "bench", "--list")
	o.want(t, exitOK)
	for _, s := range bench.Scenarios {
		for _, text := range []string{s.ID, s.Name, s.Title} {
			if !strings.Contains(o.stdout, text) {
				t.Errorf("the list lacks %q", text)
			}
		}
	}
	if one := run(t, nil, "bench", "--list", "--scenario", "11"); strings.Count(one.stdout, "\n") != 3 {
		t.Errorf("the list of one scenario is\n%s", one.stdout)
	}
}

// readReport checks what every report must hold.
func readReport(t *testing.T, file, server string) *bench.Report {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r bench.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != len(bench.Scenarios) || r.Machine.CPUs == 0 || r.Rounds != 2 || !strings.Contains(r.Server, server) {
		t.Errorf("report of %d scenarios on %q: %+v", len(r.Results), r.Server, r.Machine)
	}
	for _, s := range r.Results {
		if s.Error != "" {
			t.Errorf("scenario %s: %s", s.ID, s.Error)
			continue
		}
		goals := 0
		for _, f := range s.Figures {
			if f.Value == nil {
				t.Errorf("scenario %s: %q was not measured", s.ID, f.Name)
			}
			if f.Goal != nil {
				goals++
				if f.Goal.Met != nil {
					t.Errorf("scenario %s: a short run is judged", s.ID)
				}
			}
		}
		if goals == 0 || len(s.Sides) < 2 || s.Sides[0].Ops == 0 || s.Sides[1].Ops == 0 {
			t.Errorf("scenario %s: %d goals, sides %+v", s.ID, goals, s.Sides)
		}
		if s.RTT > 0 && s.LinkRTT < s.RTT {
			t.Errorf("scenario %s: %v through a network of %v", s.ID, s.LinkRTT, s.RTT)
		}
	}
	return &r
}

// counted gives a figure that is counted and so the same on every machine.
func counted(t *testing.T, r *bench.Report, scenario, name, side string) float64 {
	t.Helper()
	for _, s := range r.Results {
		for _, f := range s.Figures {
			if s.ID == scenario && f.Name == name && f.Side == side && f.Value != nil {
				return *f.Value
			}
		}
	}
	t.Errorf("scenario %s has no %s of %s", scenario, name, side)
	return 0
}

func checkCounts(t *testing.T, r *bench.Report) {
	t.Helper()
	const requests = "HTTP requests per op"
	if v := counted(t, r, "requests", requests, "base"); v < 1.9 || v > 2.1 {
		t.Errorf("the base makes %g requests for a statement", v)
	}
	if v := counted(t, r, "1", requests, "ours"); v > 1 {
		t.Errorf("a SELECT of ours takes %g requests", v)
	}
	if v := counted(t, r, "8", requests, "ours"); v > 4 {
		t.Errorf("a transaction of ours takes %g requests", v)
	}
	if v := counted(t, r, "8", requests, "base"); v < 5 || v > 6.1 {
		t.Errorf("a transaction of the base takes %g requests", v)
	}
}

func TestBenchOnTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "report.json")
	md := filepath.Join(dir, "report.md")
	plots := filepath.Join(dir, "plots")
	o := run(t, nil, benchLine("--server", "embedded", "--json", file, "--markdown", md, "--plot", plots, "--plot-format", "png", "--check")...)
	o.want(t, exitOK, "embedded server", "SHORT", "not judged", "command   turso-opt bench --short", "machine", "versions")
	checkCounts(t, readReport(t, file, "embedded"))
	text, err := os.ReadFile(md)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range bench.Scenarios {
		if !bytes.Contains(text, []byte(s.Title)) || !bytes.Contains(text, []byte(s.About)) {
			t.Errorf("the Markdown lacks scenario %s", s.ID)
		}
		if !strings.Contains(o.stderr, s.Title) {
			t.Errorf("no progress is shown of scenario %s", s.ID)
		}
	}
	for _, name := range []string{"goals.png", "point.png", "transaction.png"} {
		text, err := os.ReadFile(filepath.Join(plots, name))
		if err != nil || http.DetectContentType(text) != "image/png" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBenchOnSqld(t *testing.T) {
	t.Parallel()
	needSqld(t)
	file := filepath.Join(t.TempDir(), "report.json")
	run(t, nil, benchLine("--server", "sqld", "--json", file)...).want(t, exitOK, "sqld 0.")
	checkCounts(t, readReport(t, file, "sqld"))
}

func TestBenchOnADatabase(t *testing.T) {
	s := hranatest.NewServer(t, hranatest.Options{Token: "geheim"})
	env := map[string]string{"TURSO_DATABASE_URL": s.URL(), "TURSO_AUTH_TOKEN": "geheim"}
	o := run(t, env, "bench", "--time", "30ms", "--rounds", "1", "--scenario", "1,5,requests", "--json", "-")
	o.want(t, exitOK)
	var r bench.Report
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatalf("the output is no JSON: %v", err)
	}
	for _, s := range r.Results {
		for _, f := range s.Figures {
			if f.Value == nil || f.Goal != nil && f.Goal.Met != nil {
				t.Errorf("scenario %s on somebody's database: %+v", s.ID, f)
			}
		}
	}
	noTables(t, s.URL()+"?authToken=geheim")

	// What a DSN holds is not in the report's command line.
	o = run(t, nil, "bench", "--time", "10ms", "--rounds", "1", "--scenario", "5", "--server="+s.URL()+"?authToken=geheim")
	o.want(t, exitOK, "--server="+s.URL()+"?authToken=xxxxx")
	if strings.Contains(o.stdout+o.stderr, "geheim") {
		t.Error("the token is shown")
	}
}

func TestBenchFailures(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	o := run(t, nil, benchLine("--scenario", "5,15", "--server", web.URL)...)
	o.want(t, exitFailed, "FAILED: making the tables: turso-opt: HTTP 404", "2 of 2 scenarios failed")
	run(t, nil, benchLine("--scenario", "5", "--server", "gopher://127.0.0.1")...).want(t, exitFailed)

	o = run(t, nil, benchLine("--scenario", "5", "--server", "embedded", "--json", filepath.Join(t.TempDir(), "no", "folder"))...)
	o.want(t, exitFailed, "client cost")
	if !strings.Contains(o.stderr, "no such file") && !strings.Contains(o.stderr, "cannot find") {
		t.Errorf("errors: %q", o.stderr)
	}
}

func TestBenchLeavesHeavyScenariosToThoseWhoAsk(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	o := run(t, nil, benchLine("--server", web.URL)...)
	if strings.Contains(o.stdout, "1,000,000 rows") || !strings.Contains(o.stderr, "scenario 11 is left out") {
		t.Errorf("output:\n%s\nerrors:\n%s", o.stdout, o.stderr)
	}
	o = run(t, nil, benchLine("--server", web.URL, "--scenario", "11")...)
	if !strings.Contains(o.stdout, "1,000,000 rows") {
		t.Errorf("scenario 11 is left out though it was asked for:\n%s", o.stdout)
	}
}
