package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

var tooMany = hranatest.Status(429, 0)

var batonIn = regexp.MustCompile(`"baton":"[^"]*"`)

// A lone read is one request, in the same words with coalescing and without.
func TestALoneReadIsTheSameWithoutCoalescing(t *testing.T) {
	e := newEnv(t, mode{name: "embedded sqld"})
	p := e.tapped(t)
	var said [2][]byte
	for i, params := range []string{"coalesce=on", "coalesce=off"} {
		db := e.open(t, params, "encoding=json")
		for range 3 {
			if err := db.Ping(); err != nil {
				t.Fatal(err)
			}
		}
		awaitLanes(t, db, "a probe has ended", func(s tursoopt.Stats) bool { return s.Requests.Sent >= 4 })
		for n := range 5 {
			if cost := p.costs(func() { queryInt(t, db, "SELECT ?", n) }); cost != 1 {
				t.Errorf("%s: a read costs %d requests", params, cost)
			}
		}
		p.mu.Lock()
		said[i] = batonIn.ReplaceAll(p.seen[len(p.seen)-1], []byte("baton"))
		p.mu.Unlock()
	}
	if !bytes.Equal(said[0], said[1]) {
		t.Errorf("with coalescing:\n%s\nwithout:\n%s", said[0], said[1])
	}
}

// Reads that wait share one request, and each caller gets its own rows, whatever
// their sizes. In the request is a ROLLBACK for whatever one of them leaves open.
func TestReadsShareARequest(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		j := newJam(t, e)
		read := func(text string, n, size int) func() {
			return func() {
				var got int
				var pad string
				err := j.db.QueryRow(text, n, strings.Repeat("x", size)).Scan(&got, &pad)
				if err != nil || got != n || len(pad) != size {
					t.Errorf("got %d with %d bytes, %v; want %d with %d", got, len(pad), err, n, size)
				}
			}
		}
		for _, c := range []struct {
			name string
			text func(i int) string
			n    int
			most int // requests
		}{
			{"texts that have succeeded", func(int) string { return "SELECT ?, ?" }, 40, 1},
			{"new texts", func(i int) string { return fmt.Sprintf("SELECT ?, ? /* %d */ AS pad%d", i, i) }, 16, 1},
		} {
			read(c.text(1000), 0, 0)()
			var calls []func()
			for i := range c.n {
				calls = append(calls, read(c.text(i), i, i*i*7%5000))
			}
			bodies := j.behind(calls...)
			if len(bodies) != c.most {
				t.Errorf("%s: %d reads took %d requests", c.name, c.n, len(bodies))
			}
			for _, b := range bodies {
				if !e.v2 && !bytes.Contains(b, []byte("ROLLBACK")) {
					t.Errorf("%s: there is no ROLLBACK in a shared request", c.name)
				}
			}
		}
	})
}

// Random mixes of reads that succeed, fail, cannot be read, and are large.
func TestEachCallerGetsItsOwn(t *testing.T) {
	for _, m := range []mode{
		{name: "sqld", native: true, real: true},
		{name: "sqld json", native: true, real: true, params: "encoding=json"},
		{name: "embedded v2", native: true, profile: hranatest.V2, v2: true},
	} {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			e := newEnv(t, m)
			j := newJam(t, e)
			kinds := []func(n int) (text string, args []any, want string){
				func(n int) (string, []any, string) { return "SELECT ?", []any{n}, fmt.Sprint(n) },
				func(n int) (string, []any, string) { return fmt.Sprintf("SELECT %d", n), nil, fmt.Sprint(n) },
				func(n int) (string, []any, string) {
					return "SELECT length(?)", []any{strings.Repeat("y", n*100)}, fmt.Sprint(n * 100)
				},
				func(n int) (string, []any, string) {
					return "SELECT abs(-9223372036854775807 - 1 + 0 * ?)", []any{n}, "overflow"
				},
				func(n int) (string, []any, string) {
					return fmt.Sprintf("SELECT %d FROM WHERE", n), nil, "syntax error"
				},
				func(n int) (string, []any, string) { return fmt.Sprintf("SELECT no%d()", n), nil, "no such function" },
				func(n int) (string, []any, string) {
					return "SELECT json_extract(?, '$.a')", []any{fmt.Sprintf(`{"a":%d}`, n)}, fmt.Sprint(n)
				},
				func(n int) (string, []any, string) {
					return "SELECT :a + :b", []any{sql.Named("a", n), sql.Named("b", 1)}, fmt.Sprint(n + 1)
				},
			}
			rapid.Check(t, func(r *rapid.T) {
				picks := rapid.SliceOfN(rapid.IntRange(0, len(kinds)-1), 2, 25).Draw(r, "kinds")
				var calls []func()
				for i, k := range picks {
					text, args, want := kinds[k](i)
					calls = append(calls, func() {
						var got string
						if err := j.db.QueryRow(text, args...).Scan(&got); err != nil {
							got = err.Error()
						}
						if got != want && (len(want) < 4 || !strings.Contains(got, want)) {
							t.Errorf("%s: got %q, want %q", text, got, want)
						}
					})
				}
				// The texts that fail do not fail the others: at most one request for
				// each kind that may share, and one more for those whose batch is refused.
				if bodies := j.behind(calls...); len(bodies) > 5 {
					t.Errorf("%d reads took %d requests", len(calls), len(bodies))
				}
				if t.Failed() {
					r.FailNow()
				}
			})
		})
	}
}

