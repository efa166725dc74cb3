// Package hranahttp makes one Hrana round trip over HTTP: it chooses the
// encoding the server offers, authenticates, keeps the limits, and turns every
// way in which a request can fail into an *exec.Error that says what the
// failure proves. It knows nothing of transactions or of what a stream holds.
//
// HTTP/1.1, which sqld speaks, goes through internal/http1; HTTP/2 and proxies
// go through net/http.
package hranahttp

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/histogram"
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
	// Host is the Host header where it differs from URL's: URL then leads to a
	// proxy that forwards by it, and the environment's proxies are not used.
	Host string
	// Header is sent with every request; it cannot replace what Hrana or HTTP
	// needs.
	Header        http.Header
	EncryptionKey string
	// Token gives the bearer token. It is asked before the first request and
	// again after a 401, with the values of the context of whoever needs it, and
	// never twice at a time; nil or an empty token sends none. A Token that goes
	// on after its context has ended outlives the Client.
	Token    func(context.Context) (string, error)
	Encoding Preference
	// Plain asks for no compressed answers.
	Plain bool
	// Transport is shared with other clients; nil for one of its own, as
	// TransportConfig says.
	Transport *Transport
	TransportConfig
	// LateTimeout bounds an exchange whose caller has left; 0 is no limit.
	LateTimeout time.Duration
	// Trace is told what the client does; nil if nobody is.
	Trace *Trace
	// Circuit has requests fail at once while the server is down.
	Circuit   bool
	UserAgent string
	Logger    *slog.Logger
}

// Grace is how long Close waits for requests in flight before it cancels them.
const Grace = 5 * time.Second

// maxResponse bounds an answer that is held in memory. sqld sends at most 10 MB
// for one execute or batch, and base64 and JSON's quotes add to that.
const maxResponse = 128 << 20

// A Client makes round trips to one database. It is safe for concurrent use and
// starts nothing before the first request.
type Client struct {
	cfg      Config
	log      *slog.Logger
	fixed    http.Header // what every request carries, apart from the token
	badField error       // a header field that cannot be sent
	auth     auth
	neg      negotiation
	counters counters
	// took is how long exchanges have taken that ended in an answer to a pipeline.
	took    histogram.Histogram
	limit   int64 // maxResponse
	packing packing

	transport *Transport
	own       bool // nobody else uses the transport
	places    places
	home      *Endpoint
	keeper    *keeper // of home
	circuit   circuit
	moves     moves

	life    context.Context // ends when Close stops waiting
	end     context.CancelFunc
	mu      sync.Mutex // orders running.Add against Close
	closed  bool
	running sync.WaitGroup
	// beside is what nobody waits for: Close does not either, it ends it.
	beside sync.WaitGroup
}

// Counters is a snapshot of what a Client has done.
type Counters struct {
	Requests      uint64 // HTTP requests made, probes included
	Failed        uint64 // of these, without a usable answer of status 200
	Dials         uint64 // connections opened
	BytesSent     uint64 // on the connections, TLS and HTTP included
	BytesReceived uint64
	TokenRefresh  uint64 // tokens fetched again after a 401
	Renewed       uint64 // requests sent again with such a token, or to where the database is now
}

type counters struct{ requests, failed, tokens, renewed atomic.Uint64 }

// New returns a Client; it sends nothing.
func New(cfg Config) *Client { return newClient(cfg, http.ProxyFromEnvironment) }

func newClient(cfg Config, proxy func(*http.Request) (*url.URL, error)) *Client {
	c := &Client{cfg: cfg, log: cfg.Logger, limit: maxResponse, transport: cfg.Transport}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.packing.off = cfg.Plain
	c.life, c.end = context.WithCancel(context.Background())
	if c.own = c.transport == nil; c.own {
		c.transport = newTransport(&cfg.TransportConfig, proxy, cfg.Host != "")
		c.transport.owner = c
	}
	c.home = c.newEndpoint(cfg.URL, cfg.Host, true)
	c.keeper = c.home.place.keeper
	c.circuit.init(c, cfg.Circuit)
	c.fixed, c.badField = fixedHeader(&c.cfg)
	if cfg.Token == nil {
		c.auth.current.Store(c.newCredentials(""))
	}
	if cfg.Encoding == OnlyProtobuf {
		c.neg.fixed = true
		c.neg.settle(V3Protobuf)
	}
	return c
}

// Counters returns what has been counted so far.
func (c *Client) Counters() Counters {
	n := Counters{Requests: c.counters.requests.Load(), Failed: c.counters.failed.Load(), TokenRefresh: c.counters.tokens.Load(), Renewed: c.counters.renewed.Load()}
	n.Dials, n.BytesSent, n.BytesReceived = c.transport.sockets.Counts()
	return n
}

// Dialling is how many connections to the database are being dialled, HTTP/2's not
// among them.
func (c *Client) Dialling() int { return c.transport.pool.Dialling(&c.home.place.target) }

// Took is how long requests have taken, from when they were ready to be sent to the
// last byte of the answer: waiting for a connection and renewing a token included,
// pings, cursors and failures not.
func (c *Client) Took() *histogram.Histogram { return &c.took }

// insideKey marks the contexts of the client's own goroutines. What they begin
// while it closes ends something that was begun before: a stream is closed, and
// who had queued gets an answer.
type insideKey struct{}

// begin registers a request, which Close has to wait for.
func (c *Client) begin(ctx context.Context) error {
	err := c.enter(ctx)
	if err == nil {
		c.keeper.touch(c)
	}
	return err
}

// enter registers something that Close has to wait for.
func (c *Client) enter(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && ctx.Value(insideKey{}) != c {
		return closedError(false)
	}
	c.running.Add(1)
	return nil
}

// Refuse makes the client refuse new requests; those in flight go on.
func (c *Client) Refuse() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if c.own {
		c.keeper.close()
	} else {
		c.keeper.leave(c)
	}
	c.circuit.close()
}

// Go runs f in a goroutine of the client's, with a context that ends when Close
// stops waiting. It reports false, and does not run f, if the client is closed.
func (c *Client) Go(f func(ctx context.Context)) bool {
	if c.enter(context.Background()) != nil {
		return false
	}
	go func() {
		defer c.running.Done()
		f(context.WithValue(c.life, insideKey{}, c))
	}()
	return true
}

// besides runs f in a goroutine that Close ends, and does not wait for before.
func (c *Client) besides(f func()) bool {
	if c.enter(context.Background()) != nil {
		return false
	}
	defer c.running.Done()
	c.beside.Go(f)
	return true
}

// Close refuses new requests, gives those in flight Grace to end, cancels the
// rest and closes every connection, unless its transport is shared. No goroutine of the client is left when it
// returns, but for net/http's, which end with the connections they serve.
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
	if c.own {
		c.transport.Close()
	}
	<-done
	c.beside.Wait()
	c.leavePlaces()
	return nil
}

func closedError(sent bool) *exec.Error {
	e := &exec.Error{Source: exec.FromClient, Code: exec.CodeClosed, Message: "the connector is closed", StreamLost: sent}
	if !sent {
		e.Proof = exec.NotExecuted
	}
	return e
}
