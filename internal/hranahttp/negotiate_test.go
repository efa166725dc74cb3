package hranahttp

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// paths are the paths of the requests so far, in order.
func (f *fake) paths() (all []string) {
	for _, r := range f.requests() {
		all = append(all, r.method+" "+r.path)
	}
	return all
}

func TestWhatIsNegotiated(t *testing.T) {
	for name, c := range map[string]struct {
		lacks  []string
		prefer Preference
		want   Level
		gets   int
	}{
		"all":                 {nil, Auto, V3Protobuf, 1},
		"no protobuf":         {[]string{"v3-protobuf"}, Auto, V3JSON, 2},
		"version 2":           {[]string{"v3-protobuf", "v3"}, Auto, V2JSON, 2},
		"only JSON":           {nil, OnlyJSON, V3JSON, 1},
		"only JSON version 2": {[]string{"v3"}, OnlyJSON, V2JSON, 1},
		"only protobuf":       {nil, OnlyProtobuf, V3Protobuf, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inModes(t, func(t *testing.T, m mode) {
				f := &fake{lacks: c.lacks}
				cl := m.client(t, f, func(cfg *Config) { cfg.Encoding = c.prefer })
				ask(t, cl)
				if got := cl.AwaitLevel(t.Context()); got != c.want || cl.Level() != got || !cl.Negotiated() {
					t.Errorf("level %v, want %v", got, c.want)
				}
				for range 3 {
					ask(t, cl)
				}
				if n := len(f.requests()) - f.posts(); n != c.gets || f.posts() != 4 {
					t.Errorf("requests %v", f.paths())
				}
				if got := f.requests()[len(f.requests())-1].path; got != "/"+c.want.path()+"/pipeline" {
					t.Errorf("the last request went to %s", got)
				}
			})
		})
	}
}

// The first query costs one request: nobody waits for what is asked beside it,
// not even while that is not answered.
func TestNegotiationCostsNoQueryAnything(t *testing.T) {
	f := &fake{}
	inBubble(t, f, nil, func(t *testing.T, c *Client) {
		f.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				time.Sleep(time.Second)
			}
			return false
		}
		begin := time.Now()
		for range 5 {
			ask(t, c)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("five queries took %v", d)
		}
		if c.Negotiated() || c.Level() != V2JSON {
			t.Errorf("level %v before the answer", c.Level())
		}
		if got := f.paths()[0]; got != "POST /v2/pipeline" {
			t.Errorf("the first request was %s", got)
		}
		if got := c.AwaitLevel(t.Context()); got != V3Protobuf || time.Since(begin) != time.Second {
			t.Errorf("level %v after %v", got, time.Since(begin))
		}
		if n := len(f.requests()); n != 6 {
			t.Errorf("requests %v", f.paths())
		}
	})
}

// What says nothing about the server, but something about the moment, is asked
// again later, and not before.
func TestInconclusiveProbe(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"401":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"403":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"429":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"503":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"nothing": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			inBubble(t, f, func(cfg *Config) { cfg.ConnectTimeout = 5 * time.Second }, func(t *testing.T, c *Client) {
				var well atomic.Bool
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method == http.MethodGet && !well.Load() {
						answer(w, r)
						return true
					}
					return false
				}
				gets := func() int { return len(f.requests()) - f.posts() }
				ask(t, c)
				if got := c.AwaitLevel(t.Context()); got != V2JSON || c.Negotiated() || gets() != 1 {
					t.Fatalf("level %v, requests %v", got, f.paths())
				}
				well.Store(true)
				time.Sleep(probeAgain - time.Second)
				ask(t, c)
				synctest.Wait()
				if c.Negotiated() || gets() != 1 {
					t.Errorf("asked again too soon: %v", f.paths())
				}
				time.Sleep(time.Second)
				ask(t, c)
				synctest.Wait()
				if !c.Negotiated() || c.Level() != V3Protobuf || gets() != 2 {
					t.Errorf("level %v, requests %v", c.Level(), f.paths())
				}
			})
		})
	}
}

// A page for every path is not Hrana.
func TestPageForEveryPath(t *testing.T) {
	f := &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte("<title>Welcome</title>"))
			return true
		}
		return false
	}}
	c := newTestClient(t, startServer(t, f).URL, nil)
	if got := c.AwaitLevel(t.Context()); got != V2JSON || !c.Negotiated() {
		t.Errorf("level %v", got)
	}
}

