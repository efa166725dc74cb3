package stream

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/limit"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// newReplica is a primary, a replica of it, and a pool of streams on the replica.
func newReplica(t *testing.T, encoding hranahttp.Preference) (primary, replica *sqld.Server, p *Pool) {
	t.Helper()
	primary = sqld.ForTest(t, sqld.Options{Replicated: true})
	replica = sqld.ForTest(t, sqld.Options{Primary: primary})
	u, err := url.Parse(replica.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := hranahttp.New(hranahttp.Config{URL: u, Encoding: encoding})
	p = NewPool(client, nil, nil)
	t.Cleanup(func() {
		p.Close()
		client.Close()
	})
	return primary, replica, p
}

func stmt(sql string, args ...exec.Value) exec.Stmt {
	return exec.Stmt{SQL: sql, Args: args, WantRows: true, Note: new(exec.Note)}
}

func (p *Pool) must(t *testing.T, class exec.Class, s exec.Stmt) *exec.Result {
	t.Helper()
	resp, err := p.Do(context.Background(), &exec.Request{Class: class, Stmts: []exec.Stmt{s}})
	if err != nil {
		t.Fatalf("%s: %v", s.SQL, err)
	}
	if e := resp.Results[0].Err; e != nil {
		t.Fatalf("%s: %v", s.SQL, e)
	}
	return resp.Results[0].Result
}

// Through a replica each way to read sees what each way to write has written. A
// read that does not ask for it is older in two of three tries.
func TestReadsOnAReplicaSeeWhatWasWritten(t *testing.T) {
	const insert, count = "INSERT INTO t (b) VALUES (1)", "SELECT count(*) FROM t"
	for _, encoding := range []hranahttp.Preference{hranahttp.Auto, hranahttp.OnlyProtobuf} {
		_, _, p := newReplica(t, encoding)
		ctx := context.Background()
		p.must(t, exec.Write, stmt("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
		p.client.AwaitLevel(ctx)
		p.must(t, exec.Read, stmt(count))
		plan := func(pl *Plan) {
			s := p.Session()
			defer s.End()
			if o, err := s.Run(ctx, exec.Write, pl); err != nil || o.Results[0].Err != nil {
				t.Fatal(err, o)
			}
		}
		// Before it is known that the server is a replica, too: a group is first.
		writes := []func(){
			func() {
				g, ok, err := p.CommitGroup(ctx, &Group{Check: stmt("SELECT 1"), Stmts: []exec.Stmt{stmt(insert), stmt(insert)}})
				if err != nil || !ok || !g.Committed {
					t.Fatal(g, ok, err)
				}
			},
			func() { p.must(t, exec.Write, stmt(insert)) },
			func() { plan(&Plan{Begin: "BEGIN", Stmts: []exec.Stmt{stmt(insert)}, Shape: Atomic, AskState: true}) },
			func() { plan(&Plan{Stmts: []exec.Stmt{stmt(insert), stmt(insert)}}) },
			func() {
				s := p.Session()
				defer s.End()
				for _, pl := range []*Plan{
					{Begin: "BEGIN", Stmts: []exec.Stmt{stmt(insert)}, AskState: true},
					{Guard: true, Tail: Commit, AskState: true},
				} {
					if _, err := s.Run(ctx, exec.Write, pl); err != nil {
						t.Fatal(err)
					}
				}
			},
		}
		reads := []func() int64{
			func() int64 { return p.must(t, exec.Read, stmt(count)).Rows.Int(0, 0) },
			func() int64 {
				results, _, err := p.Share(ctx, []exec.Stmt{stmt(count), stmt("SELECT 2")}, false)
				if err != nil {
					t.Fatal(err)
				}
				return results[0].Result.Rows.Int(0, 0)
			},
			func() int64 {
				results, _, err := p.Share(ctx, []exec.Stmt{stmt(count), stmt("SELECT 2")}, true)
				if err != nil {
					t.Fatal(err)
				}
				return results[0].Result.Rows.Int(0, 0)
			},
			func() int64 {
				s := stmt(count)
				s.Note.Large.Store(true)
				c := p.must(t, exec.Read, s).Cursor
				defer c.Close()
				var rows exec.Table
				if err := c.Next(&rows); err != nil {
					t.Fatal(err)
				}
				return rows.Int(0, 0)
			},
		}
		last := int64(0)
		for i := range 80 {
			writes[i%len(writes)]()
			n := reads[i/len(writes)%len(reads)]()
			if n <= last {
				t.Fatalf("%v: write %d and read %d: %d rows, and %d before", encoding, i%len(writes), i/len(writes)%len(reads), n, last)
			}
			last = n
		}
		if p.horizon.role.Load() != replicaRole {
			t.Error("the server was not found to be a replica")
		}
	}
}

// After the primary has restarted, its index goes back with all rows kept. A read
// that asks a replica for the one it has seen would wait for ever.
func TestReadsGoOnWhenThePrimaryRestarts(t *testing.T) {
	primary, _, p := newReplica(t, hranahttp.Auto)
	ctx := context.Background()
	p.must(t, exec.Write, stmt("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
	p.client.AwaitLevel(ctx)
	for range 20 {
		p.must(t, exec.Write, stmt("INSERT INTO t (b) VALUES (1)"))
	}
	p.must(t, exec.Read, stmt("SELECT count(*) FROM t"))
	for range 20 {
		p.must(t, exec.Write, stmt("INSERT INTO t (b) VALUES (1)"))
	}
	if err := primary.Restart(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*arrives)
	defer cancel()
	// As a client that knows nothing, until the replica has followed the primary.
	u, _ := url.Parse(primary.URL())
	direct := hranahttp.New(hranahttp.Config{URL: u})
	defer direct.Close()
	ask := func(c *hranahttp.Client) uint64 {
		reply, err := c.Pipeline(ctx, c.Home(), hranahttp.V3Protobuf, &hrana.PipelineReq{
			Requests: []hrana.StreamReq{{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: "SELECT 1"}}, {Type: hrana.Close}}}, hranahttp.Expect{})
		switch e, ok := err.(*exec.Error); {
		case err == nil:
			return reply.Results[0].Stmt.ReplicationIndex
		case !ok || e.Source != exec.FromServer:
			t.Fatal(err)
		}
		return 0 // the replica is starting from nothing
	}
	for now := ask(direct); ask(p.client) != now; {
	}
	p.now = func() time.Time { return time.Now().Add(IdleLimit) } // its streams are gone
	if seen := p.horizon.seen.Load(); ask(direct) >= seen {
		t.Fatalf("the index has not gone back from %d", seen)
	}
	for _, note := range []bool{false, true} {
		s := stmt("SELECT count(*) FROM t")
		s.Note.Large.Store(note)
		resp, err := p.Do(ctx, &exec.Request{Class: exec.Read, Stmts: []exec.Stmt{s}})
		if err != nil || resp.Results[0].Err != nil {
			t.Fatal(err)
		}
		if c := resp.Results[0].Result.Cursor; c != nil {
			c.Close()
		}
	}
}

// A read that waits for long asks the primary whether what it waits for is still
// there: a replica that is behind is waited for, an index of the past is forgotten.
func TestAReplicaThatIsBehind(t *testing.T) {
	defer func(d time.Duration) { arrives = d }(arrives)
	_, replica, p := newReplica(t, hranahttp.Auto)
	p.must(t, exec.Write, stmt("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
	p.client.AwaitLevel(context.Background())
	p.must(t, exec.Write, stmt("INSERT INTO t (b) VALUES (1)"))
	seen := p.horizon.seen.Load()
	net, err := netem.Start(strings.TrimPrefix(replica.URL(), "http://"), netem.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	u, _ := url.Parse(net.URL())
	// The path is as slow as a replica that is behind, until the primary is asked.
	slow := func(seen uint64) (s *Stream, p *Pool, end func()) {
		client := hranahttp.New(hranahttp.Config{URL: u, Encoding: hranahttp.Auto})
		p = NewPool(client, nil, nil)
		p.must(t, exec.Read, stmt("SELECT 1"))
		client.AwaitLevel(context.Background())
		p.horizon.forget()
		p.horizon.seen.Store(seen)
		s = p.Session()
		s.ready(client.Level())
		sent := client.Counters().Requests
		net.Set(netem.Conditions{Paused: true})
		go func() {
			for client.Counters().Requests < sent+2 {
				time.Sleep(time.Millisecond)
			}
			net.Set(netem.Conditions{})
		}()
		return s, p, func() {
			p.Close()
			client.Close()
		}
	}
	arrives = 500 * time.Millisecond
	for name, c := range map[string]struct {
		seen uint64
		kept bool
	}{"behind": {seen, true}, "an index of the past": {seen + 1000, false}} {
		t.Run(name, func(t *testing.T) {
			s, p, end := slow(c.seen)
			defer end()
			req := &hrana.PipelineReq{Requests: []hrana.StreamReq{{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: "SELECT 1", ReplicationIndex: c.seen}}}}
			_, err := p.pipelineRead(context.Background(), s, req, c.seen, hranahttp.Expect{})
			if err == nil {
				t.Fatal("it has not waited")
			}
			if s.behind != c.kept {
				t.Errorf("behind: %v", s.behind)
			}
			s.failed(context.Background(), err.(*exec.Error))
			if kept := p.horizon.seen.Load() == c.seen; kept != c.kept {
				t.Errorf("what has been seen is kept: %v", kept)
			}
			s.End()
		})
	}
}

// A replica that never catches up, though the primary confirms that it should, is
// waited for three times. Then the read fails, and says why: nothing older is read.
func TestAReplicaThatNeverCatchesUp(t *testing.T) {
	defer func(d time.Duration) { arrives = d }(arrives)
	arrives = 200 * time.Millisecond
	_, replica, direct := newReplica(t, hranahttp.Auto)
	target, _ := url.Parse(replica.URL())
	relay := httputil.NewSingleHostReverseProxy(target)
	var waited atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("SELECT 8")) {
			waited.Add(1)
			<-r.Context().Done()
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		relay.ServeHTTP(w, r)
	}))
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	client := hranahttp.New(hranahttp.Config{URL: u})
	p := NewPool(client, new(limit.Budget), nil)
	defer client.Close()
	defer p.Close()
	direct.must(t, exec.Write, stmt("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
	p.must(t, exec.Write, stmt("INSERT INTO t (b) VALUES (1)"))
	client.AwaitLevel(t.Context())
	p.must(t, exec.Write, stmt("INSERT INTO t (b) VALUES (1)"))
	seen := p.horizon.seen.Load()
	if seen == 0 || p.horizon.reached.Load() >= seen {
		t.Fatalf("seen %d, reached %d", seen, p.horizon.reached.Load())
	}
	_, err := p.Do(context.Background(), &exec.Request{Class: exec.Read, Stmts: []exec.Stmt{stmt("SELECT 8")}})
	if err != error(errBehind) || waited.Load() != maxAttempts || p.horizon.seen.Load() < seen {
		t.Errorf("%v after %d attempts, %d of %d are still asked for", err, waited.Load(), p.horizon.seen.Load(), seen)
	}
	if n := p.must(t, exec.Read, stmt("SELECT count(*) FROM t")).Rows.Int(0, 0); n != 2 {
		t.Errorf("%d rows", n)
	}
}

// On a primary nothing is sent in JSON, and no read is bounded.
func TestAPrimaryIsKnown(t *testing.T) {
	server := sqld.ForTest(t, sqld.Options{})
	u, _ := url.Parse(server.URL())
	client := hranahttp.New(hranahttp.Config{URL: u})
	p := NewPool(client, nil, nil)
	defer client.Close()
	defer p.Close()
	p.must(t, exec.Write, stmt("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
	p.client.AwaitLevel(context.Background())
	for range 3 {
		s := stmt("INSERT INTO t (b) VALUES (1), (2)")
		s.WantRows = false // as from an Exec: otherwise the schema is looked at, in a batch
		p.must(t, exec.Write, s)
	}
	h := &p.horizon
	if h.role.Load() != primaryRole || h.seen.Load() == 0 || h.reached.Load() != h.seen.Load() {
		t.Errorf("role %d, seen %d, reached %d", h.role.Load(), h.seen.Load(), h.reached.Load())
	}
}

func TestHorizonLearns(t *testing.T) {
	const level = hranahttp.V3Protobuf
	answer := func(index uint64, affected int64, written uint64, took time.Duration) []hrana.StreamResult {
		return []hrana.StreamResult{{Type: hrana.Execute, Stmt: &exec.Result{
			ReplicationIndex: index, RowsAffected: affected, RowsWritten: written, ServerTime: took}}}
	}
	steps := func(affected int64) []hrana.StreamResult {
		return []hrana.StreamResult{{Type: hrana.BatchRequest, Batch: &hrana.BatchResult{Steps: []*exec.Result{nil, {RowsAffected: affected}}}}}
	}
	var h horizon
	want := func(what string, seen, reached uint64, role uint32) {
		t.Helper()
		if h.seen.Load() != seen || h.reached.Load() != reached || h.role.Load() != role {
			t.Errorf("%s: seen %d, reached %d, role %d; want %d, %d, %d", what, h.seen.Load(), h.reached.Load(), h.role.Load(), seen, reached, role)
		}
	}
	h.learn(exec.Read, 0, answer(5, 0, 0, 1))
	want("a read", 5, 5, unknownRole)
	if !h.learn(exec.Write, 5, steps(1)) {
		t.Error("an index that was not told is not missed")
	}
	want("a batch on a replica", 5, 5, replicaRole)
	if h.learn(exec.Write, 5, answer(8, 1, 0, 0)) {
		t.Error("an index that was told is missed")
	}
	want("a write on a replica", 8, 5, replicaRole)
	h.learn(exec.Read, 8, steps(0))
	want("a read that has seen it", 8, 8, replicaRole)
	h.learn(exec.Write, 4, answer(6, 1, 0, 0))
	want("an answer that was overtaken", 8, 8, replicaRole)
	h.learn(exec.Write, 8, answer(3, 1, 0, 0))
	want("the primary has restarted", 3, 0, replicaRole)
	h.learn(exec.Read, 0, answer(7, 0, 0, 1))
	h.learn(exec.Read, 7, answer(2, 0, 0, 1))
	want("a read that was answered with less than it asked for", 2, 0, replicaRole)
	h.learn(exec.Write, 3, answer(4, 1, 2, 1))
	want("a primary", 4, 4, primaryRole)
	if got := h.asked(hranahttp.V3JSON, exec.Read, &Plan{}); got != 0 {
		t.Errorf("an index is sent in JSON: %d", got)
	}
	if got := h.asked(level, exec.Read, &Plan{Guard: true}); got != 0 {
		t.Errorf("an index is sent in a transaction: %d", got)
	}
	if h.learn(exec.Write, 4, steps(0)) || h.wire(level, []hrana.StreamReq{{Type: hrana.BatchRequest}}) != level {
		t.Error("a primary is asked for what does not matter there")
	}
}
