package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// sharedTenants are databases with a cache on one Shared, in each of which id 1 of t
// has the tenant's number.
func sharedTenants(t *testing.T, shared *tursoopt.Shared, n int) (connectors []*tursoopt.Connector, dbs []*sql.DB) {
	t.Helper()
	for i := range n {
		s := hranatest.NewServer(t, hranatest.Options{})
		c, err := tursoopt.NewConnector(&tursoopt.Config{URL: s.URL(), CacheLease: time.Hour, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		t.Cleanup(func() { _ = db.Close() })
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, s TEXT)")
		mustExec(t, db, "INSERT INTO t VALUES (1, ?, '')", i)
		connectors, dbs = append(connectors, c), append(dbs, db)
	}
	return connectors, dbs
}

// Tenants have one budget and nothing else in common: each finds its own results by
// the same texts, what one writes or drops is nothing to the others, and so is its end.
func TestTenantsShareOneBudget(t *testing.T) {
	t.Parallel()
	const budget = 256 << 10
	shared := newShared(t, tursoopt.SharedConfig{Cache: budget})
	connectors, dbs := sharedTenants(t, shared, 4)
	const q = "SELECT n FROM t WHERE id = ?"
	check := func(hits ...bool) {
		t.Helper()
		for i, want := range hits {
			if n, hit := isHit(t, dbs[i], q, 1); n != int64(i) || hit != want {
				t.Errorf("tenant %d reads %d, hit: %v", i, n, hit)
			}
		}
	}
	for _, db := range dbs {
		warm(t, db, q, 1)
	}
	check(true, true, true, true)
	mustExec(t, dbs[1], "UPDATE t SET s = 'x'")
	connectors[2].Invalidate()
	check(true, false, false, true)
	tursoopt.CacheWait(dbs[0])
	check(true, true, true, true)

	// What one closes is gone, and nobody else's.
	if entries, _ := tursoopt.SharedCacheUsage(shared); entries != 4 {
		t.Fatalf("%d entries", entries)
	}
	if err := dbs[3].Close(); err != nil {
		t.Fatal(err)
	}
	tursoopt.CacheWait(dbs[0])
	entries, bytes := tursoopt.SharedCacheUsage(shared)
	if entries != 3 {
		t.Errorf("%d entries after one of four was closed", entries)
	}
	check(true, true, true)
	if cacheStats(t, dbs[0]).Bytes+cacheStats(t, dbs[1]).Bytes+cacheStats(t, dbs[2]).Bytes != bytes {
		t.Errorf("together they do not have the %d bytes that there are", bytes)
	}

	// However much all of them ask for, it is the budget.
	for i := range 300 {
		for _, db := range dbs[:3] {
			queryInt(t, db, "SELECT count(*) FROM t WHERE n > ?", i)
		}
	}
	tursoopt.CacheWait(dbs[0])
	if _, bytes := tursoopt.SharedCacheUsage(shared); bytes > budget {
		t.Errorf("%d bytes are kept", bytes)
	}
	for i, db := range dbs[:3] {
		if s := cacheStats(t, db); s.Entries == 0 || s.Bytes > budget {
			t.Errorf("tenant %d has %d entries, %d bytes", i, s.Entries, s.Bytes)
		}
	}
}

// A Config cannot have a budget of its own on a Shared, and one that says the same is
// taken.
func TestSharedCacheConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shared, own int64
		says        string
	}{{1 << 20, 0, ""}, {1 << 20, 1 << 20, ""}, {0, 0, ""}, {0, 1 << 20, "SharedConfig.Cache"}, {1 << 20, 2 << 20, "SharedConfig.Cache"}, {1, 0, "cache: want off"}} {
		shared := newShared(t, tursoopt.SharedConfig{Cache: c.shared})
		connector, err := tursoopt.NewConnector(&tursoopt.Config{URL: "http://127.0.0.1:1", Cache: c.own, Shared: shared})
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil && (connector.Layers()[1] == "cache") != (c.shared > 0) {
			t.Errorf("%+v: %v", c, connector.Layers())
		}
	}
}

// There is a copy of the schema for those only who have asked lately; the others get
// one again, and learn what has changed meanwhile.
func TestSharedSchemasAreFew(t *testing.T) {
	t.Parallel()
	shared := newShared(t, tursoopt.SharedConfig{Cache: 1 << 20})
	_, dbs := sharedTenants(t, shared, 2)
	const q = "SELECT sum(n) FROM v"
	mustExec(t, dbs[1], "CREATE TABLE u (n); CREATE VIEW v AS SELECT n FROM t")
	warm(t, dbs[1], q)
	if _, hit := isHit(t, dbs[1], q); !hit {
		t.Fatal("it is not cached")
	}
	// As many as there may be come after it.
	var s *hranatest.Server
	for i := range tursoopt.MaxSchemas {
		if i%64 == 0 {
			s = hranatest.NewServer(t, hranatest.Options{}) // it has 128 streams
		}
		c, err := tursoopt.NewConnector(&tursoopt.Config{URL: s.URL(), Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		defer db.Close()
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
	}
	if n := tursoopt.SharedSchemas(shared); n != tursoopt.MaxSchemas {
		t.Errorf("%d copies of schemas", n)
	}
	if tursoopt.KnowsSchema(dbs[1]) {
		t.Fatal("the copy that was asked longest ago is still there")
	}
	// The entry is, and ends by what was not looked at.
	if _, hit := isHit(t, dbs[1], q); !hit {
		t.Error("it is not served without a copy of the schema")
	}
	other := tenantsOther(t, dbs[1])
	mustExec(t, other, "DROP VIEW v; CREATE VIEW v AS SELECT n FROM u")
	if err := tursoopt.LearnSchema(context.Background(), dbs[1]); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dbs[1], "INSERT INTO u VALUES (42)")
	if n := queryInt(t, dbs[1], q); n != 42 {
		t.Errorf("%d of a view that was made anew while there was no copy", n)
	}
}

// tenantsOther is another's client of a tenant's database.
func tenantsOther(t *testing.T, db *sql.DB) *sql.DB {
	t.Helper()
	other, err := sql.Open("turso-opt", tursoopt.URLOf(db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(fmt.Errorf("close: %w", err))
		}
	})
	return other
}
