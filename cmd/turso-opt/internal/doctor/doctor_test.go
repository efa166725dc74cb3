package doctor

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// diagnose runs the doctor with nothing in the environment but env.
func diagnose(t *testing.T, env map[string]string, dsn string) (healthy bool, text string) {
	t.Helper()
	var out bytes.Buffer
	healthy, err := Run(t.Context(), Options{DSN: dsn, Getenv: func(name string) string { return env[name] }, Timeout: 10 * time.Second}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return healthy, out.String()
}

// contains fails the test unless text has all of these.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in\n%s", part, text)
		}
	}
}

func TestHealthyServers(t *testing.T) {
	for _, c := range []struct {
		profile hranatest.Profile
		offered string
	}{
		{hranatest.Sqld, "v2 JSON, v3 JSON, v3 protobuf\n"},
		{hranatest.Cloud, "v2 JSON, v3 JSON\n"},
		{hranatest.V2, "v2 JSON\n"},
	} {
		t.Run(c.profile.String(), func(t *testing.T) {
			s := hranatest.NewServer(t, hranatest.Options{Profile: c.profile, Token: "geheim"})
			healthy, text := diagnose(t, nil, s.URL()+"?authToken=geheim")
			if !healthy {
				t.Error("it is found ill")
			}
			contains(t, text, "authToken=xxxxx", "protocols   "+c.offered, "foreign keys are", "SELECT 1 takes", "layers: connection > ", "the token is accepted")
			if strings.Contains(text, "geheim") || strings.Contains(text, "FAIL") {
				t.Errorf("output:\n%s", text)
			}
			if healthy, text := diagnose(t, map[string]string{"TURSO_DATABASE_URL": s.URL(), "TURSO_AUTH_TOKEN": "geheim"}, ""); !healthy {
				t.Errorf("by the environment it is found ill:\n%s", text)
			} else {
				contains(t, text, "the DSN is that of TURSO_DATABASE_URL")
			}
		})
	}
}

func TestSqld(t *testing.T) {
	url := sqld.ForTest(t, sqld.Options{}).URL()
	healthy, text := diagnose(t, nil, url)
	if !healthy {
		t.Error("it is found ill")
	}
	contains(t, text, "ok    server      sqld 0.", "v3 protobuf", "128 streams", "32766 parameters", "foreign keys are enforced", "SQLite 3.", "network and HTTP")

	if healthy, text = diagnose(t, nil, "ws"+strings.TrimPrefix(url, "http")); !healthy {
		t.Error("by a WebSocket it is found ill")
	}
	contains(t, text, "over a WebSocket", "layers: connection > libsql-client-go")
}

func TestEncodings(t *testing.T) {
	const (
		gzip = "JSON, gzip:"
		zstd = "zstd is not offered"
	)
	for _, c := range []struct {
		profile hranatest.Profile
		params  string
		want    []string
		not     string
	}{
		{hranatest.Sqld, "", []string{"JSON:", gzip, "protobuf:", "protobuf, gzip:", zstd, "% less, and", "takes protobuf, compressed where"}, "-"},
		{hranatest.Sqld, "?encoding=json&compress=off", []string{"takes JSON, and nothing compressed (compress=off)"}, "-"},
		{hranatest.V2, "", []string{"JSON:", gzip, zstd, "takes JSON, compressed where"}, "protobuf"},
	} {
		_, text := diagnose(t, nil, hranatest.NewServer(t, hranatest.Options{Profile: c.profile}).URL()+c.params)
		_, text, _ = strings.Cut(text, "encodings")
		text, _, _ = strings.Cut(text, "settings")
		contains(t, text, c.want...)
		if strings.Contains(text, c.not) {
			t.Errorf("there is %q in\n%s", c.not, text)
		}
	}
}

