package hranahttp

import (
	"context"
	"fmt"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A Reply is the answer to a pipeline: where the stream goes on, and one result
// for each request. An empty Baton means that the stream has ended.
type Reply struct {
	Baton    string
	Endpoint *Endpoint
	Results  []hrana.StreamResult
}

// Pipeline sends requests on the stream that their baton names, or on a new
// one. When ctx ends first, the request is cut off, so this is for requests that
// change nothing.
//
// expect decides whether the answer is asked for compressed.
//
// An error is always an *exec.Error (one whose Err is the context's, if that
// ended); without one there are as many results as requests.
func (c *Client) Pipeline(ctx context.Context, ep *Endpoint, level Level, req *hrana.PipelineReq, expect Expect) (*Reply, error) {
	if ctx.Err() != nil {
		return nil, contextError(ctx, false)
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	defer c.running.Done()
	body, err := encodePipeline(level, req)
	if err != nil {
		return nil, err
	}
	q := c.pipelineCall(ep, level, req, body, &expect)
	ctx, left := c.within(ctx)
	defer left()
	reply, failed := c.exchange(ctx, &q, len(req.Requests))
	q.freeBody(body)
	if failed != nil {
		return nil, failed
	}
	return reply, nil
}

func encodePipeline(level Level, req *hrana.PipelineReq) (*buffer, error) {
	body := newBuffer()
	b, err := hrana.AppendPipelineReq(body.b[:0], level.Encoding(), req)
	if err != nil {
		return nil, encodeError(err)
	}
	body.b = b
	return body, nil
}

func (c *Client) pipelineCall(ep *Endpoint, level Level, req *hrana.PipelineReq, body *buffer, expect *Expect) call {
	c.packing.sent.Add(uint64(len(body.b)))
	return call{ep: ep, level: level, method: pipeline, hasBaton: req.Baton != "", body: body.b,
		expect: *expect, packed: c.packing.choose(expect, false)}
}

// freeBody gives the memory of the call's body back, unless it went through
// net/http, which may go on reading it after it has returned.
func (q *call) freeBody(body *buffer) {
	if q.ep.place.manner.Load() == viaHTTP1 {
		body.free()
	}
}

// PipelineDetached is Pipeline for requests that must not be cut off halfway.
// When ctx ends first it returns at once; the exchange goes on for at most
// LateTimeout, and late is then called with its outcome, by another goroutine.
// Nothing goes on, and late is not called, if nothing had been sent.
func (c *Client) PipelineDetached(ctx context.Context, ep *Endpoint, level Level, req *hrana.PipelineReq, expect Expect, late func(*Reply, error)) (*Reply, error) {
	if ctx.Done() == nil {
		return c.Pipeline(ctx, ep, level, req, expect)
	}
	if ctx.Err() != nil {
		return nil, contextError(ctx, false)
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	// Encoded before anybody can leave: a caller whose context ends may reuse the
	// buffers of its arguments at once.
	body, err := encodePipeline(level, req)
	if err != nil {
		c.running.Done()
		return nil, err
	}
	f := &flight{body: payload{data: body.b}, buf: body, want: len(req.Requests), done: make(chan struct{}), late: late}
	f.call = c.pipelineCall(ep, level, req, body, &expect)
	f.call.detached = &f.body
	run, cancel := context.WithCancel(withValues{c.life, ctx})
	go f.run(c, run, cancel)
	select {
	case <-f.done:
		return f.outcome()
	case <-ctx.Done():
	}
	switch f.body.leave() {
	case ended:
		<-f.done
		return f.outcome()
	case revoked:
		cancel()
		return nil, contextError(ctx, false)
	}
	if t := c.cfg.LateTimeout; t > 0 {
		bound := time.AfterFunc(t, cancel)
		context.AfterFunc(run, func() { bound.Stop() })
	}
	return nil, contextError(ctx, true)
}

// withValues is a context with the values of another, for a user's token source
// and net/http's traces. Its own come first: among them is what context finds
// the parent by.
type withValues struct {
	context.Context
	values context.Context
}

func (c withValues) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}

// A flight is an exchange whose caller may leave.
type flight struct {
	call call
	body payload
	buf  *buffer // body's memory
	want int
	late func(*Reply, error)

	done   chan struct{} // closed when the outcome is there and the caller too
	reply  *Reply
	failed *exec.Error
}

func (f *flight) run(c *Client, ctx context.Context, cancel context.CancelFunc) {
	defer c.running.Done()
	defer cancel()
	f.reply, f.failed = c.exchange(ctx, &f.call, f.want)
	f.call.freeBody(f.buf)
	switch {
	case f.body.finish():
		close(f.done)
	case f.body.state.Load() == abandoned:
		f.late(f.outcome())
	}
}

func (f *flight) outcome() (*Reply, error) {
	if f.failed != nil {
		return nil, f.failed
	}
	return f.reply, nil
}

// exchange makes one round trip, or two if the token had to be renewed.
func (c *Client) exchange(ctx context.Context, q *call, want int) (*Reply, *exec.Error) {
	t := c.cfg.Trace
	if t == nil || t.Request == nil {
		reply, _, failed := c.exchanged(ctx, q, want)
		return reply, failed
	}
	answered := c.requested(ctx, q)
	reply, received, failed := c.exchanged(ctx, q, want)
	answer := Answer{Received: received}
	if failed != nil {
		answer.Err = failed
	} else {
		answer.Server = serverTime(reply.Results)
	}
	answered(answer)
	return reply, failed
}

// exchanged also tells how long the answer was.
func (c *Client) exchanged(ctx context.Context, q *call, want int) (*Reply, int, *exec.Error) {
	began := time.Now()
	a, failed := c.send(ctx, q)
	if failed != nil {
		return nil, 0, failed
	}
	buf := newBuffer()
	defer buf.free()
	limit := c.limit
	if a.packed != nil {
		limit = c.unpackLimit(q.level, want)
	}
	err := buf.readFrom(a.body, a.length, limit)
	a.body.Close()
	took := time.Since(began)
	if err != nil {
		c.counters.failed.Add(1)
		if c.unreadable(q, &a, err) {
			return nil, len(buf.b), c.notHrana("", err)
		}
		return nil, len(buf.b), c.broken(ctx, err, true)
	}
	var decoded hrana.PipelineResp
	if err = hrana.DecodePipelineResp(q.level.Encoding(), buf.b, &decoded); err == nil && len(decoded.Results) != want {
		err = fmt.Errorf("%d results for %d requests", len(decoded.Results), want)
	}
	if err != nil {
		c.counters.failed.Add(1)
		return nil, len(buf.b), c.notHrana(a.foreign, err)
	}
	c.took.Record(took)
	c.received(q, &a, buf.b, decoded.Results)
	c.answered()
	return &Reply{Baton: decoded.Baton, Endpoint: c.follow(q.ep, decoded.BaseURL), Results: decoded.Results}, len(buf.b), nil
}
