// Package hranahttp makes one Hrana round trip over HTTP: it chooses the
// encoding the server offers, authenticates, keeps the limits, and turns every
// way in which a request can fail into an *exec.Error that says what the
// failure proves. It knows nothing of transactions or of what a stream holds.
package hranahttp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Preference limits what the negotiation may choose.
type Preference uint8

const (
	// Auto takes the best that the server offers.
	Auto Preference = iota
	// OnlyJSON never uses protobuf.
	OnlyJSON
	// OnlyProtobuf uses version 3 in protobuf without asking.
	OnlyProtobuf
)

// Config is what a Client needs. URL is http or https and may have a path.
type Config struct {
	URL *url.URL
	// Host is the Host header where it differs from URL's (a proxy).
	Host string
	// Header is sent with every request; it cannot replace what Hrana needs.
	Header        http.Header
	EncryptionKey string
	// Token gives the bearer token. It is asked before the first request and
	// again after a 401; nil or an empty token sends none.
	Token          func(context.Context) (string, error)
	Encoding       Preference
	TLS            *tls.Config
	Dial           func(ctx context.Context, network, addr string) (net.Conn, error)
	ConnectTimeout time.Duration
	// LateTimeout bounds an exchange whose caller has left.
	LateTimeout time.Duration
	UserAgent   string
	Logger      *slog.Logger
}

// Grace is how long Close waits for requests in flight before it cancels them.
const Grace = 5 * time.Second

// A Client makes round trips to one database. It is safe for concurrent use and
// starts nothing before the first request.
type Client struct {
	cfg       Config
	log       *slog.Logger
	transport *http.Transport
	home      *Endpoint
	auth      auth
	neg       negotiation
	counters  counters

	life     context.Context // ends when Close stops waiting
	end      context.CancelFunc
	mu       sync.Mutex // orders running.Add against Close
	closed   bool
	running  sync.WaitGroup
	dropConn sync.Mutex // guards conns
	conns    map[*countedConn]struct{}
}

// Counters is a snapshot of what a Client has done.
type Counters struct {
	Requests      uint64 // HTTP requests sent, probes included
	Failed        uint64 // of these, without a complete answer of status 200
	Dials         uint64 // connections opened
	BytesSent     uint64 // on the connections, above TCP, below nothing
	BytesReceived uint64
	TokenRefresh  uint64 // tokens fetched again after a 401
}

type counters struct {
	requests, failed, dials, sent, received, tokens atomic.Uint64
}

// New returns a Client; it sends nothing.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg, log: cfg.Logger, conns: map[*countedConn]struct{}{}}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.home = newEndpoint(cfg.URL, cfg.Host)
	c.transport = newTransport(c)
	if cfg.Encoding == OnlyProtobuf {
		c.neg.settle(V3Protobuf)
	}
	return c
}

// Counters returns what has been counted so far.
func (c *Client) Counters() Counters {
	n := &c.counters
	return Counters{
		Requests: n.requests.Load(), Failed: n.failed.Load(), Dials: n.dials.Load(),
		BytesSent: n.sent.Load(), BytesReceived: n.received.Load(), TokenRefresh: n.tokens.Load(),
	}
}

var errClosed = &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeClosed, Message: "the connector is closed"}

// begin registers something that Close has to wait for.
func (c *Client) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	c.running.Add(1)
	return nil
}

// Refuse makes the client refuse new requests; those in flight go on.
func (c *Client) Refuse() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
}

// Go runs f in a goroutine of the client's, with a context that ends when Close
// stops waiting. It does not run f if the client is closed.
func (c *Client) Go(f func(ctx context.Context)) {
	if c.begin() != nil {
		return
	}
	go func() {
		defer c.running.Done()
		f(c.life)
	}()
}

// Close refuses new requests, gives those in flight Grace to end, cancels the
// rest and closes every connection. No goroutine of the client is left when it
// returns.
func (c *Client) Close() error {
	c.Refuse()
	done := make(chan struct{})
	go func() {
		c.running.Wait()
		close(done)
	}()
	grace := time.NewTimer(Grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		c.log.Warn("turso-opt: requests still in flight at close are cancelled")
	}
	c.end()
	<-done
	c.closeConns()
	return nil
}
