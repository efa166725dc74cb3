package hranahttp

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// newTestClient closes with the test.
func newTestClient(t testing.TB, rawURL string, change func(*Config)) *Client {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{URL: u, UserAgent: "test"}
	if change != nil {
		change(&cfg)
	}
	c := newClient(cfg, noProxy)
	t.Cleanup(func() { c.Close() })
	return c
}

func query(sql string, args ...exec.Value) *hrana.PipelineReq {
	return &hrana.PipelineReq{Requests: []hrana.StreamReq{
		{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: sql, Args: args, WantRows: true}}, {Type: hrana.Close}}}
}

func TestSqldSmoke(t *testing.T) {
	srv := sqld.ForTest(t, sqld.Options{})
	c := newTestClient(t, srv.URL(), nil)
	for range 3 {
		reply, err := c.Pipeline(context.Background(), c.Home(), c.Level(), query("SELECT 1"))
		if err != nil {
			t.Fatal(err)
		}
		t.Log(c.Level(), reply.Results[0].Stmt.Rows.Int(0, 0), c.Counters())
		t.Log(c.AwaitLevel(context.Background()))
	}
}
