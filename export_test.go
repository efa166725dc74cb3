package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// What tests of the external package look at directly.
var (
	ParseTime    = parseTime
	FormatTime   = formatTime
	DSNParams    = dsnParams
	SQLiteParams = sqliteParams
)

// LateAfter sets when a request is late that others wait for, for Connectors made
// from then on; 0 is the default.
func LateAfter(d time.Duration) { lateAfter.Store(int64(d)) }

// Bind binds arguments and forgets them.
func Bind(text *sqltext.Text, args []driver.NamedValue) error {
	var c call
	return c.bind(text, args, true)
}

// Negotiated tells whether db's Connector knows what its server speaks.
func Negotiated(db *sql.DB) bool { return db.Driver().(*Driver).connector.client.Negotiated() }

// Dialling is how many connections db's Connector is dialling.
func Dialling(db *sql.DB) int { return db.Driver().(*Driver).connector.client.Dialling() }

// AgeCompressSchema makes what is known of the schema for CompressColumns older.
func AgeCompressSchema(db *sql.DB, by time.Duration) {
	z := db.Driver().(*Driver).connector.compression
	z.mu.Lock()
	defer z.mu.Unlock()
	z.schema.asked = z.schema.asked.Add(-by)
}

// LearnSchema has db's cache look at the schema now, instead of beside.
func LearnSchema(ctx context.Context, db *sql.DB) error {
	rc := db.Driver().(*Driver).connector.reads
	if rc.current() != nil {
		return nil
	}
	if rc.base == nil {
		return rc.load(ctx)
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(c.Raw(func(dc any) error { return rc.base.load(ctx, dc.(*baseConn)) }), c.Close())
}

// CacheWait waits until what db's cache keeps is there to be found.
func CacheWait(db *sql.DB) { db.Driver().(*Driver).connector.reads.cache.Wait() }

// LostFor sets how long writes that nothing settles stay lost, for Connectors made
// from then on; 0 is the default.
func LostFor(d time.Duration) { lostForTests.Store(int64(d)) }

// CacheClock sets the clock of leases, in nanoseconds, for Connectors made from then
// on; nil is the machine's.
func CacheClock(read func() (wall, mono int64)) {
	if read == nil {
		clockForTests.Store(nil)
		return
	}
	clock := cache.Clock(func() cache.Instant {
		wall, mono := read()
		return cache.Instant{Wall: wall, Mono: mono}
	})
	clockForTests.Store(&clock)
}

// Untraced does for a connection without a Tracer, like db's, what tracing does for
// each statement.
func Untraced(db *sql.DB) func() {
	d := db.Driver().(*Driver)
	c := newConn(d.connector)
	ctx := context.Background()
	cl := &call{text: sqltext.Parse("SELECT 'a'")}
	return func() {
		t := c.trace(ctx, cl.text.SQL)
		t.context(ctx)
		t.ended(nil, nil)
		c.traceEach(ctx, cl, nil).ended(nil, nil)
		c.tracePiped(ctx, cl, nil).ended(nil, nil)
		h := d.connector.client.Trace()
		h.Again(h.About(ctx, 1, 1), nil, 0)
		if h != nil {
			panic("there is a Tracer")
		}
	}
}

// What a Shared keeps of all its Connectors.
const MaxSchemas = maxSchemas

// SharedSchemas is how many copies of schemas there are.
func SharedSchemas(s *Shared) int { return s.schemas.count() }

// SharedCacheUsage is how many results are kept, and how many bytes they take.
func SharedCacheUsage(s *Shared) (entries, bytes uint64) {
	u := s.results.Usage()
	return u.Entries, u.Bytes
}

// SharedTexts is what a Shared has counted of SQL texts.
func SharedTexts(s *Shared) StatementStats {
	n := s.stmts.Stats()
	return StatementStats{Hits: n.Hits, Misses: n.Misses, Evictions: n.Evictions, Size: n.Size}
}

// KnowsSchema tells whether db's cache has a copy of the schema.
func KnowsSchema(db *sql.DB) bool { return db.Driver().(*Driver).connector.reads.current() != nil }

// ForgetSchema has db's cache forget the schema, as when too many of a Shared's have a
// copy.
func ForgetSchema(db *sql.DB) { db.Driver().(*Driver).connector.reads.unload() }

// URLOf is where db's database is.
func URLOf(db *sql.DB) string { return db.Driver().(*Driver).connector.cfg.URL }

// Beside is how many results db's cache has fetched again now, on another base than the
// native one.
func Beside(db *sql.DB) int {
	b := &db.Driver().(*Driver).connector.reads.base.beside
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.under)
}