// A text that fails, now that its table is gone, fails alone in the request that
// it shares. So do new texts that the server cannot read.
func TestFailuresStayWithTheirStatements(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		j := newJam(t, e)
		mustExec(t, j.db, "CREATE TABLE gone (a)")
		queryInt(t, j.db, "SELECT count(*) FROM gone")
		queryInt(t, j.db, "SELECT ?", 0)
		if _, err := e.open(t).Exec("DROP TABLE gone"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ good, bad, want string }{
			{"SELECT ?", "SELECT count(*) FROM gone", "no such table"},
			{"SELECT ? AS fresh%d", "SELECT FROM WHERE", "syntax error"},
		} {
			var calls []func()
			for i := range 10 {
				text := c.good
				if strings.Contains(text, "%d") {
					text = fmt.Sprintf(text, i)
				}
				calls = append(calls, func() {
					if got := queryInt(t, j.db, text, i); got != int64(i) {
						t.Errorf("got %d, want %d", got, i)
					}
				})
			}
			calls = append(calls, func() {
				if err := j.db.QueryRow(c.bad).Scan(new(int)); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v", c.bad, err)
				}
			})
			if n := len(j.behind(calls...)); n != 1 {
				t.Errorf("%s: %d requests", c.bad, n)
			}
		}
	})
}

// Answers that are too large together are split.
func TestLargeAnswersAreSplit(t *testing.T) {
	inModes(t, []mode{
		{name: "sqld", native: true, real: true},
		{name: "sqld json", native: true, real: true, params: "encoding=json"},
		{name: "embedded sqld", native: true},
	}, func(t *testing.T, e *env) {
		j := newJam(t, e)
		mustExec(t, j.db, "CREATE TABLE big (a INTEGER PRIMARY KEY, b BLOB)")
		mustExec(t, j.db, "INSERT INTO big VALUES (0, x'00')")
		const n, size = 20, 700_000
		for i := range n {
			mustExec(t, j.db, "INSERT INTO big VALUES (?, zeroblob(?))", i+1, size)
		}
		var b []byte
		if err := j.db.QueryRow("SELECT b FROM big WHERE a = ?", 0).Scan(&b); err != nil {
			t.Fatal(err)
		}
		var calls []func()
		for i := range n {
			calls = append(calls, func() {
				var b []byte
				if err := j.db.QueryRow("SELECT b FROM big WHERE a = ?", i+1).Scan(&b); err != nil || len(b) != size {
					t.Errorf("%d: %d bytes, %v", i, len(b), err)
				}
			})
		}
		if bodies := j.behind(calls...); len(bodies) != 2 {
			t.Errorf("%d requests", len(bodies))
		}
		// From then on it is known to be large.
		if len(j.behind()) != 0 {
			t.Error("requests of nobody")
		}
		before := j.stats().Shared
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(calls[i])
		}
		wg.Wait()
		if s := j.stats(); s.Shared != before {
			t.Errorf("%d large reads have shared requests", s.Shared-before)
		}
	})
}

