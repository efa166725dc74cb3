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
// What happens to requests only raises a suspicion: several in a row have failed,
// or nothing has been answered for a while. It opens when the ping, which no
// statement can be to blame for, fails too, on a connection of its own, and nothing
// has been answered meanwhile. So neither one statement that brings down its
// connection, nor a slow one, nor a gateway that gives up on slow ones can open it.
// It has a timer while it is open and a goroutine while a ping is under way, and
// nothing before the first failure.
type circuit struct {
	client *Client
	off    bool
	base   time.Time // what unanswered counts from
	inARow atomic.Int32
	// unanswered is when the first request was sent since the server has last
	// answered anything, in nanoseconds since base; 0 if none has been.
	unanswered atomic.Int64
	// asking: pings are under way or due, because of a suspicion or of what has
	// become of it, open.
	asking, open atomic.Bool
	wanted       atomic.Bool                   // a request has been refused since the last ping
	shut         atomic.Pointer[chan struct{}] // closed while it is open

	mu      sync.Mutex
	closed  bool
	round   int // counts what stop has ended
	pending int // pings of this round under way
	timer   *time.Timer
	backoff limit.Backoff
	since   time.Time // when a request was last wanted
	earlier time.Time // until when the server has asked not to be pinged
	cause   *exec.Error

	opened, refused, probes atomic.Uint64
}

const (
	// downAfter is how many requests in a row have to fail for a suspicion, and
	// silence for how long nothing must have been answered.
	downAfter = 5
	silence   = 2 * time.Second
	// firstProbe and lastProbe bound the time between pings, which also is no
	// longer than that between those of the keeper.
	firstProbe = 100 * time.Millisecond
	lastProbe  = 5 * time.Second
	// maxProbes is how many pings are under way at once, where an answer takes
	// longer than the time between two.
	maxProbes = 4
	// probeTimeout bounds the answer to a ping where no other does.
	probeTimeout = 5 * time.Second
	// forgetAfter is for how long pings are sent that nobody waits for.
	forgetAfter = time.Minute
)

func (k *circuit) init(c *Client, on bool) {
	k.client, k.off, k.base = c, !on, time.Now()
	k.reset()
}

// reset makes the channel that opening closes.
func (k *circuit) reset() {
	shut := make(chan struct{})
	k.shut.Store(&shut)
}

// passes is asked before a request is sent. The error is that of one that is not
// to be.
func (k *circuit) passes(to *Endpoint) *exec.Error {
	switch {
	case k.off, to.place != k.client.home.place:
		return nil
	case k.open.Load():
		return k.refusal()
	}
	now := int64(time.Since(k.base)) + 1
	switch first := k.unanswered.Load(); {
	case first == 0:
		k.unanswered.CompareAndSwap(0, now)
	case time.Duration(now-first) >= silence && !k.asking.Load():
		k.suspect(&exec.Error{Source: exec.FromTransport, Message: "nothing is answered"})
	}
	return nil
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
	case k.inARow.Add(1) >= downAfter && !k.asking.Load():
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
	if k.unanswered.Load() != 0 {
		k.unanswered.Store(0)
	}
	if k.asking.Load() {
		k.mu.Lock()
		k.end()
		k.mu.Unlock()
	}
}

// end lets requests pass again. It is called with the lock held.
func (k *circuit) end() {
	if k.open.Swap(false) {
		k.reset()
		k.client.log.Info("turso-opt: the server is back", "host", k.client.cfg.URL.Host)
	}
	k.stop()
}

// stop is called with the lock held.
func (k *circuit) stop() {
	k.asking.Store(false)
	k.round++
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// close ends the pings; those that are under way end with the client.
func (k *circuit) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.stop()
}

// suspect has the server pinged, unless it is already. e is why.
func (k *circuit) suspect(e *exec.Error) {
	if k.off {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.asking.Load() {
		return
	}
	k.asking.Store(true)
	k.cause, k.pending, k.earlier = e, 0, time.Time{}
	k.since = time.Now()
	last := min(k.client.keeper.interval(), lastProbe)
	k.backoff = limit.Backoff{First: min(firstProbe, last), Last: last}
	k.launch()
}

// launch sends a ping. It is called with the lock held.
func (k *circuit) launch() {
	round := k.round
	k.pending++
	if !k.client.besides(func() { k.ask(round) }) {
		k.stop() // the client is closed
	}
}

// ask pings the server. The first ping that fails opens the circuit.
func (k *circuit) ask(round int) {
	up, asked := k.probe()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.round != round {
		return // an answer has ended it
	}
	k.pending--
	if up {
		k.inARow.Store(0)
		k.unanswered.Store(0)
		k.end()
		return
	}
	if asked > 0 {
		// Not for longer than pings are apart at most: its return is to be seen.
		k.earlier = time.Now().Add(min(asked, k.backoff.Last))
	}
	if k.open.Swap(true) {
		return
	}
	close(*k.shut.Load())
	k.opened.Add(1)
	k.client.log.Warn("turso-opt: the server is down; requests fail at once until it answers a ping", "host", k.client.cfg.URL.Host)
	k.timer = time.AfterFunc(k.backoff.Next(time.Until(k.earlier)), func() { k.tick(round) })
}

// tick is the timer's. It goes on before the ping is answered: one that is lost must
// not keep the server's return from being seen.
func (k *circuit) tick(round int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.round != round {
		return
	}
	now := time.Now()
	if k.wanted.Swap(false) {
		k.since = now
	}
	if patience := k.patience(); now.Sub(k.since) >= patience {
		// Nobody wants to know. Whoever comes next is let through, and one failure
		// is enough then.
		k.open.Store(false)
		k.reset()
		k.inARow.Store(downAfter - 1)
		k.unanswered.Store(0)
		k.stop()
		return
	}
	next := k.earlier.Sub(now)
	if next <= 0 {
		next = k.backoff.Next(0)
		if k.pending < maxProbes {
			k.launch()
		}
	}
	if k.round == round {
		k.timer = time.AfterFunc(next, func() { k.tick(round) })
	}
}

// patience is for how long pings are sent that nobody waits for.
func (k *circuit) patience() time.Duration {
	if idle := k.client.transport.cfg.KeepAlive.IdleStop; idle > 0 {
		return min(idle, forgetAfter)
	}
	return forgetAfter
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
	status, header, err := p.afresh()
	if err != nil {
		return false, 0
	}
	return !isDown(status), retryAfter(header, time.Now)
}

// refusal is the error of a request that is not sent.
func (k *circuit) refusal() *exec.Error {
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

// Down is closed while new requests fail because the server is down, for those who
// wait for something else before they make theirs. It must be asked for at the
// beginning of each wait. It is nil where that cannot be said of all requests,
// since the server has moved streams to another place.
func (c *Client) Down() <-chan struct{} {
	if s := c.places.last.Load(); c.circuit.off || s != nil && s.ep != nil && s.ep.place != c.home.place {
		return nil
	}
	return *c.circuit.shut.Load()
}

// Refusal is the error of a request that is not made because of Down.
func (c *Client) Refusal() *exec.Error { return c.circuit.refusal() }

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
