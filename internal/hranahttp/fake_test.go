package hranahttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is a Hrana server that answers every statement with one row, its integer
// argument or 1, and notes what it is asked.
type fake struct {
	// before, if it is set, may answer in its place, and then reports true.
	before func(w http.ResponseWriter, r *http.Request) bool
	// lacks are the levels it does not have, by path.
	lacks []string
	// baton and baseURL go into every answer.
	baton   string
	baseURL func() string
	// rows is how many a cursor gives.
	rows int

	mu   sync.Mutex
	seen []seen
}

// seen is one request as it arrived.
type seen struct {
	method, path, host, proto string
	header                    http.Header
	body                      string
}

func (f *fake) requests() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.seen...)
}

func (f *fake) posts() (n int) {
	for _, s := range f.requests() {
		if s.method == http.MethodPost {
			n++
		}
	}
	return n
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.seen = append(f.seen, seen{r.Method, r.URL.Path, r.Host, r.Proto, r.Header.Clone(), string(body)})
	f.mu.Unlock()
	if f.before != nil && f.before(w, r) {
		return
	}
	level, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f.mu.Lock()
	lacks := f.lacks
	f.mu.Unlock()
	for _, l := range lacks {
		if l == level {
			http.NotFound(w, r)
			return
		}
	}
	enc := hrana.JSON
	if level == "v3-protobuf" {
		enc = hrana.Protobuf
	}
	w.Header().Set("Content-Type", contentType(enc))
	switch method {
	case "":
	case "pipeline":
		f.pipeline(w, enc, body)
	case "cursor":
		f.cursor(w, enc, body)
	default:
		http.NotFound(w, r)
	}
}

// row is a table of one row of one column.
func row(v int64) (t exec.Table) {
	t.Reset(1)
	t.AppendInt(v)
	t.EndRow()
	return t
}

func (f *fake) base() string {
	if f.baseURL == nil {
		return ""
	}
	return f.baseURL()
}

func (f *fake) pipeline(w http.ResponseWriter, enc hrana.Encoding, body []byte) {
	var req hrana.PipelineReq
	if err := hrana.DecodePipelineReq(enc, body, &req); err != nil {
		http.Error(w, "Cannot deserialize client message from JSON: "+err.Error(), http.StatusBadRequest)
		return
	}
	resp := hrana.PipelineResp{Baton: f.baton, BaseURL: f.base()}
	for _, r := range req.Requests {
		res := hrana.StreamResult{Type: r.Type}
		if r.Type == hrana.Execute {
			v := int64(1)
			if a := r.Stmt.Args; len(a) == 1 && a[0].Kind == exec.Integer {
				v = a[0].Int
			}
			res.Stmt = &exec.Result{Cols: []exec.Column{{Name: "1"}}, Rows: row(v)}
		}
		resp.Results = append(resp.Results, res)
	}
	out, err := hrana.AppendPipelineResp(nil, enc, &resp)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(out)
}

func (f *fake) cursor(w http.ResponseWriter, enc hrana.Encoding, _ []byte) {
	out, _ := hrana.AppendCursorResp(nil, enc, &hrana.CursorResp{Baton: f.baton, BaseURL: f.base()})
	t := row(1)
	add := func(e hrana.CursorEntry) {
		out, _ = hrana.AppendCursorEntry(out, enc, &e, &t, 0)
		if len(out) > 32<<10 {
			w.Write(out)
			w.(http.Flusher).Flush()
			out = out[:0]
		}
	}
	add(hrana.CursorEntry{Type: hrana.StepBegin, Cols: []exec.Column{{Name: "1"}}})
	for range f.rows {
		add(hrana.CursorEntry{Type: hrana.Row})
	}
	add(hrana.CursorEntry{Type: hrana.StepEnd})
	w.Write(out)
}

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// newTestClient closes with the test.
func newTestClient(t testing.TB, rawURL string, change func(*Config)) *Client {
	t.Helper()
	return newProxiedClient(t, rawURL, noProxy, change)
}

