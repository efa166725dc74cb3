package tursoopt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A fate is what becomes of a statement whose request fails once.
type fate string

const (
	again   fate = "again"     // sent once more, and all is well
	unknown fate = "unknown"   // not sent again; OutcomeUnknown
	hope    fate = "retryable" // not sent again; Retryable, nothing has been executed
	lost    fate = "lost"      // not sent again; ErrTxLost, Retryable as a whole
	failed  fate = "error"     // not sent again; neither
	never   fate = "-"         // it does not happen there
)

// paths of a statement to the server, as columns of the table.
var retryPaths = []string{"read", "write", "in a transaction", "batch", "group commit"}

// A failure is a row of the table of what is sent again.
type failure struct {
	name  string
	kind  *troublemaker
	fates [5]fate
	why   string
}

func all(f fate) [5]fate { return [5]fate{f, f, f, f, f} }

var (
	unread  = [5]fate{again, unknown, lost, unknown, unknown}
	reopens = [5]fate{again, again, lost, again, again}
)

// The table. TestRetryTable does what it says, and TestRetryTableInDocs holds
// docs/semantics.md against it.
var retryTable = []failure{
	{"no such host (DNS)", &troublemaker{dial: &net.DNSError{Err: "no such host", Name: "db.example", IsNotFound: true}}, all(hope), "the name is wrong, or will be for a while"},
	{"DNS server does not answer", &troublemaker{dial: &net.DNSError{Err: "server misbehaving", Name: "db.example", IsTemporary: true}}, all(again), "nothing was sent"},
	{"connection refused", &troublemaker{dial: syscall.ECONNREFUSED}, all(again), "nothing was sent"},
	{"`connect_timeout` has passed", &troublemaker{dial: os.ErrDeadlineExceeded}, all(hope), "the time allowed for it is over"},
	{"reset before the request has left", &troublemaker{write: func(c net.Conn, p []byte) (int, error) {
		_ = c.Close()
		return 0, syscall.ECONNRESET
	}}, all(again), "no server has seen it"},
	{"reset while the request leaves", &troublemaker{write: func(c net.Conn, p []byte) (int, error) {
		n, _ := c.Write(p[:len(p)/2])
		_ = c.Close()
		return n, syscall.ECONNRESET
	}}, all(again), "half a request is not executed"},
	{"reset after the request, not executed", &troublemaker{answer: abort}, unread, "nobody can tell it from the next"},
	{"reset after the request, executed", &troublemaker{answer: abortAfter}, unread, "the answer was lost"},
	{"truncated answer", &troublemaker{answer: halfAnswer}, unread, "it was executed"},
	{"an answer that is not Hrana", &troublemaker{answer: notHrana}, [5]fate{unknown, unknown, lost, unknown, unknown}, "another would be no better"},
	{"the caller's context ends", nil, all(unknown), "nobody waits for it"},
	{"`STREAM_EXPIRED` (sqld)", refusedBaton(400, "application/json", `{"message":"The stream has expired due to inactivity","code":"STREAM_EXPIRED"}`), reopens, "on a new stream, at once"},
	{"invalid baton (sqld)", refusedBaton(400, "text/plain", "Received an invalid baton: the stream is unknown"), reopens, "on a new stream, at once"},
	{"used baton (sqld)", refusedBaton(400, "text/plain", "Received a baton that has already been used"), reopens, "on a new stream, at once"},
	{"closed stream (sqld)", refusedBaton(400, "text/plain", "Stream for this baton was closed"), reopens, "on a new stream, at once"},
	{"404 stream not found (Turso Cloud)", refusedBaton(404, "application/json", `{"error":"stream not found: 1"}`), reopens, "on a new stream, at once"},
	{"404 of any other kind", answered(404, "application/json", `{"error":"Namespace not found"}`), reopens, "on a new stream, at once: the database may have moved"},
	{"421", answered(421, "text/plain", "not here"), all(again), "on a new connection, at once: the database may have moved"},
	{"401, and the token source has another token", answered(401, "application/json", `{"error":"Unauthorized"}`), all(again), "refused before it was read"},
	{"401, and there is no other token", answered(401, "application/json", `{"error":"Unauthorized"}`), [5]fate{failed, failed, lost, failed, failed}, "it would be refused again"},
	{"408", answered(408, "text/plain", "late"), unread, "a proxy's word proves nothing"},
	{"429", answered(429, "application/json", `{"error":"Timed out while opening database connection"}`), reopens, "after `Retry-After`, or a wait"},
	{"500", answered(500, "application/json", `{"error":"Internal error"}`), unread, "it may have been executed"},
	{"502", answered(502, "text/html", "<html></html>"), unread, "it may have been executed"},
	{"503", answered(503, "text/plain", "come again"), unread, "after `Retry-After`, or a wait"},
	{"504", answered(504, "text/html", "<html></html>"), unread, "it may have been executed"},
	{"`SQLITE_BUSY`", stmtFails("SQLite error: database is locked", "SQLITE_BUSY"), [5]fate{hope, again, hope, again, again}, "it was undone; a transaction may have read what is old"},
	{"`TRANSACTION_TIMEOUT`", stmtFails("Transaction timed-out", "TRANSACTION_TIMEOUT"), [5]fate{never, never, lost, never, again}, "only `RunTx` can run all of it again"},
}

