package tursoopt_test

import (
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// The time of requests is with the path, that of the server without it, and both
// are those of the statements that have run.
func TestHistogramsOfRequests(t *testing.T) {
	t.Parallel()
	const rtt, reads = 60 * time.Millisecond, 6
	e := newEnv(t, sqldModes[0])
	e.behind(t, netem.Conditions{RTT: rtt})
	db := e.open(t, "keepalive=0")
	queryInt(t, db, "SELECT 1") // it also dials
	before, _ := tursoopt.StatsOf(db)
	for range reads {
		queryInt(t, db, "SELECT 1")
	}
	after, _ := tursoopt.StatsOf(db)

	took, served := after.Took.Sub(&before.Took), after.Served.Sub(&before.Served)
	if took.Count != reads || took.Sum < reads*rtt || took.Quantile(0) < rtt || took.Mean() < rtt {
		t.Errorf("%d requests took %v, the fastest %v", took.Count, took.Sum, took.Quantile(0))
	}
	if served.Count == 0 || served.Sum <= 0 || served.Count > reads || served.Mean() >= took.Mean() || served.Quantile(0) >= rtt {
		t.Errorf("the server has worked on %d for %v", served.Count, served.Sum)
	}
	if q := after.Took.Quantile; q(0) > q(0.5) || q(0.5) > q(0.99) || q(0.99) > q(1) || q(-1) != q(0) || q(2) != q(1) {
		t.Errorf("quantiles do not grow: %v, %v, %v, %v", q(0), q(0.5), q(0.99), q(1))
	}
	all, last := uint64(0), time.Duration(0)
	for end, n := range after.Took.Buckets {
		if end <= last {
			t.Errorf("a bucket ends at %v, after one at %v", end, last)
		}
		all, last = all+n, end
	}
	if all != after.Took.Count || all <= reads {
		t.Errorf("%d in the buckets, %d in all", all, after.Took.Count)
	}
	var none tursoopt.Histogram
	if none.Quantile(0.5) != 0 || none.Mean() != 0 {
		t.Error("an empty histogram has quantiles")
	}
}
