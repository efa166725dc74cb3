package hranatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Server is a running server. Its methods may be called by any number of
// goroutines at once.
type Server struct {
	opts     Options
	url      string
	http     *http.Server
	engine   *engine
	parser   *parser
	streams  *streams
	faults   faults
	counters counters
	base     atomic.Pointer[string]
	panics   panics

	stop   context.CancelFunc
	served chan struct{}  // closed when no more connections are accepted
	conns  sync.WaitGroup // network connections
	once   sync.Once
}

// NewServer starts a server that ends with the test. A server that cannot start
// fails the test.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("hranatest: close: %v", err)
		}
	})
	return s
}

// Start starts a server, which the caller ends with Close.
func Start(o Options) (*Server, error) {
	o = o.withDefaults()
	if o.Profile > V2 {
		return nil, fmt.Errorf("hranatest: there is no profile %d", o.Profile)
	}
	if o.Prefix != "" && (o.Prefix[0] != '/' || strings.HasSuffix(o.Prefix, "/")) {
		return nil, fmt.Errorf("hranatest: the prefix %q does not begin with a slash, or ends with one", o.Prefix)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		opts:     o,
		stop:     stop,
		served:   make(chan struct{}),
		counters: counters{requests: make(map[string]int64)},
	}
	s.SetBaseURL(o.BaseURL)
	listener, err := s.open(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	s.url = "http://" + listener.Addr().String() + o.Prefix
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:     http.HandlerFunc(s.route),
		Protocols:   protocols,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState:   s.connState,
		ErrorLog:    log.New(&s.panics, "", 0),
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

// open makes all that can fail.
func (s *Server) open(ctx context.Context) (net.Listener, error) {
	listener, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("hranatest: %w", err)
	}
	if s.engine, err = newEngine(ctx, s.opts); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if s.parser, err = newParser(); err != nil {
		s.engine.close()
		return nil, errors.Join(fmt.Errorf("hranatest: %w", err), listener.Close())
	}
	s.streams = newStreams(s.engine, s.opts)
	return listener, nil
}

// URL is where the server is, http://127.0.0.1:port without a slash at the end,
// followed by Options.Prefix.
func (s *Server) URL() string { return s.url }

// SetBaseURL sets the base_url of every answer from now on; empty means none.
func (s *Server) SetBaseURL(url string) { s.base.Store(&url) }

func (s *Server) baseURL() string { return *s.base.Load() }

// connState counts network connections.
func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
		s.counters.connection(1)
	case http.StateClosed, http.StateHijacked:
		s.counters.connection(-1)
		s.conns.Done()
	}
}

// Close breaks off all requests, waits for them to end, and leaves nothing
// behind but the file of Options.Path. The error also tells of a request that
// made the server panic, or OnRequest. A second Close does nothing.
func (s *Server) Close() (err error) {
	s.once.Do(func() {
		// The connections go first: nothing that is broken off is to be answered.
		err = s.http.Close()
		s.stop()
		<-s.served
		s.conns.Wait()
		s.streams.forget()
		s.engine.close()
		s.parser.close()
		err = errors.Join(err, s.panics.err())
	})
	return err
}

// panics takes net/http's log and keeps what is a bug of ours; the rest is about
// clients that went away.
type panics struct {
	mu    sync.Mutex
	first string
}

func (p *panics) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("panic serving")) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.first == "" {
			p.first = string(line)
		}
	}
	return len(line), nil
}

func (p *panics) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == "" {
		return nil
	}
	return errors.New("hranatest: a request panicked: " + p.first)
}
