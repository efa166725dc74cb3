package hranahttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/http1"
	"github.com/turso-opt/turso-opt/internal/wire"
)

// A call is one POST, complete in memory.
type call struct {
	ep       *Endpoint
	level    Level
	method   int // pipeline or cursor
	hasBaton bool
	body     []byte
	// detached is body, where the caller may leave; nil otherwise.
	detached *payload
	// packed asks for a compressed answer.
	packed bool
	expect Expect
}

// An answer is a response of status 200, its body unread. Whoever has one closes
// it.
type answer struct {
	body   io.ReadCloser
	length int64 // -1 if not known
	// coding is how it has come, packed the Reader that undoes it; nil if plain.
	coding wire.Coding
	packed *wire.Reader
	// sent is when the request had left, head when the answer began to come.
	sent, head time.Time
	// onOld tells of an answer that is none, but says that the database is elsewhere,
	// that a new connection may lead there.
	onOld bool
	// foreign is the content type, if it is one that Hrana does not use.
	foreign string
}

// send makes one HTTP request. A 401 is tried once more if the token source has
// another token, and what says that the database is elsewhere on a connection that
// may lead to where it was.
func (c *Client) send(ctx context.Context, q *call) (answer, *exec.Error) {
	if c.badField != nil {
		return answer{}, encodeError(c.badField)
	}
	if down := c.circuit.passes(q.ep); down != nil {
		return answer{}, down
	}
	for renewed, moved := false, false; ; {
		cred, err := c.credentials(ctx)
		if err != nil {
			return answer{}, err
		}
		a, err := c.transmit(ctx, q, cred)
		c.circuit.observe(q.ep, err)
		if err == nil {
			return a, nil
		}
		c.counters.failed.Add(1)
		switch {
		case a.onOld && !moved:
			moved = true
		case err.Status == http.StatusUnauthorized && !renewed:
			renewed = true
		default:
			return answer{}, err
		}
		if q.detached != nil && !q.detached.Reopen() || err.Status == http.StatusUnauthorized && c.renew(ctx, cred) == nil {
			return answer{}, err
		}
		c.counters.renewed.Add(1)
		ctx = c.cfg.Trace.Again(ctx, err, 0)
	}
}

// transmit makes one attempt, in the manner of the place it goes to.
func (c *Client) transmit(ctx context.Context, q *call, cred *credentials) (answer, *exec.Error) {
	c.counters.requests.Add(1)
	manner, err := c.transport.mannerOf(ctx, q.ep.place)
	switch {
	case err != nil:
		return answer{}, c.broken(ctx, err, false)
	case manner == viaHTTP1:
		return c.transmitHTTP1(ctx, q, cred)
	default:
		return c.transmitByTransport(ctx, q, cred)
	}
}

func (c *Client) transmitHTTP1(ctx context.Context, q *call, cred *credentials) (answer, *exec.Error) {
	req := http1.Request{Head: q.ep.calls[q.level][q.method].headFor(cred, q.level, q.ep.host, q.packed), Body: q.body}
	if q.detached != nil {
		req.Gate = q.detached
	}
	if q.ep.place == c.home.place {
		req.Down = c.Down()
	}
	req.Leash = q.expect.Leash
	resp, sent, err := c.transport.pool.Do(ctx, &q.ep.place.target, &req)
	if err == http1.ErrDown {
		return answer{}, c.circuit.refusal()
	}
	if err != nil {
		return answer{}, c.broken(ctx, err, sent)
	}
	if resp.Status != http.StatusOK {
		h := statusHead{status: resp.Status, contentType: string(resp.Get("content-type")),
			retryAfter: string(resp.Get("retry-after")), location: string(resp.Get("location"))}
		onOld := c.onOld(q, resp)
		body, _ := undo(resp, resp.Get("content-encoding"))
		return answer{onOld: onOld}, c.refused(q, h, readError(body))
	}
	a := answer{body: resp, length: resp.Length, sent: resp.Sent, head: time.Now()}
	if ct := resp.Get("content-type"); !isHrana(ct) {
		a.foreign = string(ct)
	}
	return c.unpack(a, resp.Get("content-encoding"))
}

func (c *Client) transmitByTransport(ctx context.Context, q *call, cred *credentials) (answer, *exec.Error) {
	body := q.detached
	if body == nil {
		body = &payload{data: q.body}
	}
	u, header := q.ep.calls[q.level][q.method].url, cred.header(q.level.Encoding(), q.packed)
	live, cancel := context.WithCancel(ctx)
	if !q.expect.Leash.Hold(cancel) {
		cancel()
		return answer{}, c.broken(ctx, http1.ErrPulled, false)
	}
	sent := time.Now()
	resp, err := c.transport.roundTrip(live, u, q.ep.host, header, body)
	var noConn *unconnected
	if err != nil && !body.started() && live.Err() == nil && !errors.As(err, &noConn) {
		// The connection was closed at the moment when it was taken.
		resp, err = c.transport.roundTrip(live, u, q.ep.host, header, body)
	}
	q.expect.Leash.Let()
	if err != nil {
		cancel()
		return answer{}, c.broken(ctx, err, body.started())
	}
	resp.Body = &lastingBody{resp.Body, cancel}
	if resp.StatusCode != http.StatusOK {
		h := statusHead{status: resp.StatusCode, contentType: resp.Header.Get("Content-Type"),
			retryAfter: resp.Header.Get("Retry-After"), location: resp.Header.Get("Location")}
		text, _ := undo(resp.Body, []byte(resp.Header.Get("Content-Encoding")))
		return answer{}, c.refused(q, h, readError(text))
	}
	a := answer{body: resp.Body, length: resp.ContentLength, sent: sent, head: time.Now()}
	if ct := resp.Header.Get("Content-Type"); !isHrana([]byte(ct)) {
		a.foreign = ct
	}
	return c.unpack(a, []byte(resp.Header.Get("Content-Encoding")))
}

// refused is an answer other than 200.
func (c *Client) refused(q *call, h statusHead, text []byte) *exec.Error {
	if !q.hasBaton && q.level > V2JSON && lacksMethod(h.status) {
		c.neg.doubt()
	}
	e := statusError(h, text, q.hasBaton)
	if c.neg.fixed && lacksMethod(h.status) && !q.hasBaton {
		e.Message += " (encoding=protobuf is more than some servers have)"
	}
	e.Message = c.redact(e.Message)
	return e
}

// get makes a GET request and reads its body away, so that the connection can
// be used again. The client has been asked to begin before.
func (c *Client) get(ctx context.Context, path string) (status int, contentType string, failed *exec.Error) {
	if c.badField != nil {
		return 0, "", encodeError(c.badField)
	}
	if down := c.circuit.passes(c.home); down != nil {
		return 0, "", down
	}
	cred, failed := c.credentials(ctx)
	if failed != nil {
		return 0, "", failed
	}
	c.counters.requests.Add(1)
	manner, err := c.transport.mannerOf(ctx, c.home.place)
	u, header := below(c.home.base, path), cred.header(hrana.JSON, false)
	switch {
	case err != nil:
	case manner == viaHTTP1:
		var resp *http1.Response
		req := http1.Request{Head: http1.AppendHead(nil, http.MethodGet, u, c.home.host, header)}
		if resp, _, err = c.transport.pool.Do(ctx, &c.home.place.target, &req); err == nil {
			status, contentType = resp.Status, string(resp.Get("content-type"))
			sent := resp.Sent
			readError(resp)
			c.packing.law.ObserveEmpty(time.Since(sent))
		}
	default:
		var resp *http.Response
		if resp, err = c.transport.roundTrip(ctx, u, c.home.host, header, nil); err == nil {
			status, contentType = resp.StatusCode, resp.Header.Get("Content-Type")
			readError(resp.Body)
		}
	}
	if status != http.StatusOK {
		c.counters.failed.Add(1)
	}
	if err != nil {
		return 0, "", c.broken(ctx, err, false)
	}
	if !isDown(status) {
		c.circuit.alive()
	}
	return status, contentType, nil
}
