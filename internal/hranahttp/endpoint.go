package hranahttp

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// An Endpoint is where the requests of a stream go: the database's URL, or the
// base_url that the server asked to stay with.
type Endpoint struct {
	base  *url.URL
	host  string // the Host header where it is not base's
	place *place
	calls [levels][2]method
}

// The methods of a level.
const (
	pipeline = iota
	cursor
)

// A method is what a POST goes to, and the head it is sent with while the
// credentials stay the same.
type method struct {
	url   *url.URL
	heads [2]atomic.Pointer[renderedHead] // as credentials.headers
}

type renderedHead struct {
	cred *credentials
	text []byte
}

func (m *method) headFor(cred *credentials, l Level, host string, packed bool) []byte {
	head := &m.heads[indexOf(packed)]
	if h := head.Load(); h != nil && h.cred == cred {
		return h.text
	}
	h := &renderedHead{cred, http1.AppendHead(nil, http.MethodPost, m.url, host, cred.header(l.Encoding(), packed))}
	head.Store(h)
	return h.text
}

// maxPlaces bounds what is remembered of base_urls: a server that invents a new
// one for each answer must not fill the memory.
const maxPlaces = 64

// places are the Endpoints known so far.
type places struct {
	mu     sync.Mutex
	seen   map[string]*Endpoint // by base_url; nil for those that are not followed
	away   []*place             // of those in seen
	closed bool
	last   atomic.Pointer[sighting] // the last base_url, usually the only one
}

type sighting struct {
	baseURL string
	ep      *Endpoint
}

// leavePlaces gives back all places of a client that is closed.
func (c *Client) leavePlaces() {
	p := &c.places
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	c.transport.release(append(p.away, c.home.place)...)
	p.away = nil
}

// Home is the endpoint of new streams.
func (c *Client) Home() *Endpoint { return c.home }

func (c *Client) newEndpoint(base *url.URL, host string, home bool) *Endpoint {
	e := &Endpoint{base: base, host: host, place: c.transport.placeOf(base, host, home)}
	for l := V2JSON; l < levels; l++ {
		e.calls[l][pipeline].url = below(base, l.path(), "pipeline")
		e.calls[l][cursor].url = below(base, l.path(), "cursor")
	}
	return e
}

// below is base with more path, and without what is no business of a request.
// JoinPath would leave the slash out if base has no path.
func below(base *url.URL, elem ...string) *url.URL {
	rooted := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path, RawPath: base.RawPath}
	if rooted.Path == "" {
		rooted.Path = "/"
	}
	return rooted.JoinPath(elem...)
}

// follow gives the endpoint for the next request of a stream whose answer held
// baseURL. The token travels with the request, so a server can only move a
// stream within its own domain, and never from https to http; anything else is
// not followed.
func (c *Client) follow(from *Endpoint, baseURL string) *Endpoint {
	if baseURL == "" {
		return from
	}
	p := &c.places
	s := p.last.Load()
	if s == nil || s.baseURL != baseURL {
		s = &sighting{baseURL, c.endpointOf(baseURL)}
		p.last.Store(s)
	}
	if s.ep == nil {
		return from
	}
	return s.ep
}

func (c *Client) endpointOf(baseURL string) *Endpoint {
	p := &c.places
	p.mu.Lock()
	defer p.mu.Unlock()
	if ep, ok := p.seen[baseURL]; ok {
		return ep
	}
	if len(p.seen) >= maxPlaces {
		clear(p.seen)
		c.transport.release(p.away...)
		p.away = nil
	}
	var ep *Endpoint
	if u := c.followed(baseURL); u != nil {
		host := ""
		if c.cfg.Host != "" {
			// The way leads through the proxy that the URL names; where to is in the
			// Host header.
			host, u.Scheme, u.Host = u.Host, c.cfg.URL.Scheme, c.cfg.URL.Host
		}
		ep = c.newEndpoint(u, host, false)
		p.away = append(p.away, ep.place)
		if p.closed {
			c.transport.release(p.away...)
			p.away = nil
		}
	}
	if p.seen == nil {
		p.seen = map[string]*Endpoint{}
	}
	p.seen[baseURL] = ep
	return ep
}

// followed is the URL to follow, nil if baseURL is not.
func (c *Client) followed(baseURL string) *url.URL {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		c.log.Warn("turso-opt: the server's base_url is not an http URL and is not followed")
		return nil
	case u.Scheme == "http" && c.cfg.URL.Scheme == "https":
		c.log.Warn("turso-opt: the server's base_url is not https and is not followed", "host", u.Host)
		return nil
	case !sameParent(c.databaseHost(), u.Hostname()):
		c.log.Warn("turso-opt: the server's base_url is in another domain and is not followed", "host", u.Host)
		return nil
	}
	return u
}

// databaseHost is the host of the database, behind a proxy too.
func (c *Client) databaseHost() string {
	host := c.cfg.Host
	if host == "" {
		return c.cfg.URL.Hostname()
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

// sameParent tells whether b is a itself, or within a's parent domain, which
// must have at least two labels: a database under one provider may be moved to
// a sibling, not to a stranger under the same top-level domain.
func sameParent(a, b string) bool {
	a, b = strings.ToLower(strings.TrimSuffix(a, ".")), strings.ToLower(strings.TrimSuffix(b, "."))
	if a == b {
		return true
	}
	if net.ParseIP(a) != nil || net.ParseIP(b) != nil {
		return false
	}
	_, parent, ok := strings.Cut(a, ".")
	return ok && strings.Contains(parent, ".") && (b == parent || strings.HasSuffix(b, "."+parent))
}