// moves: the server says that the database is not there.
func (f *failure) moves() bool { return strings.HasPrefix(f.name, "404") || f.name == "421" }

func (f *failure) rotates() bool { return strings.Contains(f.name, "another token") }

// Each failure happens once, to each path: how often the statement is sent, and
// what the caller sees, is what the table says.
func TestRetryTable(t *testing.T) {
	tursoopt.LateAfter(time.Hour)
	t.Cleanup(func() { tursoopt.LateAfter(0) })
	for _, f := range retryTable {
		for i, path := range retryPaths {
			if f.fates[i] == never {
				continue
			}
			t.Run(strings.ReplaceAll(f.name+"/"+path, " ", "-"), func(t *testing.T) {
				e := newEnv(t, mode{name: "embedded sqld", native: true})
				var tokens atomic.Int32
				j, m := openTroubled(t, e, func(cfg *tursoopt.Config) {
					cfg.TokenSource = func(context.Context) (string, error) {
						if f.rotates() {
							tokens.Add(1)
						}
						return fmt.Sprintf("token-%d", tokens.Load()), nil
					}
				})
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				left := make(chan struct{})
				if f.kind != nil {
					m.as(f.kind)
				} else {
					m.as(&troublemaker{answer: func(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
						cancel()
						<-left
						pass(w, r)
					}})
				}
				sent, retries, rows, err := j.suffer(ctx, m, path, func() { close(left) })
				got, want := fateOf(sent, err), f.fates[i]
				if got != want {
					t.Errorf("%s: sent %d times, %v; the table says %s", got, sent, err, want)
				}
				if path != "read" && (want == again && rows != 1 || want == unknown && rows > 1 || want != again && want != unknown && rows != 0) {
					t.Errorf("%s: it has been executed %d times", want, rows)
				}
				// A connection that breaks before the request has left is the transport's
				// affair, and the writes of a group that is dissolved are sent for the first
				// time.
				if want != again && retries != 0 || want == again && retries == 0 && m.write == nil && path != "group commit" {
					t.Errorf("%s: %d retries are counted", want, retries)
				}
			})
		}
	}
}

// victim is the statement that suffers; it is also what is looked for in requests.
const victim = "INSERT INTO t VALUES (9)"

