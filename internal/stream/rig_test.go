package stream

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is a pool, the embedded server that its streams are on, and the pool's
// clock.
type rig struct {
	*Pool
	server *hranatest.Server
	client *hranahttp.Client
	mu     sync.Mutex
	at     time.Time
}

func newRig(t testing.TB, o hranatest.Options) *rig {
	t.Helper()
	r := &rig{server: hranatest.NewServer(t, o), at: time.Unix(1e9, 0)}
	u, err := url.Parse(r.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	r.client = hranahttp.New(hranahttp.Config{URL: u, LateTimeout: time.Minute})
	r.Pool = NewPool(r.client, new(limit.Budget), func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.at
	})
	t.Cleanup(func() {
		r.Pool.Close()
		if err := r.client.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	r.exec(t, exec.Write, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
	r.client.AwaitLevel(context.Background())
	return r
}

// inProfiles runs body against a server of each profile.
func inProfiles(t *testing.T, body func(t *testing.T, r *rig)) {
	for _, p := range []hranatest.Profile{hranatest.Sqld, hranatest.Cloud, hranatest.V2} {
		t.Run(p.String(), func(t *testing.T) { body(t, newRig(t, hranatest.Options{Profile: p})) })
	}
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

// do runs an autocommit statement.
func (r *rig) do(class exec.Class, s exec.Stmt) (*exec.Result, error) {
	if s.Note == nil {
		s.Note = new(exec.Note)
	}
	s.WantRows = true
	resp, err := r.Do(context.Background(), &exec.Request{Class: class, Stmts: []exec.Stmt{s}})
	if err != nil {
		return nil, err
	}
	if e := resp.Results[0].Err; e != nil {
		return nil, e
	}
	return resp.Results[0].Result, nil
}

func (r *rig) exec(t testing.TB, class exec.Class, text string) *exec.Result {
	t.Helper()
	res, err := r.do(class, exec.Stmt{SQL: text})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return res
}

// count is the number of rows of t.
func (r *rig) count(t testing.TB) int64 {
	t.Helper()
	res := r.exec(t, exec.Read, "SELECT count(*) FROM t")
	return res.Rows.Int(0, 0)
}

// run runs one statement on a stream.
func run(t testing.TB, s *Stream, class exec.Class, p Plan, text string) *Outcome {
	t.Helper()
	p.Stmts = stmts(text)
	p.Stmts[0].WantRows = true
	o, err := s.Run(context.Background(), class, &p)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

// posts is how many requests with statements the server has had.
func (r *rig) posts() int64 {
	n := r.server.Stats()
	return n.Pipelines() + n.Requests["/v3/cursor"] + n.Requests["/v3-protobuf/cursor"]
}

// holding makes a rig whose server holds requests while gate is not nil.
func holding(t testing.TB) (r *rig, hold func() (reached <-chan struct{}, release func())) {
	var mu sync.Mutex
	var reached, gate chan struct{}
	r = newRig(t, hranatest.Options{OnRequest: func(*http.Request) {
		mu.Lock()
		here, wait := reached, gate
		reached, gate = nil, nil
		mu.Unlock()
		if wait != nil {
			close(here)
			<-wait
		}
	}})
	return r, func() (<-chan struct{}, func()) {
		mu.Lock()
		defer mu.Unlock()
		reached, gate = make(chan struct{}), make(chan struct{})
		open := sync.OnceFunc(func(g chan struct{}) func() { return func() { close(g) } }(gate))
		t.Cleanup(open)
		return reached, open
	}
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
