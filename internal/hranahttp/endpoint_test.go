package hranahttp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

func TestPaths(t *testing.T) {
	for base, want := range map[string]string{
		"http://db.test":               "http://db.test/v2/pipeline",
		"http://db.test/":              "http://db.test/v2/pipeline",
		"http://db.test/dev/my-db":     "http://db.test/dev/my-db/v2/pipeline",
		"http://db.test/dev/my-db/":    "http://db.test/dev/my-db/v2/pipeline",
		"http://db.test/a%2Fb":         "http://db.test/a%2Fb/v2/pipeline",
		"http://u:p@db.test:8080?x=1":  "http://db.test:8080/v2/pipeline",
		"https://[2001:db8::1]:8443/n": "https://[2001:db8::1]:8443/n/v2/pipeline",
	} {
		c := newTestClient(t, base, nil)
		ep := c.Home()
		if got := ep.calls[V2JSON][pipeline].url.String(); got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
		if got := ep.calls[V3Protobuf][cursor].url.String(); got != strings.Replace(want, "v2/pipeline", "v3-protobuf/cursor", 1) {
			t.Errorf("%s: cursor at %s", base, got)
		}
	}
}

func TestWhichBaseURLsAreFollowed(t *testing.T) {
	for _, c := range []struct {
		home, host, base string
		want             string // "" for not followed
	}{
		{"https://db.turso.io", "", "https://db.turso.io", "https://db.turso.io"},
		{"https://db.turso.io", "", "https://node-1.turso.io/x", "https://node-1.turso.io/x"},
		{"https://db.turso.io", "", "https://a.b.turso.io:8443", "https://a.b.turso.io:8443"},
		{"https://db.turso.io", "", "https://TURSO.io.", "https://TURSO.io."},
		{"https://db.turso.io", "", "https://user:pw@node.turso.io/?q=1#f", "https://node.turso.io/"},
		{"https://db.turso.io", "", "http://db.turso.io", ""},
		{"https://db.turso.io", "", "https://evil.io", ""},
		{"https://db.turso.io", "", "https://evilturso.io", ""},
		{"https://db.turso.io", "", "https://turso.io.evil.test", ""},
		{"https://turso.io", "", "https://other.io", ""},
		{"http://localhost:8080", "", "http://localhost:9090", "http://localhost:9090"},
		{"http://localhost:8080", "", "https://localhost:9090", "https://localhost:9090"},
		{"http://127.0.0.1:1", "", "http://127.0.0.2:1", ""},
		{"http://127.0.0.1:1", "", "http://127.0.0.1:2/n", "http://127.0.0.1:2/n"},
		{"http://[::1]:1", "", "http://[::1]:2", "http://[::1]:2"},
		{"https://db.turso.io", "", "/relative", ""},
		{"https://db.turso.io", "", "//db.turso.io", ""},
		{"https://db.turso.io", "", "ftp://db.turso.io", ""},
		{"https://db.turso.io", "", "https://", ""},
		{"https://db.turso.io", "", "https://db.turso.io:bad", ""},
		// Behind a proxy the domain is that of the database, and so is the way.
		{"http://proxy.test:3128", "db.turso.io", "https://node.turso.io/x", "http://proxy.test:3128/x"},
		{"http://proxy.test:3128", "db.turso.io:443", "https://node.turso.io/x", "http://proxy.test:3128/x"},
		{"http://proxy.test:3128", "db.turso.io", "http://sub.proxy.test", ""},
	} {
		t.Run(c.home+" to "+c.base, func(t *testing.T) {
			var log bytes.Buffer
			cl := newTestClient(t, c.home, func(cfg *Config) {
				cfg.Host, cfg.Logger = c.host, slog.New(slog.NewTextHandler(&log, nil))
			})
			got := cl.follow(cl.Home(), c.base)
			if c.want == "" {
				if got != cl.Home() {
					t.Errorf("followed to %s", got.base)
				}
				if !strings.Contains(log.String(), "not followed") || strings.Contains(log.String(), "pw") {
					t.Errorf("logged %q", log.String())
				}
				return
			}
			if got.calls[V2JSON][pipeline].url.String() != strings.TrimSuffix(c.want, "/")+"/v2/pipeline" {
				t.Errorf("followed to %s", got.calls[V2JSON][pipeline].url)
			}
			if u, _ := url.Parse(c.base); c.host != "" && got.host != u.Host {
				t.Errorf("Host %q", got.host)
			}
			if log.Len() > 0 {
				t.Errorf("logged %q", log.String())
			}
		})
	}
}

