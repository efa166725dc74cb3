package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A script is what a server does with one connection.
type script func(conn net.Conn, r *bufio.Reader)

// serve runs a server that treats its i-th connection by the i-th script, and
// all that follow by the last one.
func serve(t testing.TB, scripts ...script) *Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for i := 0; ; i++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			run := scripts[min(i, len(scripts)-1)]
			wg.Go(func() {
				defer conn.Close()
				run(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return &Target{Addr: l.Addr().String()}
}

// request reads a whole request; false at the end of the connection.
func request(r *bufio.Reader) (*http.Request, string, bool) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, "", false
	}
	body, err := io.ReadAll(req.Body)
	return req, string(body), err == nil
}

// answering answers every request with the same bytes.
func answering(raw string) script {
	return func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, _, ok := request(r); !ok {
				return
			}
			io.WriteString(conn, raw)
		}
	}
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// A testPool counts what it dials.
type testPool struct {
	*Pool
	sockets Sockets
	end     context.CancelFunc
}

func (p *testPool) dials() int { n, _, _ := p.sockets.Counts(); return int(n) }

func (p *testPool) close() {
	p.end()
	p.Close()
	p.sockets.CloseAll()
}

// newPool dials by dial, or over TCP if that is nil.
func newPool(t testing.TB, dial func(ctx context.Context, addr string) (net.Conn, error)) *testPool {
	t.Helper()
	if dial == nil {
		dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	}
	life, end := context.WithCancel(context.Background())
	p := &testPool{end: end}
	p.Pool = NewPool(life, func(ctx context.Context, to *Target) (net.Conn, *Socket, error) {
		conn, err := dial(ctx, to.Addr)
		if err != nil {
			return nil, nil, err
		}
		sock := p.sockets.Track(conn)
		return sock, sock, nil
	})
	t.Cleanup(p.close)
	return p
}

func post(body string) *Request {
	head := AppendHead(nil, http.MethodPost, &url.URL{Scheme: "http", Host: "db.test", Path: "/v2/pipeline"}, "", http.Header{"X-A": {"1"}})
	return &Request{Head: head, Body: []byte(body)}
}

// do sends a request and reads the whole answer.
func do(t testing.TB, p *testPool, to *Target, req *Request) (int, string) {
	t.Helper()
	resp, _, err := p.Do(context.Background(), to, req)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	defer resp.Close()
	body, err := io.ReadAll(resp)
	if err != nil {
		t.Fatalf("body: %v after %q", err, body)
	}
	return resp.Status, string(body)
}

func TestWhatIsSent(t *testing.T) {
	got := make(chan string, 2)
	to := serve(t, func(conn net.Conn, r *bufio.Reader) {
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			got <- string(buf[:n])
			io.WriteString(conn, fine)
		}
	})
	p := newPool(t, nil)
	u, _ := url.Parse("http://user:pw@db.test:8080/name%2Fspace/v2?x=1")
	head := AppendHead(nil, http.MethodPost, u, "", http.Header{"B": {"2", "3"}, "A": {"1"}})
	do(t, p, to, &Request{Head: head, Body: []byte("hello")})
	want := "POST /name%2Fspace/v2?x=1 HTTP/1.1\r\nHost: db.test:8080\r\nA: 1\r\nB: 2\r\nB: 3\r\nContent-Length: 5\r\n\r\nhello"
	// One write, so that a small request is one segment and wakes the server once.
	if g := <-got; g != want {
		t.Errorf("sent\n%q, want\n%q", g, want)
	}
	do(t, p, to, &Request{Head: AppendHead(nil, http.MethodGet, u, "other.test", nil)})
	if g, want := <-got, "GET /name%2Fspace/v2?x=1 HTTP/1.1\r\nHost: other.test\r\n\r\n"; g != want {
		t.Errorf("sent\n%q, want\n%q", g, want)
	}
	if p.dials() != 1 {
		t.Errorf("%d connections for two requests", p.dials())
	}
}

