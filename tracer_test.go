package tursoopt_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A record is a Tracer that keeps what it is told.
type record struct {
	mu       sync.Mutex
	starts   []tursoopt.StatementStart
	ends     []tursoopt.StatementEnd
	requests []tursoopt.RequestEnd
	retries  []error
	dials    []string
	strange  int // ends in another context than that of their start
	inside   []string
}

type recordKey struct{}

type requestKey struct{}

func (r *record) StatementStart(ctx context.Context, e tursoopt.StatementStart) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts = append(r.starts, e)
	return context.WithValue(ctx, recordKey{}, e.SQL)
}

func (r *record) StatementEnd(ctx context.Context, e tursoopt.StatementEnd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, e)
	if ctx.Value(recordKey{}) != e.SQL {
		r.strange++
	}
}

func (r *record) RequestStart(ctx context.Context, e tursoopt.RequestStart) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sql, ok := ctx.Value(recordKey{}).(string); ok {
		r.inside = append(r.inside, sql)
	}
	return context.WithValue(ctx, requestKey{}, e)
}

func (r *record) RequestEnd(ctx context.Context, e tursoopt.RequestEnd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, e)
	if ctx.Value(requestKey{}) != e.RequestStart {
		r.strange++
	}
}

func (r *record) Retry(_ context.Context, cause error, attempts int, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if attempts > 0 {
		r.retries = append(r.retries, cause)
	}
}

func (r *record) DialEnd(_ context.Context, addr string, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && took > 0 {
		r.dials = append(r.dials, addr)
	}
}

// texts are the statements that have ended, in order.
func (r *record) texts() (texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.ends {
		texts = append(texts, e.SQL)
	}
	return texts
}

func (r *record) retried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.retries)
}

func (r *record) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts, r.ends, r.requests, r.inside = nil, nil, nil, nil
}

