package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// Where the server is, who asks and by what key is what the Config says, and what the
// Shared says of it.
func TestConfigReachesTheServer(t *testing.T) {
	t.Parallel()
	for _, shares := range []bool{false, true} {
		var mu sync.Mutex
		var got []*http.Request
		server := hranatest.NewServer(t, hranatest.Options{Token: "t0ken", Prefix: "/my/db", OnRequest: func(r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, r)
		}})
		cfg := &tursoopt.Config{
			URL: "libsql://db.example:1/my/db", TLS: ptr(false), AuthToken: "t0ken",
			RemoteEncryptionKey: "k3y", Header: http.Header{"X-Test": {"yes"}},
		}
		proxy := "//" + hostOf(t, server.URL()) // whose scheme is that of the URL
		if shares {
			cfg.Shared = newShared(t, tursoopt.SharedConfig{Proxy: proxy})
		} else {
			cfg.Proxy = proxy
		}
		db, err := tursoopt.OpenDB(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if n := queryInt(t, db, "SELECT 7"); n != 7 {
			t.Errorf("7 is %d", n)
		}
		mu.Lock()
		for _, r := range got {
			if r.Method == http.MethodPost && (r.Host != "db.example:1" || !strings.HasPrefix(r.URL.Path, "/my/db/v") || r.Header.Get("Authorization") != "Bearer t0ken" ||
				r.Header.Get("X-Turso-Encryption-Key") != "k3y" || r.Header.Get("X-Test") != "yes") {
				t.Errorf("the request is for %s%s, with %v", r.Host, r.URL.Path, r.Header)
			}
		}
		mu.Unlock()
	}
}

// The Logger is told what the driver has to say.
func TestLoggerIsTold(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[3])
	var mu sync.Mutex
	var out bytes.Buffer
	db := e.openConfig(t, func(c *tursoopt.Config) { c.Logger = slog.New(slog.NewTextHandler(locked{&mu, &out}, nil)) })
	queryInt(t, db, "SELECT 1")
	await(t, "what was negotiated", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(out.String(), "turso-opt: protocol negotiated")
	})
}

// WarmConns are dialled before anybody needs them, and pinged within KeepAlive until
// KeepAliveIdleStop.
func TestPingsAreAsConfigured(t *testing.T) {
	const every, stop, warm = 7 * time.Second, time.Minute, 3
	inStill(t, saysNo, tursoopt.SharedConfig{KeepAlive: every, KeepAliveIdleStop: stop, WarmConns: warm}, func(t *testing.T, s *still, db *sql.DB) {
		began := time.Now()
		conn(t, db)
		if n := len(s.seen()); n != warm {
			t.Errorf("%d connections are ready", n)
		}
		if x := stats(t, db).KeepAlive; x.Interval != every || x.Opened != warm {
			t.Errorf("%+v", x)
		}
		time.Sleep(10 * time.Minute)
		pings := uint64(0)
		for _, c := range s.seen() {
			pings += uint64(len(c.asked))
			last := began
			for _, at := range c.asked {
				if at.Sub(last).Round(time.Second) > every { // a millisecond is spent on looking whether it is closed
					t.Errorf("%v without a ping", at.Sub(last))
				}
				last = at
			}
			if after := last.Sub(began); after < stop-every || after > stop+every {
				t.Errorf("the last ping is sent after %v", after)
			}
		}
		if x := stats(t, db).KeepAlive; x.Interval != 0 || x.Pings != pings {
			t.Errorf("%d pings were sent, and none are now: %+v", pings, x)
		}
	})
}

// A ping that is not answered within PingTimeout has found a dead connection.
func TestPingTimeoutIsAsConfigured(t *testing.T) {
	const limit = 90 * time.Second
	inStill(t, isMute, tursoopt.SharedConfig{KeepAlive: 7 * time.Second, PingTimeout: limit}, func(t *testing.T, s *still, db *sql.DB) {
		conn(t, db)
		time.Sleep(2 * time.Minute)
		if c := s.seen()[0]; len(c.asked) != 1 || c.closed.Sub(c.asked[0]).Round(time.Second) != limit {
			t.Errorf("asked at %v, closed at %v", c.asked, c.closed)
		}
		if x := stats(t, db).KeepAlive; x.PingFailures == 0 || x.Stale == 0 || x.Refreshed == 0 {
			t.Errorf("%+v", x)
		}
	})
}

