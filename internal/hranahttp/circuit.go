package hranahttp

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/http1"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// A circuit keeps requests from a server that is down: they fail at once, and a
// ping is sent now and then until the server is back.
//
// Requests that fail only raise a suspicion. It opens when the ping, which no
// statement can be to blame for, fails too; so neither one statement that brings
// down its connection nor a gateway that gives up on slow ones can open it. It has
// a timer while it is open and a goroutine while a ping is under way, and nothing
// before the first failure.
type circuit struct {
	client *Client
	off    bool
	open   atomic.Bool
	inARow atomic.Int32 // failures since the server has last answered anything
	wanted atomic.Bool  // a request has been refused since the last ping

	mu      sync.Mutex
	closed  bool
	asking  bool // a ping is under way or due
	round   int  // counts what end and close have stopped
	timer   *time.Timer
	backoff limit.Backoff
	since   time.Time // when a request was last wanted
	cause   *exec.Error

	opened, refused, probes atomic.Uint64
}

const (
	// downAfter is how many requests in a row have to fail for a suspicion.
	downAfter = 5
	// firstProbe and lastProbe bound the time between pings, which also is no
	// longer than that between those of the keeper.
	firstProbe = 100 * time.Millisecond
	lastProbe  = 5 * time.Second
	// probeTimeout bounds the answer to a ping where no other does.
	probeTimeout = 5 * time.Second
	// longestAsked is the longest that a server may ask not to be pinged.
	longestAsked = 30 * time.Second
)

// refuses is the error of a request that is not to be sent; nil if it is.
func (k *circuit) refuses(to *Endpoint) *exec.Error {
	if !k.open.Load() || to.place != k.client.home.place {
		return nil
	}
	k.refused.Add(1)
	k.wanted.Store(true)
	k.mu.Lock()
	cause := k.cause
	k.mu.Unlock()
	e := &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeUnavailable, Message: "the server is down"}
	if cause != nil {
		e.Status, e.Err = cause.Status, cause.Err
		e.Message += ": " + cause.Message
	}
	return e
}

// observe learns from the outcome of a request.
func (k *circuit) observe(to *Endpoint, e *exec.Error) {
	switch {
	case k.off, to.place != k.client.home.place:
	case e == nil, e.Source != exec.FromTransport && !isDown(e.Status):
		if e == nil || e.Source != exec.FromClient {
			k.alive()
		}
	case errors.Is(e, context.Canceled), errors.Is(e, context.DeadlineExceeded), errors.Is(e, http1.ErrGate):
		// The caller has left, which says nothing of the server.
	case k.inARow.Add(1) >= downAfter && !k.open.Load():
		k.suspect(e)
	}
}

// isDown tells whether a status says that there is no server behind whoever
// answers.
func isDown(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// alive is told that the server has answered.
func (k *circuit) alive() {
	if k.inARow.Load() != 0 {
		k.inARow.Store(0)
	}
	if k.open.Load() {
		k.mu.Lock()
		k.end()
		k.mu.Unlock()
	}
}

// end lets requests pass again. It is called with the lock held.
func (k *circuit) end() {
	if k.open.Swap(false) {
		k.client.log.Info("turso-opt: the server is back", "host", k.client.cfg.URL.Host)
	}
	k.stop()
}

// stop is called with the lock held.
func (k *circuit) stop() {
	k.asking, k.cause = false, nil
	k.round++
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// close ends the pings; one that is under way ends with the client.
func (k *circuit) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.stop()
}

func (k *circuit) suspect(e *exec.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.asking {
		return
	}
	k.asking, k.cause = true, e
	k.since = time.Now()
	last := min(k.client.keeper.interval(), lastProbe)
	k.backoff = limit.Backoff{First: min(firstProbe, last), Last: last}
	round := k.round
	if !k.client.besides(func() { k.ask(round) }) {
		k.asking = false
	}
}

// ask pings the server, and has that done again later if it does not answer.
func (k *circuit) ask(round int) {
	up, asked := k.probe()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.round != round:
		return
	case up:
		k.inARow.Store(0)
		k.end()
		return
	}
	now := time.Now()
	if !k.open.Swap(true) {
		k.opened.Add(1)
		k.client.log.Warn("turso-opt: the server is down; requests fail at once until it answers a ping", "host", k.client.cfg.URL.Host)
	} else if k.wanted.Swap(false) {
		k.since = now
	}
	if idle := k.client.transport.cfg.KeepAlive.IdleStop; idle > 0 && now.Sub(k.since) >= idle {
		// Nobody wants to know. Whoever comes next is let through, and one failure
		// is enough then.
		k.open.Store(false)
		k.inARow.Store(downAfter - 1)
		k.stop()
		return
	}
	k.timer = time.AfterFunc(k.backoff.Next(asked), func() { k.client.besides(func() { k.ask(round) }) })
}

// probe tells whether the server answers, and if not, for how long it asks to be
// left alone.
func (k *circuit) probe() (up bool, asked time.Duration) {
	c := k.client
	timeout := c.transport.cfg.KeepAlive.Timeout
	if timeout <= 0 {
		timeout = probeTimeout
	}
	p, ok := c.newPing(timeout)
	if !ok {
		return true, 0 // requests will say why they cannot be made
	}
	k.probes.Add(1)
	// A connection that has died with the server is no way to ask it.
	c.transport.pool.Suspect(&c.home.place.target, 0)
	status, header, err := p.anyhow()
	if err != nil {
		return false, 0
	}
	return !isDown(status), min(retryAfter(header, time.Now), longestAsked)
}

// CircuitCounters are what a Client has counted of a server that was down.
type CircuitCounters struct {
	// Open: requests are refused now.
	Open bool
	// Opened is how often that has begun, Refused how many requests have been
	// refused, and Probes how many pings were sent because of failures.
	Opened, Refused, Probes uint64
}

// Circuit returns what has been counted so far.
func (c *Client) Circuit() CircuitCounters {
	k := &c.circuit
	return CircuitCounters{Open: k.open.Load(), Opened: k.opened.Load(), Refused: k.refused.Load(), Probes: k.probes.Load()}
}
