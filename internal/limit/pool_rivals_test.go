package limit

import (
	"math"
	"time"
)

// fixedSize never changes.
type fixedSize int

func (f fixedSize) size() int         { return int(f) }
func (f fixedSize) look(poolLook) int { return int(f) }
func (fixedSize) hasty() bool         { return false }
func (fixedSize) hurry() bool         { return false }

// thresholds is what most pools do that adapt: twice as many above a
// utilisation, a few less below another, every third interval.
type thresholds struct{ now, looks int }

func newThresholds() *thresholds { return &thresholds{now: 10} }

func (t *thresholds) size() int { return t.now }
func (*thresholds) hasty() bool { return false }
func (*thresholds) hurry() bool { return false }
func (t *thresholds) look(s poolLook) int {
	if t.looks++; t.looks%3 != 0 {
		return t.now
	}
	switch used := float64(s.InUse) / float64(t.now); {
	case used > 0.7:
		t.now = min(2*t.now, 100)
	case used < 0.2:
		t.now = max(t.now-max(1, t.now/50), 5)
	}
	return t.now
}

// vegas is TCP Vegas as adaptive concurrency limiters have it: what a use takes
// over the least it ever took is a queue somewhere.
type vegas struct{ now float64 }

func (v *vegas) size() int { return int(v.now) }
func (*vegas) hasty() bool { return false }
func (*vegas) hurry() bool { return false }
func (v *vegas) look(s poolLook) int {
	if s.meanUse == 0 || float64(s.InUse) < v.now/2 {
		return v.size()
	}
	queue := v.now * (1 - float64(s.leastUse)/float64(s.meanUse))
	step := math.Log10(v.now) + 1
	switch {
	case queue < 3*step:
		v.now += step
	case queue > 6*step:
		v.now -= step
	}
	v.now = min(max(v.now, 2), 100)
	return v.size()
}

// gradient is Gradient2: the long average over the short one says how much the
// limit is too large.
type gradient struct{ now, long float64 }

func (g *gradient) size() int { return int(g.now) }
func (*gradient) hasty() bool { return false }
func (*gradient) hurry() bool { return false }
func (g *gradient) look(s poolLook) int {
	if s.meanUse == 0 {
		return g.size()
	}
	short := float64(s.meanUse)
	if g.long == 0 {
		g.long = short
	}
	g.long += (short - g.long) / 100
	if g.long > 2*short {
		g.long *= 0.95
	}
	if float64(s.InUse) < g.now/2 {
		return g.size()
	}
	slope := min(max(1.5*g.long/short, 0.5), 1)
	g.now += (g.now*slope + math.Sqrt(g.now) - g.now) * 0.2
	g.now = min(max(g.now, 2), 100)
	return g.size()
}

// lawful is the law, as PoolSizer asks it.
type lawful struct {
	law *Pool
	why []PoolDecision
}

// poolDefaults are those of the root package.
var poolDefaults = PoolConfig{Min: 2, Max: 100, Up: 0.8, Down: 0.8, Cooldown: 2 * time.Second}

func newLawful() *lawful { return &lawful{law: NewPool(poolDefaults, 0)} }

func (l *lawful) size() int   { return l.law.Size() }
func (*lawful) hasty() bool   { return true }
func (l *lawful) hurry() bool { return l.law.MayGrow() }
func (l *lawful) look(s poolLook) int {
	d := l.law.Observe(s.PoolSample)
	if d.Change != Kept {
		l.why = append(l.why, d)
	}
	return d.Size
}
