package hranahttp

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A signer makes the tokens that an sqld of its own accepts.
type signer struct{ key ed25519.PrivateKey }

func sqldWithTokens(t *testing.T) (*sqld.Server, *signer) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	private := sqld.NewKey(t, file)
	return sqld.ForTest(t, sqld.Options{JWTKeyFile: file}), &signer{private}
}

func (s *signer) token(access string, expires time.Time) string {
	return sqld.Token(s.key, fmt.Sprintf(`{"a":%q,"exp":%d}`, access, expires.Unix()))
}

// run executes one statement on a stream of its own.
func run(t *testing.T, c *Client, sql string) *exec.Result {
	t.Helper()
	reply, err := c.Pipeline(context.Background(), c.Home(), c.Level(), query(sql), Expect{})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if e := reply.Results[0].Err; e != nil {
		t.Fatalf("%s: %+v", sql, e)
	}
	return reply.Results[0].Stmt
}

func TestSqldTokens(t *testing.T) {
	srv, s := sqldWithTokens(t)
	hour := time.Now().Add(time.Hour)
	with := func(token ...string) *Client {
		n := 0
		return newTestClient(t, srv.URL(), func(cfg *Config) {
			cfg.Token = func(context.Context) (string, error) {
				n = min(n+1, len(token))
				return token[n-1], nil
			}
		})
	}
	writer := with(s.token("rw", hour))
	run(t, writer, "CREATE TABLE t(a)")
	if got := writer.AwaitLevel(t.Context()); got != V3Protobuf {
		t.Errorf("level %v", got)
	}
	for name, token := range map[string]string{"none": "", "garbage": "garbage", "expired": s.token("rw", time.Unix(1000, 0))} {
		c := with(token)
		e := failsWith(t, t.Context(), c, query("INSERT INTO t VALUES (1)"))
		if e.Status != 401 || e.Proof != exec.NotExecuted || !strings.Contains(e.Message, "Unauthorized") || token != "" && strings.Contains(e.Error(), token) {
			t.Errorf("%s: %+v", name, e)
		}
		if c.AwaitLevel(t.Context()) != V3Protobuf { // sqld tells it without a token
			t.Errorf("%s: level %v", name, c.Level())
		}
	}
	// A token that has expired is replaced, and nobody notices.
	c := with(s.token("rw", time.Unix(1000, 0)), s.token("rw", hour))
	run(t, c, "INSERT INTO t VALUES (1)")
	if n := c.Counters(); n.TokenRefresh != 1 || n.Failed != 1 {
		t.Errorf("%+v", n)
	}
	// A reader cannot write, in no encoding, and is told that nothing was written.
	reader := with(s.token("ro", hour))
	if got := run(t, reader, "SELECT count(*) FROM t").Rows.Int(0, 0); got != 1 {
		t.Errorf("%d rows", got)
	}
	reader.AwaitLevel(t.Context())
	for level := V2JSON; level < levels; level++ {
		req := query("SELECT 1")
		req.Requests = append(req.Requests, query("INSERT INTO t VALUES (2)").Requests...)
		_, err := reader.Pipeline(t.Context(), reader.Home(), level, req, Expect{})
		if e, ok := err.(*exec.Error); !ok || e.Status != 403 || e.Proof != exec.NotExecuted {
			t.Errorf("%v: %+v", level, err)
		}
	}
	if got := run(t, writer, "SELECT count(*) FROM t").Rows.Int(0, 0); got != 1 {
		t.Errorf("%d rows after a reader's writes", got)
	}
}

