package wire

import (
	"math"
	"math/bits"
	"sync"
	"time"
)

// A Text is what is known of the answers to one SQL text. The zero value knows
// nothing.
type Text struct {
	// Ratio is the length of a compressed answer over that of the plain one. It is
	// an estimate of ours as long as Cost is 0.
	Ratio float32
	// Cost is what compressing takes, at both ends together, in nanoseconds for each
	// byte of the plain answer.
	Cost float32
}

// A Sample is one answer, and how long it took.
type Sample struct {
	// Raw is its length when it has been decompressed, Wire the length that
	// travelled.
	Raw, Wire int
	Packed    bool
	// Head is from when the request had left to the head of the answer, Took to its
	// last byte, decompressed; Server is what the server says to have worked on it.
	Head, Took, Server time.Duration
}

// A Reason is why an answer was not asked for compressed.
type Reason uint8

const (
	// None: it was.
	None Reason = iota
	// Off: the user wants it so.
	Off
	// Small: it would save less than it costs, on any path.
	Small
	// Unmeasured: the path, or what the text's answers are like, is not known yet.
	Unmeasured
	// NoGain: it would take longer.
	NoGain
	// Probe: it would have paid, but the path has to be measured now and then.
	Probe
	// Broken: the server has sent what could not be decompressed.
	Broken
	Reasons // how many there are
)

func (r Reason) String() string {
	return [...]string{"", "compress=off", "small, as far as is known", "not measured yet", "no gain in time", "probe of the path", "damaged answer"}[r]
}

const (
	// small is the length from which an answer may be compressed, and setup what the
	// server takes to begin.
	small = 1 << 10
	setup = 80e3 // ns
	// An answer of at most light tells what every request takes, one of at least
	// heavy what its bytes take.
	light, heavy = 2 << 10, 4 << 10
	// classes are the sizes that are measured apart, each four times the one before,
	// the first from heavy: a path takes more for a byte of a short answer.
	classes = 4
	// gain is what is left of the plain time if it is to be worth it.
	gain = 0.9
	// A share of the time that answers take may be lost by trying things out, and
	// most is what may be saved up for it.
	share, most = 0.02, 1e9
	// patience is how many compressed answers of a class pass before the path is
	// measured again, if there is time to lose, and limit how many at most: of a path
	// that is believed to be much slower than it is, nobody could ever afford it.
	patience, limit = 8, 64
	// streamed is what a server takes to stream a byte of a cursor. It compresses
	// beside, so the slower of the server and the path counts.
	streamed = 60
)

// model is what compressing costs for each byte, before it has been measured: at a
// server it is mostly what each byte takes that comes out, until it gives up. The
// figures are sqld's.
func model(ratio float64) float64 { return min(5+180*ratio, 55) }

// A low is about the least of some recent values. Whatever disturbs a measurement
// makes it longer, often by many times, so an average would tell of the
// disturbances.
type low struct {
	recent [5]float64
	n      int // how many there have been
}

func (l *low) add(v float64) {
	l.recent[l.n%len(l.recent)] = v
	l.n++
}

// value is the second least, while there are few the least; 0 of none.
func (l *low) value() float64 {
	if l.n == 0 {
		return 0
	}
	n := min(l.n, len(l.recent))
	least, second := math.Inf(1), math.Inf(1)
	for _, v := range l.recent[:n] {
		if v < least {
			least, second = v, least
		} else {
			second = min(second, v)
		}
	}
	if n < 3 {
		return least
	}
	return second
}

// lean moves what is known towards a new value: down fast and up slowly, which
// comes to about the least, too.
func lean(known, v float64) float64 {
	if v < known {
		return (known + v) / 2
	}
	return known + min(v-known, known)/8
}

// A Law decides for one path to one server. The zero value knows nothing and asks
// for nothing. It is safe for concurrent use, reads no clock, and allocates
// nothing.
type Law struct {
	mu sync.Mutex
	// base is what a request takes in which hardly anything travels, in ns.
	base low
	// path is what the path takes for a byte, in ns, by the class of the answer.
	path [classes]low
	// factor is what compressing costs on this server over what model says.
	factor float64
	// all is what answers are like whose text is not known.
	all Text
	// credit is the time that may be lost, in ns, and packed how many compressed
	// answers have come since the path was last measured.
	credit float64
	packed [classes]int
}

// classOf is the class of an answer; one that is light has the first one's.
func classOf(size int) int {
	return min(max(bits.Len(uint(size/heavy))-1, 0)/2, classes-1)
}

// perByte is what the path takes for a byte of such an answer; 0 if it is not
// known. Where it has not been measured longer answers tell less than it is.
func (l *Law) perByte(class int) float64 {
	for c := class; c < classes; c++ {
		if v := l.path[c].value(); v > 0 {
			return v
		}
	}
	for c := class - 1; c >= 0; c-- {
		if v := l.path[c].value(); v > 0 {
			return v
		}
	}
	return 0
}

// PerByte is what the path takes for a byte of an answer of so many, in ns; 0 if
// that is not known.
func (l *Law) PerByte(size int) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.perByte(classOf(size))
}