// A server that turns out not to have what it had is asked anew, once it has
// answered something.
func TestServerIsReplacedByALesserOne(t *testing.T) {
	f := &fake{}
	c := newTestClient(t, startServer(t, f).URL, nil)
	if got := c.AwaitLevel(t.Context()); got != V3Protobuf {
		t.Fatalf("level %v", got)
	}
	f.mu.Lock()
	f.lacks = []string{"v3-protobuf"}
	f.mu.Unlock()
	if e := fails(t, c); e.Status != 404 || e.Proof != exec.NotExecuted {
		t.Errorf("%+v", e)
	}
	if c.Level() != V2JSON || c.Negotiated() {
		t.Errorf("level %v", c.Level())
	}
	ask(t, c)
	if got := c.AwaitLevel(t.Context()); got != V3JSON {
		t.Errorf("level %v", got)
	}
	// A stream that is gone says nothing of the kind.
	f.mu.Lock()
	f.lacks = []string{"v3-protobuf", "v3"}
	f.mu.Unlock()
	req := query("SELECT 1")
	req.Baton = "b"
	failsWith(t, t.Context(), c, req)
	if c.Level() != V3JSON || !c.Negotiated() {
		t.Errorf("level %v", c.Level())
	}
}

// Who insists on protobuf gets it or an error that names the path.
func TestInsistingOnProtobuf(t *testing.T) {
	f := &fake{lacks: []string{"v3-protobuf"}}
	c := newTestClient(t, startServer(t, f).URL, func(cfg *Config) { cfg.Encoding = OnlyProtobuf })
	for range 2 {
		e := fails(t, c)
		if e.Status != 404 || e.Proof != exec.NotExecuted || !strings.Contains(e.Error(), "encoding=protobuf") {
			t.Errorf("%+v, reads %q", e, e)
		}
	}
	if got := f.paths(); len(got) != 2 || got[0] != "POST /v3-protobuf/pipeline" || got[1] != got[0] {
		t.Errorf("requests %v", got)
	}
}

func TestAwaitLevel(t *testing.T) {
	f := &fake{}
	inBubble(t, f, nil, func(t *testing.T, c *Client) {
		f.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				time.Sleep(time.Second)
			}
			return false
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if got := c.AwaitLevel(ctx); got != V2JSON || time.Since(begin) != 100*time.Millisecond {
			t.Errorf("level %v after %v", got, time.Since(begin))
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if got := c.AwaitLevel(t.Context()); got != V3Protobuf {
					t.Errorf("level %v", got)
				}
			})
		}
		wg.Wait()
		if n := len(f.requests()); n != 1 {
			t.Errorf("requests %v", f.paths())
		}
		c.Close()
		if got := c.AwaitLevel(t.Context()); got != V3Protobuf {
			t.Errorf("level %v after Close", got)
		}
	})
	f = &fake{}
	c := newTestClient(t, startServer(t, f).URL, nil)
	c.Close()
	if got := c.AwaitLevel(t.Context()); got != V2JSON || len(f.requests()) != 0 {
		t.Errorf("level %v of a closed client, requests %v", got, f.paths())
	}
}

// Close does not wait for a probe.
func TestCloseEndsAProbe(t *testing.T) {
	f := &fake{}
	inBubble(t, f, nil, func(t *testing.T, c *Client) {
		f.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				<-r.Context().Done()
			}
			return false
		}
		ask(t, c)
		synctest.Wait()
		begin := time.Now()
		c.Close()
		if d := time.Since(begin); d != 0 {
			t.Errorf("Close took %v", d)
		}
	})
}

func TestNegotiationIsLogged(t *testing.T) {
	var log bytes.Buffer
	c := newTestClient(t, startServer(t, &fake{}).URL, func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	c.AwaitLevel(t.Context())
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `level="v3 protobuf"`) {
		t.Errorf("logged %q", got)
	}
}

func TestLevelsOfRealServers(t *testing.T) {
	check := func(t *testing.T, rawURL string, want Level) {
		t.Helper()
		c := newTestClient(t, rawURL, nil)
		ask(t, c)
		if got := c.AwaitLevel(t.Context()); got != want {
			t.Errorf("level %v, want %v", got, want)
		}
		ask(t, c)
	}
	for profile, want := range map[hranatest.Profile]Level{hranatest.Sqld: V3Protobuf, hranatest.Cloud: V3JSON, hranatest.V2: V2JSON} {
		t.Run(profile.String(), func(t *testing.T) {
			check(t, hranatest.NewServer(t, hranatest.Options{Profile: profile}).URL(), want)
		})
	}
	t.Run("real sqld", func(t *testing.T) { check(t, sqld.ForTest(t, sqld.Options{}).URL(), V3Protobuf) })
}
