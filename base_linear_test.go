package tursoopt_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/tursodatabase/libsql-client-go/libsql"

	tursoopt "github.com/turso-opt/turso-opt"
)

// linearBases are the bases whose histories are checked: libsql-client-go's Connector as
// anybody may wrap it, and a file's SQLite, which is quickest, so that most goes wrong
// there where something does; also where nearly all is served after its lease, and fetched
// again beside.
var linearBases = []mode{
	{name: "wrapped libsql-client-go", real: true},
	cachedBases[1],
	{name: "file, short lease", file: true, params: cachedBases[1].params},
}

// wrapped opens what is at the env's URL by libsql-client-go's Connector, with a cache.
func (e *env) wrapped(t testing.TB) *sql.DB {
	t.Helper()
	base, err := libsql.NewConnector(e.url)
	if err != nil {
		t.Fatal(err)
	}
	return wrapCached(t, base, func(cfg *tursoopt.Config) { cfg.Cache = 4 << 20 })
}

// The histories of the other bases are made of the same operations as those of the native
// one, in the same trouble. What differs: a base's errors do not tell what has become of a
// write, so that every failed one may have happened, or may yet. Its own DDL is part of
// it, and others' that changes nothing; what others' DDL changes is bounded by the lease.
func TestBaseCacheIsLinearizable(t *testing.T) {
	inModes(t, linearBases, func(t *testing.T, e *env) {
		ops, round, rare := int64(2_400), int64(600), int64(1)
		open := func() *sql.DB { return e.wrapped(t) }
		if e.file {
			ops, round, open = 10_000, 1_000, func() *sql.DB { return e.cached(t) }
		}
		short := e.name != cachedBases[1].name && e.file
		if short {
			open = func() *sql.DB {
				return e.open(t, "cache=4MiB", "cache_lease=500us", "cache_ttl=2h", "stale_while_revalidate=1h")
			}
		}
		if os.Getenv("TURSO_OPT_SOAK") != "" {
			ops, round, rare = 1_000_000, 50_000, 10
		}
		l := newLinear(t, e, open)
		s := l.rounds(ops, round, rare)
		if s.SchemaChanges < linearRounds {
			t.Errorf("too few changes of the schema: %+v", s)
		}
		if short && s.Revalidated == 0 {
			t.Error("nothing was served after its lease")
		}
		// A lost write need not happen late: on a busy machine it is cut before it gets there.
		if !e.file && (l.kills == 0 || l.unknown.Load() == 0 || s.Lost == 0) {
			t.Errorf("too little trouble: %d kills, %d unknown outcomes, %d late, %+v", l.kills, l.unknown.Load(), l.late, s)
		}
	})
}