// cost is what compressing answers of a text takes for each byte.
func (l *Law) cost(t Text) float64 {
	if t.Cost > 0 {
		return float64(t.Cost)
	}
	return l.guess(t)
}

func (l *Law) guess(t Text) float64 {
	f := l.factor
	if f == 0 {
		f = 1
	}
	return f * model(float64(t.Ratio))
}

// Choose decides about an answer of probably size bytes: None is to ask for it
// compressed.
func (l *Law) Choose(size int, t Text) Reason {
	if size < small {
		return Small
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	class := classOf(size)
	path := l.perByte(class)
	if t.Ratio == 0 {
		t = l.all
	}
	if path == 0 || t.Ratio == 0 {
		return Unmeasured
	}
	n := float64(size)
	plain, byPath := n*path, n*path*float64(t.Ratio)+setup
	packed := byPath + n*l.cost(t)
	if packed < gain*plain {
		if row := l.packed[class]; row >= limit || row >= patience && l.spend(plain-packed) {
			return Probe
		}
		return None
	}
	// What has been measured may have been measured at a bad moment.
	if byPath+n*model(float64(t.Ratio)) < gain*plain && l.spend(packed-plain) {
		return None
	}
	return NoGain
}

// ChooseStream decides about an answer of unknown length that is streamed.
func (l *Law) ChooseStream(t Text) Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := l.perByte(classes - 1)
	if path == 0 {
		return Unmeasured
	}
	if t.Ratio == 0 {
		t = l.all
	}
	if t.Ratio == 0 {
		t.Ratio = 0.5 // the server's work is beside the path's, so a wrong guess costs little
	}
	if max(path*float64(t.Ratio), streamed+l.cost(t)) < gain*max(path, streamed) {
		return None
	}
	return NoGain
}

func (l *Law) spend(ns float64) bool {
	if l.credit < ns {
		return false
	}
	l.credit -= max(ns, 0)
	return true
}

// Worth tells whether it is worth to estimate what the answers of a text are like
// that has one of so many bytes: on this path the best of them would gain.
func (l *Law) Worth(size int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return size >= small && gain*l.perByte(classOf(size)) > model(0)
}

// ObserveEmpty learns from a request whose answer was empty.
func (l *Law) ObserveEmpty(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base.add(float64(max(took, 1)))
}

// Observe learns from an answer, and returns what is known of its text then.
func (l *Law) Observe(s Sample, t Text) Text {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := float64(max(s.Took-s.Server, 1))
	if s.Raw <= light {
		l.base.add(took)
		return t
	}
	class, base := classOf(s.Raw), l.base.value()
	if most := l.mostBase(&s, class); base == 0 || most < base {
		l.base.add(most)
		base = most
	}
	if s.Raw < heavy {
		return t
	}
	excess := max(took-base, 1)
	l.credit = min(l.credit+share*excess, most)
	if s.Packed {
		l.packed[class]++
		return l.observePacked(s, t, base, excess)
	}
	known, v := l.path[class].value(), excess/float64(s.Raw)
	l.path[class].add(v)
	if l.packed[class] = 0; v < known/2 && v < l.path[class].value() {
		// A single one may be wrong, so there is another at once. And a path that is
		// faster for some answers is for all.
		for c := range l.packed {
			l.packed[c] = limit
		}
	}
	return t
}

// mostBase is what a request takes at most in which hardly anything travels: the
// head of an answer does not come sooner, and its bytes take what those of longer
// ones take, at least.
func (l *Law) mostBase(s *Sample, class int) float64 {
	most := float64(s.Head)
	for c := class + 1; c < classes; c++ {
		if path := l.path[c].value(); path > 0 {
			most = min(most, float64(s.Took)-path*float64(s.Wire))
			break
		}
	}
	return max(most-float64(s.Server), 1)
}

func (l *Law) observePacked(s Sample, t Text, base, excess float64) Text {
	class := classOf(s.Raw)
	path := l.perByte(class)
	if path == 0 {
		return t
	}
	n, ratio := float64(s.Raw), max(float64(s.Wire)/float64(s.Raw), 1e-4)
	perByte := (excess - setup) / n
	if left := max(perByte-l.cost(t), 0.1) / ratio; left < path/2 && excess > base/4 {
		// Perhaps the path has become faster, and perhaps the answer was only there a
		// little sooner, by what requests differ by. A plain one tells.
		if path = left; l.packed[class] > 2*patience {
			l.packed[class] = limit
		}
	}
	cost := max(perByte-path*ratio, 0.1)
	if l.factor == 0 {
		l.factor = 1
	}
	l.factor = max(lean(l.factor, cost/model(ratio)), 0.1)
	if t.Cost > 0 {
		cost, ratio = lean(float64(t.Cost), cost), (float64(t.Ratio)+ratio)/2
	} else {
		cost = lean(l.guess(Text{Ratio: float32(ratio)}), cost)
	}
	t = Text{Ratio: float32(ratio), Cost: float32(cost)}
	if l.all.Ratio == 0 {
		l.all.Ratio = t.Ratio
	}
	l.all.Ratio += (t.Ratio - l.all.Ratio) / 8
	return t
}