func TestTracer(t *testing.T) {
	t.Parallel()
	const rtt = 20 * time.Millisecond
	e := newEnv(t, sqldModes[0])
	e.behind(t, netem.Conditions{RTT: rtt})
	rec := &record{}
	db := e.openConfig(t, func(c *tursoopt.Config) { c.Tracer, c.KeepAlive = rec, -1 })
	mustExec(t, db, "CREATE TABLE t (a TEXT)")
	mustExec(t, db, "INSERT INTO t VALUES ('secret'), (?)", "argument")
	queryInt(t, db, "SELECT count(*) FROM t WHERE a <> 'secret'")
	tx := begin(t, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
	mustExec(t, tx, "UPDATE t SET a = 'other'")
	if _, err := tx.Exec("SELECT nothing FROM t WHERE a = 'secret'"); err == nil {
		t.Error("no error")
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	tx = begin(t, db, tursoopt.TxOptions{})
	queryInt(t, tx, "SELECT 1")
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := begin(t, db, tursoopt.TxOptions{}).Commit(); err != nil {
		t.Error(err)
	}
	counted := stats(t, db)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	want := []struct {
		sql            string
		tx, fails      bool
		rows, affected int64
	}{
		{"CREATE TABLE t (a TEXT)", false, false, 0, 0},
		{"INSERT INTO t VALUES (?), (?)", false, false, 0, 2},
		{"SELECT count(*) FROM t WHERE a <> ?", false, false, 1, 0},
		{"BEGIN IMMEDIATE", false, false, 0, 0},
		{"UPDATE t SET a = ?", true, false, 0, 2},
		{"SELECT nothing FROM t WHERE a = ?", true, true, 0, 0},
		{"ROLLBACK", true, false, 0, 0},
		{"SELECT ?", true, false, 1, 0},
		{"COMMIT", true, false, 0, 0},
	}
	if len(rec.starts) != len(want) || len(rec.ends) != len(want) || rec.strange != 0 {
		t.Fatalf("%d statements have begun, %d ended, %d in another context: %+v", len(rec.starts), len(rec.ends), rec.strange, rec.ends)
	}
	told := time.Duration(0)
	for i, w := range want {
		s, end := rec.starts[i], rec.ends[i]
		told += end.Server
		if s.SQL != w.sql || s.Tx != w.tx || end.SQL != w.sql || (end.Err != nil) != w.fails || end.Rows != w.rows || end.RowsAffected != w.affected || end.Cached {
			t.Errorf("%+v, %+v, want %+v", s, end, w)
		}
		if end.Took < rtt || end.Server >= end.Took {
			t.Errorf("%s took %v, of which the server says %v", w.sql, end.Took, end.Server)
		}
		if !slices.Contains(rec.inside, w.sql) {
			t.Errorf("no request in the context of %s: %v", w.sql, rec.inside)
		}
	}
	if told <= 0 {
		t.Error("of no statement it is told how long the server has worked on it")
	}
	if n := len(rec.requests); n < len(want) || uint64(n) > counted.Requests.Sent {
		t.Errorf("%d requests, %d counted", n, counted.Requests.Sent)
	}
	var server time.Duration
	callers, statements := 0, 0
	for _, r := range rec.requests {
		if r.Took < rtt || r.Sent == 0 || r.Received == 0 || r.Err != nil || r.Retries != 0 || r.Server >= r.Took {
			t.Errorf("%+v", r)
		}
		server += r.Server
		callers += r.Callers
		statements += r.Statements
	}
	if server == 0 || callers != len(want) || statements != len(want)-3 {
		t.Errorf("the server worked %v, for %d callers with %d statements", server, callers, statements)
	}
	if uint64(len(rec.dials)) != counted.Requests.Dials || len(rec.dials) == 0 || "http://"+rec.dials[0] != e.url {
		t.Errorf("dials %v, counted %d", rec.dials, counted.Requests.Dials)
	}
	if len(rec.retries) != 0 {
		t.Errorf("retries %v", rec.retries)
	}
}

// What fails is told with its reason, and sent again.
func TestTracerOfRetries(t *testing.T) {
	t.Parallel()
	e := newEnv(t, sqldModes[0])
	p := e.tapped(t)
	rec := &record{}
	db := e.openConfig(t, func(c *tursoopt.Config) { c.Tracer = rec })
	queryInt(t, db, "SELECT 1")
	h := p.before(t, "7777")
	go func() { <-h.reached; h.cut() }()
	if n := queryInt(t, db, "SELECT 7777"); n != 7777 {
		t.Errorf("got %d", n)
	}
	counted := stats(t, db)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.retries) != 1 || rec.retries[0] == nil || counted.Requests.Retries != 1 || rec.strange != 0 {
		t.Errorf("retries %v, counted %d, %d strange", rec.retries, counted.Requests.Retries, rec.strange)
	}
	failed, again := 0, 0
	for _, r := range rec.requests {
		if r.Err != nil {
			failed++
		}
		again += r.Retries
	}
	if failed != 1 || again != 1 {
		t.Errorf("%d requests have failed, %d were retries: %+v", failed, again, rec.requests)
	}
}

// A server that is full, or has another token, is a reason to send again that other
// layers know of.
func TestTracerOfOtherRetries(t *testing.T) {
	t.Parallel()
	e := newEnv(t, embeddedModes[0])
	rec := &record{}
	tokens := 0
	db := e.openConfig(t, func(c *tursoopt.Config) {
		c.Tracer = rec
		c.TokenSource = func(context.Context) (string, error) { tokens++; return strconv.Itoa(tokens), nil }
	})
	mustExec(t, db, "CREATE TABLE t (a)")
	e.embedded.Inject(2, hranatest.Status(429, 0))
	e.embedded.Inject(1, hranatest.Status(401, 0))
	mustExec(t, db, "INSERT INTO t VALUES (1)")
	counted := stats(t, db)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.retries) != 3 || counted.Requests.Retries != 3 || tursoopt.OutcomeUnknown(rec.retries[0]) {
		t.Errorf("retries %v, counted %d", rec.retries, counted.Requests.Retries)
	}
	most := 0
	for _, r := range rec.requests {
		most = max(most, r.Retries)
	}
	if most != 2 {
		t.Errorf("%+v", rec.requests)
	}
}

// Each item of a batch is a statement, and so is each that a pipelined transaction has
// put off, in the context that it was asked for in.
func TestTracerOfStatementsTogether(t *testing.T) {
	t.Parallel()
	e := newEnv(t, embeddedModes[0])
	rec := &record{}
	db := e.openConfig(t, func(c *tursoopt.Config) { c.Tracer = rec })
	mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
	rec.clear()

	var b tursoopt.Batch
	b.Queue("INSERT INTO t VALUES (1)")
	b.Queue("INSERT INTO t VALUES (1)")
	b.Queue("SELECT 2")
	results, err := tursoopt.SendBatch(t.Context(), db, &b)
	if err != nil {
		t.Fatal(err)
	}
	if err := results.Close(); err == nil {
		t.Error("the batch has not failed")
	}
	if got := rec.texts(); !slices.Equal(got, []string{"INSERT INTO t VALUES (?)", "INSERT INTO t VALUES (?)", "SELECT ?"}) {
		t.Errorf("%q", got)
	}
	rec.mu.Lock()
	var failed *tursoopt.Error
	if rec.ends[0].Err != nil || rec.ends[0].RowsAffected != 1 || !errors.As(rec.ends[1].Err, &failed) || failed.ExtendedCode != 2067 || rec.ends[2].Err == nil {
		t.Errorf("%+v", rec.ends)
	}
	if r := rec.requests[0]; r.Callers != 1 || r.Statements != 3 {
		t.Errorf("%+v", r)
	}
	rec.mu.Unlock()
	rec.clear()

	ctx := context.WithValue(t.Context(), requestKey{}, "of the caller")
	tx := begin(t, db, tursoopt.TxOptions{Pipelined: true})
	if _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, tx, "INSERT INTO t VALUES (8)")
	if got := rec.texts(); len(got) != 0 {
		t.Errorf("before anything was sent: %q", got)
	}
	if n := queryInt(t, tx, "SELECT count(*) FROM t"); n != 2 {
		t.Errorf("%d rows", n)
	}
	mustExec(t, tx, "DELETE FROM t")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := rec.texts(); !slices.Equal(got, []string{"INSERT INTO t VALUES (?)", "INSERT INTO t VALUES (?)", "SELECT count(*) FROM t", "DELETE FROM t", "COMMIT"}) {
		t.Errorf("%q", got)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.strange != 0 || rec.ends[0].RowsAffected != 1 || rec.ends[2].Rows != 1 || rec.ends[3].RowsAffected != 2 || !rec.starts[0].Tx {
		t.Errorf("%d strange; %+v", rec.strange, rec.ends)
	}
	if len(rec.requests) != 2 || rec.requests[0].Statements != 3 || rec.requests[1].Statements != 1 {
		t.Errorf("%+v", rec.requests)
	}
}

