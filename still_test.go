package tursoopt_test

import (
	"bufio"
	"context"
	"database/sql"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A still is a server in a bubble of synctest, where all times are exact.
type still struct {
	manner stillManner
	mu     sync.Mutex
	conns  []*stillConn
	waits  []time.Duration // for how long those have dialled who got none
}

// A stillManner is how a still behaves.
type stillManner int

const (
	saysNo stillManner = iota
	isMute             // it does not answer
	isGone             // nobody gets a connection
)

// A stillConn is when a connection was asked something, and when it was closed.
type stillConn struct {
	asked  []time.Time
	closed time.Time
}

func (s *still) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if s.manner == isGone {
		began := time.Now()
		<-ctx.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waits = append(s.waits, time.Since(began))
		return nil, ctx.Err()
	}
	client, server := net.Pipe()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &stillConn{}
	s.conns = append(s.conns, c)
	go s.serve(server, c)
	return client, nil
}

func (s *still) serve(server net.Conn, c *stillConn) {
	defer server.Close()
	for in := bufio.NewReader(server); ; {
		r, err := http.ReadRequest(in)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		s.mu.Lock()
		if err != nil {
			c.closed = time.Now()
			s.mu.Unlock()
			return
		}
		c.asked = append(c.asked, time.Now())
		s.mu.Unlock()
		if s.manner != isMute {
			_, _ = io.WriteString(server, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		}
	}
}

// seen is what the server has seen so far.
func (s *still) seen() []stillConn {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []stillConn
	for _, c := range s.conns {
		all = append(all, stillConn{slices.Clone(c.asked), c.closed})
	}
	return all
}

// inStill runs body with a DB of such a server in a bubble, once with connections of
// its own and once with those of a Shared, as cfg says.
func inStill(t *testing.T, m stillManner, cfg tursoopt.SharedConfig, body func(t *testing.T, s *still, db *sql.DB)) {
	t.Helper()
	for name, own := range map[string]*tursoopt.Config{
		"own": {
			ConnectTimeout: cfg.ConnectTimeout, KeepAlive: cfg.KeepAlive, StaleAfter: cfg.StaleAfter, PingTimeout: cfg.PingTimeout,
			KeepAliveIdleStop: cfg.KeepAliveIdleStop, WarmConns: cfg.WarmConns,
		},
		"shared": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, own := &still{manner: m}, own.Clone()
				own.URL = "http://db.test"
				if name == "own" {
					own.DialContext = s.dial
				} else {
					cfg := cfg
					cfg.DialContext = s.dial
					own.Shared = tursoopt.NewShared(cfg)
					defer own.Shared.Close()
				}
				c, err := tursoopt.NewConnector(own)
				if err != nil {
					t.Fatal(err)
				}
				db := sql.OpenDB(c)
				defer db.Close()
				body(t, s, db)
			})
		})
	}
}
