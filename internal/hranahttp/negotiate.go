package hranahttp

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Negotiation. Every libSQL server takes version 2 in JSON, so the first
// requests are sent in it without asking anything; once one has been answered,
// the server is asked beside them what else it has, with the GET requests of
// the Hrana 3 specification, section "Hrana over HTTP". New streams then begin
// at the best level; a stream stays at the level it began at.
type negotiation struct {
	level   atomic.Uint32
	settled atomic.Bool
	fixed   bool // nothing is to be negotiated
	mu      sync.Mutex
	running chan struct{} // closed when the probe under way has ended
	retryAt time.Time
}

// probeAgain is how long an inconclusive probe is not repeated.
const probeAgain = 10 * time.Second

func (n *negotiation) settle(l Level) {
	n.level.Store(uint32(l))
	n.settled.Store(true)
}

// Level is the level of new streams, as far as it is known.
func (c *Client) Level() Level { return Level(c.neg.level.Load()) }

// Negotiated tells whether Level is final.
func (c *Client) Negotiated() bool { return c.neg.settled.Load() }

// answered is called when a request has succeeded: the server is there, so it
// can be asked what it speaks.
func (c *Client) answered() {
	if !c.moves.found.Load() {
		c.moves.found.Store(true)
	}
	if !c.neg.settled.Load() {
		c.startProbe()
	}
}

// AwaitLevel returns the level of new streams once the server has been asked,
// for requests that only a later version can serve. If the server cannot be
// asked, it is what is known.
func (c *Client) AwaitLevel(ctx context.Context) Level {
	if !c.neg.settled.Load() {
		if running := c.startProbe(); running != nil {
			select {
			case <-running:
			case <-ctx.Done():
			}
		}
	}
	return c.Level()
}

// startProbe starts the probe unless one is running, and returns what to wait
// for; nil if there is nothing to wait for.
func (c *Client) startProbe() chan struct{} {
	n := &c.neg
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.settled.Load() || n.running != nil || time.Now().Before(n.retryAt) {
		return n.running
	}
	if c.enter(context.Background()) != nil {
		return nil
	}
	defer c.running.Done()
	running := make(chan struct{})
	n.running = running
	c.beside.Go(func() {
		defer close(running)
		level, known := c.probe()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.running = nil
		if !known {
			n.retryAt = time.Now().Add(probeAgain)
			return
		}
		n.settle(level)
		c.log.Info("turso-opt: protocol negotiated", "host", c.cfg.URL.Host, "level", level.String())
	})
	return running
}

func (c *Client) probe() (level Level, known bool) {
	ctx, cancel := context.WithTimeout(c.life, c.probeTimeout())
	defer cancel()
	if c.cfg.Encoding != OnlyJSON {
		if offered, known := c.offers(ctx, V3Protobuf); offered || !known {
			return V3Protobuf, known
		}
	}
	offered, known := c.offers(ctx, V3JSON)
	if offered {
		return V3JSON, known
	}
	return V2JSON, known
}

func (c *Client) probeTimeout() time.Duration {
	if c.cfg.ConnectTimeout > 0 {
		return 2 * c.cfg.ConnectTimeout
	}
	return 20 * time.Second
}

// doubt is called when the server does not know what it was found to have: it
// has been replaced by another, which will be asked anew.
func (n *negotiation) doubt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fixed || !n.settled.Load() {
		return
	}
	n.level.Store(uint32(V2JSON))
	n.settled.Store(false)
}

// offers asks whether the server has a level. Not to have it is a refusal of the
// path; anything that says something about the moment (401, 429, 500, 503, no
// answer) is not known.
func (c *Client) offers(ctx context.Context, l Level) (offered, known bool) {
	status, contentType, err := c.get(ctx, l.path())
	switch {
	case err != nil:
		return false, false
	case status >= 200 && status < 300:
		return !isHTML(contentType), true // a page for every path is not Hrana
	case status >= 300 && status < 400, lacksMethod(status), status == http.StatusBadRequest:
		return false, true
	}
	return false, false
}
