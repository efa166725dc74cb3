package hranahttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// TransportConfig is what a Transport needs.
type TransportConfig struct {
	// TLS, if its NextProtos are set, also says whether HTTP/2 may be used.
	TLS *tls.Config
	// Dial is the way to the server; with it, the environment's proxies are not
	// used.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// ConnectTimeout bounds dialling and the TLS handshake together; 0 is no
	// limit.
	ConnectTimeout time.Duration
	KeepAlive      KeepAlive
	// Dialling is called before a connection is opened, below TLS, and what it gives
	// when that has ended; nil if nobody wants to know.
	Dialling func(ctx context.Context, addr string) func(err error)
}

// A Transport is the connections to any number of places, and what keeps them
// alive. Clients may share one: what is theirs, tokens above all, is in their
// requests. It is safe for concurrent use and starts nothing before the first
// request.
type Transport struct {
	cfg     TransportConfig
	owner   *Client // whose it is alone; nil if it is shared
	sockets http1.Sockets
	pool    *http1.Pool
	http    atomic.Pointer[netHTTP]
	proxy   func(*http.Request) (*url.URL, error)

	life   context.Context // ends with Close
	end    context.CancelFunc
	beside sync.WaitGroup // what nobody waits for, but for Close

	mu     sync.Mutex
	closed bool
	byAddr map[string]*place
}

// NewTransport makes a Transport for several clients, which must be closed after
// them. direct tells that their URLs lead to a proxy.
func NewTransport(cfg TransportConfig, direct bool) *Transport {
	return newTransport(&cfg, http.ProxyFromEnvironment, direct)
}

func newTransport(cfg *TransportConfig, proxy func(*http.Request) (*url.URL, error), direct bool) *Transport {
	t := &Transport{cfg: *cfg, proxy: proxy, byAddr: map[string]*place{}}
	if cfg.Dial != nil || direct {
		t.proxy = nil // the way to the server is given
	}
	if cfg.TLS == nil {
		t.cfg.TLS = &tls.Config{}
	} else {
		t.cfg.TLS = cfg.TLS.Clone()
	}
	if t.cfg.TLS.ClientSessionCache == nil {
		t.cfg.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
	}
	t.life, t.end = context.WithCancel(context.Background())
	t.pool = http1.NewPool(t.life, t.dialHTTP1)
	t.http.Store(t.newHTTP())
	k := &t.cfg.KeepAlive
	t.pool.StaleAfter = k.StaleAfter
	if k.Timeout > 0 {
		t.pool.Check = &http1.Check{Request: t.checkRequest, Timeout: k.Timeout, Alive: t.lives}
	}
	if k.pings() {
		first := newPace(k)
		t.pool.SetTrust(first.trust())
	} else {
		t.pool.SetTrust(k.StaleAfter)
	}
	return t
}

// lives is told that a connection was alive after so long an idle time.
func (t *Transport) lives(to *http1.Target, idle time.Duration) {
	if p := t.placeAt(to); p != nil && p.keeper != nil {
		p.keeper.learn(func(p *pace) { p.survived(idle) })
	}
}

// placeAt is the place of a target; nil if it is known no more.
func (t *Transport) placeAt(to *http1.Target) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byAddr[addrName(to)]
}

// besides runs f in a goroutine that Close ends. It reports false, and does not
// run f, if the Transport is closed.
func (t *Transport) besides(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.beside.Go(f)
	return true
}

// Close cuts every connection, whatever is under way on it. No goroutine of the
// Transport is left when it returns, but for net/http's, which end with the
// connections they serve.
func (t *Transport) Close() {
	t.mu.Lock()
	t.closed = true
	for _, p := range t.byAddr {
		if p.keeper != nil {
			p.keeper.close()
		}
	}
	t.mu.Unlock()
	t.end()
	t.pool.Close()
	t.http.Load().CloseIdleConnections()
	// What is still under way ends here, whatever its own context says.
	t.sockets.CloseAll()
	t.beside.Wait()
}

// within is a context for a request that must end with the client: on connections
// of its own their end is the request's too.
func (c *Client) within(ctx context.Context) (context.Context, func()) {
	if c.own {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.life, cancel)
	return ctx, func() { stop(); cancel() }
}
