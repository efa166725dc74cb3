package wire

import (
	"math/rand"
	"testing"
	"time"
)

// A world is a path and a server, in virtual time.
type world struct {
	rtt   time.Duration
	mbit  float64
	speed float64 // of the server's gzip; 1 is sqld's
	noise float64 // how often something takes much longer
	rand  *rand.Rand
}

// An answer is what a text brings.
type answer struct {
	raw   int
	ratio float64
}

func (w *world) path() float64 { return 8e3 / w.mbit } // ns for a byte

// took is what an answer takes, without noise.
func (w *world) took(a answer, packed bool) time.Duration {
	ns := float64(w.rtt) + 300e3
	if packed {
		ns += setup + float64(a.raw)*(model(a.ratio)/w.speed+a.ratio*w.path())
	} else {
		ns += float64(a.raw) * w.path()
	}
	return time.Duration(ns)
}

func (w *world) noisy(d time.Duration) time.Duration {
	d += time.Duration(w.rand.ExpFloat64() * 0.02 * float64(d))
	if w.rand.Float64() < w.noise {
		d += time.Duration(w.rand.ExpFloat64() * float64(20*time.Millisecond))
	}
	return d
}

// A client asks as hranahttp does.
type client struct {
	law   Law
	texts map[answer]Text
}

// ask makes one request, and gives what it took and whether it was compressed.
func (c *client) ask(w *world, a answer) (time.Duration, bool) {
	t := c.texts[a]
	size := a.raw
	if _, seen := c.texts[a]; !seen {
		size = 0
	}
	packed := c.law.Choose(size, t) == None
	took := w.took(a, packed)
	s := Sample{Raw: a.raw, Wire: a.raw, Packed: packed, Took: w.noisy(took), Head: w.rtt + 300*time.Microsecond}
	if packed {
		s.Wire = int(float64(a.raw) * a.ratio)
	}
	learnt := c.law.Observe(s, t)
	if learnt.Ratio == 0 && c.law.Worth(a.raw) {
		learnt.Ratio = float32(a.ratio * 1.2)
	}
	c.texts[a] = learnt
	return took, packed
}

var answers = []answer{
	{300, 0.8}, {900, 0.6}, {4500, 0.27}, {9000, 0.18}, {43_000, 0.19}, {170_000, 0.17}, {100_000, 1}, {20_000, 0.98}, {5_000_000, 0.15}, {1_000_000, 0.75},
}

func newWorld(mbit float64, rtt time.Duration) *world {
	return &world{rtt: rtt, mbit: mbit, speed: 1, rand: rand.New(rand.NewSource(1))}
}

// run asks in any order, and gives the time of all compared to plain ones.
func (c *client) run(w *world, n int, answers []answer) (ratio float64, packed map[answer]int) {
	packed = map[answer]int{}
	var all, plain time.Duration
	for range n {
		a := answers[w.rand.Intn(len(answers))]
		took, p := c.ask(w, a)
		all, plain = all+took, plain+w.took(a, false)
		if p {
			packed[a]++
		}
	}
	return float64(all) / float64(plain), packed
}

// On no path anything takes longer than plain answers do, but for what trying out
// costs; on slow ones it takes much less.
func TestLawOnPaths(t *testing.T) {
	for _, c := range []struct {
		mbit float64
		most float64 // of the plain time, all answers together
	}{{2, 0.55}, {10, 0.6}, {100, 0.9}, {1000, 1.01}, {10000, 1.01}} {
		for _, rtt := range []time.Duration{0, 20 * time.Millisecond, 200 * time.Millisecond} {
			for _, noise := range []float64{0, 0.2} {
				w := newWorld(c.mbit, rtt)
				w.noise = noise
				cl := &client{texts: map[answer]Text{}}
				ratio, packed := cl.run(w, 2000, answers)
				if most := c.most; ratio > most && rtt == 0 || ratio > 1.02 {
					t.Errorf("%v Mbit/s, RTT %v, noise %v: %.3f of the plain time, %v compressed", c.mbit, rtt, noise, ratio, packed)
				}
			}
		}
	}
}

// No single kind of answer pays for the others.
func TestLawOnEveryAnswer(t *testing.T) {
	for _, mbit := range []float64{10, 100, 1000} {
		for _, a := range answers {
			for _, rtt := range []time.Duration{0, 20 * time.Millisecond} {
				cl, w := &client{texts: map[answer]Text{}}, newWorld(mbit, rtt)
				cl.law.ObserveEmpty(w.took(answer{}, false))
				ratio, packed := cl.run(w, 500, []answer{a})
				best := min(1, float64(w.took(a, true))/float64(w.took(a, false)))
				if ratio > best*1.12 && best < 0.75 && ratio > best+0.02 || ratio > 1.02 {
					t.Errorf("%v Mbit/s, RTT %v, %v: %.3f of the plain time, best is %.3f (%v)", mbit, rtt, a, ratio, best, packed)
				}
			}
		}
	}
}