// An idle connection is trusted for StaleAfter, and no longer.
func TestStaleAfterIsAsConfigured(t *testing.T) {
	const stale = 10 * time.Second
	inStill(t, saysNo, tursoopt.SharedConfig{StaleAfter: stale, WarmConns: -1}, func(t *testing.T, s *still, db *sql.DB) {
		for i, c := range []struct {
			after time.Duration
			conns int
		}{{0, 1}, {stale - time.Second, 1}, {stale + time.Second, 2}} {
			time.Sleep(c.after)
			if err := db.QueryRow("SELECT 1").Scan(new(int)); err == nil {
				t.Error("the server says no, and nobody is told")
			}
			if n := len(s.seen()); n != c.conns {
				t.Errorf("statement %d, after %v: %d connections", i, c.after, n)
			}
		}
	})
}

// Who gets no connection is told so after ConnectTimeout.
func TestConnectTimeoutIsAsConfigured(t *testing.T) {
	const limit = 3 * time.Second
	inStill(t, isGone, tursoopt.SharedConfig{ConnectTimeout: limit, WarmConns: -1}, func(t *testing.T, s *still, db *sql.DB) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := db.PingContext(ctx); err == nil {
			t.Error("there is no server, and nobody is told")
		}
		s.seen()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.waits) == 0 || s.waits[0] != limit {
			t.Errorf("dialled for %v", s.waits)
		}
	})
}

// What has no context is bounded by Timeout.
func TestTimeoutIsAsConfigured(t *testing.T) {
	const limit = 90 * time.Second
	bubble(t, &calmBase{}, tursoopt.Config{Timeout: limit, TxLock: tursoopt.TxImmediate}, func(d tuned) {
		tx, err := d.Begin()
		if err != nil {
			d.Fatal(err)
		}
		d.base.work = time.Hour
		began := time.Now()
		if err := tx.Commit(); err == nil || time.Since(began) != limit {
			d.Errorf("commit ends after %v: %v", time.Since(began), err)
		}
	})
}

// BEGIN IMMEDIATE, which is sent at once, is that of TxLock, and of what BeginTx is
// told.
func TestTxLockIsAsConfigured(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[3])
	p := e.tapped(t)
	for _, c := range []struct {
		params string
		lock   tursoopt.TxLock
		atOnce bool
	}{
		{"", tursoopt.TxDefault, false}, {"_txlock=immediate", tursoopt.TxDefault, true},
		{"", tursoopt.TxImmediate, true}, {"_txlock=immediate", tursoopt.TxDeferred, false},
	} {
		db := e.open(t, c.params)
		queryInt(t, db, "SELECT 1")
		var tx *sql.Tx
		if n := p.costs(func() { tx = begin(t, db, tursoopt.TxOptions{Lock: c.lock}) }); (n > 0) != c.atOnce {
			t.Errorf("with %q BeginTx of %v costs %d requests", c.params, c.lock, n)
		}
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

// So many reads are on their way at once as there are lanes, from the first on.
func TestLanesAreAsConfigured(t *testing.T) {
	t.Parallel()
	const lanes = 3
	e := newEnv(t, nativeModes[3])
	p := e.tapped(t)
	db := e.openConfig(t, func(c *tursoopt.Config) { c.Lanes, c.PoolMin = lanes, 2*lanes })
	if n := stats(t, db).Lanes.Lanes; n != lanes {
		t.Fatalf("%d lanes", n)
	}
	var held []*hold
	var all sync.WaitGroup
	for i := range lanes {
		h := p.before(t, fmt.Sprintf("'HELD%d'", i))
		all.Go(func() { mustExec(t, db, fmt.Sprintf("SELECT 'HELD%d'", i)) })
		<-h.reached
		held = append(held, h)
	}
	all.Go(func() { queryInt(t, db, "SELECT 7") })
	awaitLanes(t, db, "one waits for a lane", func(s tursoopt.Stats) bool { return s.Lanes.Waiting == 1 })
	for _, h := range held {
		h.release()
	}
	all.Wait()
}
