package bench

import (
	"context"
	"database/sql"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/internal/netem"
)

// What passes is counted however it is sent: alone and shared, in JSON and in
// protobuf, through both drivers.
func TestSeenTexts(t *testing.T) {
	server, w := embedded(t, ownTables(plainTable))
	for _, side := range []Side{Base, Ours, oursWith("JSON", func(c *tursoopt.Config) { c.Encoding = tursoopt.EncodingJSON })} {
		link, err := server.Link(netem.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		seen := watchFor(link.Proxy, []string{w.selectVersion(plainTable)})
		db := opened(t, side, link.Config, 40)
		if err := readAll(t.Context(), db, w.selectVersion(plainTable), w.rows(peopleRows)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "UPDATE "+w.table(plainTable)+" SET version = 1"); err != nil {
			t.Fatal(err)
		}
		link.Settle(t.Context())
		// A read that is late is sent again.
		if n, want := seen.total(), w.rows(peopleRows); n < want || n > 2*want || side.Name == Base.Name && n != want || seen.unknown.Load() > 0 {
			t.Errorf("%s: of %d statements %d were seen, %d requests were not understood", side.Name, want, n, seen.unknown.Load())
		}
		link.Close()
	}
}

// Scenario 16 notices an answer that is too old.
func TestReadMostlyNoticesStaleAnswers(t *testing.T) {
	server, w := embedded(t, ownTables(plainTable))
	db := opened(t, Ours, server.Config, 4)
	work := readMostly(plainTable)(w)
	s, err := Load{Goroutines: 4, Ops: 30}.Run(t.Context(), db, work)
	if err != nil || s.Stale != 0 {
		t.Fatalf("%d stale answers, %v", s.Stale, err)
	}
	acked := w.acknowledged(plainTable)
	for i := range acked {
		acked[i].Store(1 << 62) // as if somebody's writes were not seen
	}
	if s, err = (Load{Goroutines: 4, Ops: 30}).Run(t.Context(), db, work); err != nil || s.Stale < 30 {
		t.Errorf("%d stale answers, %v", s.Stale, err)
	}
}

// A point of the curve of the heap keeps as many results as it says.
func TestKeepResults(t *testing.T) {
	server, w := embedded(t, manyPeople)
	db := opened(t, keepingSide, server.Config, 1)
	// The cache begins when it knows the schema.
	warm := func(ctx context.Context, db *sql.DB, n int) Sample {
		s, err := Load{Goroutines: 1, Ops: 1}.Run(ctx, db, keepResults(n)(w))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	few, many := warm(t.Context(), db, 10), warm(t.Context(), db, 1000)
	stats, _ := tursoopt.StatsOf(db)
	if stats.Cache.Entries < 1000 || few.Accounted == 0 || many.Accounted < 50*few.Accounted || many.Weight <= 0 {
		t.Errorf("%d entries; %g and %g bytes accounted for, %g weighed", stats.Cache.Entries, few.Accounted, many.Accounted, many.Weight)
	}
}