func TestLargeBodyArrivesWhole(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", keepWrite/4)
	var sum atomic.Int64
	to := serve(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			_, got, ok := request(r)
			if !ok {
				return
			}
			if got == body {
				sum.Add(1)
			}
			io.WriteString(conn, fine)
		}
	})
	p := newPool(t, nil)
	for range 3 {
		do(t, p, to, post(body))
	}
	if sum.Load() != 3 || p.dials() != 1 {
		t.Errorf("%d of 3 bodies were whole, over %d connections", sum.Load(), p.dials())
	}
	_, sent, received := p.sockets.Counts()
	if want := uint64(3 * (len(body) + len(post("").Head) + len("Content-Length: 131072\r\n\r\n"))); sent != want {
		t.Errorf("counted %d bytes sent, want %d", sent, want)
	}
	if want := uint64(3 * len(fine)); received != want {
		t.Errorf("counted %d bytes received, want %d", received, want)
	}
}

// A request whose connection cannot be written to has not been sent, and goes
// out again on another if the first had been used before.
func TestFailedWrite(t *testing.T) {
	to := serve(t, answering(fine))
	var broken atomic.Bool
	p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &brittleConn{Conn: conn, broken: &broken}, err
	})
	do(t, p, to, post("a"))
	broken.Store(true)
	gate := &countingGate{}
	req := post("b")
	req.Gate = gate
	if status, _ := do(t, p, to, req); status != 200 {
		t.Errorf("status %d", status)
	}
	if gate.opened != 2 || gate.reopened != 1 || p.dials() != 2 {
		t.Errorf("opened %d, reopened %d, %d dials: want 2, 1, 2", gate.opened, gate.reopened, p.dials())
	}
	// The gate may refuse.
	broken.Store(true)
	gate = &countingGate{refuse: true}
	req.Gate = gate
	if _, sent, err := p.Do(context.Background(), to, req); err == nil || sent {
		t.Errorf("sent %v, error %v", sent, err)
	}
	if gate.opened != 1 || p.dials() != 2 {
		t.Errorf("opened %d, %d dials: want 1, 2", gate.opened, p.dials())
	}
}

// A brittleConn fails to write once when broken is set.
type brittleConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c *brittleConn) Write(p []byte) (int, error) {
	if c.broken.CompareAndSwap(true, false) {
		c.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

type countingGate struct {
	opened, reopened int
	refuse           bool
}

func (g *countingGate) Open() bool   { g.opened++; return true }
func (g *countingGate) Reopen() bool { g.reopened++; return !g.refuse }

type shutGate struct{}

func (shutGate) Open() bool   { return false }
func (shutGate) Reopen() bool { return false }

func TestGateKeepsTheRequestBack(t *testing.T) {
	var requests atomic.Int32
	to := serve(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, _, ok := request(r); !ok {
				return
			}
			requests.Add(1)
			io.WriteString(conn, fine)
		}
	})
	p := newPool(t, nil)
	req := post("a")
	req.Gate = shutGate{}
	if _, sent, err := p.Do(context.Background(), to, req); err != ErrGate || sent {
		t.Errorf("sent %v, error %v", sent, err)
	}
	do(t, p, to, post("b"))
	if requests.Load() != 1 || p.dials() != 1 {
		t.Errorf("%d requests over %d connections, want 1 over 1", requests.Load(), p.dials())
	}
}

// A write that fails on a connection nobody had used is not repeated: the server
// is not there, and might never be.
func TestFailedWriteOnFreshConnection(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	to := serve(t, answering(fine))
	p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &brittleConn{Conn: conn, broken: &broken}, err
	})
	if _, sent, err := p.Do(context.Background(), to, post("a")); !errors.Is(err, io.ErrClosedPipe) || sent {
		t.Errorf("sent %v, error %v", sent, err)
	}
}

// A server that will not have a large request says so and hangs up while it is
// still being sent.
func TestAnswerBeforeTheRequestIsWhole(t *testing.T) {
	to := serve(t, func(conn net.Conn, r *bufio.Reader) {
		r.ReadString('\n')
		io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, r) // a close with data unread would be a reset
	})
	p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &failAfterFirst{Conn: conn}, err
	})
	status, body := do(t, p, to, post(strings.Repeat("x", 4*keepWrite)))
	if status != 413 || body != "large" {
		t.Errorf("got %d %q", status, body)
	}
}

// failAfterFirst breaks after its first write, once the other side has answered.
type failAfterFirst struct {
	net.Conn
	writes int
}

