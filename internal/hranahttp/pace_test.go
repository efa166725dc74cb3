package hranahttp

import (
	"testing"
	"time"
)

// A path is what lets connections live for as long as they are idle for less.
// learn has auto find that out, and gives the pace that it comes to.
func learn(t *testing.T, p pace, path time.Duration, now time.Time) pace {
	t.Helper()
	for range 100 {
		d := p.next(now)
		if d == 0 {
			return p
		}
		if d <= p.interval() {
			t.Fatalf("%v is tried with an interval of %v", d, p.interval())
		}
		if path == 0 || d < path {
			p.survived(d)
		} else {
			p.died(d, now)
		}
	}
	t.Fatalf("still trying %v", p.next(now))
	return p
}

func TestPaceFindsWhatThePathAllows(t *testing.T) {
	now := time.Now()
	for _, c := range []struct{ path, stale, least, most time.Duration }{
		{0, 30 * time.Second, 21 * time.Second, 22 * time.Second},
		{0, 0, 64 * time.Second, 65 * time.Second},
		{0, 5 * time.Second, 3 * time.Second, 4 * time.Second},
		{10 * time.Second, 30 * time.Second, 6 * time.Second, 8 * time.Second},
		{20 * time.Second, 30 * time.Second, 12 * time.Second, 16 * time.Second},
		{60 * time.Second, 0, 36 * time.Second, 48 * time.Second},
	} {
		p := newPace(&KeepAlive{StaleAfter: c.stale})
		if d := p.interval(); c.stale != 5*time.Second && d != firstPing {
			t.Errorf("it begins with %v", d)
		}
		p = learn(t, p, c.path, now)
		if d := p.interval(); d < c.least || d > c.most {
			t.Errorf("a path of %v, stale after %v: an interval of %v", c.path, c.stale, d)
		}
		if c.path > 0 && (p.trust() >= c.path || p.known >= c.path) {
			t.Errorf("a path of %v: %v is trusted, %v known", c.path, p.trust(), p.known)
		}
		if c.stale > 0 && p.interval() >= c.stale {
			t.Errorf("stale after %v: an interval of %v", c.stale, p.interval())
		}
	}
}

// A path that becomes worse is followed at once, one that becomes better in time.
func TestPaceFollowsThePath(t *testing.T) {
	now := time.Now()
	p := learn(t, newPace(&KeepAlive{StaleAfter: 30 * time.Second}), 0, now)
	for p.interval() >= 4*time.Second {
		p.died(p.interval(), now)
	}
	p = learn(t, p, 4*time.Second, now)
	if p.interval() >= 4*time.Second {
		t.Errorf("an interval of %v", p.interval())
	}
	for range 20 {
		p.died(p.interval(), now)
	}
	if p.interval() != quickestPing {
		t.Errorf("the shortest interval is %v", p.interval())
	}
	if d := p.next(now.Add(relearn - 1)); d >= 2*time.Second {
		t.Errorf("%v is tried too soon", d)
	}
	p = learn(t, p, 0, now.Add(relearn))
	if d := p.interval(); d < 21*time.Second {
		t.Errorf("an interval of %v", d)
	}
}

func TestFixedPace(t *testing.T) {
	for interval, trust := range map[time.Duration]time.Duration{
		200 * time.Millisecond: 300 * time.Millisecond,
		time.Minute:            30 * time.Second,
		8 * time.Second:        10 * time.Second,
		50 * time.Millisecond:  100 * time.Millisecond,
	} {
		p := newPace(&KeepAlive{Interval: interval, StaleAfter: 30 * time.Second})
		p.died(time.Second, time.Now())
		p.survived(20 * time.Second)
		if p.interval() != interval || p.next(time.Now()) != 0 || p.trust() != trust {
			t.Errorf("%v: an interval of %v, trust of %v", interval, p.interval(), p.trust())
		}
	}
	p := newPace(&KeepAlive{Interval: time.Second})
	if p.trust() != 0 {
		t.Error("without stale_after there is a limit")
	}
	p.stale = time.Minute
	shortest, longest := time.Hour, time.Duration(0)
	for range 1000 {
		d := p.jittered()
		shortest, longest = min(shortest, d), max(longest, d)
	}
	if shortest < 800*time.Millisecond || longest > time.Second || longest-shortest < 100*time.Millisecond {
		t.Errorf("intervals from %v to %v", shortest, longest)
	}
}