func newProxiedClient(t testing.TB, rawURL string, proxy func(*http.Request) (*url.URL, error), change func(*Config)) *Client {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{URL: u, UserAgent: "test"}
	if change != nil {
		change(&cfg)
	}
	c := newClient(cfg, proxy)
	t.Cleanup(func() { c.Close() })
	return c
}

// A mode is a way for requests to reach a server; the same test runs in all.
type mode struct {
	name   string
	client func(t *testing.T, h http.Handler, change func(*Config)) *Client
}

var modes = []mode{
	{"http1", func(t *testing.T, h http.Handler, change func(*Config)) *Client {
		return newTestClient(t, startServer(t, h).URL, change)
	}},
	{"tls http1", func(t *testing.T, h http.Handler, change func(*Config)) *Client {
		srv, roots := startTLS(t, h, false)
		return newTestClient(t, srv.URL, func(cfg *Config) { cfg.TLS = roots; apply(change, cfg) })
	}},
	{"h2", func(t *testing.T, h http.Handler, change func(*Config)) *Client {
		srv, roots := startTLS(t, h, true)
		return newTestClient(t, srv.URL, func(cfg *Config) { cfg.TLS = roots; apply(change, cfg) })
	}},
	{"proxy", func(t *testing.T, h http.Handler, change func(*Config)) *Client {
		srv := startServer(t, h)
		via := startServer(t, forwardProxy(t))
		u, _ := url.Parse(via.URL)
		return newProxiedClient(t, srv.URL, func(*http.Request) (*url.URL, error) { return u, nil }, change)
	}},
}

func apply(change func(*Config), cfg *Config) {
	if change != nil {
		change(cfg)
	}
}

func inModes(t *testing.T, test func(t *testing.T, m mode)) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { test(t, m) })
	}
}

func startServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv
}

func startTLS(t testing.TB, h http.Handler, http2 bool) (*httptest.Server, *tls.Config) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = http2
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv, &tls.Config{RootCAs: roots}
}

// before puts a server in front of another one, whatever it speaks itself.
func before(t testing.TB, srv *hranatest.Server) http.Handler {
	u, err := url.Parse(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	relay := forwardProxy(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
		relay.ServeHTTP(w, r)
	})
}

// forwardProxy is the proxy that HTTP_PROXY names.
func forwardProxy(t testing.TB) http.Handler {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An answer that is written while the transport still reads the request's body
		// closes that, and the transport then breaks off the answer.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out := r.Clone(r.Context())
		out.RequestURI, out.Body = "", io.NopCloser(bytes.NewReader(body))
		out.Header.Set("Via", "1.1 proxy")
		resp, err := tr.RoundTrip(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		buf := make([]byte, 32<<10)
		for {
			n, err := resp.Body.Read(buf)
			w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err == io.EOF {
				return
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	})
}

func query(sql string, args ...exec.Value) *hrana.PipelineReq {
	return &hrana.PipelineReq{Requests: []hrana.StreamReq{{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: sql, Args: args, WantRows: true}}}}
}

// ask makes a round trip on a new stream and wants the answer 1.
func ask(t testing.TB, c *Client) *Reply {
	t.Helper()
	reply, err := c.Pipeline(context.Background(), c.Home(), c.Level(), query("SELECT 1"), Expect{})
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.Results[0].Stmt.Rows.Int(0, 0); got != 1 {
		t.Fatalf("got %d", got)
	}
	return reply
}

// fails makes a round trip on a new stream and wants it to fail.
func fails(t testing.TB, c *Client) *exec.Error {
	t.Helper()
	return failsWith(t, context.Background(), c, query("SELECT 1"))
}

func failsWith(t testing.TB, ctx context.Context, c *Client, req *hrana.PipelineReq) *exec.Error {
	t.Helper()
	reply, err := c.Pipeline(ctx, c.Home(), c.Level(), req, Expect{})
	if err == nil {
		t.Fatalf("answered %+v", reply.Results)
	}
	return err.(*exec.Error)
}
