package limit

import (
	"testing"
	"time"
)

// An outage in which every request fails is amplified by a tenth, once the
// reserve is used up.
func TestBudgetBoundsAmplification(t *testing.T) {
	var b Budget
	const requests = 10_000
	retries := 0
	for range requests {
		b.Earn()
		for range 3 {
			if b.Spend() {
				retries++
			}
		}
	}
	if most := requests/10 + reserve; retries > most || retries < most-1 {
		t.Errorf("%d retries for %d requests, want %d", retries, requests, most)
	}
}

// A quiet time does not save up more than the reserve.
func TestBudgetKeepsAReserveOnly(t *testing.T) {
	var b Budget
	for range 10_000 {
		b.Earn()
	}
	n := 0
	for b.Spend() {
		n++
	}
	if n != reserve {
		t.Errorf("%d retries at once, want %d", n, reserve)
	}
}

func TestBackoffGrowsWithJitterAndObeysTheServer(t *testing.T) {
	var least, most, sum [10]time.Duration
	const times = 2000
	for n := range times {
		var b Backoff
		for i := range most {
			wait := b.Next(0)
			most[i], sum[i] = max(most[i], wait), sum[i]+wait
			if n == 0 || wait < least[i] {
				least[i] = wait
			}
		}
	}
	// Those who failed together come back at any time of it, none more likely.
	for i, m := range most {
		bound := min(firstWait<<i, lastWait) + time.Millisecond
		if m > bound || m < bound*9/10 {
			t.Errorf("wait %d is %v at most, want nearly %v", i, m, bound)
		}
		if mean := sum[i] / times; least[i] > bound/10 || mean < bound*4/10 || mean > bound*6/10 {
			t.Errorf("wait %d is %v at least and %v on average, of at most %v", i, least[i], mean, bound)
		}
	}
	var b Backoff
	if got := b.Next(time.Minute); got != time.Minute {
		t.Errorf("the server asks for a minute, and gets %v", got)
	}
	short := Backoff{First: 2 * time.Millisecond, Last: 8 * time.Millisecond}
	for i := range 100 {
		bound := min(2*time.Millisecond<<min(i, 10), 8*time.Millisecond) + time.Millisecond
		if got := short.Next(0); got > bound {
			t.Errorf("wait %d is %v, want at most %v", i, got, bound)
		}
	}
}

// Without a budget nothing is sent again; with one, what it refused is counted.
func TestBudgetOfNothing(t *testing.T) {
	var none *Budget
	if none.Earn(); none.Spend() || none.Denied() != 0 {
		t.Error("a budget of nothing gives")
	}
	var b Budget
	for range reserve + 3 {
		b.Spend()
	}
	if b.Denied() != 3 {
		t.Errorf("%d refused, want 3", b.Denied())
	}
}
