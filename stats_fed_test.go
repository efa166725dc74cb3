package tursoopt_test

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// What a Connector counts of connections, tokens and streams is what the layers
// below it have counted.
func TestConnectionStatsAreFed(t *testing.T) {
	server := hranatest.NewServer(t, hranatest.Options{Token: "new"})
	var fetched atomic.Int32
	db, err := tursoopt.OpenDB(&tursoopt.Config{URL: server.URL(), TokenSource: func(context.Context) (string, error) {
		if fetched.Add(1) == 1 {
			return "old", nil
		}
		return "new", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if s, _ := tursoopt.StatsOf(db); s.Requests != (tursoopt.RequestStats{}) || s.Streams != (tursoopt.StreamStats{}) {
		t.Errorf("before anything was sent: %+v, %+v", s.Requests, s.Streams)
	}
	mustExec(t, db, "CREATE TABLE t (a)")
	s, _ := tursoopt.StatsOf(db)
	if r := s.Requests; r.TokenRefreshes != 1 || r.Dials == 0 || r.BytesSent == 0 || r.BytesReceived == 0 || r.Sent < 2 {
		t.Errorf("%+v", r)
	}
	// A session that leaves something behind ends its stream by a request.
	c := conn(t, db)
	mustExec(t, c, "PRAGMA foreign_keys = off")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of its stream", func() bool {
		now, _ := tursoopt.StatsOf(db)
		return now.Streams.Closed == s.Streams.Closed+1 && now.Streams.Opened > s.Streams.Opened
	})
}

// The cache's own: what it holds, and what has been dropped from it.
func TestCacheStatsAreFed(t *testing.T) {
	e := newEnv(t, mode{native: true})
	c, err := tursoopt.NewConnector(&tursoopt.Config{URL: e.url, Cache: 4 << 20, CacheLease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	mustExec(t, db, cacheSchema)
	stats := func() tursoopt.CacheStats { return c.Stats().Cache }
	warm(t, db, "SELECT n FROM b WHERE id = ?", 1)
	n := stats()
	if n.Entries != 1 || n.Bytes == 0 || n.Fills != 1 || n.Lost != 0 {
		t.Errorf("one result is kept: %+v", n)
	}
	mustExec(t, db, "UPDATE b SET n = 5 WHERE id = 1")
	written := stats()
	if written.Invalidations <= n.Invalidations {
		t.Errorf("after a write: %+v, before %+v", written, n)
	}
	if c.Invalidate("b"); stats().Invalidations <= written.Invalidations {
		t.Errorf("after Invalidate: %+v, before %+v", stats(), written)
	}
}
