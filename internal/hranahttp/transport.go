package hranahttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// A netHTTP is a transport of net/http's, for HTTP/2 and for proxies.
type netHTTP struct {
	*http.Transport
	filled sync.Once // its TLSNextProto
	born   time.Time
}

// newHTTP makes one; nothing global is touched.
func (t *Transport) newHTTP() *netHTTP {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(slices.Contains(t.protocols(), "h2"))
	var liveness *http.HTTP2Config
	if k := &t.cfg.KeepAlive; k.Timeout > 0 {
		// A dead path also ends what is under way on it, which a ping of ours, a
		// request among others, does not. Where there are none of ours these are sent
		// all the same: whoever ends HTTP/2 answers them, and no database sees them.
		liveness = &http.HTTP2Config{SendPingTimeout: k.Timeout, PingTimeout: (lastHope - 1) * k.Timeout}
		if keep := newPace(k); k.pings() {
			liveness.SendPingTimeout = keep.interval()
		}
	}
	idle := http1.IdleTimeout
	if stale := t.cfg.KeepAlive.StaleAfter; stale > 0 {
		idle = min(idle, stale)
	}
	return &netHTTP{born: time.Now(), Transport: &http.Transport{
		HTTP2: liveness,
		Proxy: func(req *http.Request) (*url.URL, error) {
			if t.proxy == nil {
				return nil, nil
			}
			via, err := t.proxy(req)
			if err != nil {
				return nil, errProxy // the original quotes the proxy's URL, which may hold a password
			}
			return via, nil
		},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := t.bounded(ctx)
			defer cancel()
			sock, err := t.connect(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return sock, nil
		},
		DialTLSContext:      t.dialTLS,
		TLSClientConfig:     t.cfg.TLS.Clone(), // for what is behind a proxy; net/http changes it
		TLSHandshakeTimeout: t.cfg.ConnectTimeout,
		Protocols:           protocols,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     idle,
		// What to ask for is the driver's decision; net/http would add gzip.
		DisableCompression: true,
		WriteBufferSize:    16 << 10,
		ReadBufferSize:     16 << 10,
	}}
}

// adopt gives the connection on which a place was found to speak HTTP/2 to
// net/http. Were it left to dial again, every caller of the first moment would
// have a connection dialled of its own.
func (t *Transport) adopt(addr string, conn *tls.Conn) {
	over := t.http.Load()
	over.filled.Do(over.CloseIdleConnections) // which fills TLSNextProto
	if next := over.TLSNextProto["h2"]; next != nil {
		next(addr, conn)
		return
	}
	conn.Close()
}

// dialTLS is for more connections, and for those that come after the first.
func (t *Transport) dialTLS(ctx context.Context, _, addr string) (net.Conn, error) {
	protocols := []string{"http/1.1"} // of a proxy that is spoken to over TLS
	t.mu.Lock()
	if t.byAddr["https://"+addr] != nil {
		protocols = t.protocols()
	}
	t.mu.Unlock()
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	conn, _, err := t.connectTLS(ctx, addr, protocols)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// roundTrip sends a request through net/http; without a body it is a GET.
func (t *Transport) roundTrip(ctx context.Context, u *url.URL, host string, header http.Header, body *payload) (*http.Response, error) {
	over := t.http.Load()
	if time.Since(over.born) >= lateAge {
		t.age(over)
		over = t.http.Load()
	}
	return roundTripOn(over, ctx, u, host, header, body)
}

func roundTripOn(over *netHTTP, ctx context.Context, u *url.URL, host string, header http.Header, body *payload) (*http.Response, error) {
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
	return over.RoundTrip(req)
}

// lateAge is at what age net/http's connections are given up where no ping has done
// it at http1.MaxAge, before a statement has to dial for it.
const lateAge = http1.MaxAge * 5 / 4

// age gives up connections that are old; what is under way on them goes on.
func (t *Transport) age(old *netHTTP) {
	if t.http.CompareAndSwap(old, t.newHTTP()) {
		old.CloseIdleConnections()
	}
}

// renewed gives one whose connections are all yet to be dialled.
// That of an own Transport takes the place of the one before, which what is under
// way there still goes on with; one that is shared is not taken from the others.
func (t *Transport) renewed() (fresh *netHTTP, done func()) {
	fresh = t.newHTTP()
	if t.owner == nil {
		return fresh, fresh.CloseIdleConnections
	}
	t.http.Swap(fresh).CloseIdleConnections()
	return fresh, func() {}
}