// A compressed answer that is there sooner than it could be does not make the path a
// faster one. It has the next one come plain, and that tells.
func TestLawAsksWhetherThePathIsFaster(t *testing.T) {
	for _, faster := range []bool{false, true} {
		const size = 6000
		var l Law
		base, perByte := 400*time.Microsecond, 80*time.Nanosecond
		plain := func() {
			l.Observe(Sample{Raw: size, Wire: size, Head: base, Took: base + perByte*size}, Text{})
		}
		for range 5 {
			l.ObserveEmpty(base)
			plain()
		}
		text := Text{Ratio: 0.2, Cost: 15}
		for range 2*patience + 1 {
			if r := l.Choose(size, text); r != None {
				t.Fatalf("%v", r)
			}
			text = l.Observe(Sample{Raw: size, Wire: size / 5, Packed: true, Head: base, Took: base + 110*time.Microsecond}, text)
		}
		if faster {
			perByte = 8 * time.Nanosecond
		}
		asked := 0
		for l.Choose(size, text) == Probe && asked < 5 {
			plain()
			asked++
		}
		want, most := None, 1
		if faster {
			want, most = NoGain, 2
		}
		if r := l.Choose(size, text); asked == 0 || asked > most || r != want {
			t.Errorf("faster %v: after %d plain answers %v, a byte takes %.1f ns", faster, asked, r, l.PerByte(size))
		}
	}
}

// A path that becomes faster or slower, and a server that becomes slow, are found
// out about.
func TestLawFollows(t *testing.T) {
	for seed := range int64(4) {
		for _, rtt := range []time.Duration{0, 5 * time.Millisecond, 40 * time.Millisecond} {
			lawFollows(t, seed, rtt)
		}
	}
}

func lawFollows(t *testing.T, seed int64, rtt time.Duration) {
	cl, w := &client{texts: map[answer]Text{}}, newWorld(10, rtt)
	w.rand = rand.New(rand.NewSource(seed))
	some := []answer{{900, 0.6}, {9000, 0.18}, {43_000, 0.19}, {170_000, 0.17}}
	cl.run(w, 500, some)
	if _, packed := cl.run(w, 200, some); packed[some[3]] < 30 {
		t.Errorf("at 10 Mbit/s: %v", packed)
	}
	w.mbit = 1000
	if ratio, _ := cl.run(w, 1500, some); ratio > 1.15 {
		t.Errorf("while it learns of 1 Gbit/s: %.3f of the plain time", ratio)
	}
	if ratio, packed := cl.run(w, 1000, some); ratio > 1.03 {
		t.Errorf("at 1 Gbit/s: %.3f of the plain time, %v", ratio, packed)
	}
	w.mbit = 10
	cl.run(w, 300, some)
	if _, packed := cl.run(w, 200, some); packed[some[3]] < 30 {
		t.Errorf("at 10 Mbit/s again: %v", packed)
	}
	w.speed = 0.02
	cl.run(w, 300, some)
	if ratio, packed := cl.run(w, 1000, some); ratio > 1.05 {
		t.Errorf("with a slow server: %.3f of the plain time, %v", ratio, packed)
	}
	w.speed = 1
	cl.run(w, 3000, some)
	if _, packed := cl.run(w, 200, some); packed[some[3]] < 20 {
		t.Errorf("with a fast one again: %v", packed)
	}
}

func TestChoose(t *testing.T) {
	var l Law
	compressible := Text{Ratio: 0.2}
	if r := l.Choose(100_000, compressible); r != Unmeasured {
		t.Errorf("nothing is known: %v", r)
	}
	if r := l.ChooseStream(compressible); r != Unmeasured {
		t.Errorf("of a stream: %v", r)
	}
	l.ObserveEmpty(time.Millisecond)
	sample := func(raw int, ns float64) Sample {
		return Sample{Raw: raw, Wire: raw, Head: time.Millisecond, Took: time.Millisecond + time.Duration(ns*float64(raw))}
	}
	l.Observe(sample(100_000, 800), Text{})
	for _, c := range []struct {
		size int
		text Text
		want Reason
	}{
		{0, compressible, Small}, {small - 1, compressible, Small},
		{100_000, compressible, None}, {100_000, Text{}, Unmeasured}, {100_000, Text{Ratio: 1}, NoGain},
		{100_000, Text{Ratio: 0.2, Cost: 2000}, NoGain},
	} {
		if r := l.Choose(c.size, c.text); r != c.want {
			t.Errorf("%d bytes of %v: %v, want %v", c.size, c.text, r, c.want)
		}
	}
	if r := l.ChooseStream(Text{}); r != None {
		t.Errorf("a stream at 10 Mbit/s: %v", r)
	}
	for range 8 {
		l.Observe(sample(100_000, 8), Text{})
	}
	if r := l.Choose(100_000, compressible); r != NoGain {
		t.Errorf("at 1 Gbit/s: %v", r)
	}
	if r := l.ChooseStream(Text{}); r != NoGain {
		t.Errorf("a stream at 1 Gbit/s: %v", r)
	}
	for r := None; r < Reasons; r++ {
		if (r.String() == "") != (r == None) {
			t.Errorf("reason %d is called %q", r, r)
		}
	}
}

func TestLawAllocatesNothing(t *testing.T) {
	var l Law
	text := Text{Ratio: 0.2}
	n := testing.AllocsPerRun(100, func() {
		l.Choose(10_000, text)
		text = l.Observe(Sample{Raw: 10_000, Wire: 2_000, Packed: true, Head: time.Millisecond, Took: 3 * time.Millisecond}, text)
		l.Observe(Sample{Raw: 10_000, Wire: 10_000, Head: time.Millisecond, Took: 9 * time.Millisecond}, text)
		l.Observe(Sample{Raw: 100, Wire: 100, Head: time.Millisecond, Took: time.Millisecond}, text)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
