package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
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

// LearnSchema has db's cache look at the schema now, instead of beside.
func LearnSchema(ctx context.Context, db *sql.DB) error {
	rc := db.Driver().(*Driver).connector.reads
	if rc.current() != nil {
		return nil
	}
	return rc.load(ctx)
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