func TestBaseURLIsForOneStreamOnly(t *testing.T) {
	c := newTestClient(t, "https://db.turso.io", nil)
	other := c.follow(c.Home(), "https://node.turso.io")
	if other == c.Home() {
		t.Fatal("not followed")
	}
	// A refused base_url leaves each stream where it is.
	if c.follow(c.Home(), "https://evil.test") != c.Home() || c.follow(other, "https://evil.test") != other {
		t.Error("a stream was moved by a base_url that is not followed")
	}
	if c.follow(other, "") != other {
		t.Error("a stream was moved by no base_url")
	}
	if c.follow(c.Home(), "https://node.turso.io") != other {
		t.Error("the same base_url gives another endpoint, and so other connections")
	}
}

func TestBaseURLsDoNotFillTheMemory(t *testing.T) {
	c := newTestClient(t, "https://db.turso.io", nil)
	for i := range 10 * maxPlaces {
		c.follow(c.Home(), fmt.Sprintf("https://n%d.turso.io", i))
		c.follow(c.Home(), fmt.Sprintf("https://evil%d.test", i))
	}
	if n := len(c.places.seen); n > maxPlaces {
		t.Errorf("%d base_urls are remembered", n)
	}
	if n := len(c.transport.byAddr); n > maxPlaces+1 {
		t.Errorf("%d places are remembered", n)
	}
	if c.transport.byAddr["https://db.turso.io:443"] != c.Home().place {
		t.Error("home is forgotten")
	}
}

// A stream goes on where the server says, a new one begins at home, and both
// take the token along.
func TestStreamMoves(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		second := &fake{}
		node := startServer(t, second)
		first := &fake{baton: "b", baseURL: func() string { return node.URL + "/moved" }}
		second.before = nil
		c := m.client(t, first, func(cfg *Config) {
			cfg.Token = func(context.Context) (string, error) { return "t", nil }
		})
		reply := ask(t, c)
		req := query("SELECT 1")
		req.Baton = reply.Baton
		// https does not lead to http.
		if c.cfg.URL.Scheme == "https" {
			if reply.Endpoint != c.Home() {
				t.Error("moved")
			}
			return
		}
		_, err := c.Pipeline(context.Background(), reply.Endpoint, V2JSON, req, Expect{})
		if e, ok := err.(*exec.Error); !ok || e.Status != 404 {
			t.Fatalf("error %v", err) // the fake knows no prefix
		}
		got := second.requests()
		if len(got) != 1 || got[0].path != "/moved/v2/pipeline" || got[0].header.Get("Authorization") != "Bearer t" || got[0].host != strings.TrimPrefix(node.URL, "http://") {
			t.Errorf("the second server got %+v", got)
		}
		n := first.posts()
		ask(t, c)
		if first.posts() != n+1 {
			t.Error("a new stream did not begin at home")
		}
	})
}

func TestCursorMovesTheStream(t *testing.T) {
	node := startServer(t, &fake{})
	f := &fake{baton: "next", baseURL: func() string { return node.URL }}
	c := newTestClient(t, startServer(t, f).URL, nil)
	cur, err := c.Cursor(context.Background(), c.Home(), V3JSON, &hrana.CursorReq{}, Expect{})
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	if cur.Baton != "next" || cur.Endpoint == c.Home() || cur.Endpoint.base.String() != node.URL {
		t.Errorf("baton %q, at %s", cur.Baton, cur.Endpoint.base)
	}
}

// Config.Host is for a proxy that forwards by it.
func TestHostHeader(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{}
		c := m.client(t, f, func(cfg *Config) { cfg.Host = "db.turso.io" })
		ask(t, c)
		c.AwaitLevel(context.Background())
		for _, r := range f.requests() {
			if r.host != "db.turso.io" {
				t.Errorf("%s %s has Host %q", r.method, r.path, r.host)
			}
		}
	})
}
