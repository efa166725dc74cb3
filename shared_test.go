package tursoopt_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
)

func newShared(t testing.TB, cfg tursoopt.SharedConfig) *tursoopt.Shared {
	t.Helper()
	s := tursoopt.NewShared(cfg)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Ten thousand idle Connectors own no goroutine, the connections are the host's,
// and to open one more costs what the first did. It is not parallel: it counts what
// the whole process has.
func TestTenThousandConnectors(t *testing.T) {
	const tenants, used, batch = 10_000, 60, 100
	e := newEnv(t, embeddedModes[0])
	p := e.behind(t, netem.Conditions{})
	shared := newShared(t, tursoopt.SharedConfig{Cache: 64 << 20}) // an idle cache is nothing, too
	open := func(token string) *tursoopt.Connector {
		c, err := tursoopt.NewConnector(&tursoopt.Config{URL: e.url, AuthToken: token, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// Without a sql.DB, which has a goroutine of its own.
	use := func(c *tursoopt.Connector) {
		conn, err := c.Connect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		rows, err := conn.(driver.QueryerContext).QueryContext(context.Background(), "SELECT 7", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if row := make([]driver.Value, 1); rows.Next(row) != nil || row[0] != int64(7) {
			t.Errorf("got %v", row)
		}
	}
	use(open("the first"))
	var before, opened, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	// For each connection the emulated network has five goroutines and the server has
	// one; two connections may be on their way.
	others := func() int { return runtime.NumGoroutine() - 6*int(p.Counts().Conns) }
	limit := others() + 6*2

	all := make([]*tursoopt.Connector, 0, tenants)
	var costs []uint64 // allocations for each batch
	for len(all) < tenants {
		runtime.ReadMemStats(&opened)
		for range batch {
			all = append(all, open("token"))
		}
		runtime.ReadMemStats(&after)
		costs = append(costs, after.Mallocs-opened.Mallocs)
	}
	if first, last := costs[0], costs[len(costs)-1]; last > first+first/5 {
		t.Errorf("%d Connectors cost %d allocations at first and %d at last", batch, first, last)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int64(after.HeapAlloc-before.HeapAlloc) / tenants; each > 16<<10 {
		t.Errorf("a Connector takes %d bytes", each)
	} else {
		t.Logf("a Connector takes %d bytes and %d allocations", each, costs[len(costs)-1]/batch)
	}
	await(t, "few goroutines", func() bool { return others() <= limit })
	if n := shared.Connectors(); n != tenants+1 {
		t.Errorf("%d Connectors", n)
	}

	for _, c := range all[:used] {
		use(c)
	}
	// Each looks at its schema, beside, and on a busy machine some do so at once.
	if n := p.Counts().Conns; n > used/3 {
		t.Errorf("%d connections for Connectors that have been used one after the other", n)
	}
	await(t, "the goroutines' end", func() bool { return others() <= limit })
	for _, c := range all[used/2:] {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Those that are left work.
	for _, c := range all[:used/2] {
		use(c)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := shared.Connectors(); n != 1 {
		t.Errorf("%d Connectors", n)
	}
	if n := p.Counts().Conns; n > used/3 {
		t.Errorf("%d connections", n)
	}
}

// A front is one host and port with a database behind each path, as where
// namespaces are routed by path. It notes which connection has carried what.
type front struct {
	url string

	mu    sync.Mutex
	paths map[net.Conn]map[string]bool
	wrong []string
}

type connKey struct{}

func newFront(t *testing.T, tenants ...string) *front {
	f := &front{paths: map[net.Conn]map[string]bool{}}
	mux := http.NewServeMux()
	for _, name := range tenants {
		h := hranatest.NewServer(t, hranatest.Options{Prefix: "/" + name, Token: "token-" + name})
		target, err := url.Parse(h.URL())
		if err != nil {
			t.Fatal(err)
		}
		target.Path = ""
		back := &http.Transport{}
		t.Cleanup(back.CloseIdleConnections)
		proxy := &httputil.ReverseProxy{Transport: back, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
		mux.HandleFunc("/"+name+"/", func(w http.ResponseWriter, r *http.Request) {
			f.note(name, r)
			proxy.ServeHTTP(w, r)
		})
	}
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	srv.Start()
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

func (f *front) note(name string, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	token := r.Header.Get("Authorization")
	// What asks whether a connection lives carries nobody's.
	if token != "Bearer token-"+name && (token != "" || r.Method != http.MethodGet) || strings.Contains(r.Header.Get("X-Tenant"), "-") && r.Header.Get("X-Tenant") != "tenant-"+name {
		f.wrong = append(f.wrong, fmt.Sprintf("%s %s with %q and %q", r.Method, r.URL.Path, token, r.Header.Get("X-Tenant")))
	}
	c := r.Context().Value(connKey{}).(net.Conn)
	if f.paths[c] == nil {
		f.paths[c] = map[string]bool{}
	}
	f.paths[c][name] = true
}

// Tenants share connections and nothing else: each request carries its own token
// and headers, pings too, and each database gives its own rows.
func TestTenantsShareConnectionsOnly(t *testing.T) {
	t.Parallel()
	tenants := []string{"a", "b", "c"}
	f := newFront(t, tenants...)
	shared := newShared(t, tursoopt.SharedConfig{KeepAlive: 100 * time.Millisecond, StaleAfter: 120 * time.Millisecond, WarmConns: 2})
	var dbs []*sql.DB
	for i, name := range tenants {
		c, err := tursoopt.NewConnector(&tursoopt.Config{
			URL: f.url + "/" + name, AuthToken: "token-" + name, Header: http.Header{"X-Tenant": {"tenant-" + name}}, Shared: shared,
		})
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		t.Cleanup(func() { _ = db.Close() })
		mustExec(t, db, "CREATE TABLE t (a INTEGER)")
		mustExec(t, db, "INSERT INTO t VALUES (?)", i)
		dbs = append(dbs, db)
	}
	work := func(dbs []*sql.DB) {
		var wg sync.WaitGroup
		for i, db := range dbs {
			for range 4 {
				wg.Go(func() {
					for range 25 {
						if n := queryInt(t, db, "SELECT a FROM t"); n != int64(i) {
							t.Errorf("tenant %d reads %d", i, n)
						}
					}
				})
			}
		}
		wg.Wait()
	}
	work(dbs)
	pings := func() uint64 { s, _ := tursoopt.StatsOf(dbs[0]); return s.KeepAlive.Pings }
	before := pings()
	await(t, "the pings", func() bool { return pings() >= before+4 })
	work(dbs)

	// One that is closed, whose token the pings may have had, leaves the others.
	if err := dbs[2].Close(); err != nil {
		t.Error(err)
	}
	work(dbs[:2])
	before = pings()
	await(t, "the pings", func() bool { queryInt(t, dbs[1], "SELECT 1"); return pings() >= before+2 })
	if err := dbs[2].Ping(); err == nil {
		t.Error("a closed DB answers")
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.wrong {
		t.Error(w)
	}
	both := 0
	for _, names := range f.paths {
		if len(names) > 1 {
			both++
		}
	}
	if both == 0 {
		t.Errorf("none of %d connections has served two tenants", len(f.paths))
	}
}

// Close of one ends its requests in flight although the connections are shared.
func TestCloseOfOneEndsItsRequests(t *testing.T) {
	t.Parallel()
	e := newEnv(t, embeddedModes[0])
	p := e.tapped(t)
	shared := newShared(t, tursoopt.SharedConfig{})
	open := func() *sql.DB {
		c, err := tursoopt.NewConnector(&tursoopt.Config{URL: e.url, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	one, other := open(), open()
	queryInt(t, one, "SELECT 1")
	queryInt(t, other, "SELECT 1")
	h := p.before(t, "'held'")
	failed := make(chan error, 1)
	go func() { failed <- one.QueryRow("SELECT 'held'").Scan(new(string)) }()
	<-h.reached
	go func() {
		for range 10 {
			queryInt(t, other, "SELECT 1")
		}
	}()
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, tursoopt.ErrClosed) {
		t.Errorf("the request in flight: %v", err)
	}
	queryInt(t, other, "SELECT 1")
}

// Close of the Shared closes what is still open, and nothing is left.
func TestCloseOfShared(t *testing.T) {
	e := newEnv(t, embeddedModes[0])
	leavesNothing(t, func() {
		shared := tursoopt.NewShared(tursoopt.SharedConfig{})
		cfg := &tursoopt.Config{URL: e.url, Shared: shared}
		var dbs []*sql.DB
		for range 3 {
			c, err := tursoopt.NewConnector(cfg)
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(c)
			queryInt(t, db, "SELECT 1")
			dbs = append(dbs, db)
		}
		for range 2 {
			if err := shared.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, db := range dbs {
			if err := db.Ping(); !errors.Is(err, tursoopt.ErrClosed) {
				t.Errorf("a Connector whose Shared is closed: %v", err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := tursoopt.NewConnector(cfg); !errors.Is(err, tursoopt.ErrClosed) || !strings.Contains(err.Error(), "Shared") {
			t.Errorf("a new Connector: %v", err)
		}
		if n := shared.Connectors(); n != 0 {
			t.Errorf("%d Connectors", n)
		}
	})
}

// Statements are read once for all, as many as the Shared remembers, and counted by
// each.
func TestSharedStatements(t *testing.T) {
	e := newEnv(t, embeddedModes[0])
	shared := newShared(t, tursoopt.SharedConfig{StmtCache: 2})
	for i := range 2 {
		db := e.openConfig(t, func(c *tursoopt.Config) { c.Shared = shared })
		for range 3 {
			queryInt(t, db, "SELECT 1")
		}
		if s := tursoopt.SharedTexts(shared); s.Misses != 1 || s.Hits != uint64(i) || s.Size != 1 {
			t.Errorf("Connector %d: all together %+v", i, s)
		}
		if s, _ := tursoopt.StatsOf(db); s.Statements.Misses != 1 || s.Statements.Hits != 2 || s.Statements.Size != 1 {
			t.Errorf("%+v", s.Statements)
		}
		if i == 1 {
			queryInt(t, db, "SELECT 2")
			queryInt(t, db, "SELECT 3")
		}
	}
	if s := tursoopt.SharedTexts(shared); s.Size != 2 || s.Evictions != 1 {
		t.Errorf("all together %+v", s)
	}
}

// What contradicts the Shared is refused, by its name; what repeats it is not.
func TestSharedConfigMisuse(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
	shared := newShared(t, tursoopt.SharedConfig{KeepAlive: time.Second, WarmConns: 2, Proxy: "http://proxy.test:1"})
	for name, cfg := range map[string]*tursoopt.Config{
		"TLSConfig":         {TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13}},
		"DialContext":       {DialContext: dial},
		"ConnectTimeout":    {ConnectTimeout: time.Second},
		"KeepAlive":         {KeepAlive: 2 * time.Second},
		"StaleAfter":        {StaleAfter: time.Second},
		"PingTimeout":       {PingTimeout: time.Second},
		"KeepAliveIdleStop": {KeepAliveIdleStop: time.Second},
		"WarmConns":         {WarmConns: 3},
		"Proxy":             {Proxy: "http://other.test:1"},
		"native":            {Base: tursoopt.BaseLibsql},
	} {
		cfg.URL, cfg.Shared = "http://db.test", shared
		if _, err := tursoopt.NewConnector(cfg); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "Shared") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := tursoopt.NewConnector(&tursoopt.Config{URL: "http://db.test", Shared: shared, KeepAlive: time.Second, WarmConns: 2, Proxy: "http://proxy.test:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wrong := newShared(t, tursoopt.SharedConfig{KeepAlive: time.Millisecond})
	if _, err := tursoopt.NewConnector(&tursoopt.Config{URL: "http://db.test", Shared: wrong}); err == nil || !strings.Contains(err.Error(), "keepalive") {
		t.Errorf("a SharedConfig that is wrong: %v", err)
	}
}
