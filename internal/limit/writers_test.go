package limit

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A writer is a write under way in a simulated server, which works on one at a
// time and has the others wait.
type writer struct{ began, reached, done, end time.Duration }

// writeFor lets callers who always have another write go on for a time, and
// returns the mean number of writes inside the server and how many ended in a
// second, of the second half. silent: the server does not say how long it takes.
func writeFor(w *Writers, rtt, work, length time.Duration, silent bool) (inside, perSecond float64) {
	random := rand.New(rand.NewPCG(7, 7))
	var now, free, within time.Duration
	var out []writer
	ended := 0
	for now < length {
		for len(out) < w.Limit() {
			x := writer{began: now, reached: now + rtt/2}
			x.done = max(free, x.reached) + time.Duration(float64(work)*(0.5+random.Float64()))
			free, x.end = x.done, x.done+rtt/2
			out = append(out, x)
		}
		i := 0
		for j := range out {
			if out[j].end < out[i].end {
				i = j
			}
		}
		x := out[i]
		now = x.end
		server := x.done - x.reached
		if silent {
			server = 0
		}
		w.Observe(len(out), x.end-x.began, server)
		out = slices.Delete(out, i, i+1)
		if now > length/2 {
			ended++
			within += x.done - x.reached
		}
	}
	half := (length / 2).Seconds()
	return within.Seconds() / half, float64(ended) / half
}

// Whatever the path, the server has work and few wait in it.
func TestWritersKeepTheServerBusyAndItsQueueShort(t *testing.T) {
	for _, rtt := range []time.Duration{0, 100 * us, ms, 5 * ms, 20 * ms, 100 * ms} {
		for _, work := range []time.Duration{200 * us, ms, 10 * ms} {
			w := NewWriters(8, 48)
			inside, rate := writeFor(w, rtt, work, 20*time.Second, false)
			t.Logf("path %v, work %v: %.1f inside, %.0f/s, limit %d", rtt, work, inside, rate, w.Limit())
			if inside > 10 {
				t.Errorf("path %v, work %v: %.1f inside", rtt, work, inside)
			}
			most := min(1/work.Seconds(), 48/(rtt+work).Seconds())
			if rate < 0.9*most {
				t.Errorf("path %v, work %v: %.0f/s of %.0f/s", rtt, work, rate, most)
			}
			if w.Limit() < 8 || w.Limit() > 48 {
				t.Errorf("limit %d", w.Limit())
			}
		}
	}
}

// A server that says nothing gets no more than may wait inside it.
func TestWritersOfASilentServerStayFew(t *testing.T) {
	w := NewWriters(8, 48)
	if writeFor(w, 100*ms, ms, 20*time.Second, true); w.Limit() != 8 {
		t.Errorf("limit %d", w.Limit())
	}
}

// A path that has become short is noticed before many wait inside.
func TestWritersFollowThePath(t *testing.T) {
	w := NewWriters(8, 48)
	writeFor(w, 100*ms, ms, 20*time.Second, false)
	if w.Limit() < 40 {
		t.Errorf("limit %d on a path of 100 ms", w.Limit())
	}
	if inside, _ := writeFor(w, 0, ms, time.Second, false); inside > 10 {
		t.Errorf("%.1f inside, half a second after the path has become short; limit %d", inside, w.Limit())
	}
}

// More writers are let in only if there are any.
func TestWritersDoNotGrowUnasked(t *testing.T) {
	w := NewWriters(8, 48)
	for range 1000 {
		w.Observe(2, 20*ms, ms)
	}
	if w.Limit() != 8 {
		t.Errorf("limit %d for two writers", w.Limit())
	}
}
