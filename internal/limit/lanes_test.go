package limit

import (
	"testing"
	"time"
)

const (
	ms = time.Millisecond
	us = time.Microsecond
)

var lanes = Range{Least: 1, Start: 4, Most: 32}

// sqld is a server like the one that was measured.
func sqld(rtt time.Duration, cores, callers int) world {
	return world{rtt: rtt, cores: cores, request: 400 * us, stmt: 15 * us, noise: 1, callers: callers}
}

// In every world the number that is found serves nearly as well as the best
// fixed one, which differs from world to world by a factor of ten.
func TestLanesServeAsTheBestFixedNumber(t *testing.T) {
	slow := sqld(20*ms, 2, 0)
	slow.rate = 10000
	light := sqld(20*ms, 2, 0)
	light.rate = 300
	busy := sqld(0, 2, 0)
	busy.rate = 10000
	noisy := sqld(2*ms, 4, 256)
	noisy.noise = 6
	hiccups := sqld(0, 2, 256)
	hiccups.noise, hiccups.hiccups = 6, 50*ms
	crowded := noisy
	crowded.crowd = 6
	for name, w := range map[string]world{
		"32 callers":                   sqld(0, 2, 32),
		"256 callers":                  sqld(0, 2, 256),
		"256 callers, 8 cores":         sqld(0, 8, 256),
		"4 callers, 20 ms":             sqld(20*ms, 2, 4),
		"32 callers, 20 ms":            sqld(20*ms, 2, 32),
		"256 callers, 20 ms":           sqld(20*ms, 2, 256),
		"512 callers, 100 ms":          sqld(100*ms, 8, 512),
		"10000/s":                      busy,
		"300/s, 20 ms":                 light,
		"10000/s, 20 ms":               slow,
		"noise":                        noisy,
		"hiccups":                      hiccups,
		"a server that crowds confuse": crowded,
	} {
		t.Run(name, func(t *testing.T) {
			best, number := time.Hour, 0
			for _, n := range []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32} {
				if r := w.simulate(NewLanes(n, lanes), 2*time.Second, nil); r.mean < best {
					best, number = r.mean, n
				}
			}
			for seed := range uint64(3) {
				w.seed = seed
				r := w.simulate(NewLanes(0, lanes), 8*time.Second, nil)
				t.Logf("%v with %.1f lanes (%d to %d), %v with %d", r.mean, r.lanes, r.least, r.most, best, number)
				if r.mean > best*3/2 {
					t.Errorf("seed %d: statements take %v, with %d lanes fixed %v", seed, r.mean, number, best)
				}
				if r.least < lanes.Least || r.most > lanes.Most {
					t.Errorf("seed %d: from %d to %d lanes", seed, r.least, r.most)
				}
			}
		})
	}
}

// What is learned is unlearned when the server or the load changes.
func TestLanesFollow(t *testing.T) {
	for name, c := range map[string]struct {
		before world
		change func(*world)
		after  func(float64) bool
	}{
		"the path becomes long":            {sqld(0, 2, 512), func(w *world) { w.rtt = 100 * ms }, func(n float64) bool { return n >= 6 }},
		"the path becomes short":           {sqld(100*ms, 2, 512), func(w *world) { w.rtt = 0 }, func(n float64) bool { return n <= 6 }},
		"the server slows down in a crowd": {sqld(20*ms, 8, 1024), func(w *world) { w.rtt, w.crowd = 0, 3 }, func(n float64) bool { return n <= 10 }},
	} {
		t.Run(name, func(t *testing.T) {
			if r := c.before.simulate(NewLanes(0, lanes), 30*time.Second, c.change); !c.after(r.lanes) {
				t.Errorf("%.1f lanes afterwards, from %d to %d in all", r.lanes, r.least, r.most)
			}
		})
	}
}

// A server that takes few streams and refuses the next is asked for fewer, and
// hardly ever refuses.
func TestLanesSurviveRefusals(t *testing.T) {
	w := sqld(20*ms, 2, 1024)
	w.streams = 6
	r := w.simulate(NewLanes(0, lanes), 60*time.Second, nil)
	if r.refused == 0 || r.refused > 60 {
		t.Errorf("refused %d times in a minute", r.refused)
	}
	if r.fullest > w.streams {
		t.Errorf("%d requests inside", r.fullest)
	}
	if r.perSecond < 3000 {
		t.Errorf("%.0f statements a second", r.perSecond)
	}
}

func TestOverloadHalvesTheLanesAtOnce(t *testing.T) {
	l := NewLanes(0, Range{Least: 2, Start: 16, Most: 32})
	for _, want := range []int{8, 4, 2, 2} {
		if l.Overloaded(); l.Limit() != want {
			t.Errorf("%d lanes, want %d", l.Limit(), want)
		}
	}
}

func TestFixedLanesStay(t *testing.T) {
	w := sqld(5*ms, 2, 256)
	w.streams = 3
	law := NewLanes(5, lanes)
	if r := w.simulate(law, time.Second, nil); r.least != 5 || r.most != 5 || law.Limit() != 5 {
		t.Errorf("from %d to %d lanes", r.least, r.most)
	}
}

// Lanes that are not in use are neither added nor taken away.
func TestLanesRestWithoutLoad(t *testing.T) {
	w := sqld(20*ms, 2, 1)
	if r := w.simulate(NewLanes(0, lanes), 60*time.Second, nil); r.least != 4 || r.most != 4 {
		t.Errorf("from %d to %d lanes for one caller", r.least, r.most)
	}
}

// The least round trip is known, and forgotten when the path has become longer.
func TestRoundTripIsTheLeastLately(t *testing.T) {
	l := NewLanes(1, lanes)
	for i := range 3000 {
		rtt := 20 * ms
		if i%7 == 0 {
			rtt = 5 * ms
		}
		l.Observe(Sample{Now: time.Unix(int64(i), 0), Statements: 1, RoundTrip: rtt})
	}
	if got := l.RoundTrip(); got < 5*ms || got > 6*ms {
		t.Errorf("round trip %v", got)
	}
	for i := range 3000 {
		l.Observe(Sample{Now: time.Unix(int64(i), 0), Statements: 1, RoundTrip: 40 * ms})
	}
	if got := l.RoundTrip(); got < 39*ms {
		t.Errorf("round trip %v on a path of 40 ms", got)
	}
}
