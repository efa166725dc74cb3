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

	// refs counts the Endpoints there, and keeper pings its connections, which only
	// places have that are somebody's home. Both are guarded by Transport.mu.
	refs   int
	keeper *keeper

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

// placeOf gives the place of an Endpoint, which release gives back; home tells
// that its connections are to be kept alive.
func (t *Transport) placeOf(u *url.URL, host string, home bool) *place {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	p := &place{base: u, host: host}
	p.target.Addr, p.target.TLS = net.JoinHostPort(u.Hostname(), port), u.Scheme == "https"
	key := p.name()
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.byAddr[key]; known != nil {
		p = known
	} else {
		switch {
		case t.proxied(u), !plainHost(u.Host):
			p.manner.Store(viaTransport)
		case !p.target.TLS, !slices.Contains(t.protocols(), "h2"):
			p.manner.Store(viaHTTP1)
		}
		t.byAddr[key] = p
	}
	if home && p.keeper == nil {
		p.keeper = newKeeper(t, p)
	}
	p.refs++
	return p
}

// release forgets places that nobody goes to any more.
func (t *Transport) release(places ...*place) {
	for _, p := range places {
		t.mu.Lock()
		p.refs--
		gone := p.refs == 0
		if gone {
			delete(t.byAddr, p.name())
		}
		t.mu.Unlock()
		if gone && p.keeper != nil {
			p.keeper.close()
			t.pool.CloseIdle(&p.target)
		}
	}
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
func (t *Transport) proxied(u *url.URL) bool {
	if t.proxy == nil {
		return false
	}
	via, err := t.proxy(&http.Request{URL: u})
	return via != nil || err != nil
}

// plainHost tells whether a host can be written into a Host header as it is.
// Zones and names beyond ASCII are net/http's business.
func plainHost(host string) bool {
	return strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '%' }) < 0
}

// protocols are what is offered in a TLS handshake.
func (t *Transport) protocols() []string {
	if p := t.cfg.TLS.NextProtos; len(p) > 0 {
		return p
	}
	return []string{"h2", "http/1.1"}
}

// mannerOf tells how a place is spoken to. If nobody knows, the first connection
// is dialled, by one for all, and kept for the request that is about to come.
func (t *Transport) mannerOf(ctx context.Context, p *place) (uint32, error) {
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
		if !t.besides(func() { t.learn(p, l) }) {
			p.learning = nil
			p.mu.Unlock()
			return unknown, http1.ErrClosed
		}
	}
	p.mu.Unlock()
	select {
	case <-l.done:
		return p.manner.Load(), l.err
	case <-ctx.Done():
		return unknown, ctx.Err()
	case <-t.life.Done():
		return unknown, http1.ErrClosed
	}
}

func (t *Transport) learn(p *place, l *lesson) {
	ctx, cancel := t.bounded(t.life)
	defer cancel()
	conn, sock, err := t.connectTLS(ctx, p.target.Addr, t.protocols())
	manner := viaHTTP1
	switch {
	case err != nil:
		l.err = err
		manner = unknown
	case conn.ConnectionState().NegotiatedProtocol == "h2":
		t.adopt(p.target.Addr, conn)
		manner = viaTransport
	default:
		t.pool.Add(&p.target, conn, sock)
	}
	p.manner.Store(manner)
	p.mu.Lock()
	p.learning = nil
	p.mu.Unlock()
	close(l.done)
}
