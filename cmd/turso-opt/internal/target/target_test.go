package target

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestTokenOfTheEnvironmentGoesToItsOwnHostOnly(t *testing.T) {
	for _, c := range []struct {
		name, dsn, url, token, want string
	}{
		{"the environment's database", "", "libsql://a.example.org", "t1", "t1"},
		{"it has one already", "", "libsql://a.example.org?authToken=t2", "t1", "t2"},
		{"a DSN of the same host", "https://A.example.org", "libsql://a.example.org", "t1", "t1"},
		{"a DSN of another host", "libsql://b.example.org", "libsql://a.example.org", "t1", ""},
		{"another port", "http://127.0.0.1:2", "http://127.0.0.1:1", "t1", ""},
		{"no database in the environment", "libsql://b.example.org", "", "t1", "t1"},
		{"no token", "libsql://b.example.org", "", "", ""},
		{"a DSN with a token", "libsql://b.example.org?authToken=t2", "", "t1", "t2"},
	} {
		cfg, err := ConfigFor(c.dsn, env(EnvURL, c.url, EnvToken, c.token))
		if err != nil || cfg.AuthToken != c.want {
			t.Errorf("%s: %v, %v", c.name, cfg, err)
		}
	}
	if _, err := ConfigFor("", env()); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("without anything: %v", err)
	}
	if _, err := ConfigFor("libsql://a.example.org", env(EnvToken, "with\nnewline")); err == nil {
		t.Error("a token that cannot be sent is taken")
	}
}

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		dsn, addr, base, host, direct string
		tls, ws                       bool
	}{
		{"libsql://db.example.org", "db.example.org:443", "https://db.example.org", "", "https://db.example.org", true, false},
		{"turso://db.example.org/ns", "db.example.org:443", "https://db.example.org/ns", "", "https://db.example.org/ns", true, false},
		{"libsql://db.example.org:8080?tls=0", "db.example.org:8080", "http://db.example.org:8080", "", "http://db.example.org:8080", false, false},
		{"http://[::1]", "[::1]:80", "http://[::1]", "", "http://[::1]", false, false},
		{"ws://db.example.org", "db.example.org:80", "http://db.example.org", "", "ws://db.example.org", false, true},
		{"wss://db.example.org", "db.example.org:443", "https://db.example.org", "", "wss://db.example.org", true, true},
		{"https://u:pw@db.example.org", "db.example.org:443", "https://db.example.org", "", "https://u:pw@db.example.org", true, false},
		{"https://db.example.org/ns?proxy=http://127.0.0.1:9", "127.0.0.1:9", "http://127.0.0.1:9/ns", "db.example.org", "https://db.example.org/ns", false, false},
	} {
		cfg, err := tursoopt.ParseDSN(c.dsn)
		if err != nil {
			t.Fatal(err)
		}
		ep, err := EndpointOf(cfg)
		if err != nil {
			t.Errorf("%s: %v", c.dsn, err)
			continue
		}
		if ep.Addr() != c.addr || ep.Base.String() != c.base || ep.HostHeader != c.host || ep.Direct() != c.direct || ep.TLS() != c.tls || ep.WebSocket != c.ws {
			t.Errorf("%s: %+v, %s, %s", c.dsn, ep, ep.Addr(), ep.Base)
		}
	}
	cfg, err := tursoopt.ParseDSN("file:test.db")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := EndpointOf(cfg); err == nil {
		t.Error("a file has an endpoint")
	}
}

