package tursoopt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// A tap stands between the driver and the server of an env. It counts and keeps
// the requests that carry statements, and can hold one of them where a test
// wants it: before the server sees it, or when the server has answered.
type tap struct {
	proxy *httputil.ReverseProxy

	mu    sync.Mutex
	seen  [][]byte
	holds []*hold
	spent bool // see spend
}

// connPings are what a ping of a connection says, in JSON and in protobuf: a new
// stream that is closed at once. They carry no statement, and end none's stream.
var connPings = []string{`{"requests":[{"type":"close"}]}`, "\x12\x02\x0a\x00"}

// A hold waits for one request whose body contains text.
type hold struct {
	text    string
	after   bool          // the server has answered
	reached chan struct{} // closed when the request is held
	left    chan struct{} // closed when the client has closed the connection of a held request
	over    chan struct{} // closed when the exchange with the server has ended
	verdict chan bool     // whether it goes on or its connection is broken
}

// relay hands requests on to the env's server as they are. A server that is down is
// a broken connection, not a 502.
func (e *env) relay(t testing.TB) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// tapped puts a tap in front of the env's server: whoever opens the env from
// then on goes through it.
func (e *env) tapped(t testing.TB) *tap {
	t.Helper()
	p := &tap{proxy: e.relay(t)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Aborted requests are what tests are about, and nothing to log.
	srv := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(listener) })
	t.Cleanup(func() {
		_ = srv.Close()
		serving.Wait()
	})
	e.url = "http://" + listener.Addr().String()
	return p
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		p.proxy.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	h := p.take(body)
	if body, err = p.inserted(body, r); err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if h == nil {
		p.proxy.ServeHTTP(w, r)
		return
	}
	defer close(h.over)
	if !h.after {
		h.wait(r)
		p.proxy.ServeHTTP(w, r)
		return
	}
	// The exchange with the server does not end with the client's.
	answer := httptest.NewRecorder()
	p.proxy.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
	h.wait(r)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// take notes a request and gives the hold that is for it.
func (p *tap) take(body []byte) *hold {
	if slices.ContainsFunc(connPings, func(ping string) bool { return string(body) == ping }) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, body)
	for i, h := range p.holds {
		if bytes.Contains(body, []byte(h.text)) {
			p.holds = slices.Delete(p.holds, i, i+1)
			return h
		}
	}
	return nil
}

// spend has a statement run on the stream of the next request before it, and
// throws its answer away: what a server tells once is told to nobody. The request
// must be in JSON.
func (p *tap) spend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = true
}

// inserted runs the statement that spend has asked for, and gives the request
// with the stream's next baton.
func (p *tap) inserted(body []byte, r *http.Request) ([]byte, error) {
	p.mu.Lock()
	spend := p.spent
	p.spent = false
	p.mu.Unlock()
	if !spend {
		return body, nil
	}
	var req map[string]any
	if err := json.Unmarshal(body, &req); err != nil || req["baton"] == nil {
		return nil, errors.New("not a request in JSON on an open stream")
	}
	first, err := json.Marshal(map[string]any{"baton": req["baton"], "requests": []any{
		map[string]any{"type": "execute", "stmt": map[string]any{"sql": "SELECT 1"}}}})
	if err != nil {
		return nil, err
	}
	answer := httptest.NewRecorder()
	own := r.Clone(r.Context())
	own.Body, own.ContentLength = io.NopCloser(bytes.NewReader(first)), int64(len(first))
	p.proxy.ServeHTTP(answer, own)
	var resp struct{ Baton *string }
	if err := json.Unmarshal(answer.Body.Bytes(), &resp); err != nil || resp.Baton == nil {
		return nil, errors.New("the statement before it has no answer")
	}
	req["baton"] = *resp.Baton
	return json.Marshal(req)
}

func (h *hold) wait(r *http.Request) {
	close(h.reached)
	gone := context.AfterFunc(r.Context(), func() { close(h.left) })
	defer gone()
	if !<-h.verdict {
		panic(http.ErrAbortHandler)
	}
}

// before holds the next request that contains text before the server sees it.
func (p *tap) before(t testing.TB, text string) *hold { return p.hold(t, text, false) }

// after holds the next request that contains text when the server has answered.
func (p *tap) after(t testing.TB, text string) *hold { return p.hold(t, text, true) }

func (p *tap) hold(t testing.TB, text string, after bool) *hold {
	h := &hold{text: text, after: after, reached: make(chan struct{}), left: make(chan struct{}), over: make(chan struct{}), verdict: make(chan bool, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds = append(p.holds, h)
	t.Cleanup(func() { h.decide(false) })
	return h
}

// release lets a held request, or its answer, go on.
func (h *hold) release() { h.decide(true) }

// cut breaks the connection of a held request.
func (h *hold) cut() { h.decide(false) }

func (h *hold) decide(on bool) {
	select {
	case h.verdict <- on:
	default: // somebody has decided before
	}
}

// posts is how many requests with statements there have been.
func (p *tap) posts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// costs is how many requests with statements f makes.
func (p *tap) costs(f func()) int {
	before := p.posts()
	f()
	return p.posts() - before
}

// mentions tells whether a request after the first n contains text.
func (p *tap) mentions(n int, text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, body := range p.seen[n:] {
		if bytes.Contains(body, []byte(text)) {
			return true
		}
	}
	return false
}

// hostOf is the host and port of a URL.
func hostOf(t testing.TB, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
