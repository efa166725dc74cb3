package tursoopt_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A stoppable server stops, and starts again on the same port with the same data.
type stoppable struct {
	url         string
	stop, start func(t *testing.T)
}

func stoppables(t *testing.T) map[string]func(t *testing.T) stoppable {
	return map[string]func(t *testing.T) stoppable{
		"sqld": func(t *testing.T) stoppable {
			s := sqld.ForTest(t, sqld.Options{})
			return stoppable{s.URL(), func(*testing.T) { s.Kill() }, func(t *testing.T) {
				if err := s.Restart(); err != nil {
					t.Fatal(err)
				}
			}}
		},
		"embedded cloud": func(t *testing.T) stoppable {
			o := hranatest.Options{Profile: hranatest.Cloud, Path: t.TempDir() + "/test.db"}
			s := hranatest.NewServer(t, o)
			o.Addr = hostOf(t, s.URL())
			return stoppable{s.URL(), func(t *testing.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}, func(t *testing.T) { s = hranatest.NewServer(t, o) }}
		},
	}
}

// A server stops and starts again, on the same port. Meanwhile statements fail at
// once, each of them once, and nothing is sent but pings; afterwards all is as
// before, and nobody had to do anything.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, start := range stoppables(t) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			server := start(t)
			e := &env{url: server.url}
			var dials atomic.Int64
			db := e.openConfig(t, func(cfg *tursoopt.Config) {
				cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials.Add(1)
					return new(net.Dialer).DialContext(ctx, network, addr)
				}
			})
			stats := func() tursoopt.Stats { s, _ := tursoopt.StatsOf(db); return s }
			mustExec(t, db, "CREATE TABLE t (a INTEGER)")
			mustExec(t, db, "INSERT INTO t VALUES (1)")
			tx := begin(t, db, tursoopt.TxOptions{})
			mustExec(t, tx, "INSERT INTO t VALUES (2)")
			// These wait for it, and not any longer than the server lives.
			queued := make(chan error, 20)
			for range cap(queued) {
				go func() {
					_, err := db.Exec("INSERT INTO t VALUES (5)")
					queued <- err
				}()
			}
			for outage := uint64(1); outage <= 2; outage++ {
				server.stop(t)
				before, dialled := stats(), dials.Load()
				statements := 0
				for stats().Circuit.Opened < outage {
					if err := db.QueryRow("SELECT a FROM t").Scan(new(int)); err == nil {
						t.Fatal("the server is down")
					}
					if statements++; statements > 10_000 {
						t.Fatalf("it takes %d statements: %+v", statements, stats().Circuit)
					}
				}
				for ; outage == 1 && len(queued) < cap(queued); time.Sleep(time.Millisecond) {
				}
				const most = 2000
				refused := stats().Circuit.Refused
				for range most {
					_, err := db.Exec("INSERT INTO t VALUES (3)")
					if !errors.Is(err, tursoopt.ErrUnavailable) || errors.Is(err, driver.ErrBadConn) || !tursoopt.Retryable(err) || tursoopt.OutcomeUnknown(err) {
						t.Fatalf("%v", err)
					}
					statements++
				}
				// Each is refused once: database/sql does not try again. What else is
				// refused are pings that would keep the transaction alive.
				if n := stats().Circuit.Refused - refused; n < most || n > most*11/10 {
					t.Errorf("%d statements are refused %d times", most, n)
				}
				if err := db.Ping(); !errors.Is(err, tursoopt.ErrUnavailable) {
					t.Errorf("ping: %v", err)
				}
				s := stats()
				sent := s.Requests.Sent - before.Requests.Sent
				probes := s.Circuit.Probes - before.Circuit.Probes
				if most := uint64(statements) * 11 / 10; sent+uint64(dials.Load()-dialled) > most || probes == 0 {
					t.Errorf("%d statements cost %d requests and %d dials, %d pings", statements, sent, dials.Load()-dialled, probes)
				}
				if tx != nil {
					refused := 0
					for range cap(queued) {
						if err := <-queued; errors.Is(err, tursoopt.ErrUnavailable) {
							refused++
						} else if err == nil || !tursoopt.Retryable(err) && !tursoopt.OutcomeUnknown(err) {
							t.Errorf("behind a transaction: %v", err)
						}
					}
					// The gate lets one through after a second, if it comes to that.
					if refused < cap(queued)/2 {
						t.Errorf("%d of those who waited are refused", refused)
					}
					if _, err := tx.Exec("INSERT INTO t VALUES (4)"); err == nil || !tursoopt.Retryable(err) || tursoopt.OutcomeUnknown(err) {
						t.Errorf("in a transaction: %v", err)
					}
					if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
						t.Errorf("commit: %v", err)
					}
					tx = nil
				}
				server.start(t)
				awaitLanes(t, db, "the server is back", func(s tursoopt.Stats) bool { return !s.Circuit.Open })
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 1 {
					t.Errorf("%d rows", n)
				}
				if s := stats(); s.Circuit.Opened != outage {
					t.Errorf("%+v", s.Circuit)
				}
			}
		})
	}
}

// With retry=off every statement is sent, or at least somebody has tried.
func TestOutageWithoutRetries(t *testing.T) {
	t.Parallel()
	server := stoppables(t)["embedded cloud"](t)
	e := &env{url: server.url}
	db := e.open(t, "retry=off")
	queryInt(t, db, "SELECT 1")
	server.stop(t)
	for range 100 {
		if err := db.QueryRow("SELECT 1").Scan(new(int)); err == nil || errors.Is(err, tursoopt.ErrUnavailable) {
			t.Fatalf("%v", err)
		}
	}
	server.start(t)
	queryInt(t, db, "SELECT 1")
	if s, _ := tursoopt.StatsOf(db); s.Circuit != (tursoopt.CircuitStats{}) {
		t.Errorf("%+v", s.Circuit)
	}
}

// The table is about single failures, which are no outage. What all statements
// suffer while the server answers is none either.
func TestFailuresThatAreNoOutage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  *troublemaker
		reads int
	}{
		{&troublemaker{answer: abort}, 400}, {answered(504, "text/plain", ""), 400}, {answered(500, "text/plain", ""), 400},
		{answered(429, "text/plain", ""), 8}, // each of which is patient
	} {
		e := newEnv(t, mode{name: "embedded sqld", native: true})
		j, m := openTroubled(t, e, func(*tursoopt.Config) {})
		m.as(c.kind)
		m.strike("SELECT 9", -1)
		if n := flood(t, j.db, "SELECT 9", c.reads); n != int64(c.reads) {
			t.Errorf("%d have failed", n)
		}
		m.stop()
		queryInt(t, j.db, "SELECT 9")
		if s, _ := tursoopt.StatsOf(j.db); s.Circuit.Open || s.Circuit.Opened != 0 || s.Circuit.Refused != 0 {
			t.Errorf("%+v", s.Circuit)
		}
	}
}
