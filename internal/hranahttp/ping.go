package hranahttp

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/http1"
)

// A ping is a request that changes nothing. Of the requests that a server lets
// nobody make without a token, a stream that is closed at once is the cheapest:
// 0.37 ms of sqld's time. One that asks for nothing opens a stream and leaves it
// (0.51 ms). A GET of the version (0.09 ms) proves the path only; it is for
// servers that may not know what close is, as tursodb, which answers it with 500.
type ping struct {
	client  *Client
	timeout time.Duration
	cred    *credentials
	level   Level
	body    []byte // nil for a GET
}

var closing = hrana.PipelineReq{Requests: []hrana.StreamReq{{Type: hrana.Close}}}

// newPing makes a ping. It fails where no request could be made, which says
// nothing of any connection.
func (c *Client) newPing(timeout time.Duration) (p *ping, ok bool) {
	ctx, cancel := context.WithTimeout(c.life, timeout)
	defer cancel()
	cred, failed := c.credentials(ctx)
	if failed != nil || c.badField != nil {
		return nil, false
	}
	p = &ping{client: c, timeout: timeout, cred: cred, level: c.Level()}
	if p.level > V2JSON {
		var err error
		if p.body, err = hrana.AppendPipelineReq(nil, p.level.Encoding(), &closing); err != nil {
			return nil, false
		}
	}
	return p, true
}

// over sends the ping over one connection. An error means that there is no
// answer, and that the connection has been closed.
func (p *ping) over(idle http1.Idle) error {
	req := p.request()
	return p.send(func(ctx context.Context) (int, error) {
		resp, err := idle.Ask(ctx, &req)
		if err != nil {
			return 0, err
		}
		status := resp.Status
		readError(resp)
		return status, nil
	})
}

// byTransport sends the ping through net/http. fresh tells that it has dialled.
func (p *ping) byTransport() (fresh bool, err error) {
	c := p.client
	u, header, body := p.message()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { fresh = !info.Reused }}
	err = p.send(func(ctx context.Context) (int, error) {
		resp, err := c.transport.roundTrip(httptrace.WithClientTrace(ctx, trace), u, c.home.host, header, body)
		if err != nil {
			return 0, err
		}
		readError(resp.Body)
		return resp.StatusCode, nil
	})
	return fresh, err
}

// afresh sends the ping over a connection that nothing has gone wrong on yet: one
// that has died with the server, or on its own, is no way to ask it. It gives the
// Retry-After that came with the answer.
func (p *ping) afresh() (status int, retryAfter string, err error) {
	c, t := p.client, p.client.transport
	err = p.send(func(ctx context.Context) (int, error) {
		manner, err := t.mannerOf(ctx, c.home.place)
		if err != nil {
			return 0, err
		}
		if manner == viaHTTP1 {
			t.pool.Suspect(&c.home.place.target, 0)
			req := p.request()
			resp, _, err := t.pool.Do(ctx, &c.home.place.target, &req)
			if err != nil {
				return 0, err
			}
			status, retryAfter = resp.Status, string(resp.Get("retry-after"))
			readError(resp)
			return status, nil
		}
		fresh, done := t.renewed()
		defer done()
		u, header, body := p.message()
		resp, err := roundTripOn(fresh, ctx, u, c.home.host, header, body)
		if err != nil {
			return 0, err
		}
		status, retryAfter = resp.StatusCode, resp.Header.Get("Retry-After")
		readError(resp.Body)
		return status, nil
	})
	return status, retryAfter, err
}

// request is the ping in HTTP/1.1.
func (p *ping) request() http1.Request {
	c := p.client
	req := http1.Request{Body: p.body}
	if p.body != nil {
		req.Head = c.home.calls[p.level][pipeline].headFor(p.cred, p.level, c.home.host, false)
	} else {
		req.Head = http1.AppendHead(nil, http.MethodGet, below(c.home.base, p.level.path()), c.home.host, p.cred.header(hrana.JSON, false))
	}
	return req
}

// message is the ping for net/http.
func (p *ping) message() (u *url.URL, header http.Header, body *payload) {
	c := p.client
	if p.body != nil {
		return c.home.calls[p.level][pipeline].url, p.cred.header(p.level.Encoding(), false), &payload{data: p.body}
	}
	return below(c.home.base, p.level.path()), p.cred.header(hrana.JSON, false), nil
}

// send makes one attempt. A token that is refused is fetched again now, so that
// the next statement need not.
func (p *ping) send(transmit func(ctx context.Context) (status int, err error)) error {
	c := p.client
	ctx, cancel := context.WithTimeout(c.life, p.timeout)
	defer cancel()
	c.counters.requests.Add(1)
	status, err := transmit(ctx)
	if status != http.StatusOK {
		c.counters.failed.Add(1)
	}
	if err == nil && !isDown(status) {
		c.circuit.alive()
	}
	switch {
	case err != nil:
		return err
	case status == http.StatusUnauthorized:
		c.renew(ctx, p.cred)
	case p.level > V2JSON && lacksMethod(status):
		c.neg.doubt()
	}
	return nil
}

// checkRequest is what a connection that is not trusted is asked. It proves the
// path, which is what is in doubt, and nothing else, so that who shares connections
// asks without a token.
func (t *Transport) checkRequest(to *http1.Target) *http1.Request {
	p := t.placeAt(to)
	if p == nil {
		return nil
	}
	if t.owner == nil {
		return &http1.Request{Head: http1.AppendHead(nil, http.MethodGet, below(p.base, V2JSON.path()), p.host, nil)}
	}
	cred := t.owner.auth.current.Load()
	if cred == nil {
		return nil
	}
	return &http1.Request{Head: http1.AppendHead(nil, http.MethodGet, below(p.base, t.owner.Level().path()), p.host, cred.header(hrana.JSON, false))}
}
