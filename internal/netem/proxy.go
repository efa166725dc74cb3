package netem

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy listens on a loopback port and carries what comes there to a server
// and back. Its methods may be called by any number of goroutines at once.
type Proxy struct {
	target   string
	listener net.Listener
	ctx      context.Context // ends with the proxy: it bounds dialling
	cancel   context.CancelFunc
	up, down link

	mu     sync.Mutex
	cond   Conditions
	resume chan struct{} // closed when a pause ends; nil while there is none
	conns  map[*conn]struct{}
	closed bool
	wg     sync.WaitGroup

	// truncate is what may still go down before the connection that carries it
	// is cut; negative: no limit.
	truncate atomic.Int64

	inspect atomic.Pointer[func(target string, body []byte)]

	accepted, open, requests, bytesUp, bytesDown atomic.Int64
}

// Start runs a proxy in front of target, a host:port. The caller ends it with
// Close.
func Start(target string, c Conditions) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("netem: %w", err)
	}
	p := &Proxy{target: target, listener: l, conns: map[*conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.truncate.Store(-1)
	p.Set(c)
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where clients connect, 127.0.0.1:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is http:// and Addr.
func (p *Proxy) URL() string { return "http://" + p.Addr() }

// Set changes the network for everything that is sent from now on; what is
// under way arrives as it would have.
func (p *Proxy) Set(c Conditions) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cond = c
	switch {
	case c.Paused && p.resume == nil && !p.closed:
		p.resume = make(chan struct{})
	case !c.Paused && p.resume != nil:
		close(p.resume)
		p.resume = nil
	}
}

// Inspect has f called with the target and the body of each HTTP/1.x request that
// comes on a connection from now on, when it has passed in full. The body is f's for
// the call only. A connection that carries one of more than 4 MiB is looked at no
// more.
func (p *Proxy) Inspect(f func(target string, body []byte)) { p.inspect.Store(&f) }

// Conditions are those in force.
func (p *Proxy) Conditions() Conditions {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cond
}

// Counts is a snapshot of the totals.
func (p *Proxy) Counts() Counts {
	return Counts{
		Conns: p.accepted.Load(), Open: p.open.Load(), Requests: p.requests.Load(),
		BytesUp: p.bytesUp.Load(), BytesDown: p.bytesDown.Load(),
	}
}

// Reset breaks all open connections with a TCP reset towards both ends, and
// reports how many.
func (p *Proxy) Reset() int { return p.each((*conn).reset) }

// Drop loses all open connections in silence, and reports how many: both ends
// still believe in them, and nothing they send arrives.
func (p *Proxy) Drop() int { return p.each((*conn).drop) }

// HalfOpen has the server's side of all open connections vanish as in a crash,
// and reports how many: the server is rid of them, the clients hear nothing.
func (p *Proxy) HalfOpen() int {
	return p.each((*conn).halfOpen)
}

// Truncate lets n more bytes go down, over all connections together, and then
// cuts the connection that was to carry the next one, in the middle of whatever
// it carries, with an orderly end towards the client. It does so once.
func (p *Proxy) Truncate(n int64) { p.truncate.Store(n) }

// Close ends all connections and returns when nothing of the proxy runs any
// more. A second Close does nothing.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	if p.resume != nil {
		close(p.resume)
		p.resume = nil
	}
	p.mu.Unlock()
	p.cancel()
	p.listener.Close()
	p.each((*conn).close)
	p.wg.Wait()
}

func (p *Proxy) each(f func(*conn)) int {
	p.mu.Lock()
	open := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		open = append(open, c)
	}
	p.mu.Unlock()
	for _, c := range open {
		f(c)
	}
	return len(open)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if p.isClosed() {
				return
			}
			time.Sleep(time.Millisecond) // out of descriptors: they come back
			continue
		}
		p.accepted.Add(1)
		if p.Conditions().Refuse {
			abort(client)
			continue
		}
		if c := p.admit(client); c != nil {
			p.wg.Go(c.run)
		}
	}
}

// admit registers a connection, so that Close finds it; nil if the proxy is
// closed already.
func (p *Proxy) admit(client net.Conn) *conn {
	c := newConn(p, client)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		client.Close()
		return nil
	}
	p.conns[c] = struct{}{}
	p.open.Add(1)
	return c
}

func (p *Proxy) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	p.open.Add(-1)
}

func (p *Proxy) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// wait returns at once unless the network is paused, and then when it is not.
func (p *Proxy) wait() {
	p.mu.Lock()
	resume := p.resume
	p.mu.Unlock()
	if resume != nil {
		<-resume
	}
}

// cut takes n bytes from what may go down and gives how many of them may; ok is
// false if the connection ends with them.
func (p *Proxy) cut(n int) (allowed int, ok bool) {
	for {
		left := p.truncate.Load()
		if left < 0 {
			return n, true
		}
		if int64(n) <= left {
			if p.truncate.CompareAndSwap(left, left-int64(n)) {
				return n, true
			}
		} else if p.truncate.CompareAndSwap(left, -1) {
			return int(left), false
		}
	}
}