// Output that is not valid UTF-8 fails the whole request on sqld. The others get
// their rows, and next time the culprit is alone.
func TestInvalidOutputFailsAlone(t *testing.T) {
	inModes(t, []mode{
		{name: "sqld", native: true, real: true},
		{name: "sqld json", native: true, real: true, params: "encoding=json"},
		{name: "embedded sqld", native: true},
	}, func(t *testing.T, e *env) {
		j := newJam(t, e)
		const text = "SELECT CAST(? AS TEXT)"
		var s string
		if err := j.db.QueryRow(text, []byte("good")).Scan(&s); err != nil || s != "good" {
			t.Fatal(s, err)
		}
		queryInt(t, j.db, "SELECT ?", 1)
		round := func() {
			var calls []func()
			for i := range 6 {
				calls = append(calls, func() {
					if got := queryInt(t, j.db, "SELECT ?", i); got != int64(i) {
						t.Errorf("got %d, want %d", got, i)
					}
				})
			}
			h := j.tap.before(t, "'JAM'")
			var wg sync.WaitGroup
			wg.Go(func() { _ = j.db.QueryRow("SELECT 'JAM'").Scan(new(string)) })
			<-h.reached
			wg.Go(func() {
				if err := j.db.QueryRow(text, []byte("\xff\xfe")).Scan(&s); err == nil {
					t.Error("the culprit got no error")
				}
			})
			for _, c := range calls {
				wg.Go(c)
			}
			j.await("all wait", func(s tursoopt.LaneStats) bool { return s.Waiting >= 6 })
			h.release()
			wg.Wait()
		}
		round()
		before := j.stats().Again
		round()
		if n := j.stats().Again; n != before {
			t.Errorf("%d reads were run again, although the culprit is known", n-before)
		}
	})
}

// A read that is slow for its arguments does not keep those who share its request.
func TestASlowNeighbourIsOvertaken(t *testing.T) {
	e := newEnv(t, mode{name: "sqld", native: true, real: true})
	p := e.tapped(t)
	db := e.open(t, "lanes=1")
	const count = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?) SELECT count(*) FROM c"
	for range 3 {
		queryInt(t, db, count, 10)
		queryInt(t, db, "SELECT ?", 1)
	}
	h := p.before(t, "'FIRST'")
	var wg sync.WaitGroup
	wg.Go(func() { _ = db.QueryRow("SELECT 'FIRST'").Scan(new(string)) })
	<-h.reached
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	slow := make(chan error, 1)
	// For ever: it ends with its context, when the others have their answers.
	go func() { slow <- db.QueryRowContext(ctx, count, int64(1)<<60).Scan(new(int)) }()
	awaitLanes(t, db, "the slow one waits or is out", func(s tursoopt.Stats) bool { return s.Lanes.Waiting > 0 || s.Lanes.Late > 0 })
	for i := range 10 {
		wg.Go(func() {
			if got := queryInt(t, db, "SELECT ?", i); got != int64(i) {
				t.Errorf("got %d, want %d", got, i)
			}
		})
	}
	h.release()
	wg.Wait()
	cancel()
	if err := <-slow; !errors.Is(err, context.Canceled) {
		t.Errorf("the slow one got %v", err)
	}
}

