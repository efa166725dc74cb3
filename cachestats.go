package tursoopt

import (
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
)

// CacheStats are those of reads that need no request; all zero without a cache.
type CacheStats struct {
	// CacheTally is that of all reads. Its Misses are also those of reads that could
	// not have been cached.
	CacheTally
	// Revalidated counts Hits that had outlived their lease.
	Revalidated uint64
	// Renewed counts results that had been served when this Connector wrote their row,
	// and have been asked for again, beside, when that was done.
	Renewed uint64
	// Invalidations counts writes, each once, and calls of Invalidate: ByWrites those
	// writes of which it is known what they touch, ByUnknownWrites those that count as
	// touching everything (DDL, and what the schema's copy does not know), ByCalls the
	// calls. SchemaChanges is how often all was dropped because the schema had changed.
	Invalidations, ByWrites, ByUnknownWrites, ByCalls, SchemaChanges uint64
	// Lost counts writes of unknown outcome, which keep their tables out of the
	// cache; Settled those whose end was found out, GaveUp those that were waited for
	// long enough.
	Lost, Settled, GaveUp uint64
	// Texts are the reads that could be cached, by their SQL, those first that have
	// saved most time. There are some hundreds at most: of others those are forgotten
	// that have saved least.
	Texts []CacheTextStats
	// Tables are the tables that Texts read and that were written, by their names.
	Tables []CacheTableStats
}

// A CacheTally is what has become of reads.
type CacheTally struct {
	// Hits counts reads answered without a request. Misses counts those for which
	// there was nothing: Stale because of a write, Expired because of the lease.
	Hits, Misses, Stale, Expired uint64
	// Coalesced counts misses that shared the request of another that was the same.
	Coalesced uint64
	// Fills counts results kept; Refused those that were not because something was
	// written meanwhile, TooLarge those that would take more than an eighth of the
	// room, Volatile those whose like has nearly always ended before it was served.
	Fills, Refused, TooLarge, Volatile uint64
	// Entries and Bytes are what is kept now, Evictions what has made room.
	Entries, Bytes, Evictions uint64
}

// CacheTextStats are those of an SQL text.
type CacheTextStats struct {
	// SQL is the text with its literals replaced. Texts that differ in these alone
	// count as one.
	SQL string
	// Saved is how long the hits would have taken if they had been requests, which
	// take what misses took on the average.
	Saved time.Duration
	CacheTally
}

// CacheTableStats are those of all texts that read a table.
type CacheTableStats struct {
	Table string
	// Writes counts writes that touch the table, whatever path they take; those of
	// which that is not known are CacheStats.ByUnknownWrites.
	Writes uint64
	CacheTally
}

func (c *Connector) cacheStats() CacheStats {
	if c.reads == nil {
		return CacheStats{}
	}
	n := c.reads.cache.Counters()
	s := CacheStats{
		CacheTally: CacheTally{
			Hits: n.Hits, Misses: n.Misses, Stale: n.Stale, Expired: n.Expired, Coalesced: n.Coalesced,
			Fills: n.Fills, Refused: n.Refused, TooLarge: n.TooLarge, Volatile: n.Volatile,
			Entries: n.Entries, Bytes: n.Bytes, Evictions: n.Evictions,
		},
		Revalidated: n.Revalidated, Renewed: n.Renewed, Invalidations: n.ByWrites + n.ByUnknown + n.ByCalls, ByWrites: n.ByWrites,
		ByUnknownWrites: n.ByUnknown, ByCalls: n.ByCalls, SchemaChanges: n.Moves, Lost: n.Lost, Settled: n.Settled, GaveUp: n.GaveUp,
	}
	for _, t := range n.Texts {
		s.Texts = append(s.Texts, CacheTextStats{t.Label, t.Saved, cacheTally(t.Tally)})
	}
	for _, t := range n.Tables {
		s.Tables = append(s.Tables, CacheTableStats{t.Name, t.Writes, cacheTally(t.Tally)})
	}
	return s
}

func cacheTally(t cache.Tally) CacheTally { return CacheTally(t) }
