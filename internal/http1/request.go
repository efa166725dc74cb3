package http1

import (
	"context"
	"errors"
	"time"
)

// A Request is complete in memory. Head is what AppendHead has made.
type Request struct {
	Head []byte
	Body []byte // nil for a request without one
	// Gate, if there is one, decides whether the request may leave.
	Gate Gate
	// Down, if it is not nil, is closed when nobody is to wait for a connection any
	// longer.
	Down <-chan struct{}
	// Leash, if it is not nil, lets somebody else end the wait for the answer.
	Leash *Leash
}

// A Gate is asked on the way out.
type Gate interface {
	// Open is asked before the first byte is sent.
	Open() bool
	// Reopen is told that the request has not left in full and never will. It
	// reports whether it may be sent again.
	Reopen() bool
}

// ErrDown is what a request fails with that had no connection when its Down was
// closed.
var ErrDown = errors.New("the server is down")

// ErrGate is what a request fails with that its Gate did not let out.
var ErrGate = errors.New("the request was taken back")

// Do sends a request and returns the answer's head. sent tells, on an error,
// whether the request had left in full; if not, no server can have executed it.
//
// When ctx ends, also later while the body is read, the connection is closed.
func (p *Pool) Do(ctx context.Context, t *Target, req *Request) (resp *Response, sent bool, err error) {
	for {
		c, err := p.get(ctx, t, req.Down)
		if err != nil {
			return nil, false, err
		}
		if !req.Leash.Hold(c.cut) {
			p.put(c)
			return nil, false, ErrPulled
		}
		if req.Gate != nil && !req.Gate.Open() {
			req.Leash.Let()
			p.put(c)
			return nil, false, ErrGate
		}
		var stop func() bool
		if ctx.Done() != nil {
			stop = context.AfterFunc(ctx, c.cut)
		}
		resp, sent, err := c.exchange(req)
		req.Leash.Let()
		if err == nil {
			resp.stop = stop
			return resp, true, nil
		}
		c.close()
		watched := stop == nil || stop()
		if sent {
			return nil, true, err
		}
		// The server has closed the connection at the moment when it was taken.
		if again := req.Gate == nil || req.Gate.Reopen(); !again || !c.used || !watched {
			return nil, false, err
		}
	}
}

func (c *conn) exchange(req *Request) (resp *Response, sent bool, err error) {
	if err := c.write(req); err != nil {
		if resp, ok := c.lastWords(); ok {
			return resp, true, nil
		}
		return nil, false, err
	}
	resp = &Response{conn: c, Sent: time.Now(), reused: c.used || c.waited}
	if err := resp.readHead(); err != nil {
		return nil, true, err
	}
	c.used = true
	return resp, true, nil
}
