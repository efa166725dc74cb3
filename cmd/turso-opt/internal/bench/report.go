package bench

import (
	"encoding/json"
	"io"
	"math"
	"slices"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// A Report is a run of scenarios: everything that is printed, and its JSON.
type Report struct {
	Time    time.Time `json:"time"`
	Command string    `json:"command,omitempty"`
	Machine Machine   `json:"machine"`
	// Versions are those of what was measured, by name.
	Versions map[string]string `json:"versions"`
	// Server is what the scenarios ran on.
	Server  string    `json:"server"`
	Seconds float64   `json:"seconds_per_side"`
	Rounds  int       `json:"rounds"`
	Short   bool      `json:"short,omitempty"`
	Results []*Result `json:"scenarios"`
}

// A Result is a scenario's.
type Result struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Title  string `json:"title"`
	About  string `json:"about"`
	Server string `json:"server"`
	// Goroutines is 0 where callers come by themselves.
	Goroutines int           `json:"goroutines"`
	RTT        time.Duration `json:"rtt_ns"`
	// Mbit is the bandwidth of the emulated network, 0 without a limit.
	Mbit int `json:"mbit_per_s,omitempty"`
	// LinkRTT is how long a byte takes to and fro through the emulated network
	// alone: RTT and what the emulation adds to it. Goals are made from it.
	LinkRTT time.Duration `json:"link_rtt_ns"`
	Figures []Measured    `json:"figures"`
	Sides   []SideResult  `json:"sides"`
	// Curves are of scenarios that vary the number of goroutines.
	Curves []Curve `json:"curves,omitempty"`
	// Notes say how it was measured, what is missing, and why.
	Notes []string `json:"notes,omitempty"`
	// Error is why there are no figures, empty if there are.
	Error string `json:"error,omitempty"`
}

// A SideResult is how much one side did.
type SideResult struct {
	Name string `json:"name"`
	Ops  int    `json:"ops"`
	// Failure is why the side could not do the work.
	Failure string `json:"failure,omitempty"`
	// Latencies has 200 quantiles of the latency in seconds, evenly spaced.
	Latencies []float64 `json:"latency_quantiles,omitempty"`
	// Loads are those of a scenario in which callers come by themselves.
	Loads []LoadResult `json:"loads,omitempty"`
}

// Measured is a figure with its value.
type Measured struct {
	Name string  `json:"name"`
	Side string  `json:"side,omitempty"`
	Unit ui.Unit `json:"unit"`
	// Value is nil if it was not measured; Low and High are the extremes of the
	// rounds.
	Value *float64 `json:"value"`
	Low   *float64 `json:"low,omitempty"`
	High  *float64 `json:"high,omitempty"`
	Goal  *Goal    `json:"goal,omitempty"`
}

// A Goal is what a figure is to be.
type Goal struct {
	AtMost bool    `json:"at_most"`
	Limit  float64 `json:"limit"`
	// Met is nil where the goal does not apply to the run.
	Met *bool `json:"met"`
}

func newReport(o Options) *Report {
	return &Report{
		Time: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(), Versions: Versions(),
		Seconds: o.Time.Seconds(), Rounds: o.Rounds, Short: o.Short,
	}
}

func (r *Report) sawServer(t *target.Target) {
	r.Server = t.String()
	if t.Version != "" {
		r.Versions["server"] = t.Version
	}
}

// Missed tells whether a scenario failed or a goal that applies is not met.
func (r *Report) Missed() bool {
	return r.Failed() || slices.ContainsFunc(r.Results, func(s *Result) bool {
		return slices.ContainsFunc(s.Figures, func(f Measured) bool {
			return f.Goal != nil && f.Goal.Met != nil && !*f.Goal.Met
		})
	})
}

// Failed tells whether a scenario gave no figures.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Results, func(s *Result) bool { return s.Error != "" })
}

// JSON writes the report.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// read fills result with what was observed.
func (r *runner) read(result *Result) {
	result.LinkRTT = r.linkRTT()
	for _, side := range r.sides() {
		all := merge(r.samples.rounds[side.Name])
		sr := SideResult{Name: side.Name, Ops: len(all.Latencies), Failure: r.failed[side.Name], Loads: all.loads()}
		for i := range quantiles {
			if len(all.Latencies) > 1 {
				sr.Latencies = append(sr.Latencies, quantile(all.Latencies, float64(i+1)/quantiles))
			}
		}
		result.Sides = append(result.Sides, sr)
	}
	result.Curves = r.curves()
	if r.pipe != nil {
		result.Notes = append(result.Notes, r.pipe.note())
	}
	if r.Tell != nil {
		result.Notes = append(result.Notes, r.Tell(&r.samples)...)
	}
	if !r.countable && r.wantsCounts() {
		result.Notes = append(result.Notes, target.ErrNotCountable.Error())
	}
	for _, f := range r.Figures {
		v := f.read(&r.samples)
		m := Measured{Name: f.Name, Side: f.Side, Unit: f.Unit, Value: number(v.Value), Low: number(v.Low), High: number(v.High)}
		if f.goal != nil {
			m.Goal = &Goal{AtMost: f.goal.atMost, Limit: f.goal.limit(result.LinkRTT)}
			if r.judged(f.goal) {
				met := f.goal.met(v.Value, result.LinkRTT)
				m.Goal.Met = &met
			}
		}
		result.Figures = append(result.Figures, m)
	}
}

const quantiles = 200

// judged tells whether the run is one that the goal was set for.
func (r *runner) judged(g *goal) bool {
	return r.all[0].target.Own() && !r.opts.Short && (g.anyRTT || r.rtt == r.RTT)
}

// number keeps what was not measured out of the JSON, which has no NaN.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
