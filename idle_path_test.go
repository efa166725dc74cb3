package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A middlebox that drops idle connections after 10 s, in silence, and programs that
// do nothing for longer, with the driver's defaults: nothing fails, the first
// statement is one request, which nobody has to send again or to dial for, and what
// a session has set up is there. make soak also waits for 65 s.
func TestIdleBehindMiddlebox(t *testing.T) {
	t.Parallel()
	pauses := []time.Duration{11 * time.Second}
	if os.Getenv("TURSO_OPT_SOAK") != "" {
		pauses = append(pauses, 65*time.Second)
	}
	first := map[string]func(t *testing.T, db execer){
		"read":  func(t *testing.T, db execer) { queryInt(t, db, "SELECT count(*) FROM t") },
		"write": func(t *testing.T, db execer) { mustExec(t, db, "INSERT INTO t VALUES (1)") },
		"held": func(t *testing.T, db execer) {
			if n := queryInt(t, db, "PRAGMA foreign_keys"); n != 0 {
				t.Error("the setting is gone")
			}
		},
	}
	for _, pause := range pauses {
		for name, statement := range first {
			t.Run(name+" after "+pause.String(), func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, nativeModes[2])
				counted := e.tapped(t)
				p := e.behind(t, netem.Conditions{RTT: 20 * time.Millisecond, IdleDrop: 10 * time.Second})
				db := e.open(t)
				mustExec(t, db, "CREATE TABLE t (a INTEGER)")
				var user execer = db
				if name == "held" {
					held := conn(t, db)
					mustExec(t, held, "PRAGMA foreign_keys = off")
					user = held
				}
				statement(t, user)
				time.Sleep(pause) // it is the middlebox's clock that has to go on

				before, posts, conns := stats(t, db), counted.posts(), p.Counts().Conns
				statement(t, user)
				after := stats(t, db)
				// A held session's stream is kept alive by requests of its own, of which one
				// may have been counted and not have arrived.
				own := after.Streams.Pings - before.Streams.Pings
				if name == "held" {
					own++
				}
				if n := uint64(counted.posts() - posts); n < 1 || n > 1+own {
					t.Errorf("the first statement has cost %d requests", n)
				}
				if n, ahead := p.Counts().Conns-conns, after.KeepAlive.Opened-before.KeepAlive.Opened; n > int64(ahead) {
					t.Errorf("the first statement has dialled: %d connections", n)
				}
				if after.Requests.Retries != 0 || after.Requests.Failed != before.Requests.Failed || after.KeepAlive.Pings == 0 {
					t.Errorf("%+v, %+v", after.Requests, after.KeepAlive)
				}
			})
		}
	}
}

func stats(t testing.TB, db *sql.DB) tursoopt.Stats {
	t.Helper()
	s, ok := tursoopt.StatsOf(db)
	if !ok {
		t.Fatal("no statistics")
	}
	return s
}

// A session whose server has forgotten it while it was idle says so, at once and
// for good; statements that need no session do not notice.
func TestIdleSessionIsLost(t *testing.T) {
	t.Parallel()
	h := hranatest.NewServer(t, hranatest.Options{StreamIdle: 300 * time.Millisecond})
	e := &env{mode: embeddedModes[0], embedded: h, url: h.URL()}
	db := e.open(t)
	mustExec(t, db, "CREATE TABLE t (a INTEGER)")
	held := conn(t, db)
	mustExec(t, held, "PRAGMA foreign_keys = off")
	time.Sleep(time.Second)
	for range 2 {
		if _, err := held.ExecContext(context.Background(), "INSERT INTO t VALUES (1)"); !errors.Is(err, tursoopt.ErrSessionLost) {
			t.Errorf("a session that is lost: %v", err)
		}
	}
	if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("%d rows", n)
	}
}
