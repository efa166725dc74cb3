package hranahttp

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// A place is a host and port, and how it is spoken to.
type place struct {
	target http1.Target
	manner atomic.Uint32
	base   *url.URL // of the first endpoint there, and its Host header
	host   string

	mu       sync.Mutex
	learning *lesson
}

// The manners of speaking to a place.
const (
	// unknown: it is TLS, whose handshake will tell.
	unknown uint32 = iota
	// viaHTTP1: directly, in HTTP/1.1, by internal/http1.
	viaHTTP1
	// viaTransport: by net/http, in HTTP/2 or through a proxy.
	viaTransport
)

// A lesson is the first dial to a place, whoever waits for it.
type lesson struct {
	done chan struct{}
	err  error
}

// placeOf is called by New, and with places.mu held.
func (c *Client) placeOf(u *url.URL, host string) *place {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	p := &place{base: u, host: host}
	p.target.Addr, p.target.TLS = net.JoinHostPort(u.Hostname(), port), u.Scheme == "https"
	key := p.name()
	if known := c.places.byAddr[key]; known != nil {
		return known
	}
	switch {
	case c.proxied(u), !plainHost(u.Host):
		p.manner.Store(viaTransport)
	case !p.target.TLS, !slices.Contains(c.protocols(), "h2"):
		p.manner.Store(viaHTTP1)
	}
	if c.places.byAddr == nil {
		c.places.byAddr = map[string]*place{}
	}
	c.places.byAddr[key] = p
	return p
}

// name is what a place is found by.
func (p *place) name() string { return addrName(&p.target) }

func addrName(t *http1.Target) string {
	if t.TLS {
		return "https://" + t.Addr
	}
	return "http://" + t.Addr
}

// proxied tells whether the environment names a proxy for u. One that it names
// wrongly makes net/http fail, and say so.
func (c *Client) proxied(u *url.URL) bool {
	if c.proxy == nil {
		return false
	}
	via, err := c.proxy(&http.Request{URL: u})
	return via != nil || err != nil
}

// plainHost tells whether a host can be written into a Host header as it is.
// Zones and names beyond ASCII are net/http's business.
func plainHost(host string) bool {
	return strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '%' }) < 0
}

// protocols are what is offered in a TLS handshake.
func (c *Client) protocols() []string {
	if p := c.cfg.TLS.NextProtos; len(p) > 0 {
		return p
	}
	return []string{"h2", "http/1.1"}
}

// mannerOf tells how a place is spoken to. If nobody knows, the first connection
// is dialled, by one for all, and kept for the request that is about to come.
func (c *Client) mannerOf(ctx context.Context, p *place) (uint32, error) {
	if m := p.manner.Load(); m != unknown {
		return m, nil
	}
	p.mu.Lock()
	if m := p.manner.Load(); m != unknown {
		p.mu.Unlock()
		return m, nil
	}
	l := p.learning
	if l == nil {
		l = &lesson{done: make(chan struct{})}
		p.learning = l
		c.beside.Go(func() { c.learn(p, l) }) // before a request ends, so Close waits later
	}
	p.mu.Unlock()
	select {
	case <-l.done:
		return p.manner.Load(), l.err
	case <-ctx.Done():
		return unknown, ctx.Err()
	case <-c.life.Done():
		return unknown, http1.ErrClosed
	}
}

func (c *Client) learn(p *place, l *lesson) {
	ctx, cancel := c.bounded(c.life)
	defer cancel()
	conn, sock, err := c.connectTLS(ctx, p.target.Addr, c.protocols())
	manner := viaHTTP1
	switch {
	case err != nil:
		l.err = err
		manner = unknown
	case conn.ConnectionState().NegotiatedProtocol == "h2":
		c.adopt(p.target.Addr, conn)
		manner = viaTransport
	default:
		c.pool.Add(&p.target, conn, sock)
	}
	p.manner.Store(manner)
	p.mu.Lock()
	p.learning = nil
	p.mu.Unlock()
	close(l.done)
}
