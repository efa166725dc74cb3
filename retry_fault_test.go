package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"regexp"
	"sync"
	"syscall"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A troublemaker has the requests that hold a text fail, some of them, on the way
// to the server or there, and counts them all. It is both the dialler of a Config
// and a proxy in front of the server.
type troublemaker struct {
	proxy *httputil.ReverseProxy

	mu   sync.Mutex
	text string
	left int // that are to fail; below 0 all
	sent int // requests with the text, and dials that failed
	// What the failure is: one of these.
	answer func(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc)
	dial   error
	write  func(c net.Conn, p []byte) (int, error)

	// onStream has only requests fail that go on with a stream.
	onStream bool
}

// troubled puts a troublemaker in front of the env's server.
func (e *env) troubled(t testing.TB) *troublemaker {
	t.Helper()
	m := &troublemaker{proxy: e.relay(t)}
	srv := httptest.NewUnstartedServer(m)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	e.url = srv.URL
	return m
}

// strike begins: times requests with text fail, below 0 all. If it is dialling that
// fails, the connections that are there look as if they were closed, so that who
// comes next has to dial.
func (m *troublemaker) strike(text string, times int) {
	m.mu.Lock()
	m.text, m.left, m.sent = text, times, 0
	m.mu.Unlock()
}

// stop ends the failures and tells how many requests there were.
func (m *troublemaker) stop() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.text = 0, ""
	return m.sent
}

// A place is where on its way a request fails.
type place uint8

const (
	atServer place = iota
	inDial
	inWrite
)

// place is called with the lock held.
func (m *troublemaker) place() place {
	switch {
	case m.dial != nil:
		return inDial
	case m.write != nil:
		return inWrite
	}
	return atServer
}

// strikes notes a request, and tells whether it is to fail.
func (m *troublemaker) strikes(where place, body []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.text == "" || m.place() != where || body != nil && !bytes.Contains(body, []byte(m.text)) {
		return false
	}
	if where != inDial || m.left != 0 {
		m.sent++
	}
	if m.left == 0 || m.onStream && !bytes.Contains(body, []byte(`"baton":"`)) {
		return false
	}
	m.left--
	return true
}

// Dial is a Config's DialContext.
func (m *troublemaker) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if m.strikes(inDial, nil) {
		return nil, m.dial
	}
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &troubledConn{Conn: c, m: m}, nil
}

// A troubledConn breaks where it is told to. It is a syscall.Conn since the driver
// looks whether a connection is still open.
type troubledConn struct {
	net.Conn
	m *troublemaker
}

func (c *troubledConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	return &troubledRaw{raw, c.m}, err
}

type troubledRaw struct {
	syscall.RawConn
	m *troublemaker
}

func (r *troubledRaw) Read(f func(fd uintptr) bool) error {
	r.m.mu.Lock()
	gone := r.m.dial != nil && r.m.left != 0
	r.m.mu.Unlock()
	if gone {
		return net.ErrClosed
	}
	return r.RawConn.Read(f)
}

func (c *troubledConn) Write(p []byte) (int, error) {
	if c.m.strikes(inWrite, p) {
		return c.m.write(c.Conn, p)
	}
	return c.Conn.Write(p)
}

func (m *troublemaker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !m.strikes(atServer, body) {
		m.countDialled(body)
		m.proxy.ServeHTTP(w, r)
		return
	}
	m.mu.Lock()
	answer := m.answer
	m.mu.Unlock()
	answer(w, r, m.proxy.ServeHTTP)
}

// countDialled counts a request for which dialling has succeeded, where dials are
// what is counted.
func (m *troublemaker) countDialled(body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dial != nil && m.text != "" && bytes.Contains(body, []byte(m.text)) {
		m.sent++
	}
}

// The ways to answer badly.

func answered(status int, contentType, body string, header ...string) *troublemaker {
	return &troublemaker{answer: func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		say(status, contentType, body, header...)(w, r)
	}}
}

// refusedBaton is an answer to the baton that a request has.
func refusedBaton(status int, contentType, text string) *troublemaker {
	m := answered(status, contentType, text)
	m.onStream = true
	return m
}

// abort breaks the connection instead of an answer.
func abort(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
	panic(http.ErrAbortHandler)
}

// abortAfter does so when the server has executed the request.
func abortAfter(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
	pass(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// halfAnswer breaks the connection in the middle of the answer.
func halfAnswer(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
	rec := httptest.NewRecorder()
	pass(rec, r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
	_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func notHrana(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
	pass(httptest.NewRecorder(), r)
	say(200, "application/json", "\x00\x01")(w, r)
}

var errorInAnswer = regexp.MustCompile(`"message":"[^"]*","code":"[A-Z_]*"`)

// stmtFails has the statement, or the BEGIN IMMEDIATE before it, fail with a code
// of the server's.
func stmtFails(message, code string) *troublemaker {
	return &troublemaker{answer: func(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
		body, _ := io.ReadAll(r.Body)
		for _, text := range []string{"BEGIN IMMEDIATE", victim, "SELECT 9"} {
			if bytes.Contains(body, []byte(text)) {
				body = bytes.ReplaceAll(body, []byte(text), []byte("SELECT abs(-9223372036854775807 - 1)"))
				break
			}
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		rec := httptest.NewRecorder()
		pass(rec, r)
		text := errorInAnswer.ReplaceAllString(rec.Body.String(), `"message":"`+message+`","code":"`+code+`"`)
		say(rec.Code, rec.Header().Get("Content-Type"), text)(w, r)
	}}
}

// as takes over what kind of trouble another makes.
func (m *troublemaker) as(kind *troublemaker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer, m.dial, m.write, m.onStream = kind.answer, kind.dial, kind.write, kind.onStream
}

// openTroubled opens the env's database through a troublemaker and a tap behind
// it, known to speak JSON, with a table t that is empty.
func openTroubled(t *testing.T, e *env, change func(*tursoopt.Config)) (*jam, *troublemaker) {
	t.Helper()
	j := &jam{t: t, e: e, tap: e.tapped(t)}
	m := e.troubled(t)
	cfg, err := tursoopt.ParseDSN(e.dsn("encoding=json", "keepalive=0", "group_commit=on", "lanes=1"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.DialContext = m.Dial
	change(cfg)
	c, err := tursoopt.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	j.db = sql.OpenDB(c)
	t.Cleanup(func() {
		if err := j.db.Close(); err != nil {
			t.Error(err)
		}
	})
	mustExec(t, j.db, "CREATE TABLE t (a)")
	mustExec(t, j.db, "CREATE TABLE jam (a)")
	await(t, "the protocol is negotiated", func() bool { return tursoopt.Negotiated(j.db) })
	return j, m
}
