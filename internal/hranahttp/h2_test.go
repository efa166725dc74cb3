package hranahttp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func h2Mode(t *testing.T) mode {
	t.Helper()
	for _, m := range modes {
		if m.name == "h2" {
			return m
		}
	}
	t.Fatal("no mode for HTTP/2")
	return mode{}
}

// Callers who come before anything is known share one handshake, and the
// connection that it made.
func TestHTTP2BeginsWithOneConnection(t *testing.T) {
	f := &fake{}
	c := h2Mode(t).client(t, f, nil)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { ask(t, c) })
	}
	wg.Wait()
	if n := c.Counters(); n.Dials != 1 {
		t.Errorf("%d connections", n.Dials)
	}
	for _, r := range f.requests() {
		if r.proto != "HTTP/2.0" {
			t.Errorf("%s in %s", r.path, r.proto)
		}
	}
}

// One caller's end is not that of the others on the connection.
func TestHTTP2CancelsOneStream(t *testing.T) {
	release := make(chan struct{})
	var arrived, cancelled atomic.Int32
	all := make(chan struct{})
	const others = 8
	c := h2Mode(t).client(t, &fake{before: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			if arrived.Add(1) == others+1 {
				close(all)
			}
			select {
			case <-release:
			case <-r.Context().Done():
				cancelled.Add(1)
				close(release)
				return true
			}
		}
		return false
	}}, nil)
	var wg sync.WaitGroup
	for range others {
		wg.Go(func() { ask(t, c) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-all; cancel() }()
	e := failsWith(t, ctx, c, query("SELECT 1"))
	if !errors.Is(e, context.Canceled) || e.Proof != exec.OutcomeUnknown {
		t.Errorf("%+v", e)
	}
	wg.Wait()
	if n := c.Counters(); n.Dials != 1 || cancelled.Load() != 1 {
		t.Errorf("%d connections, %d streams cancelled", n.Dials, cancelled.Load())
	}
}

// What the user's TLS configuration does not name is not spoken.
func TestHTTP2IsNotSpokenUnasked(t *testing.T) {
	f := &fake{}
	srv, roots := startTLS(t, f, true)
	roots.NextProtos = []string{"http/1.1"}
	c := newTestClient(t, srv.URL, func(cfg *Config) { cfg.TLS = roots })
	ask(t, c)
	c.AwaitLevel(t.Context())
	for _, r := range f.requests() {
		if r.proto != "HTTP/1.1" {
			t.Errorf("%s in %s", r.path, r.proto)
		}
	}
	if len(roots.NextProtos) != 1 || roots.ClientSessionCache != nil {
		t.Error("the user's TLS configuration was changed")
	}
}

// A server that closes its connections is connected to again.
func TestHTTP2ConnectionIsReplaced(t *testing.T) {
	f := &fake{}
	srv, roots := startTLS(t, f, true)
	c := newTestClient(t, srv.URL, func(cfg *Config) { cfg.TLS, cfg.Encoding = roots, OnlyProtobuf })
	ask(t, c)
	srv.CloseClientConnections()
	// Whether the first request after it finds the connection closed, or breaks
	// with it, is a race that a read survives.
	for {
		_, err := c.Pipeline(t.Context(), c.Home(), c.Level(), query("SELECT 1"), Expect{})
		if err == nil {
			break
		}
		if e := err.(*exec.Error); e.Source != exec.FromTransport {
			t.Fatalf("%+v", e)
		}
	}
	if n := c.Counters().Dials; n != 2 {
		t.Errorf("%d connections", n)
	}
}

// The handshake that tells what is spoken may fail, and be tried again.
func TestFirstHandshakeFails(t *testing.T) {
	f := &fake{}
	srv, roots := startTLS(t, f, true)
	strange := roots.Clone()
	strange.RootCAs = nil
	c := newTestClient(t, srv.URL, func(cfg *Config) { cfg.TLS = strange })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if e := fails(t, c); e.Proof != exec.NotExecuted || e.Source != exec.FromTransport || !strings.Contains(e.Error(), "certificate") {
				t.Errorf("%+v, reads %q", e, e)
			}
		})
	}
	wg.Wait()
	c.transport.cfg.TLS.RootCAs = roots.RootCAs
	ask(t, c)
	if c.home.place.manner.Load() != viaTransport {
		t.Error("HTTP/2 was not found")
	}
}
