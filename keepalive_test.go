package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

const (
	pathRTT = 150 * time.Millisecond
	// hung is what no statement takes that does not wait for a dead connection,
	// whose answer never comes, on the busiest machine.
	hung = 10 * time.Second
)

// behind puts an emulated network in front of the env's server.
func (e *env) behind(t testing.TB, c netem.Conditions) *netem.Proxy {
	t.Helper()
	target := e.url[len("http://"):]
	p, err := netem.Start(target, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	e.url = p.URL()
	return p
}

// A path is how connections die on it while nobody uses them.
type path struct {
	name     string
	idleDrop time.Duration
	kill     func(*netem.Proxy)
}

var paths = []path{
	{"idle connections are forgotten", 2500 * time.Millisecond, nil},
	{"all connections are forgotten", 0, func(p *netem.Proxy) { p.Drop() }},
	{"the server has gone without a word", 0, func(p *netem.Proxy) { p.HalfOpen() }},
	{"connections are reset", 0, func(p *netem.Proxy) { p.Reset() }},
}

// afterPause runs statements over a path on which connections die in each pause.
// pause lets the time pass that connections need for that, or the driver for
// seeing it. requests tells how many connections and requests the first
// statement after each pause has cost.
func afterPause(t *testing.T, db *sql.DB, p *netem.Proxy, pause func(), first func(name string, conns, requests int64, took time.Duration)) {
	t.Helper()
	mustExec(t, db, "CREATE TABLE t (a INTEGER)")
	queryInt(t, db, "SELECT count(*) FROM t")
	written := int64(0)
	for _, name := range []string{"read", "write", "transaction", "read"} {
		pause()
		before, began := p.Counts(), time.Now()
		var took time.Duration
		switch name {
		case "read":
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != written {
				t.Errorf("%d rows, want %d", n, written)
			}
			took = time.Since(began)
		case "write":
			mustExec(t, db, "INSERT INTO t VALUES (1)")
			took = time.Since(began)
			written++
		case "transaction":
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, tx, "INSERT INTO t VALUES (2)")
			took = time.Since(began)
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			written++
		}
		n := p.Counts().Sub(before)
		first(name, n.Conns, n.Requests, took)
	}
	if n := queryInt(t, db, "SELECT count(*) FROM t"); n != written {
		t.Errorf("%d rows, want %d", n, written)
	}
}

