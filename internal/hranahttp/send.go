package hranahttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A payload is the body of a request that knows whether any of it was taken for
// sending. net/http reads a body only when it has a connection to write to, so
// a payload that was never read proves that the server has no complete request.
type payload struct {
	data  []byte
	state atomic.Int32
}

const (
	unsent int32 = iota
	sending
	revoked
)

var errRevoked = errors.New("the request was taken back")

// revoke takes the payload back. It fails if sending has begun.
func (p *payload) revoke() bool { return p.state.CompareAndSwap(unsent, revoked) }

func (p *payload) started() bool { return p.state.Load() == sending }

func (p *payload) reader() (io.ReadCloser, error) { return &payloadReader{p: p}, nil }

type payloadReader struct {
	p   *payload
	off int
}

func (r *payloadReader) Read(b []byte) (int, error) {
	if r.off == 0 && !r.p.state.CompareAndSwap(unsent, sending) && r.p.state.Load() == revoked {
		return 0, errRevoked
	}
	n := copy(b, r.p.data[r.off:])
	if r.off += n; n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *payloadReader) Close() error { return nil }

// send makes one HTTP request and returns the response of status 200, its body
// unread. A 401 is tried once more if the token source has another token.
func (c *Client) send(ctx context.Context, u *url.URL, host string, enc hrana.Encoding, body *payload, hasBaton bool) (*http.Response, error) {
	for renewed := false; ; renewed = true {
		cred, err := c.credentials(ctx, enc)
		if err != nil {
			return nil, err
		}
		req := &http.Request{
			Method: http.MethodPost, URL: u, Host: host, Header: cred.header,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Body: &payloadReader{p: body}, GetBody: body.reader, ContentLength: int64(len(body.data)),
		}
		c.counters.requests.Add(1)
		resp, err := c.transport.RoundTrip(req.WithContext(ctx))
		if err != nil {
			c.counters.failed.Add(1)
			if ctx.Err() != nil {
				// A revoked payload was not sent; only the caller who revoked it knows,
				// and it does not look at this error.
				return nil, contextError(ctx, body.started())
			}
			return nil, transportError(err, body.started())
		}
		if resp.StatusCode == http.StatusOK {
			return resp, nil
		}
		c.counters.failed.Add(1)
		text := readError(resp)
		if resp.StatusCode == http.StatusUnauthorized && !renewed && c.refresh(ctx, cred.gen) {
			continue
		}
		return nil, statusError(resp, text, hasBaton)
	}
}

// A buffer is a pooled response body.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 16<<10)} }}

// keepBuffer is the largest buffer that goes back to the pool, so that one large
// answer does not stay in memory for good.
const keepBuffer = 1 << 20

func putBuffer(b *buffer) {
	if cap(b.b) <= keepBuffer {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

var errTooLong = errors.New("the answer is longer than the driver accepts")

// readBody reads and closes the body of a response. It always returns a buffer.
func readBody(resp *http.Response, limit int64) (*buffer, error) {
	defer resp.Body.Close()
	buf := buffers.Get().(*buffer)
	b := buf.b[:0]
	defer func() { buf.b = b }()
	if n := resp.ContentLength; n > limit {
		return buf, errTooLong
	} else if n >= int64(cap(b)) {
		b = make([]byte, 0, n+1) // one more, so that the end is seen without growing
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := resp.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		case int64(len(b)) > limit:
			return buf, errTooLong
		}
	}
}

// errorBody is how much of an error's body is read: enough for any message, and
// the connection can be used again.
const errorBody = 64 << 10

func readError(resp *http.Response) []byte {
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, errorBody)) // what came before a failure is all there is to report
	return b
}

// protocolError is for an answer of status 200 that is not Hrana: the server may
// have done anything.
func protocolError(resp *http.Response, err error) *exec.Error {
	msg := "the server's answer cannot be understood"
	if ct := resp.Header.Get("Content-Type"); ct != "" && !isHrana(ct) {
		msg = "the server does not speak Hrana (it answers with " + clean(ct, 60) + ")"
	}
	return &exec.Error{Source: exec.FromProtocol, Message: msg, Err: err, StreamLost: true}
}
