package tursoopt_test

import (
	"context"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A replica that has fallen behind gives its program nothing from before what it has
// written or seen: a read waits until that has arrived, or for as long as its context
// lasts.
func TestCacheOnAReplicaThatIsBehind(t *testing.T) {
	t.Parallel()
	primary := sqld.ForTest(t, sqld.Options{Replicated: true})
	link, err := netem.Start(primary.ReplicationAddr(), netem.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close) // after the replica's end
	e := &env{url: sqld.ForTest(t, sqld.Options{Primary: primary, PrimaryAddr: link.Addr()}).URL()}
	plain := (&env{url: primary.URL()}).open(t)
	mustExec(t, plain, foreignSchema+"; INSERT INTO v VALUES (0, 0)")
	db := e.cached(t)
	mustExec(t, db, foreignWrite, 0, 0)
	queryInt(t, db, "SELECT n FROM v WHERE id = 0") // it has arrived
	if err := tursoopt.LearnSchema(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	reads := []string{"SELECT n FROM v WHERE id = 0", "SELECT max(n) FROM v"}
	waited := 0
	// look reads while the replica can learn nothing, for less than it takes the driver
	// to ask the primary whether there is still what the replica lacks.
	look := func(least int64, wait time.Duration) {
		t.Helper()
		link.Set(netem.Conditions{Paused: true})
		defer link.Set(netem.Conditions{})
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		for _, q := range reads {
			var n int64
			switch err := db.QueryRowContext(ctx, q).Scan(&n); {
			case err != nil:
				waited++
			case n < least:
				t.Errorf("%s gives %d while the replica is behind, and %d was known", q, n, least)
			}
		}
	}
	n := int64(0)
	for waited == 0 || n < 4 {
		wait := 50 * time.Millisecond
		if waited == 0 {
			wait = 1500 * time.Millisecond
		}
		if n++; n > 200 {
			t.Fatal("the replica has always been as far as its program")
		}
		mustExec(t, db, foreignWrite, n, 0)
		look(n, wait)
		for _, q := range reads {
			if got := queryInt(t, db, q); got != n {
				t.Errorf("%s gives %d when the replica is back, and %d was written", q, got, n)
			}
		}
	}
	// What has been read of others' is not taken back.
	mustExec(t, plain, foreignWrite, n+1, 0)
	for queryInt(t, db, reads[0]) < n+1 {
	}
	mustExec(t, plain, foreignWrite, n+2, 0)
	look(n+1, 50*time.Millisecond)
	if s := cacheStats(t, db); s.Fills > 0 {
		t.Errorf("%+v", s)
	}
}
