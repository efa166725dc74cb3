package limit

import (
	"math"
	"math/rand/v2"
	"time"
)

// usual is the world of the loads, unless they say otherwise. See
// TestPoolSimulatorIsCalibrated.
var usual = poolWorld{rtt: 20 * ms, dial: 3, work: 1600 * us, cores: 8}

const sec = time.Second

// A stage tells what a world is like from a time on.
type stage struct {
	from   time.Duration
	change func(*poolWorld)
}

func rate(r float64) func(*poolWorld) { return func(w *poolWorld) { w.rate = r } }

// stages is the step of a load that changes at times.
func stages(all ...stage) func(*poolWorld, time.Duration) {
	return func(w *poolWorld, now time.Duration) {
		for _, s := range all {
			if now >= s.from {
				s.change(w)
			}
		}
	}
}

func (w poolWorld) with(change func(*poolWorld)) poolWorld {
	change(&w)
	return w
}

// Servers that suffer from too much: one that loses time between more than a
// dozen statements, and one that has few streams.
var (
	easilyCrowded = usual.with(func(w *poolWorld) { w.cores, w.crowd = 4, 12 })
	fewStreams    = usual.with(func(w *poolWorld) { w.cores, w.streams = 4, 40 })
)

var tooMuch = stages(stage{0, rate(500)}, stage{20 * sec, rate(3000)}, stage{30 * sec, rate(500)})

var poolLoads = []poolLoad{
	{"burst", usual, 80 * sec, stages(stage{0, rate(50)}, stage{20 * sec, rate(1500)}, stage{40 * sec, rate(50)})},
	{"RTT step", usual.with(rate(500)), 60 * sec, stages(
		stage{0, func(w *poolWorld) { w.rtt = 5 * ms }},
		stage{24 * sec, func(w *poolWorld) { w.rtt = 100 * ms }})},
	{"sine", usual, 60 * sec, func(w *poolWorld, now time.Duration) {
		w.rate = 550 - 450*math.Cos(2*math.Pi*now.Seconds()/20)
	}},
	{"slow server", usual.with(rate(500)), 60 * sec, stages(
		stage{20 * sec, func(w *poolWorld) { w.slow = 8 }},
		stage{40 * sec, func(w *poolWorld) { w.slow = 1 }})},
	{"overload", easilyCrowded, 60 * sec, tooMuch},
	{"overload, told nothing", easilyCrowded.with(func(w *poolWorld) { w.mute = true }), 60 * sec, tooMuch},
	{"refusals", fewStreams, 60 * sec, tooMuch},
	{"writers", usual.with(func(w *poolWorld) { w.writes = 1 }), 60 * sec,
		stages(stage{0, rate(200)}, stage{20 * sec, rate(900)}, stage{30 * sec, rate(200)})},
	{"idle", usual, 60 * sec, stages(stage{0, rate(600)}, stage{10 * sec, rate(0)}, stage{30 * sec, rate(600)}, stage{40 * sec, rate(0)})},
	{"flapping", usual, 60 * sec, func(w *poolWorld, now time.Duration) {
		w.rate = 50
		if now%(6*sec) < 3*sec {
			w.rate = 1500
		}
	}},
	{"diurnal", usual, 120 * sec, func(w *poolWorld, now time.Duration) {
		day := 0.5 - 0.5*math.Cos(2*math.Pi*now.Seconds()/60)
		chance := rand.New(rand.NewPCG(uint64(now/sec), 3)).Float64()
		w.rate = (20 + 1000*day*day) * (0.8 + 0.4*chance)
	}},
	{"transactions", usual.with(func(w *poolWorld) { w.trips = 4 }), 60 * sec,
		stages(stage{0, rate(50)}, stage{20 * sec, rate(400)}, stage{40 * sec, rate(50)})},
	{"callers", usual.with(func(w *poolWorld) { w.think = 5 * ms }), 60 * sec, stages(
		stage{0, func(w *poolWorld) { w.callers = 8 }},
		stage{20 * sec, func(w *poolWorld) { w.callers = 64 }})},
}

func theLoad(name string) poolLoad {
	for _, l := range poolLoads {
		if l.name == name {
			return l
		}
	}
	panic(name)
}