// An answer may come in an encoding of its own choice, or not at all.
func TestEncodingsOfOddServers(t *testing.T) {
	inner := hranatest.NewServer(t, hranatest.Options{})
	odd := func(w http.ResponseWriter, r *http.Request, body []byte) bool { return false }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || odd(w, r, body) {
			return
		}
		r.Header.Del("Accept-Encoding")
		req, err := http.NewRequestWithContext(r.Context(), r.Method, inner.URL()+r.URL.Path, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return // the doctor has gone
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer s.Close()
	_, text := diagnose(t, nil, s.URL)
	contains(t, text, "gzip is not offered", "zstd is not offered", "takes protobuf\n")
	odd = func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		if !bytes.Contains(body, []byte("RECURSIVE")) {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	healthy, text := diagnose(t, nil, s.URL)
	contains(t, text, "warn  encodings   a query of 300 rows is refused", "ok    settings")
	if !healthy {
		t.Error("it is found ill")
	}
}

func TestCompressedColumns(t *testing.T) {
	url := hranatest.NewServer(t, hranatest.Options{}).URL()
	db, err := sql.Open("turso-opt", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"CREATE TABLE docs (body TEXT, title TEXT)", "CREATE UNIQUE INDEX by_title ON docs (title)"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	for param, want := range map[string][]string{
		"":                                       {"-     columns     the DSN has none"},
		"?compress_columns=docs.body":            {"ok    columns     1 compressed: docs.body\n", "> compressed columns >"},
		"?compress_columns=docs.bdy":             {"warn  columns ", "there is no column docs.bdy", "typing error"},
		"?compress_columns=Docs.body,docs.title": {"warn  columns ", "docs.title breaks index by_title", "take the column out"},
	} {
		healthy, text := diagnose(t, nil, url+param)
		contains(t, text, want...)
		if !healthy {
			t.Errorf("%s: it is found ill", param)
		}
	}
}

func TestServersThatAnswerWrongly(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"a web site", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome</html>") }, "not a libSQL server"},
		{"a JSON service", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"hello":"you"}`) }, "not a libSQL server"},
		{"no such path", http.NotFound, "no database there"},
		{"wrong token", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"Unauthorized: %s"}`, secret)
		}, "refuses the token (Unauthorized: xxxxx)"},
		{"no right", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "not allowed to read"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusTemporaryRedirect)
		}, "sends us elsewhere"},
		{"busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "too busy: HTTP 429"},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "failed: HTTP 502"},
		{"no posts", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) }, "not a libSQL server: HTTP 501"},
		{"teapot", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "refuses: HTTP 418"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "broke the connection off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(c.handler)
			defer s.Close()
			healthy, text := diagnose(t, nil, s.URL+"?authToken="+secret)
			if healthy {
				t.Error("it is found well")
			}
			contains(t, text, "FAIL  server      ", c.want, "What to do: ", "not looked at, since server failed: protocols, ")
			if strings.Contains(text, secret) {
				t.Errorf("the token is shown:\n%s", text)
			}
		})
	}
}

func TestServerThatAsksForAToken(t *testing.T) {
	s := hranatest.NewServer(t, hranatest.Options{Token: "geheim"})
	healthy, text := diagnose(t, nil, s.URL())
	if healthy {
		t.Error("it is found well")
	}
	contains(t, text, "the server asks for a token", "TURSO_AUTH_TOKEN")
	if healthy, text = diagnose(t, nil, s.URL()+"?authToken=falsch"); healthy {
		t.Error("it is found well")
	}
	contains(t, text, "refuses the token")
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	healthy, text := diagnose(t, nil, "http://"+l.Addr().String())
	if healthy {
		t.Error("it is found well")
	}
	contains(t, text, "FAIL  TCP         no connection to "+l.Addr().String()+": refused", "start the server", "since TCP failed: TLS, ")
}

func TestNoSuchHost(t *testing.T) {
	// RFC 6761: a name in .invalid never exists.
	healthy, text := diagnose(t, nil, "libsql://no-such-database.invalid?authToken=geheim")
	if healthy {
		t.Error("it is found well")
	}
	contains(t, text, "FAIL  DNS ", "What to do: ", "since DNS failed: TCP, ")
}

