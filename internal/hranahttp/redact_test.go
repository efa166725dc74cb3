package hranahttp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	osexec "os/exec"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

const (
	theToken    = "eyJhbGciOi.t0ken"
	theKey      = "k3y-k3y-k3y"
	thePassword = "pa ss/w0rd"
	proxyPasswd = "pr0xy-w0rd"
)

// everything is all text that an error leads to.
func everything(err error) string {
	var b strings.Builder
	for e := err; e != nil; e = errors.Unwrap(e) {
		fmt.Fprintf(&b, "%v\n%+v\n%#v\n", e, e, e)
	}
	return b.String()
}

func checkSecrets(t *testing.T, where, text string) {
	t.Helper()
	for _, s := range []string{theToken, theKey, thePassword, "pa%20ss", "pa+ss", "dXNlcjpwYSBzcy93MHJk", proxyPasswd} {
		if strings.Contains(text, s) {
			t.Errorf("%s holds %q: %s", where, s, text)
		}
	}
}

// A server, or whatever stands in its place, may throw back at us all we sent.
func TestSecretsAreInNoError(t *testing.T) {
	echo := func(r *http.Request) string { return fmt.Sprint(r.Header, " for ", r.Host) }
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"401": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusUnauthorized) },
		"500": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"error":%q}`, echo(r)) },
		"json": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, fmt.Sprintf(`{"error":%q}`, echo(r)), http.StatusInternalServerError)
		},
		"page": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "<title>%s</title>", echo(r))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://"+url.UserPassword("user", thePassword).String()+"@"+theToken+"/"+theKey)
			w.WriteHeader(http.StatusFound)
		},
		"content type": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "x/"+theToken)
			io.WriteString(w, echo(r))
		},
		"no Hrana": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"baton":"`+theToken+`"} `+echo(r)) },
		"reset": func(w http.ResponseWriter, r *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			io.WriteString(conn, "HTTP/1.1 200 "+theToken+"\r\n"+theKey+"\r\n\r\n")
			conn.Close()
		},
	} {
		for _, m := range modes {
			if name == "reset" && m.name == "h2" {
				continue // it has no status line
			}
			t.Run(name+"/"+m.name, func(t *testing.T) {
				var log bytes.Buffer
				c := m.client(t, &fake{before: func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }}, func(cfg *Config) {
					cfg.URL.User = url.UserPassword("user", thePassword)
					cfg.EncryptionKey = theKey
					cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					cfg.Token = func(context.Context) (string, error) { return theToken, nil }
				})
				e := fails(t, c)
				checkSecrets(t, "error", everything(e))
				_, err := c.Cursor(context.Background(), c.Home(), V3JSON, &hrana.CursorReq{}, Expect{})
				if err == nil {
					t.Fatal("a cursor")
				}
				checkSecrets(t, "cursor's error", everything(err))
				c.AwaitLevel(context.Background())
				checkSecrets(t, "log", log.String())
			})
		}
	}
}