// While pings run, the first statement after a pause in which the path has lost
// the connections costs one round trip and meets no dead connection: reads and
// writes. Who has to wait for a connection begins to dial one, so a statement in
// whose time none was opened took one round trip; one may also have been opened in
// the background, but who had needed it would have taken two. The connections are
// those of the network, not the driver's own count.
func TestFirstStatementAfterPause(t *testing.T) {
	t.Parallel()
	for _, path := range paths {
		t.Run(path.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nativeModes[2])
			p := e.behind(t, netem.Conditions{RTT: pathRTT, IdleDrop: path.idleDrop})
			db := e.open(t, "keepalive=800ms", "ping_timeout=1s", "warm_conns=2")
			pause := func() { time.Sleep(path.idleDrop * 4 / 3) }
			if path.kill != nil {
				pause = func() {
					before := p.Counts()
					path.kill(p)
					// Until the driver has replaced them and proven what it has.
					awaitStats(t, db, func(tursoopt.Stats) bool { return p.Counts().Sub(before).Conns >= 2 })
					opened, _ := tursoopt.StatsOf(db)
					awaitStats(t, db, func(s tursoopt.Stats) bool { return s.KeepAlive.Pings >= opened.KeepAlive.Pings+4 })
				}
			}
			afterPause(t, db, p, pause, func(name string, conns, _ int64, took time.Duration) {
				if conns != 0 && took >= 2*pathRTT || took >= hung {
					t.Errorf("%s: %d connections, %v", name, conns, took)
				}
			})
			stats, _ := tursoopt.StatsOf(db)
			if s := stats.KeepAlive; s.Pings == 0 || s.Interval != 800*time.Millisecond || path.kill != nil && s.Stale == 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func awaitStats(t *testing.T, db *sql.DB, seen func(tursoopt.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, _ := tursoopt.StatsOf(db)
		if seen(s) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not seen: %+v", s.KeepAlive)
		}
	}
}

// Without pings the first statement dials, and waits for nothing that is dead.
func TestFirstStatementWithoutPings(t *testing.T) {
	t.Parallel()
	for name, params := range map[string][]string{
		"off":     {"keepalive=0", "stale_after=500ms"},
		"stopped": {"keepalive=300ms", "keepalive_idle_stop=400ms", "stale_after=500ms"},
		"none":    {"warm_conns=0", "stale_after=500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nativeModes[2])
			p := e.behind(t, netem.Conditions{RTT: pathRTT, IdleDrop: time.Second})
			db := e.open(t, params...)
			pause := func() { time.Sleep(2 * time.Second) }
			afterPause(t, db, p, pause, func(name string, conns, _ int64, took time.Duration) {
				if conns == 0 || took >= hung {
					t.Errorf("%s: %d connections, %v", name, conns, took)
				}
			})
			stats, _ := tursoopt.StatsOf(db)
			if s := stats.KeepAlive; s.Refreshed == 0 || name != "stopped" && s.Pings != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What users of libsql-client-go live with: the same path, and a statement that
// is not answered. Not each is lost: it sends two requests, of which one may get
// the dead connection and the other a new one.
func TestBaseAfterPause(t *testing.T) {
	t.Parallel()
	e := newEnv(t, otherModes[0])
	p := e.behind(t, netem.Conditions{RTT: pathRTT, IdleDrop: 500 * time.Millisecond})
	db := e.open(t)
	// Its Close sends a request without a limit, and may wait for ever for a
	// connection that is silent.
	defer p.Reset()
	queryInt(t, db, "SELECT 1")
	var err error
	for range 10 {
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 8*pathRTT)
		err = db.QueryRowContext(ctx, "SELECT 1").Scan(new(int))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
	t.Errorf("libsql-client-go now survives idle connections that have been dropped: %v", err)
}

// A warm connection is there before the first statement needs it, and counted:
// what it saves is the dial.
func TestWarmBeforeTheFirstStatement(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[0])
	p := e.behind(t, netem.Conditions{RTT: pathRTT})
	db := e.open(t, "warm_conns=2")
	if n := p.Counts().Conns; n != 0 {
		t.Errorf("%d connections before the first use", n)
	}
	c := conn(t, db)
	awaitStats(t, db, func(s tursoopt.Stats) bool { return s.KeepAlive.Opened == 2 })
	if n := p.Counts(); n.Conns != 2 || n.Requests != 0 {
		t.Errorf("%d connections, %d requests", n.Conns, n.Requests)
	}
	queryInt(t, c, "SELECT 1")
	stats, _ := tursoopt.StatsOf(db)
	if s := stats.KeepAlive; s.HandshakeSaved < 100*time.Microsecond || p.Counts().Conns != 2 {
		t.Errorf("%+v, %d connections", s, p.Counts().Conns)
	}
}

// Pings that fail are counted, and harm nobody.
func TestPingFailuresAreCounted(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[3])
	p := e.behind(t, netem.Conditions{})
	db := e.open(t, "keepalive=100ms", "ping_timeout=200ms")
	queryInt(t, db, "SELECT 1")
	awaitStats(t, db, func(s tursoopt.Stats) bool { return s.KeepAlive.Pings >= 5 })
	p.Drop()
	awaitStats(t, db, func(s tursoopt.Stats) bool { return s.KeepAlive.PingFailures > 0 && s.KeepAlive.Refreshed > 0 })
	queryInt(t, db, "SELECT 1")
}