func TestDSNs(t *testing.T) {
	for _, c := range []struct{ dsn, want string }{
		{"nonsense", "FAIL  DSN         cannot be read: URL: want :memory: or"},
		{"libsql://host?authToken=geheim&authtoken=geheim", "unknown parameter"},
		{"file:test.db", "not reached over a network"},
		{":memory:", "not reached over a network"},
	} {
		healthy, text := diagnose(t, nil, c.dsn)
		if healthy || strings.Contains(text, "geheim") {
			t.Errorf("%s is well:\n%s", c.dsn, text)
		}
		contains(t, text, c.want, "What to do: ")
	}
}

func TestEncodingThatTheServerHasNot(t *testing.T) {
	s := hranatest.NewServer(t, hranatest.Options{Profile: hranatest.Cloud})
	healthy, text := diagnose(t, nil, s.URL()+"?encoding=protobuf")
	if healthy {
		t.Error("it is found well")
	}
	contains(t, text, "FAIL  protocols", "encoding=protobuf")
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.EnableHTTP2 = true
	s.Config.ErrorLog = discard()
	s.StartTLS()
	defer s.Close()
	addr := s.Listener.Addr().String()

	_, text := diagnose(t, nil, "https://"+addr)
	contains(t, text, "FAIL  TLS         this machine does not trust")

	_, text = diagnose(t, nil, "http://"+addr)
	contains(t, text, "FAIL  server      the server speaks TLS at this port")

	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, text = diagnose(t, nil, "https://"+plain.Listener.Addr().String())
	contains(t, text, "FAIL  TLS         the server does not speak TLS")

	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for name, c := range map[string]struct{ server, want string }{
		"trusted":    {"", "ok    TLS         TLS 1.3 in "},
		"wrong name": {"other.example.org", "FAIL  TLS         certificate is valid for example.com, "},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := tursoopt.ParseDSN("https://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: c.server}
			var out bytes.Buffer
			if _, err := inspect(t.Context(), newPatient(cfg, false), 10*time.Second, &out); err != nil {
				t.Fatal(err)
			}
			contains(t, out.String(), c.want)
			if c.server == "" {
				contains(t, out.String(), "HTTP/2", "the certificate is for example.com", "no database there")
			}
		})
	}
}

func TestToken(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	for _, c := range []struct {
		token, want string
		expired     bool
	}{
		{"", "no token is given", false},
		{"opaque", "a token is given; it is not a JWT", false},
		{"a.b.c", "a token is given; it is not a JWT", false},
		{jwt(`{}`), "a token is given, a JWT that does not expire", false},
		{jwt(`{"a":"ro"}`), "a token is given, a JWT for reading only that does not expire", false},
		{jwt(fmt.Sprintf(`{"exp":%d}`, now.Unix()+60)), "a token is given, a JWT that expires at 2026-11-24T12:01:00Z", false},
		{jwt(fmt.Sprintf(`{"exp":%d}`, now.Unix()-60)), "a token is given, a JWT that expires at 2026-11-24T11:59:00Z", true},
	} {
		got := readToken(c.token)
		if got.String() != c.want || got.expired(now) != c.expired {
			t.Errorf("%q: %q, expired %v", c.token, got, got.expired(now))
		}
	}
}

func TestDSNWarnings(t *testing.T) {
	examine := func(dsn string, now time.Time) finding {
		cfg, err := tursoopt.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		p := newPatient(cfg, false)
		return p.examineDSN(now)
	}
	expired := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1000}`)) + ".c2ln"
	for _, c := range []struct {
		dsn    string
		want   status
		advice string
	}{
		{"https://db.example.org?authToken=t", ok, ""},
		{"http://127.0.0.1:8080?authToken=t", ok, ""},
		{"http://db.example.org?authToken=t", warning, "in the clear"},
		{"https://db.example.org?authToken=" + expired, warning, "has expired"},
		{"ws://db.example.org", ok, ""},
	} {
		f := examine(c.dsn, time.Now())
		if f.status != c.want || !strings.Contains(f.advice, c.advice) {
			t.Errorf("%s: %+v", c.dsn, f)
		}
	}
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }
