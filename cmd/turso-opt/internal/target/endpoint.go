package target

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	tursoopt "github.com/turso-opt/turso-opt"
)

// An Endpoint is where the requests for a Config go.
type Endpoint struct {
	// Base is the http or https URL, without user and password.
	Base *url.URL
	// HostHeader is sent in place of Base's host, where the DSN names a proxy.
	HostHeader string
	// WebSocket: the driver speaks Hrana over a WebSocket there.
	WebSocket bool
	cfg       *tursoopt.Config
	user      *url.Userinfo
	direct    string
}

// errLocal says that a Config is about a file.
var errLocal = errors.New("a file: or :memory: database is not reached over a network")

// EndpointOf reads a valid Config.
func EndpointOf(cfg *tursoopt.Config) (*Endpoint, error) {
	if cfg.URL == ":memory:" || strings.HasPrefix(strings.ToLower(cfg.URL), "file:") {
		return nil, errLocal
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, errors.New("the URL cannot be read") // the cause quotes it
	}
	ep := &Endpoint{Base: u, cfg: cfg, user: u.User}
	switch u.Scheme {
	case "ws":
		u.Scheme, ep.WebSocket = "http", true
	case "wss":
		u.Scheme, ep.WebSocket = "https", true
	case "libsql", "turso":
		u.Scheme = "https"
		if cfg.TLS != nil && !*cfg.TLS {
			u.Scheme = "http"
		}
	}
	own := *u
	if ep.WebSocket {
		own.Scheme = "ws" + own.Scheme[len("http"):]
	}
	ep.direct = own.String()
	u.User = nil
	if cfg.Proxy != "" {
		p, err := url.Parse(cfg.Proxy)
		if err != nil {
			return nil, errors.New("the proxy's URL cannot be read")
		}
		ep.HostHeader, u.Host = u.Host, p.Host
		if p.Scheme != "" {
			u.Scheme = p.Scheme
		}
	}
	return ep, nil
}

// TLS tells whether the endpoint is reached through TLS.
func (e *Endpoint) TLS() bool { return e.Base.Scheme == "https" }

// Direct is the database's URL with an http, https, ws or wss scheme, as it is
// without a proxy. It may hold a password.
func (e *Endpoint) Direct() string { return e.direct }

// Addr is host:port, with the scheme's port if the URL has none.
func (e *Endpoint) Addr() string {
	port := e.Base.Port()
	if port == "" {
		port = "80"
		if e.TLS() {
			port = "443"
		}
	}
	return net.JoinHostPort(e.Base.Hostname(), port)
}

// Request makes a request to a path below the database's URL, with the
// credentials that the driver would send.
func (e *Endpoint) Request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, e.Base.JoinPath(path).String(), body)
	if err != nil {
		return nil, errors.New("the URL cannot be requested")
	}
	req.Host = e.HostHeader
	for name, values := range e.cfg.Header {
		req.Header[name] = values
	}
	if e.user != nil {
		password, _ := e.user.Password()
		req.SetBasicAuth(e.user.Username(), password)
	}
	if e.cfg.AuthToken != "" {
		req.Header.Set("Authorization", "Bearer "+e.cfg.AuthToken)
	}
	if e.cfg.RemoteEncryptionKey != "" {
		req.Header.Set("x-turso-encryption-key", e.cfg.RemoteEncryptionKey)
	}
	return req, nil
}
