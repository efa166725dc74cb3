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
// one. When ctx ends first, the request is cancelled by closing its connection,
// so this is for requests that change nothing.
//
// An error is always an *exec.Error (one whose Err is the context's, if that
// ended); without one there are as many results as requests.
func (c *Client) Pipeline(ctx context.Context, ep *Endpoint, level Level, req *hrana.PipelineReq) (*Reply, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.running.Done()
	body, err := encodePipeline(level, req)
	if err != nil {
		return nil, err
	}
	if ctx.Done() == nil {
		ctx = c.life
	}
	return c.exchange(ctx, ep, level, body, req.Baton != "", len(req.Requests))
}

// PipelineDetached is Pipeline for requests that must not be cut off halfway.
// When ctx ends first it returns at once; the exchange goes on for at most
// LateTimeout, and late is then called with its outcome. Nothing goes on, and
// late is not called, if nothing had been sent.
func (c *Client) PipelineDetached(ctx context.Context, ep *Endpoint, level Level, req *hrana.PipelineReq, late func(*Reply, error)) (*Reply, error) {
	if ctx.Done() == nil {
		return c.Pipeline(ctx, ep, level, req)
	}
	if ctx.Err() != nil {
		return nil, contextError(ctx, false)
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	// Encoded before anybody can leave: a caller whose context ends may reuse the
	// buffers of its arguments at once.
	body, err := encodePipeline(level, req)
	if err != nil {
		c.running.Done()
		return nil, err
	}
	type outcome struct {
		reply *Reply
		err   error
	}
	done := make(chan outcome) // unbuffered: whoever receives has not left
	left := make(chan struct{})
	run, cancel := context.WithCancel(c.life)
	hasBaton, want := req.Baton != "", len(req.Requests)
	go func() {
		defer c.running.Done()
		defer cancel()
		reply, err := c.exchange(run, ep, level, body, hasBaton, want)
		select {
		case done <- outcome{reply, err}:
		case <-left:
			late(reply, err)
		}
	}()
	select {
	case o := <-done:
		return o.reply, o.err
	case <-ctx.Done():
	}
	if body.revoke() {
		cancel()
		<-done
		return nil, contextError(ctx, false)
	}
	bound := time.AfterFunc(c.cfg.LateTimeout, cancel)
	context.AfterFunc(run, func() { bound.Stop() })
	close(left)
	return nil, contextError(ctx, true)
}

func encodePipeline(level Level, req *hrana.PipelineReq) (*payload, error) {
	size := 64
	for i := range req.Requests {
		r := &req.Requests[i]
		size += 192 + len(r.SQL) + stmtSize(&r.Stmt)
		for j := range r.Batch.Steps {
			size += 192 + stmtSize(&r.Batch.Steps[j].Stmt)
		}
	}
	data, err := hrana.AppendPipelineReq(make([]byte, 0, size), level.Encoding(), req)
	if err != nil {
		return nil, encodeError(err)
	}
	return &payload{data: data}, nil
}

func stmtSize(s *hrana.Stmt) int {
	size := len(s.SQL)
	for i := range s.Args {
		size += 32 + len(s.Args[i].Text) + len(s.Args[i].Blob)*4/3
	}
	return size
}

// encodeError is what the caller's own values did wrong: nothing was sent.
func encodeError(err error) *exec.Error {
	return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Err: err}
}

func contextError(ctx context.Context, sent bool) *exec.Error {
	e := &exec.Error{Source: exec.FromTransport, Err: ctx.Err(), StreamLost: sent}
	if sent {
		e.Message = "the context ended after the request was sent"
	} else {
		e.Proof = exec.NotExecuted
		e.Message = "the context ended before the request was sent"
	}
	return e
}

// exchange makes one round trip, or two if the token had to be renewed.
func (c *Client) exchange(ctx context.Context, ep *Endpoint, level Level, body *payload, hasBaton bool, want int) (*Reply, error) {
	enc := level.Encoding()
	resp, err := c.send(ctx, ep.pipeline[level], ep.host, enc, body, hasBaton)
	if err != nil {
		return nil, err
	}
	buf, err := readBody(resp, maxResponse)
	defer putBuffer(buf)
	if err != nil {
		c.counters.failed.Add(1)
		if ctx.Err() != nil {
			return nil, contextError(ctx, true)
		}
		return nil, transportError(err, true)
	}
	var decoded hrana.PipelineResp
	if err := hrana.DecodePipelineResp(enc, buf.b, &decoded); err != nil {
		c.counters.failed.Add(1)
		return nil, protocolError(resp, err)
	}
	if len(decoded.Results) != want {
		c.counters.failed.Add(1)
		return nil, protocolError(resp, fmt.Errorf("%d results for %d requests", len(decoded.Results), want))
	}
	c.answered()
	return &Reply{Baton: decoded.Baton, Endpoint: c.follow(ep, decoded.BaseURL), Results: decoded.Results}, nil
}
