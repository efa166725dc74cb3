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
	var most [10]time.Duration
	for range 2000 {
		var b Backoff
		for i := range most {
			most[i] = max(most[i], b.Next(0))
		}
	}
	for i, m := range most {
		bound := min(firstWait<<i, lastWait) + time.Millisecond
		if m > bound || m < bound*9/10 {
			t.Errorf("wait %d is %v at most, want nearly %v", i, m, bound)
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