// Reads that nobody knew to be slow do not keep the lanes from others.
func TestSlowReadsDoNotHoldTheLanes(t *testing.T) {
	e := newEnv(t, mode{name: "sqld", native: true, real: true})
	db := e.open(t)
	queryInt(t, db, "SELECT ?", 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var slow sync.WaitGroup
	for i := range 6 { // more than there are lanes
		slow.Go(func() {
			text := fmt.Sprintf("WITH RECURSIVE c(x) AS (SELECT %d UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c", i)
			if err := db.QueryRowContext(ctx, text).Scan(new(int)); !errors.Is(err, context.Canceled) {
				t.Errorf("an endless read got %v", err)
			}
		})
	}
	awaitLanes(t, db, "they are out", func(s tursoopt.Stats) bool { return s.Lanes.Alone+s.Lanes.Shared >= 5 })
	for i := range 20 {
		if got := queryInt(t, db, "SELECT ?", i); got != int64(i) {
			t.Errorf("got %d, want %d", got, i)
		}
	}
	cancel()
	slow.Wait()
}

// Who leaves gets its context's error at once, and the others their rows.
func TestLeavingASharedRequest(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		j := newJam(t, e)
		queryInt(t, j.db, "SELECT ?", 0)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		shared := j.tap.before(t, "'SHARED'")
		left := make(chan error, 1)
		buffer := []byte("abcdef")
		var calls []func()
		for i := range 6 {
			calls = append(calls, func() {
				if i == 2 {
					left <- j.db.QueryRowContext(ctx, "SELECT ?, 'SHARED'", buffer).Scan(new([]byte), new(string))
					return
				}
				var n int
				var s string
				if err := j.db.QueryRow("SELECT ?, 'SHARED'", i).Scan(&n, &s); err != nil || n != i {
					t.Errorf("got %d, %v; want %d", n, err, i)
				}
			})
		}
		go func() {
			<-shared.reached
			cancel()
			err := <-left // at once: the server has not even got the request
			copy(buffer, "ABCDEF")
			wantCtxError(t, "who left", err, context.Canceled, true)
			shared.release()
		}()
		j.behind(calls...)
	})
}

// Closing answers everybody who waits.
func TestCloseWhileReadsWait(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		tursoopt.LateAfter(time.Hour)
		defer tursoopt.LateAfter(0)
		p := e.tapped(t)
		db, err := sql.Open("turso-opt", e.dsn("lanes=1", "coalesce=on", "group_commit=on"))
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
		for i := range 3 {
			mustExec(t, db, "INSERT INTO t VALUES (?)", -1-i)
			queryInt(t, db, "SELECT ?", 1)
		}
		h := p.before(t, "'JAM'")
		var wg sync.WaitGroup
		wg.Go(func() { _ = db.QueryRow("SELECT 'JAM'").Scan(new(string)) })
		<-h.reached
		for i := range 100 {
			wg.Go(func() {
				if err := db.QueryRow("SELECT ?", i).Scan(new(int)); err != nil && !errors.Is(err, tursoopt.ErrClosed) && err.Error() != "sql: database is closed" {
					t.Errorf("a read got %v", err)
				}
			})
			wg.Go(func() {
				_, err := db.Exec("INSERT INTO t VALUES (?)", i)
				if err != nil && !errors.Is(err, tursoopt.ErrClosed) && err.Error() != "sql: database is closed" {
					t.Errorf("a write got %v", err)
				}
			})
		}
		awaitLanes(t, db, "reads wait", func(s tursoopt.Stats) bool { return s.Lanes.Waiting > 20 })
		go h.release()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}

// A view may ask for the connection's last row id and counts where nobody sees
// it. On lanes it gets what a new connection would give, not a stranger's.
func TestViewsThatAskForTheConnection(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		j := newJam(t, e)
		mustExec(t, j.db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		mustExec(t, j.db, "CREATE VIEW v AS SELECT last_insert_rowid() AS r, changes() AS c, total_changes() AS n")
		look := func() {
			var r, c, n int
			if err := j.db.QueryRow("SELECT r, c, n FROM v").Scan(&r, &c, &n); err != nil || r != 0 || c != 0 || n != 0 {
				t.Errorf("the view gives %d, %d, %d, %v", r, c, n, err)
			}
		}
		for range 10 {
			look() // its least time counts: a text known to be slow does not share
		}
		for i := range 5 {
			mustExec(t, j.db, "INSERT INTO t (b) VALUES (?)", i)
			mustExec(t, j.db, "UPDATE t SET b = 0")
			look()
			j.behind(look, look, func() { queryInt(t, j.db, "SELECT ?", i) }, look)
		}
	})
}

// On a replica no read through lanes is older than what its caller has written or
// seen.
func TestLanesOnAReplica(t *testing.T) {
	primary := sqld.ForTest(t, sqld.Options{Replicated: true})
	replica := sqld.ForTest(t, sqld.Options{Primary: primary})
	for _, params := range []string{"", "group_commit=on"} {
		e := &env{url: replica.URL()}
		db := e.open(t, params)
		mustExec(t, db, "DROP TABLE IF EXISTS t")
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, who, n)")
		const writers, each = 16, 25
		var wg sync.WaitGroup
		for who := range writers {
			mustExec(t, db, "INSERT INTO t (who, n) VALUES (?, ?)", who, 0)
			wg.Go(func() {
				seen := int64(0)
				for n := range each {
					if who%4 == 3 && n%5 == 0 {
						tx := begin(t, db, tursoopt.TxOptions{})
						mustExec(t, tx, "UPDATE t SET n = ? WHERE who = ?", n+1, who)
						if err := tx.Commit(); err != nil {
							t.Error(err)
							return
						}
					} else {
						mustExec(t, db, "UPDATE t SET n = ? WHERE who = ?", n+1, who)
					}
					if got := queryInt(t, db, "SELECT n FROM t WHERE who = ?", who); got != int64(n+1) {
						t.Errorf("%s: %d was read after %d had been written", params, got, n+1)
						return
					}
					all := queryInt(t, db, "SELECT sum(n) FROM t")
					if all < seen {
						t.Errorf("%s: the sum was %d, and then %d", params, seen, all)
						return
					}
					seen = all
				}
			})
		}
		wg.Wait()
	}
}

// A server that restarts takes nothing with it but what was on its way.
func TestReadsGoOnAfterARestart(t *testing.T) {
	e := newEnv(t, mode{name: "sqld", native: true, real: true})
	db := e.open(t)
	mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 3 {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				for k := range 20 {
					var got int
					if err := db.QueryRowContext(ctx, "SELECT ?", i*k).Scan(&got); err == nil && got != i*k {
						t.Errorf("got %d, want %d", got, i*k)
					} else if err != nil && !tursoopt.Retryable(err) && !tursoopt.OutcomeUnknown(err) {
						t.Errorf("got %v", err)
					}
				}
			})
		}
		if err := e.sqld.Restart(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		awaitLanes(t, db, "the server is back", func(s tursoopt.Stats) bool { return !s.Circuit.Open })
		if got := queryInt(t, db, "SELECT 7"); got != 7 {
			t.Errorf("got %d after the restart", got)
		}
	}
}

// 400 callers at once, who read, write and run transactions: no error, although
// the server holds 128 streams, and its queue of writers does not lock up.
func TestFourHundredCallers(t *testing.T) {
	for _, params := range []string{"", "group_commit=on"} {
		t.Run("with-"+params, func(t *testing.T) {
			e := newEnv(t, mode{name: "sqld", native: true, real: true})
			proxy, err := netem.Start(strings.TrimPrefix(e.url, "http://"), netem.Conditions{RTT: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer proxy.Close()
			e.url = proxy.URL()
			db := e.open(t, params)
			mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, who, n)")
			mustExec(t, db, "CREATE TABLE total (n)")
			mustExec(t, db, "INSERT INTO total VALUES (0)")
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			const callers, each = 400, 4
			var wg sync.WaitGroup
			for who := range callers {
				wg.Go(func() {
					for n := range each {
						var err error
						switch who % 4 {
						case 0:
							_, err = db.ExecContext(ctx, "INSERT INTO t (who, n) VALUES (?, ?)", who, n)
						case 1:
							err = inTx(ctx, db, func(tx *sql.Tx) error {
								if _, err := tx.ExecContext(ctx, "UPDATE total SET n = n + 1"); err != nil {
									return err
								}
								return tx.QueryRowContext(ctx, "SELECT n FROM total").Scan(new(int))
							})
						case 2:
							err = inTx(ctx, db, func(tx *sql.Tx) error {
								return tx.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(new(int))
							})
						default:
							err = db.QueryRowContext(ctx, "SELECT count(*) FROM t WHERE who = ?", who).Scan(new(int))
						}
						if err != nil {
							t.Errorf("caller %d: %v", who, err)
							return
						}
					}
				})
			}
			wg.Wait()
			if n := queryInt(t, db, "SELECT n FROM total"); n != callers/4*each {
				t.Errorf("%d increments, want %d", n, callers/4*each)
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != callers/4*each {
				t.Errorf("%d rows, want %d", n, callers/4*each)
			}
			s, _ := tursoopt.StatsOf(db)
			t.Logf("%+v", s.Lanes)
			if s.Lanes.Writing != 0 || s.Lanes.Waiting != 0 {
				t.Errorf("left behind: %+v", s.Lanes)
			}
		})
	}
}

func inTx(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