// suffer has a statement fail once on a path. left is called when its call has
// returned.
func (j *jam) suffer(ctx context.Context, m *troublemaker, path string, left func()) (sent int, retries uint64, rows int64, err error) {
	t, db := j.t, j.db
	text := victim
	var before tursoopt.Stats
	strike := func() {
		// A connection that was dialled for somebody who has got another would be taken.
		await(t, "the connections under way", func() bool { return tursoopt.Dialling(db) == 0 })
		before, _ = tursoopt.StatsOf(db)
		m.strike(text, 1)
	}
	switch path {
	case "read":
		text = "SELECT 9"
		if err := db.QueryRow(text).Scan(new(int)); err != nil {
			t.Fatal(err)
		}
		strike()
		err = db.QueryRowContext(ctx, text).Scan(new(int))
		left()
	case "write":
		mustExec(t, db, text)
		mustExec(t, db, "DELETE FROM t")
		strike()
		_, err = db.ExecContext(ctx, text)
		left()
	case "in a transaction":
		tx := begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO jam VALUES (1)")
		strike()
		_, err = tx.ExecContext(ctx, text)
		left()
		if err == nil {
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
		} else {
			_ = tx.Rollback()
		}
	case "batch":
		queryInt(t, db, "SELECT 1") // leaves a stream on which a batch may go on
		var b tursoopt.Batch
		b.Queue("INSERT INTO jam VALUES (1)")
		b.Queue(text)
		strike()
		var res *tursoopt.BatchResults
		if res, err = tursoopt.SendBatch(ctx, db, &b); err == nil {
			for range 2 {
				_, e := res.Exec()
				err = errors.Join(err, e)
			}
			err = errors.Join(err, res.Close())
		}
		left()
	case "group commit":
		j.learn(text)
		j.learn("INSERT INTO jam VALUES (1)")
		j.connected(3)
		// The first group has the schema looked at.
		j.grouped(func() { mustExec(t, db, text) }, func() { mustExec(t, db, text) })
		mustExec(t, db, "DELETE FROM t")
		j.grouped(
			func() { _, _ = db.ExecContext(ctx, "INSERT INTO jam VALUES (1)") },
			func() {
				strike()
				_, err = db.ExecContext(ctx, text)
				left()
			})
	}
	sent = m.stop()
	after, _ := tursoopt.StatsOf(db)
	j.e.embedded.ForgetStreams() // whatever was left open
	rows = queryInt(t, db, "SELECT count(*) FROM t")
	return sent, after.Requests.Retries - before.Requests.Retries, rows, err
}

// connected opens connections, so that nobody dials for a while.
func (j *jam) connected(n int) {
	var all sync.WaitGroup
	var holds []*hold
	for range n {
		c := conn(j.t, j.db)
		queryInt(j.t, c, "SELECT 1") // from then on it has a stream of its own
		h := j.tap.before(j.t, "SELECT 8")
		holds = append(holds, h)
		all.Go(func() {
			queryInt(j.t, c, "SELECT 8")
			_ = c.Close()
		})
		<-h.reached
	}
	for _, h := range holds {
		h.release()
	}
	all.Wait()
}

func fateOf(sent int, err error) fate {
	switch v := verdictOf(err); {
	case err == nil && sent == 2:
		return again
	case err == nil || sent != 1:
		return fate(fmt.Sprintf("%d times", sent))
	case v.unknown && !v.retryable:
		return unknown
	case v.txLost:
		return lost
	case v.retryable:
		return hope
	}
	return failed
}

// markdown is the table as docs/semantics.md has it.
func markdown() string {
	var b strings.Builder
	b.WriteString("| what happens | " + strings.Join(retryPaths, " | ") + " | why |\n|---" + strings.Repeat("|---", len(retryPaths)+1) + "|\n")
	for _, f := range retryTable {
		b.WriteString("| " + f.name)
		for _, x := range f.fates {
			b.WriteString(" | " + string(x))
		}
		b.WriteString(" | " + f.why + " |\n")
	}
	return b.String()
}

// The table in docs/semantics.md is the one that TestRetryTable goes by.
func TestRetryTableInDocs(t *testing.T) {
	doc, err := os.ReadFile("docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), markdown()) {
		t.Errorf("docs/semantics.md does not have this table:\n%s", markdown())
	}
}

// flood runs reads of a text and tells how many have failed.
func flood(t *testing.T, db execer, text string, reads int) (failures int64) {
	t.Helper()
	var all sync.WaitGroup
	var n atomic.Int64
	const callers = 8
	for range callers {
		all.Go(func() {
			for range reads / callers {
				if err := db.QueryRowContext(context.Background(), text).Scan(new(int)); err != nil {
					n.Add(1)
				}
			}
		})
	}
	all.Wait()
	return n.Load()
}