func TestSecretsOfAURLThatCannotBeReached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	via := &url.URL{Scheme: "http", Host: addr, User: url.UserPassword("user", proxyPasswd)}
	for name, proxy := range map[string]func(*http.Request) (*url.URL, error){
		"direct":      noProxy,
		"proxy":       func(*http.Request) (*url.URL, error) { return via, nil },
		"bad proxy":   func(*http.Request) (*url.URL, error) { return nil, fmt.Errorf("invalid proxy address %q", via) },
		"socks proxy": func(*http.Request) (*url.URL, error) { v := *via; v.Scheme = "socks5"; return &v, nil },
	} {
		t.Run(name, func(t *testing.T) {
			for _, scheme := range []string{"http", "https"} {
				c := newProxiedClient(t, scheme+"://user:pa%20ss%2Fw0rd@"+addr, proxy, nil)
				e := fails(t, c)
				checkSecrets(t, "error", everything(e))
				if e.Proof != exec.NotExecuted || e.Source != exec.FromTransport {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// net/http quotes what it cannot read.
func TestSecretsThatNetHTTPQuotes(t *testing.T) {
	// It reads the whole request first: otherwise what is told may be that the rest
	// of it could not be written.
	via := &url.URL{Scheme: "http", Host: rawServer(t, func(conn net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.Copy(io.Discard, req.Body)
		}
		io.WriteString(conn, "HTTP/1.1 "+theToken+"\r\n\r\n")
	})}
	c := newProxiedClient(t, "http://db.test", func(*http.Request) (*url.URL, error) { return via, nil }, func(cfg *Config) {
		cfg.Token = func(context.Context) (string, error) { return theToken, nil }
	})
	e := fails(t, c)
	checkSecrets(t, "error", everything(e))
	if !strings.Contains(e.Error(), "[redacted]") {
		t.Errorf("reads %q, so the test tests nothing", e)
	}
}

func TestRedactLeavesOrdinaryTextAlone(t *testing.T) {
	c := newTestClient(t, "http://a:b@db.test", func(cfg *Config) {
		cfg.EncryptionKey = "ok"
		cfg.Token = func(context.Context) (string, error) { return "", nil }
	})
	const text = "look, a table b"
	if got := c.redact(text); got != text {
		t.Errorf("%q", got)
	}
	err := io.ErrUnexpectedEOF
	if c.redacted(err) != err {
		t.Error("an error without secrets is not itself any more")
	}
}

// HTTP_PROXY is read once in a process, so the test runs itself again with it.
func TestEnvironmentProxy(t *testing.T) {
	if target := os.Getenv("HRANAHTTP_TEST_TARGET"); target != "" {
		u, _ := url.Parse(target)
		var c *Client
		if os.Getenv("HRANAHTTP_TEST_DIAL") == "" {
			c = New(Config{URL: u, Host: os.Getenv("HRANAHTTP_TEST_HOST")})
		} else {
			c = New(Config{URL: u, TransportConfig: TransportConfig{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != u.Host+":80" {
					t.Errorf("dial %s", addr)
				}
				return (&net.Dialer{}).DialContext(ctx, network, os.Getenv("HRANAHTTP_TEST_DIAL"))
			}}})
		}
		ask(t, c)
		c.Close()
		return
	}
	f := &fake{}
	srv := startServer(t, f)
	via := &fake{}
	proxy := startServer(t, via)
	run := func(env ...string) {
		t.Helper()
		cmd := osexec.Command(os.Args[0], "-test.run=^TestEnvironmentProxy$")
		cmd.Env = append(os.Environ(), append(env, "HTTP_PROXY="+proxy.URL, "NO_PROXY=direct.test")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run("HRANAHTTP_TEST_TARGET=http://db.test")
	if via.posts() != 1 || via.requests()[0].host != "db.test" {
		t.Errorf("the proxy got %+v", via.requests())
	}
	// A dialler of the user's own is the way to the server.
	n := len(via.requests())
	run("HRANAHTTP_TEST_TARGET=http://db.test", "HRANAHTTP_TEST_DIAL="+srv.Listener.Addr().String())
	if len(via.requests()) != n || f.posts() == 0 {
		t.Error("the proxy was used all the same")
	}
	// So is the proxy that the DSN names. (0.0.0.0 is this machine, but not loopback.)
	m := f.posts()
	other := startServer(t, f)
	run("HRANAHTTP_TEST_TARGET=http://0.0.0.0:"+other.URL[strings.LastIndex(other.URL, ":")+1:], "HRANAHTTP_TEST_HOST=db.test")
	if len(via.requests()) != n || f.posts() != m+1 {
		t.Error("the proxy was used in place of the one that is given")
	}
	n = f.posts()
	run("HRANAHTTP_TEST_TARGET=" + srv.URL) // loopback never goes through a proxy
	if f.posts() != n+1 || via.posts() != 1 {
		t.Error("the proxy was used for loopback")
	}
}
