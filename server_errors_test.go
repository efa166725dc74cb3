package tursoopt_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

const secret = "a-token-that-nobody-may-see"

// answering is a server that answers everything in one way.
func answering(t testing.TB, answer http.HandlerFunc) *httptest.Server {
	srv := httptest.NewUnstartedServer(answer)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func say(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// failing is what a DSN that cannot work has to say, whichever call comes first.
func failing(t testing.TB, name string, db *sql.DB, status int, says ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for call, do := range map[string]func() error{
		"ping":  func() error { return db.PingContext(ctx) },
		"exec":  func() error { _, err := db.ExecContext(ctx, "INSERT INTO t VALUES (1)"); return err },
		"query": func() error { return db.QueryRowContext(ctx, "SELECT 1").Scan(new(int)) },
		"begin": func() error {
			_, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
			return err
		},
		"transaction": func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer tx.Rollback()
			_, err = tx.ExecContext(ctx, "INSERT INTO t VALUES (1)")
			return err
		},
	} {
		err := do()
		x := asError(err)
		if x == nil || x.HTTPStatus != status {
			t.Errorf("%s, %s: %v", name, call, err)
			continue
		}
		for _, want := range says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: %v does not say %q", name, call, err, want)
			}
		}
		if text := fmt.Sprintf("%v %+v %#v", err, x, x); strings.Contains(text, secret) {
			t.Errorf("%s, %s: %s tells the token", name, call, text)
		}
	}
}

func openDSN(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("turso-opt", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Each way in which a server is not the one that was meant is a clear error.
func TestServerErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		status int
		says   []string
	}{
		{"no token", say(401, "application/json", `{"error":"Unauthorized: Expected authorization header but none given"}`), 401, []string{"Unauthorized", "none given"}},
		{"read-only token", say(403, "application/json", `{"error":"Authorization forbidden: Current session doesn't have Write permission to namespace default"}`), 403, []string{"Write permission"}},
		{"no such database", say(404, "application/json", `{"error":"Namespace doesn't exist"}`), 404, []string{"Namespace doesn't exist", "URL"}},
		{"a path that is not there", say(404, "text/plain", "404 page not found"), 404, []string{"404", "URL"}},
		{"too many", say(429, "application/json", `{"error":"Timed out while opening database connection"}`, "Retry-After", "3600"), 429, []string{"429", "Timed out"}},
		{"broken", say(500, "application/json", `{"error":"Internal error"}`), 500, []string{"500", "Internal error"}},
		{"a proxy's page", say(502, "text/html", "<html><head><title>Bad Gateway</title></head></html>"), 502, []string{"502", "web page", "Bad Gateway"}},
		{"overloaded", say(503, "text/plain", "come again"), 503, []string{"503", "come again"}},
		{"moved", say(301, "text/plain", "", "Location", "https://elsewhere.example/x"), 301, []string{"301", "redirects", "elsewhere.example"}},
		{"a web page", say(200, "text/html; charset=utf-8", "<!doctype html><html><title>Welcome</title></html>"), 0, []string{"not speak Hrana", "text/html"}},
		{"other JSON", say(200, "application/json", `{"hello":"world"}`), 0, []string{"server"}},
		{"not JSON", say(200, "application/json", "\x00\x01\x02"), 0, []string{"server"}},
		{"nothing", say(200, "application/json", ""), 0, []string{"server"}},
		{"half of it", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"baton":null,"base_url":null,"results":[`)
		}, 0, []string{"before the answer was complete"}},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, []string{"connection"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := answering(t, c.answer)
			for _, params := range []string{"encoding=json", "encoding=protobuf", "encoding=auto"} {
				failing(t, c.name+" "+params, openDSN(t, srv.URL+"?authToken="+secret+"&"+params), c.status, c.says...)
			}
		})
	}
}

// The token goes to the server and nowhere else.
func TestServerToken(t *testing.T) {
	server := hranatest.NewServer(t, hranatest.Options{Token: secret})
	for _, token := range []string{"", "wrong-" + secret} {
		failing(t, "token "+token, openDSN(t, withParams(server.URL(), "authToken="+token)), 401, "Unauthorized")
	}
	db := openDSN(t, withParams(server.URL(), "authToken="+secret))
	if n := queryInt(t, db, "SELECT 7"); n != 7 {
		t.Error(n)
	}
}

// Where there is no server at all, the error says where it was looked for.
func TestServerUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	failing(t, "nobody listens", openDSN(t, "http://"+closed+"?authToken="+secret), 0, closed, "refused")
	failing(t, "no such name", openDSN(t, "http://no-such-host.invalid:8080?authToken="+secret), 0, "no-such-host.invalid")

	for _, dsn := range []string{"ftp://host/db", "libsql//host", "http://", "http://host:port", "//host", "host"} {
		if db, err := sql.Open("turso-opt", dsn+"?authToken="+secret); err == nil {
			db.Close()
			t.Errorf("%s is accepted", dsn)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%v tells the token", err)
		}
	}
	if _, err := sql.Open("turso-opt", "http://host?autoToken="+secret); err == nil ||
		!strings.Contains(err.Error(), "authToken") || strings.Contains(err.Error(), secret) {
		t.Errorf("an unknown parameter: %v", err)
	}
}

// TLS where there is none, none where there is, and a certificate that nobody
// trusts are told apart.
func TestServerTLS(t *testing.T) {
	plain := answering(t, say(200, "text/plain", ""))
	secure := httptest.NewUnstartedServer(say(401, "application/json", `{"error":"Unauthorized"}`))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)

	failing(t, "TLS to a plain server", openDSN(t, strings.Replace(plain.URL, "http:", "https:", 1)), 0, "TLS")
	failing(t, "plain to a TLS server", openDSN(t, strings.Replace(secure.URL, "https:", "http:", 1)), 400, "HTTPS")
	failing(t, "an unknown certificate", openDSN(t, secure.URL), 0, "certificate")

	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	for name, c := range map[string]struct {
		config *tls.Config
		status int
		says   string
	}{
		"a certificate for another host": {&tls.Config{RootCAs: pool, ServerName: "other.example"}, 0, "other.example"},
		"as it should be":                {&tls.Config{RootCAs: pool}, 401, "Unauthorized"},
	} {
		for _, cfg := range []tursoopt.Config{
			{URL: secure.URL, TLSConfig: c.config},
			{URL: secure.URL, Shared: newShared(t, tursoopt.SharedConfig{TLSConfig: c.config})},
		} {
			db, err := tursoopt.OpenDB(&cfg)
			if err != nil {
				t.Fatal(err)
			}
			failing(t, name, db, c.status, c.says)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
