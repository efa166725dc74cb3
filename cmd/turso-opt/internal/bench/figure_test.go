package bench

import (
	"math"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/meter"
	"github.com/turso-opt/turso-opt/internal/netem"
)

const ms = time.Millisecond

// sample is one whose operations took so long, on a network that counted.
func sample(latencies ...time.Duration) Sample {
	s := Sample{Ops: len(latencies), Latencies: latencies, counted: true}
	for _, l := range latencies {
		s.Elapsed += l
	}
	return s
}

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*ms)
	}
	for _, c := range []struct {
		of   []time.Duration
		q    float64
		want float64
	}{
		{hundred, 0.5, 0.050},
		{hundred, 0.99, 0.099},
		{hundred, 1, 0.100},
		{hundred, 0, 0.001},
		{hundred[:1], 0.99, 0.001},
		{hundred[:3], 0.5, 0.002},
	} {
		if got := quantile(c.of, c.q); got != c.want {
			t.Errorf("quantile %g of %d is %g, want %g", c.q, len(c.of), got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		of   []float64
		want float64
	}{
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 2, 3}, 2.5},
		{[]float64{7}, 7},
		{nil, nan},
		{[]float64{1, nan, 2}, nan},
	} {
		if got := median(c.of); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("median of %v is %g", c.of, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := Sample{
		Elapsed: 2 * time.Second, Ops: 4, Tapped: 2, Latencies: []time.Duration{1 * ms, 2 * ms, 3 * ms, 4 * ms},
		Usage:    meter.Usage{CPU: 8 * ms, HasCPU: true, Allocs: 40, AllocBytes: 4000},
		PeakHeap: 123, Counts: netem.Counts{Conns: 2, Requests: 8, BytesUp: 100, BytesDown: 300}, counted: true,
	}
	for _, c := range []struct {
		m    Metric
		want float64
	}{
		{P50, 0.002}, {P99, 0.004}, {Throughput, 2}, {CPU, 0.002}, {Allocs, 10}, {AllocBytes, 1000},
		{Packing, 2}, {PeakHeap, 123}, {Requests, 2}, {Dials, 0.5}, {WireBytes, 100},
	} {
		if got := c.m.Of(s); got != c.want {
			t.Errorf("%s is %g, want %g", c.m.Name, got, c.want)
		}
	}
	blind := Sample{Elapsed: time.Second, Ops: s.Ops, Latencies: s.Latencies}
	for _, m := range []Metric{CPU, Packing, PeakHeap, Requests, Dials, WireBytes} {
		if got := m.Of(blind); !math.IsNaN(got) {
			t.Errorf("%s was not measured and is %g", m.Name, got)
		}
	}
	if got := P50.Of(Sample{}); !math.IsNaN(got) {
		t.Errorf("no operation took %g", got)
	}
}

func TestMerge(t *testing.T) {
	a, b := sample(3*ms, 4*ms), sample(1*ms, 2*ms)
	a.Usage = meter.Usage{CPU: ms, HasCPU: true, Allocs: 1, AllocBytes: 10}
	b.Usage = meter.Usage{CPU: ms, HasCPU: true, Allocs: 2, AllocBytes: 20}
	a.PeakHeap, b.PeakHeap = 5, 4
	a.Counts, b.Counts = netem.Counts{Conns: 1, Requests: 2, BytesUp: 3, BytesDown: 4}, netem.Counts{Conns: 1, Requests: 2, BytesUp: 3, BytesDown: 4}
	m := merge([]Sample{a, b})
	if m.Elapsed != 10*ms || m.Latencies[0] != ms || m.Latencies[3] != 4*ms || m.PeakHeap != 5 || !m.counted ||
		m.Usage != (meter.Usage{CPU: 2 * ms, HasCPU: true, Allocs: 3, AllocBytes: 30}) ||
		m.Counts != (netem.Counts{Conns: 2, Requests: 4, BytesUp: 6, BytesDown: 8}) {
		t.Errorf("merged: %+v", m)
	}
	b.counted, b.Usage.HasCPU = false, false
	if m := merge([]Sample{a, b}); m.counted || m.Usage.HasCPU {
		t.Error("a part that was not counted makes no whole")
	}
}

// A machine that gets slower from round to round, for both sides alike, must not
// change their ratio.
func TestRatioCancelsDrift(t *testing.T) {
	o := &observed{rounds: map[string][]Sample{}}
	for _, drift := range []time.Duration{1, 2, 10} {
		o.rounds[Base.Name] = append(o.rounds[Base.Name], sample(4*ms*drift))
		o.rounds[Ours.Name] = append(o.rounds[Ours.Name], sample(1*ms*drift))
	}
	if v := ratio(Base, Ours, P50).read(o); v != (Value{4, 4, 4}) {
		t.Errorf("the ratio is %+v", v)
	}
	// One disturbed round of three does not decide.
	o.rounds[Ours.Name][1] = sample(500 * ms)
	if v := ratio(Base, Ours, P50).read(o); v.Value != 4 || v.Low != 8.0/500 || v.High != 4 {
		t.Errorf("with a disturbed round the ratio is %+v", v)
	}
	if v := of(Ours, P50).read(o); v.Value != 0.010 || v.Low != 0.001 || v.High != 0.500 {
		t.Errorf("over all rounds: %+v", v)
	}
	// Rounds that only one of them has done do not count.
	o.rounds[Base.Name] = o.rounds[Base.Name][:1]
	if v := ratio(Base, Ours, P50).read(o); v != (Value{4, 4, 4}) {
		t.Errorf("with rounds missing the ratio is %+v", v)
	}
	o.rounds[Base.Name] = nil
	if v := ratio(Base, Ours, P50).read(o); !math.IsNaN(v.Value) {
		t.Errorf("the ratio of nothing is %+v", v)
	}
}

func TestCountedFiguresReadTheCountedPass(t *testing.T) {
	one := sample(ms)
	one.Counts.Requests = 1
	o := &observed{rounds: map[string][]Sample{Ours.Name: {sample(ms)}}, counted: map[string][]Sample{Ours.Name: {one}}}
	if v := of(Ours, Requests).read(o); v.Value != 1 {
		t.Errorf("%+v", v)
	}
}

func TestGoals(t *testing.T) {
	const rtt = 20 * ms
	for _, c := range []struct {
		f    Figure
		v    float64
		want bool
	}{
		{of(Ours, P50).atLeast(3), 3, true},
		{of(Ours, P50).atLeast(3), 2.99, false},
		{of(Ours, P50).atMost(3), 3, true},
		{of(Ours, P50).atMost(3), 3.01, false},
		{of(Ours, P50).atMost(3).always(), math.NaN(), false},
		{of(Ours, P50).atLeast(3), math.NaN(), false},
		{of(Ours, P50).within(func(rtt time.Duration) float64 { return 2 * rtt.Seconds() }), 0.040, true},
		{of(Ours, P50).within(func(rtt time.Duration) float64 { return 2 * rtt.Seconds() }), 0.041, false},
	} {
		if got := c.f.goal.met(c.v, rtt); got != c.want {
			t.Errorf("%g meets %s: %v", c.v, c.f.describe(rtt), got)
		}
	}
}
