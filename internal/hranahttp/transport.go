package hranahttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// newTransport makes the client's own transport, for HTTP/2 and for proxies:
// nothing global is touched.
func (c *Client) newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(slices.Contains(c.protocols(), "h2"))
	keep := newPace(&c.cfg.KeepAlive)
	var liveness *http.HTTP2Config
	if c.cfg.KeepAlive.pings() {
		// A dead path also ends what is under way on it, which a ping of ours, a
		// request among others, does not.
		liveness = &http.HTTP2Config{SendPingTimeout: keep.interval(), PingTimeout: c.cfg.KeepAlive.Timeout}
	}
	idle := http1.IdleTimeout
	if stale := c.cfg.KeepAlive.StaleAfter; stale > 0 {
		idle = min(idle, stale)
	}
	return &http.Transport{
		HTTP2: liveness,
		Proxy: func(req *http.Request) (*url.URL, error) {
			if c.proxy == nil {
				return nil, nil
			}
			via, err := c.proxy(req)
			if err != nil {
				return nil, errProxy // the original quotes the proxy's URL, which may hold a password
			}
			return via, nil
		},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := c.bounded(ctx)
			defer cancel()
			sock, err := c.connect(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return sock, nil
		},
		DialTLSContext:      c.dialTLS,
		TLSClientConfig:     c.cfg.TLS.Clone(), // for what is behind a proxy; net/http changes it
		TLSHandshakeTimeout: c.cfg.ConnectTimeout,
		Protocols:           protocols,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     idle,
		// What to ask for is the driver's decision; net/http would add gzip.
		DisableCompression: true,
		WriteBufferSize:    16 << 10,
		ReadBufferSize:     16 << 10,
	}
}

// adopt gives the connection on which a place was found to speak HTTP/2 to
// net/http. Were it left to dial again, every caller of the first moment would
// have a connection dialled of its own.
func (c *Client) adopt(addr string, conn *tls.Conn) {
	c.transport.CloseIdleConnections() // which fills TLSNextProto
	if next := c.transport.TLSNextProto["h2"]; next != nil {
		next(addr, conn)
		return
	}
	conn.Close()
}

// dialTLS is for more connections, and for those that come after the first.
func (c *Client) dialTLS(ctx context.Context, _, addr string) (net.Conn, error) {
	protocols := []string{"http/1.1"} // of a proxy that is spoken to over TLS
	c.places.mu.Lock()
	if c.places.byAddr["https://"+addr] != nil {
		protocols = c.protocols()
	}
	c.places.mu.Unlock()
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	conn, _, err := c.connectTLS(ctx, addr, protocols)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// roundTrip sends a request through net/http; without a body it is a GET.
func (c *Client) roundTrip(ctx context.Context, u *url.URL, host string, header http.Header, body *payload) (resp *http.Response, err error) {
	req := (&http.Request{
		Method: http.MethodGet, URL: u, Host: host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if body != nil {
		req.Method, req.ContentLength = http.MethodPost, int64(len(body.data))
		req.Body, _ = body.reader()
		req.GetBody = body.reader
	}
	if req.Host == "" {
		req.Host = u.Host
	}
	return c.transport.RoundTrip(req)
}
