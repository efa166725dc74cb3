package tursoopt

import (
	"database/sql"
)

// Stats is a snapshot of what a Connector has done since it was made. Its
// counters only grow; they are not read at one instant. On a base other than
// the native one all but Pool, Compression and Cache are zero.
type Stats struct {
	Pool       PoolStats
	Statements StatementStats
	Lanes      LaneStats
	Requests   RequestStats
	Streams    StreamStats
	KeepAlive  KeepAliveStats
	Circuit    CircuitStats
	// Took is how long requests have taken that the server has answered: from when
	// they were ready to be sent to the last byte of the answer, so that waiting for
	// a connection is in it and waiting for a lane is not. Results that are too
	// large for one answer are not among them, and neither are pings.
	Took Histogram
	// Served is how long the server has worked on requests, by what it tells. What
	// Took is beyond it is the path, and the server's own queues.
	Served Histogram
	// Compression is about bytes. What it says of CompressColumns is there on any
	// base.
	Compression CompressionStats
	Cache       CacheStats
}

// LaneStats are those of statements that share requests.
type LaneStats struct {
	// Lanes is how many requests of reads may be in flight now, and Waiting how
	// many statements wait for one.
	Lanes, Waiting int
	// Alone counts reads that had a request to themselves, Shared those that
	// shared one, and Requests the requests that they shared.
	Alone, Shared, Requests uint64
	// Again counts reads run again because the request that they shared had
	// failed, Hedged those sent again because a neighbour kept them waiting. Late
	// counts lanes that others got because their requests were late.
	Again, Hedged, Late uint64
	// Backoffs counts waits because the server was at its limit, Locked requests
	// of writes that found the database locked and were sent again.
	Backoffs, Locked uint64
	// Writers is how many writes and writing transactions may be on their way to
	// the server now, and Writing how many there are.
	Writers, Writing int
	// Grouped counts writes that shared a transaction, Groups these
	// transactions, and Ungrouped writes run one by one because theirs had
	// failed.
	Grouped, Groups, Ungrouped uint64
}

// StatementStats are the statement cache's.
type StatementStats struct {
	// Hits and Misses count look-ups of SQL texts; a miss reads the text anew, or has
	// it from the Shared.
	Hits, Misses uint64
	// Evictions counts texts forgotten to make room.
	Evictions uint64
	// Size is how many texts are remembered now.
	Size int
}

// RequestStats are those of HTTP. On a Shared, Dials and the bytes are those of all
// its Connectors together, and of KeepAliveStats all is.
type RequestStats struct {
	// Sent counts HTTP requests, Failed those of them that did not end in a
	// complete answer of status 200.
	Sent, Failed uint64
	// Retries counts requests that were sent again, for whatever reason: because a
	// stream was gone, a connection broken, the server at its limit, the database
	// locked or a token renewed.
	Retries uint64
	// RetriesWithheld counts requests that would have been sent again, and
	// transactions that RunTx would have run again, if the budget for that had not been
	// used up.
	RetriesWithheld uint64
	// Dials counts connections opened.
	Dials uint64
	// BytesSent and BytesReceived count what went over the connections, TLS
	// included.
	BytesSent, BytesReceived uint64
	// TokenRefreshes counts tokens fetched again after the server refused one.
	TokenRefreshes uint64
}

// StreamStats are those of the server's streams, each an SQLite connection
// there.
type StreamStats struct {
	// Opened counts streams asked for, Reused requests on one that was open.
	Opened, Reused uint64
	// Expired counts streams dropped because they had been idle for too long.
	Expired uint64
	// Closed counts streams ended by a request of their own.
	Closed uint64
	// Pings counts requests that kept a session's stream alive.
	Pings uint64
}

// Stats is what c has counted so far.
func (c *Connector) Stats() Stats {
	var s Stats
	if p := c.sizer.Load(); p != nil {
		s.Pool = p.Stats()
	}
	s.Compression = c.compression.stats()
	if c.base != nil {
		s.Cache = c.cacheStats()
		return s
	}
	texts, http, streams, lanes := c.stmts.Stats(), c.client.Counters(), c.pool.Counters(), c.lanes.Counters()
	s.Compression.Wire = c.wireStats(streams.Saved)
	return Stats{
		Pool: s.Pool, Compression: s.Compression,
		Statements: StatementStats{Hits: texts.Hits, Misses: texts.Misses, Evictions: texts.Evictions, Size: texts.Size},
		Lanes: LaneStats{
			Lanes: lanes.Lanes, Waiting: lanes.Waiting, Alone: lanes.Alone, Shared: lanes.Shared, Requests: lanes.Requests,
			Again: lanes.Again, Hedged: lanes.Hedged, Late: lanes.Late,
			Backoffs: lanes.Backoffs, Locked: lanes.Locked, Writers: lanes.Writers, Writing: lanes.Writing,
			Grouped: lanes.Committed, Groups: lanes.Groups, Ungrouped: lanes.Ungrouped,
		},
		Requests: RequestStats{
			Sent: http.Requests, Failed: http.Failed, Dials: http.Dials,
			Retries: streams.Retries + lanes.Resent + http.Renewed, RetriesWithheld: c.budget.Denied() + c.reruns.Denied(),
			BytesSent: http.BytesSent, BytesReceived: http.BytesReceived, TokenRefreshes: http.TokenRefresh,
		},
		Streams: StreamStats{
			Opened: streams.Opened, Reused: streams.Reused, Expired: streams.Expired,
			Closed: streams.Closed, Pings: streams.Pings,
		},
		KeepAlive: c.keepAliveStats(),
		Circuit:   c.circuitStats(),
		Took:      snapshot(c.client.Took()),
		Served:    snapshot(c.pool.Served()),
		Cache:     c.cacheStats(),
	}
}

// StatsOf is the Stats of db's Connector. ok is false if db is not directly one
// of this driver: a driver around this one, such as otelsql's, hides it.
func StatsOf(db *sql.DB) (s Stats, ok bool) {
	d, ok := db.Driver().(*Driver)
	if !ok || d.connector == nil {
		return Stats{}, false
	}
	return d.connector.Stats(), true
}
