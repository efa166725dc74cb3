package bench

import (
	"math"
	"slices"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/meter"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A Sample is what one side did in one round.
type Sample struct {
	Elapsed time.Duration
	// Ops is how many operations were done.
	Ops int
	// Latencies has one entry for each of a Task's calls, which are mostly
	// operations, the shortest first.
	Latencies []time.Duration
	// Usage is that of the whole process: the server is another one, and where
	// bytes are counted the emulated network is part of it.
	Usage meter.Usage
	// PeakHeap is in bytes, 0 if nobody looked.
	PeakHeap uint64
	// Counts are the network's, zero if it was not counted.
	Counts  netem.Counts
	counted bool
	// Tapped is how many requests a tap has seen, 0 without one.
	Tapped int
	// Seen is how many statements of the scenario's Watched text have passed, 0 if
	// nobody looked, and Stale how many answers were too old.
	Seen, Stale int
	// Weight and Accounted are what the tasks weighed, in bytes.
	Weight, Accounted float64
	// Cases are the times of the different kinds of operations, if there are any.
	Cases map[string][]time.Duration
	// Arrivals are of a programme of loads, one for each.
	Arrivals []ArrivalSample
}

// merge makes one sample of those of several rounds.
func merge(rounds []Sample) (all Sample) {
	all.counted = len(rounds) > 0
	all.Usage.HasCPU = len(rounds) > 0
	for _, s := range rounds {
		all.Elapsed += s.Elapsed
		all.Ops += s.Ops
		all.Tapped += s.Tapped
		all.Seen += s.Seen
		all.Stale += s.Stale
		all.Weight += s.Weight / float64(len(rounds))
		all.Accounted += s.Accounted / float64(len(rounds))
		all.Latencies = append(all.Latencies, s.Latencies...)
		for name, times := range s.Cases {
			all.addCase(name, times)
		}
		all.Arrivals = append(all.Arrivals, s.Arrivals...)
		all.Usage.CPU += s.Usage.CPU
		all.Usage.HasCPU = all.Usage.HasCPU && s.Usage.HasCPU
		all.Usage.Allocs += s.Usage.Allocs
		all.Usage.AllocBytes += s.Usage.AllocBytes
		all.PeakHeap = max(all.PeakHeap, s.PeakHeap)
		all.Counts.Conns += s.Counts.Conns
		all.Counts.Requests += s.Counts.Requests
		all.Counts.BytesUp += s.Counts.BytesUp
		all.Counts.BytesDown += s.Counts.BytesDown
		all.counted = all.counted && s.counted
	}
	slices.Sort(all.Latencies)
	return all
}

func (s *Sample) addCase(name string, times []time.Duration) {
	if s.Cases == nil {
		s.Cases = map[string][]time.Duration{}
	}
	s.Cases[name] = append(s.Cases[name], times...)
}

// A Metric reads one number from a sample; NaN where it was not measured.
type Metric struct {
	Name string
	Unit ui.Unit
	// Counted: it is about what passed through the network.
	Counted bool
	of      func(s Sample) float64
}

// Of is the metric's value.
func (m Metric) Of(s Sample) float64 {
	if len(s.Latencies) == 0 || m.Counted && !s.counted {
		return math.NaN()
	}
	return m.of(s)
}

// The metrics that scenarios read. "Per op" is per operation of their Work.
var (
	P50        = Metric{"latency p50", ui.Seconds, false, func(s Sample) float64 { return quantile(s.Latencies, 0.50) }}
	P99        = Metric{"latency p99", ui.Seconds, false, func(s Sample) float64 { return quantile(s.Latencies, 0.99) }}
	Throughput = Metric{"throughput", ui.Rate, false, func(s Sample) float64 {
		return float64(s.Ops) / s.Elapsed.Seconds()
	}}
	CPU = Metric{"client CPU per op", ui.Seconds, false, func(s Sample) float64 {
		if !s.Usage.HasCPU {
			return math.NaN()
		}
		return perOp(s, s.Usage.CPU.Seconds())
	}}
	Allocs = Metric{"allocations per op", ui.Count, false, func(s Sample) float64 {
		return perOp(s, float64(s.Usage.Allocs))
	}}
	AllocBytes = Metric{"bytes allocated per op", ui.Memory, false, func(s Sample) float64 {
		return perOp(s, float64(s.Usage.AllocBytes))
	}}
	PeakHeap = Metric{"peak heap", ui.Bytes, false, func(s Sample) float64 {
		if s.PeakHeap == 0 {
			return math.NaN()
		}
		return float64(s.PeakHeap)
	}}
	Packing = Metric{"statements per request", ui.Count, false, func(s Sample) float64 {
		if s.Tapped == 0 {
			return math.NaN()
		}
		return float64(s.Ops) / float64(s.Tapped)
	}}
	Requests = Metric{"HTTP requests per op", ui.Count, true, func(s Sample) float64 {
		return perOp(s, float64(s.Counts.Requests))
	}}
	Dials = Metric{"connections dialled per op", ui.Count, true, func(s Sample) float64 {
		return perOp(s, float64(s.Counts.Conns))
	}}
	Watched = Metric{"reads that reach the server, per op", ui.Count, true, func(s Sample) float64 {
		return perOp(s, float64(s.Seen))
	}}
	Stale = Metric{"stale answers", ui.Count, false, func(s Sample) float64 { return float64(s.Stale) }}
	Heap  = Metric{"heap", ui.Bytes, false, func(s Sample) float64 { return s.Weight }}

	WireBytes = Metric{"bytes on the wire per op", ui.Bytes, true, func(s Sample) float64 {
		return perOp(s, float64(s.Counts.BytesUp+s.Counts.BytesDown))
	}}
)

func perOp(s Sample, total float64) float64 { return total / float64(s.Ops) }

// quantile of sorted times in seconds, by the nearest rank.
func quantile(sorted []time.Duration, q float64) float64 {
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(rank, 0)].Seconds()
}

// median of values, NaN of none or if any is NaN.
func median(values []float64) float64 {
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