// A request tells how many callers share it.
func TestTracerOfSharedRequests(t *testing.T) {
	t.Parallel()
	e := newEnv(t, embeddedModes[0])
	p := e.tapped(t)
	rec := &record{}
	db := e.openConfig(t, func(c *tursoopt.Config) { c.Tracer, c.Lanes, c.PoolMin = rec, 1, 8 })
	queryInt(t, db, "SELECT 1")
	h := p.before(t, "7777")
	const others = 4
	var all sync.WaitGroup
	all.Go(func() { queryInt(t, db, "SELECT 7777") })
	<-h.reached
	for range others {
		all.Go(func() { queryInt(t, db, "SELECT 1") })
	}
	for stats(t, db).Lanes.Waiting < others {
		time.Sleep(time.Millisecond)
	}
	h.release()
	all.Wait()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	most := 0
	for _, r := range rec.requests {
		if most = max(most, r.Callers); r.Callers > 1 && r.Statements != r.Callers {
			t.Errorf("%+v", r)
		}
	}
	if most < 2 {
		t.Errorf("no request was shared: %+v", rec.requests)
	}
}

// A result from the cache has cost nothing of the server's, and a Shared tells of its
// connections.
func TestTracerOfCacheAndShared(t *testing.T) {
	t.Parallel()
	e := newEnv(t, embeddedModes[0])
	rec, dials := &record{}, &record{}
	shared := tursoopt.NewShared(tursoopt.SharedConfig{Tracer: dials, Cache: 1 << 20})
	db := e.openConfig(t, func(c *tursoopt.Config) { c.Tracer, c.Cache, c.Shared, c.CacheLease = rec, 1<<20, shared, time.Hour })
	t.Cleanup(func() { shared.Close() })
	mustExec(t, db, "CREATE TABLE t (a)")
	warm(t, db, "SELECT count(*) FROM t")
	queryInt(t, db, "SELECT count(*) FROM t")
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if last := rec.ends[len(rec.ends)-1]; !last.Cached || last.Server != 0 || last.Rows != 1 || rec.ends[0].Cached {
		t.Errorf("%+v", rec.ends)
	}
	dials.mu.Lock()
	defer dials.mu.Unlock()
	if len(dials.dials) == 0 || len(rec.dials) != 0 {
		t.Errorf("the Shared has dialled %v, the Connector %v", dials.dials, rec.dials)
	}
}

// The log has each kind of event, failures above the level, and neither a literal nor
// an argument nor a token.
func TestTraceLog(t *testing.T) {
	t.Parallel()
	e := newEnv(t, embeddedModes[0])
	var mu sync.Mutex
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(locked{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db := e.openConfig(t, func(c *tursoopt.Config) {
		c.Tracer, c.AuthToken = tursoopt.TraceLog(log, slog.LevelDebug), "secret-token"
	})
	queryInt(t, db, "SELECT length('secret')")
	if _, err := db.Exec("INSERT INTO nowhere VALUES ('secret', ?)", "secret"); err == nil {
		t.Error("no error")
	}
	mu.Lock()
	defer mu.Unlock()
	text := out.String()
	for _, want := range []string{`level=DEBUG msg="turso-opt: statement" sql="SELECT length(?)"`, `level=INFO msg="turso-opt: statement" sql="INSERT INTO nowhere`,
		`msg="turso-opt: request" callers=1 statements=1`, `msg="turso-opt: dial"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret") {
		t.Errorf("the log shows a literal:\n%s", text)
	}
}

type locked struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}