func TestRequestCarriesWhatTheDriverSends(t *testing.T) {
	for dsn, want := range map[string]string{
		"http://h?authToken=t":        "Bearer t",
		"http://u:p@h":                "Basic dTpw",
		"http://u:p@h?authToken=t":    "Bearer t",
		"http://h":                    "",
		"http://h?proxy=http://p:1":   "",
		"http://h?authToken=t&tls=0#": "",
	} {
		cfg, err := tursoopt.ParseDSN(strings.TrimSuffix(dsn, "#"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(dsn, "#") {
			cfg.AuthToken, cfg.RemoteEncryptionKey = "", "k"
		}
		ep, err := EndpointOf(cfg)
		if err != nil {
			t.Fatal(err)
		}
		req, err := ep.Request(t.Context(), http.MethodGet, "v2", nil)
		if err != nil || req.Header.Get("Authorization") != want || req.Header.Get("X-Turso-Encryption-Key") != cfg.RemoteEncryptionKey ||
			req.URL.Path != "/v2" || cfg.Proxy != "" && req.Host != "h" {
			t.Errorf("%s: %+v, %v", dsn, req, err)
		}
	}
}

func TestScrubber(t *testing.T) {
	cfg, err := tursoopt.ParseDSN("http://user:pass%2Fword@h?authToken=to%2Bken&remote_encryption_key=key1")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	s := &Scrubber{W: &b, Secrets: Secrets(cfg)}
	const text = "pass/word pass%2Fword to+ken to%2Bken key1 user h"
	if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if b.String() != "xxxxx xxxxx xxxxx xxxxx xxxxx user h" {
		t.Errorf("wrote %q", b.String())
	}
}

func TestVersionText(t *testing.T) {
	for _, c := range []struct{ contentType, body, want string }{
		{"", "sqld 0.24.32 (40c272de 2025-02-14)\n", "sqld 0.24.32 (40c272de 2025-02-14)"},
		{"text/html", "version 1", ""},
		{"", "<html>1</html>", ""},
		{"", "hello", ""},
		{"", `{"version":1}`, ""},
		{"", "1\n2", ""},
	} {
		if got := VersionText(c.contentType, c.body); got != c.want {
			t.Errorf("%q is taken for %q", c.body, got)
		}
	}
}

func TestResolve(t *testing.T) {
	auto, err := Resolve(Options{Server: Auto, Getenv: env()})
	want := Sqld
	if _, err := sqld.Find(); errors.Is(err, sqld.ErrNotFound) {
		want = Embedded
	}
	if err != nil || auto != want {
		t.Errorf("auto is %q, %v; want %q", auto, err, want)
	}
	if got, err := Resolve(Options{Server: Auto, Getenv: env(EnvURL, "http://h")}); got != "http://h" || err != nil {
		t.Errorf("the environment's database is %q, %v", got, err)
	}
	for _, server := range []string{Sqld, Embedded, "http://h"} {
		if got, err := Resolve(Options{Server: server, Getenv: env(EnvURL, "http://other")}); got != server || err != nil {
			t.Errorf("%s is %q, %v", server, got, err)
		}
	}
}

func TestLinkKeepsTheHostAndCounts(t *testing.T) {
	hosts := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host }))
	defer s.Close()
	cfg, err := tursoopt.ParseDSN(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	link, err := (&Target{Config: cfg}).Link(netem.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	ep, err := EndpointOf(link.Config)
	if err != nil {
		t.Fatal(err)
	}
	req, err := ep.Request(t.Context(), http.MethodGet, "v2", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got, want := <-hosts, strings.TrimPrefix(s.URL, "http://"); got != want {
		t.Errorf("the server is called %q, and is %q", got, want)
	}
	if c := link.Settle(t.Context()); c.Requests != 1 || c.Conns != 1 || c.BytesUp == 0 || c.BytesDown == 0 {
		t.Errorf("counts %+v", c)
	}
	for _, dsn := range []string{"https://h", "ws://h", "file:a.db"} {
		cfg, err := tursoopt.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&Target{Config: cfg}).Link(netem.Conditions{}); !errors.Is(err, ErrNotCountable) {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// What the emulation costs by itself is part of what Calibrate gives, so that a
// goal made from it does not blame a driver for the emulator.
func TestCalibrationIncludesTheEmulatorsOwnTime(t *testing.T) {
	own, err := Calibrate(t.Context(), netem.Conditions{})
	if err != nil || own <= 0 {
		t.Fatalf("a network that costs nothing takes %v, %v", own, err)
	}
	const rtt = 5 * time.Millisecond
	with, err := Calibrate(t.Context(), netem.Conditions{RTT: rtt})
	if err != nil || with <= rtt {
		t.Errorf("a network of %v takes %v, %v", rtt, with, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Calibrate(ctx, netem.Conditions{RTT: rtt}); err == nil {
		t.Error("it goes on when it should have ended")
	}
}

func TestChildThatIsNoServer(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A test binary that has nothing to run ends at once.
	c := Command{Path: self, Args: []string{"-test.run", "^$"}}
	if _, _, err := c.start(t.Context()); err == nil || !strings.Contains(err.Error(), "embedded server") {
		t.Errorf("it started: %v", err)
	}
	if _, _, err := (Command{Path: self + "-missing"}).start(t.Context()); err == nil {
		t.Error("a file that is not there was started")
	}
	if _, err := Start(t.Context(), Options{Server: Embedded, Getenv: env(), Child: c}); err == nil {
		t.Error("a Target was made of it")
	}
}

func TestTargetsNameShowsNoCredentials(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("sqld 1.2.3")) }))
	defer s.Close()
	target, err := Start(t.Context(), Options{Server: s.URL + "?authToken=geheim", Getenv: env()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if target.Own() {
		t.Error("somebody's database is taken for ours")
	}
	if name := target.String(); name != "sqld 1.2.3 at "+s.URL+"?authToken=xxxxx" {
		t.Errorf("it is called %q", name)
	}
}