// What a real server says to the batons it does not take, at every level.
func TestSqldBatons(t *testing.T) {
	srv := sqld.ForTest(t, sqld.Options{})
	c := newTestClient(t, srv.URL(), nil)
	run(t, c, "CREATE TABLE t(a)")
	insert := func(baton string) *hrana.PipelineReq {
		req := query("INSERT INTO t VALUES (1)")
		req.Baton = baton
		return req
	}
	for level := V2JSON; level < levels; level++ {
		refused := func(what, baton string) {
			t.Helper()
			_, err := c.Pipeline(t.Context(), c.Home(), level, insert(baton), Expect{})
			e, ok := err.(*exec.Error)
			if !ok || e.Status != 400 || e.Proof != exec.NotExecuted || !e.StreamLost || e.Source != exec.FromServer {
				t.Errorf("%v, %s: %+v", level, what, err)
			}
		}
		refused("an invalid baton", "garbage")
		reply, err := c.Pipeline(t.Context(), c.Home(), level, query("SELECT 1"), Expect{})
		if err != nil || reply.Baton == "" {
			t.Fatal(err)
		}
		used := reply.Baton
		req := query("SELECT 1")
		req.Baton = used
		if _, err = c.Pipeline(t.Context(), c.Home(), level, req, Expect{}); err != nil {
			t.Fatal(err)
		}
		refused("a used baton", used)
	}
	if got := run(t, c, "SELECT count(*) FROM t").Rows.Int(0, 0); got != 0 {
		t.Errorf("%d rows were inserted by refused requests", got)
	}
}

func TestSqldIsRestarted(t *testing.T) {
	srv := sqld.ForTest(t, sqld.Options{})
	c := newTestClient(t, srv.URL(), nil)
	run(t, c, "CREATE TABLE t(a)")
	c.AwaitLevel(t.Context())
	for range 3 {
		run(t, c, "INSERT INTO t VALUES (1)")
		before := c.Counters()
		if err := srv.Restart(); err != nil {
			t.Fatal(err)
		}
		// Idle connections died with the server. The first request is a write, and
		// it is sent once, on a new one.
		run(t, c, "INSERT INTO t VALUES (1)")
		if n := c.Counters(); n.Failed != before.Failed || n.Dials != before.Dials+1 {
			t.Errorf("%+v, then %+v", before, n)
		}
	}
	srv.Kill()
	if e := failsWith(t, t.Context(), c, query("INSERT INTO t VALUES (1)")); e.Proof != exec.NotExecuted || e.Source != exec.FromTransport {
		t.Errorf("%+v", e)
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := run(t, c, "SELECT count(*) FROM t").Rows.Int(0, 0); got != 6 {
		t.Errorf("%d rows, want 6", got)
	}
}

func TestSqldCursor(t *testing.T) {
	srv := sqld.ForTest(t, sqld.Options{})
	c := newTestClient(t, srv.URL(), nil)
	// 30 MB, which no pipeline would give.
	req := &hrana.CursorReq{Batch: hrana.Batch{Steps: []hrana.BatchStep{{Stmt: hrana.Stmt{WantRows: true,
		SQL: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300) SELECT i, hex(zeroblob(50000)) FROM n"}}}}}
	for _, level := range []Level{V3JSON, V3Protobuf} {
		cur, err := c.Cursor(context.Background(), c.Home(), level, req, Expect{})
		if err != nil {
			t.Fatal(err)
		}
		var e hrana.CursorEntry
		var table exec.Table
		table.Reset(2)
		rows := 0
		for {
			if err = cur.Next(&e, &table); err != nil {
				break
			}
			if e.Type == hrana.Row {
				rows++
				if table.Int(0, 0) != int64(rows) || len(table.String(0, 1)) != 100_000 {
					t.Fatalf("%v: row %d is %d", level, rows, table.Int(0, 0))
				}
				table.Reset(2)
			}
		}
		if err != io.EOF || rows != 300 || cur.Baton == "" {
			t.Errorf("%v: %d rows, %v", level, rows, err)
		}
		// The stream goes on.
		next := query("SELECT 1")
		next.Baton = cur.Baton
		if _, err := c.Pipeline(t.Context(), cur.Endpoint, level, next, Expect{}); err != nil {
			t.Errorf("%v: %v", level, err)
		}
	}
}
