package hranahttp

import (
	"net"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// Level is the protocol version and encoding that a stream is spoken to in.
type Level uint8

const (
	// V2JSON is what every server has, so it is where a Client begins.
	V2JSON Level = iota
	V3JSON
	V3Protobuf
	levels
)

func (l Level) String() string {
	return [...]string{"v2 json", "v3 json", "v3 protobuf"}[l]
}

// V3 tells whether the level has is_autocommit, get_autocommit and cursors.
func (l Level) V3() bool { return l >= V3JSON }

// Encoding is how the level writes messages.
func (l Level) Encoding() hrana.Encoding {
	if l == V3Protobuf {
		return hrana.Protobuf
	}
	return hrana.JSON
}

func (l Level) path() string {
	return [...]string{"v2", "v3", "v3-protobuf"}[l]
}

// An Endpoint is where the requests of a stream go: the database's URL, or the
// base_url that the server asked to stay with.
type Endpoint struct {
	base     *url.URL
	host     string
	pipeline [levels]*url.URL
	cursor   [levels]*url.URL
	next     atomic.Pointer[nextEndpoint] // the last base_url seen, usually the only one
}

type nextEndpoint struct {
	text string
	ep   *Endpoint
}

func newEndpoint(base *url.URL, host string) *Endpoint {
	e := &Endpoint{base: base, host: host}
	for l := V2JSON; l < levels; l++ {
		e.pipeline[l] = below(base, l.path(), "pipeline")
		e.cursor[l] = below(base, l.path(), "cursor")
	}
	return e
}

// below is base with more path. JoinPath leaves the slash out if base has none.
func below(base *url.URL, elem ...string) *url.URL {
	if base.Path == "" {
		rooted := *base
		rooted.Path = "/"
		base = &rooted
	}
	return base.JoinPath(elem...)
}

// Home is the endpoint of new streams.
func (c *Client) Home() *Endpoint { return c.home }

// follow gives the endpoint for the next request of a stream whose answer held
// baseURL. The token travels with the request, so a server can only move a
// stream within its own domain, and never from https to http; anything else is
// not followed.
func (c *Client) follow(from *Endpoint, baseURL string) *Endpoint {
	if baseURL == "" {
		return from
	}
	if n := c.home.next.Load(); n != nil && n.text == baseURL {
		return n.ep
	}
	ep := from
	u, err := url.Parse(baseURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		c.log.Warn("turso-opt: the server's base_url is not an http URL and is not followed")
	case u.Scheme == "http" && c.cfg.URL.Scheme == "https":
		c.log.Warn("turso-opt: the server's base_url is not https and is not followed", "host", u.Host)
	case !sameParent(c.cfg.URL.Hostname(), u.Hostname()) && u.Hostname() != hostname(c.cfg.Host):
		c.log.Warn("turso-opt: the server's base_url is in another domain and is not followed", "host", u.Host)
	default:
		ep = newEndpoint(u, "")
	}
	c.home.next.Store(&nextEndpoint{baseURL, ep})
	return ep
}

func hostname(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return hostport
}

// sameParent tells whether b is a itself, or shares its parent domain, which
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
	return ok && strings.Contains(parent, ".") && strings.HasSuffix(b, "."+parent)
}
