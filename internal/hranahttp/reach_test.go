package hranahttp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// rawServer does the same with every connection.
func rawServer(t *testing.T, serve func(conn net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn); conn.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// saying answers anything with the same bytes.
func saying(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, answer)
		// A close with data unread would be a reset.
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
	}
}

// Whatever a wrong URL leads to, the error says what is wrong, and that nothing
// was executed where that is sure.
func TestWrongServers(t *testing.T) {
	plain := startServer(t, &fake{})
	overTLS, roots := startTLS(t, &fake{}, true)
	host := func(rawURL string) string { return rawURL[strings.Index(rawURL, "://")+3:] }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	noHost := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "db.invalid", IsNotFound: true}}
	}
	for name, c := range map[string]struct {
		url    string
		change func(*Config)
		proof  exec.Proof
		source exec.Source
		text   []string
	}{
		"nobody listens": {url: "http://" + nobody, proof: exec.NotExecuted, source: exec.FromTransport,
			text: []string{"connecting to the server: dial tcp " + nobody, "refused"}},
		"nobody listens, TLS": {url: "https://" + nobody, proof: exec.NotExecuted, source: exec.FromTransport,
			text: []string{"connecting to the server: dial tcp " + nobody, "refused"}},
		"no such host": {url: "http://db.invalid", change: func(cfg *Config) { cfg.Dial = noHost }, proof: exec.NotExecuted, source: exec.FromTransport,
			text: []string{"connecting to the server: ", "lookup db.invalid: no such host"}},
		"TLS to a plain port": {url: "https://" + host(plain.URL), proof: exec.NotExecuted, source: exec.FromTransport,
			text: []string{"the server does not speak TLS on this port", "http://", "tls=0"}},
		"plain to a TLS port of Go": {url: "http://" + host(overTLS.URL), proof: exec.OutcomeUnknown, source: exec.FromServer,
			text: []string{"HTTP 400: Client sent an HTTP request to an HTTPS server."}},
		"plain to a TLS port of others": {url: "http://" + rawServer(t, saying("\x15\x03\x01\x00\x02\x02\x46")), proof: exec.NotExecuted, source: exec.FromTransport,
			text: []string{"the URL is for HTTP without TLS: the server speaks TLS on this port"}},
		"unknown authority": {url: overTLS.URL, proof: exec.NotExecuted, source: exec.FromTransport,
			text: []string{"connecting to the server: tls: failed to verify certificate"}},
		"certificate of another host": {url: overTLS.URL, change: func(cfg *Config) { cfg.TLS = &tls.Config{RootCAs: roots.RootCAs, ServerName: "db.turso.io"} },
			proof: exec.NotExecuted, source: exec.FromTransport, text: []string{"certificate is valid for", "not db.turso.io"}},
		"SSH": {url: "http://" + rawServer(t, saying("SSH-2.0-OpenSSH_9.9\r\n")), proof: exec.OutcomeUnknown, source: exec.FromTransport,
			text: []string{"the answer is not HTTP"}},
		"hangs up": {url: "http://" + rawServer(t, saying("")), proof: exec.OutcomeUnknown, source: exec.FromTransport,
			text: []string{"the connection broke before the answer was complete"}},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newTestClient(t, c.url, c.change)
			e := fails(t, cl)
			if e.Proof != c.proof || e.Source != c.source {
				t.Errorf("%+v", e)
			}
			for _, s := range c.text {
				if !strings.Contains(e.Error(), s) {
					t.Errorf("reads %q, without %q", e, s)
				}
			}
			if n := cl.Counters(); n.Requests != 1 || n.Failed != 1 {
				t.Errorf("%+v", n)
			}
		})
	}
}

// A server that takes connections and says nothing costs no more than
// ConnectTimeout, which is not the caller's own time limit.
func TestConnectTimeout(t *testing.T) {
	for name, scheme := range map[string]string{"dial": "http", "handshake": "https"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var held []net.Conn
				c := newTestClient(t, scheme+"://db.test", func(cfg *Config) {
					cfg.ConnectTimeout = 3 * time.Second
					cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
						if scheme == "http" {
							<-ctx.Done()
							return nil, ctx.Err()
						}
						client, server := net.Pipe()
						held = append(held, server)
						go io.Copy(io.Discard, server)
						return client, nil
					}
				})
				begin := time.Now()
				e := fails(t, c)
				if d := time.Since(begin); d != 3*time.Second {
					t.Errorf("returned after %v", d)
				}
				if e.Proof != exec.NotExecuted || e.Source != exec.FromTransport || errors.Is(e, context.DeadlineExceeded) {
					t.Errorf("%+v", e)
				}
				var netErr net.Error
				if !errors.As(e, &netErr) || !netErr.Timeout() || !strings.Contains(e.Error(), "connect_timeout") {
					t.Errorf("reads %q", e)
				}
				c.Close()
				for _, conn := range held {
					conn.Close()
				}
			})
		})
	}
}

// A unix socket, whatever the URL's host says.
func TestDialOfTheUsersOwn(t *testing.T) {
	path := t.TempDir() + "/db.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	srv := &http.Server{Handler: f}
	go srv.Serve(l)
	defer srv.Close()
	c := newTestClient(t, "http://db.internal/ns", func(cfg *Config) {
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != "db.internal:80" {
				t.Errorf("dial %s %s", network, addr)
			}
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	})
	fails(t, c) // the fake has no namespace
	if r := f.requests()[0]; r.host != "db.internal" || r.path != "/ns/v2/pipeline" {
		t.Errorf("%+v", r)
	}
	// An idle connection is looked at here too.
	if n := c.Counters().Dials; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Names that a Host header cannot hold as they are go through net/http, which
// knows how to write them.
func TestHostBeyondASCII(t *testing.T) {
	f := &fake{}
	srv := startServer(t, f)
	c := newTestClient(t, "http://dätenbank.test", func(cfg *Config) {
		cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
		}
	})
	ask(t, c)
	if got := f.requests()[0].host; got != "xn--dtenbank-0za.test" {
		t.Errorf("Host %q", got)
	}
}