// However many statements fail, what is sent again is a tenth of them and the
// reserve of ten, all callers together; and nothing with retry=off.
func TestRetriesStayWithinTheirBudget(t *testing.T) {
	const reads = 2000
	for name, kind := range map[string]*troublemaker{
		"the connection breaks": {answer: abort}, "503": answered(503, "text/plain", ""), "504": answered(504, "text/plain", ""),
	} {
		for _, retry := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, retry %v", name, retry), func(t *testing.T) {
				e := newEnv(t, mode{name: "embedded sqld", native: true})
				j, m := openTroubled(t, e, func(cfg *tursoopt.Config) {
					off := false
					cfg.Coalesce, cfg.Lanes = &off, 0
					if !retry {
						cfg.Retry = &off
					}
				})
				before, _ := tursoopt.StatsOf(j.db)
				m.as(kind)
				m.strike("SELECT 9", -1)
				failures := flood(t, j.db, "SELECT 9", reads)
				sent := m.stop()
				after, _ := tursoopt.StatsOf(j.db)
				retries, withheld := after.Requests.Retries-before.Requests.Retries, after.Requests.RetriesWithheld-before.Requests.RetriesWithheld
				most := reads + reads/10 + 10
				if !retry {
					most = reads
				}
				if failures != reads || sent > most || sent < most-10 {
					t.Errorf("%d reads failed and took %d requests, want nearly %d", failures, sent, most)
				}
				if int(retries) != sent-reads || retry != (withheld > 0) {
					t.Errorf("%d requests sent again and %d withheld are counted", retries, withheld)
				}
			})
		}
	}
}

// What retry=off leaves is told at once; a renewed token, a lost stream and a database
// that has moved still cost nothing but a request.
func TestRetryOff(t *testing.T) {
	off := false
	for _, f := range retryTable {
		for i, path := range []string{"read", "write"} {
			switch {
			case f.fates[i] != again, f.kind.write != nil: // the transport's own affair
				continue
			}
			t.Run(strings.ReplaceAll(f.name+"/"+path, " ", "-"), func(t *testing.T) {
				e := newEnv(t, mode{name: "embedded sqld", native: true})
				var tokens atomic.Int32
				j, m := openTroubled(t, e, func(cfg *tursoopt.Config) {
					cfg.Retry = &off
					cfg.TokenSource = func(context.Context) (string, error) { return fmt.Sprint("token-", tokens.Add(1)), nil }
				})
				m.as(f.kind)
				sent, _, _, err := j.suffer(context.Background(), m, path, func() {})
				if own := f.kind.onStream || f.rotates() || f.moves(); own != (fateOf(sent, err) == again) || !own && sent != 1 {
					t.Errorf("sent %d times, %v", sent, err)
				}
			})
		}
	}
}

// What the server asks for is waited for, unless that is more than the caller's
// context has, or than anybody would wait: then the error comes at once.
func TestRetryAfterIsHonoured(t *testing.T) {
	for _, status := range []int{429, 502, 503, 504} {
		for _, c := range []struct {
			after, deadline time.Duration
			sent            int
		}{{time.Second, time.Minute, 2}, {20 * time.Second, 10 * time.Second, 1}, {time.Hour, 0, 1}} {
			t.Run(fmt.Sprintf("%d after %v of %v", status, c.after, c.deadline), func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, mode{name: "embedded sqld", native: true})
				j, m := openTroubled(t, e, func(*tursoopt.Config) {})
				queryInt(t, j.db, "SELECT 9")
				ctx := context.Background()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				m.as(answered(status, "text/plain", "", "Retry-After", fmt.Sprint(int(c.after.Seconds()))))
				m.strike("SELECT 9", 1)
				began := time.Now()
				err := j.db.QueryRowContext(ctx, "SELECT 9").Scan(new(int))
				took := time.Since(began)
				if sent := m.stop(); sent != c.sent || c.sent == 2 && (err != nil || took < c.after) {
					t.Errorf("sent %d times in %v, %v", sent, took, err)
				}
				if x := asError(err); c.sent == 1 && (x == nil || x.HTTPStatus != status || x.RetryAfter != c.after) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}