func (c *failAfterFirst) Write(p []byte) (int, error) {
	if c.writes++; c.writes > 1 {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func TestContextEndsWhileWaitingForAnAnswer(t *testing.T) {
	arrived := make(chan struct{})
	gone := make(chan error, 1)
	to := serve(t, func(conn net.Conn, r *bufio.Reader) {
		request(r)
		close(arrived)
		_, err := r.ReadByte()
		gone <- err
	})
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if _, sent, err := p.Do(ctx, to, post("a")); err == nil || !sent {
		t.Errorf("sent %v, error %v", sent, err)
	}
	if err := <-gone; err == nil {
		t.Error("the connection is still open")
	}
}

func TestContextEndsWhileTheBodyArrives(t *testing.T) {
	gone := make(chan error, 1)
	to := serve(t, func(conn net.Conn, r *bufio.Reader) {
		request(r)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive.")
		_, err := r.ReadByte()
		gone <- err
	})
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	resp, _, err := p.Do(ctx, to, post("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	buf := make([]byte, 5)
	if _, err := io.ReadFull(resp, buf); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := resp.Read(buf); err == nil {
		t.Errorf("read %d bytes more", n)
	}
	if err := <-gone; err == nil {
		t.Error("the connection is still open")
	}
}

// A context that ends when all has been read does no harm to the next request on
// the connection, and one that ended before Close has taken the connection along.
func TestContextEndsAfterTheAnswer(t *testing.T) {
	to := serve(t, answering(fine))
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	resp, _, err := p.Do(ctx, to, post("a"))
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(resp)
	resp.Close()
	cancel()
	do(t, p, to, post("b"))
	if p.dials() != 1 {
		t.Errorf("%d connections, want 1", p.dials())
	}
	ctx, cancel = context.WithCancel(context.Background())
	if resp, _, err = p.Do(ctx, to, post("c")); err != nil {
		t.Fatal(err)
	}
	io.ReadAll(resp)
	cancel()
	resp.Close()
	resp.Close()
	do(t, p, to, post("d"))
	if p.dials() != 2 {
		t.Errorf("%d connections, want 2", p.dials())
	}
}

// tlsPool speaks TLS to a server of httptest.
func tlsPool(t *testing.T, srv *httptest.Server) (*testPool, *Target) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	sessions := tls.NewLRUClientSessionCache(1) // without one no tickets are sent
	life, end := context.WithCancel(context.Background())
	p := &testPool{end: end}
	p.Pool = NewPool(life, func(ctx context.Context, to *Target) (net.Conn, *Socket, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.Addr)
		if err != nil {
			return nil, nil, err
		}
		sock := p.sockets.Track(conn)
		tc := tls.Client(sock, &tls.Config{RootCAs: roots, ServerName: "example.com", ClientSessionCache: sessions})
		return tc, sock, tc.HandshakeContext(ctx)
	})
	t.Cleanup(p.close)
	return p, &Target{Addr: srv.Listener.Addr().String(), TLS: true}
}

// Session tickets arrive when nobody has asked for anything, and must not cost
// the connection; the server's farewell must.
func TestTLSConnectionIsReusedUntilItIsClosed(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	}))
	srv.StartTLS()
	defer srv.Close()
	p, to := tlsPool(t, srv)
	for range 5 {
		if _, body := do(t, p, to, post("a")); body != "ok" {
			t.Fatalf("body %q", body)
		}
	}
	if p.dials() != 1 {
		t.Errorf("%d connections for 5 requests", p.dials())
	}
	srv.CloseClientConnections()
	awaitArrival(t, p, to)
	do(t, p, to, post("b"))
	if p.dials() != 2 {
		t.Errorf("%d connections after the server closed the first, want 2", p.dials())
	}
}

// A connection that somebody else has dialled lies idle while its session tickets
// arrive.
func TestTLSTicketsOnAnIdleConnection(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	// Go sends the tickets behind its own part of the handshake, unless it asks
	// for a certificate: then after the client's part, as OpenSSL does.
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	defer srv.Close()
	p, to := tlsPool(t, srv)
	conn, sock, err := p.dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	p.Add(to, conn, sock)
	awaitArrival(t, p, to)
	if _, body := do(t, p, to, post("a")); body != "ok" || p.dials() != 1 {
		t.Errorf("%q over %d connections", body, p.dials())
	}
}
