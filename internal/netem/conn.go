package netem

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A conn is one connection of a client and the one to the server behind it.
type conn struct {
	proxy  *Proxy
	client net.Conn
	born   time.Time
	last   atomic.Int64 // when it last carried something, ns since born
	lost   atomic.Bool
	count  requestCounter

	mu     sync.Mutex
	server net.Conn // nil until dialled
	ended  bool
	flows  []*flow
}

// A flow is one direction of a conn.
type flow struct {
	conn     *conn
	from, to net.Conn
	down     bool
	queue    *queue
	alarm    *alarm
}

func newConn(p *Proxy, client net.Conn) *conn {
	c := &conn{proxy: p, client: client, born: time.Now()}
	if f := p.inspect.Load(); f != nil {
		c.count.inspect = *f
	}
	return c
}

// run carries the connection until both directions have ended.
func (c *conn) run() {
	defer c.proxy.forget(c)
	defer c.close()
	dialer := net.Dialer{Timeout: 10 * time.Second}
	server, err := dialer.DialContext(c.proxy.ctx, "tcp", c.proxy.target)
	if err != nil {
		abort(c.client)
		return
	}
	up, errUp := newFlow(c, c.client, server, false)
	down, errDown := newFlow(c, server, c.client, true)
	c.mu.Lock()
	c.server = server
	for _, f := range []*flow{up, down} {
		if f != nil {
			c.flows = append(c.flows, f)
		}
	}
	ended := c.ended
	c.mu.Unlock()
	if ended || errUp != nil || errDown != nil {
		c.mu.Lock()
		c.ended = false // so that close, deferred, ends what came after it
		c.mu.Unlock()
		return
	}
	var wg sync.WaitGroup
	wg.Go(up.read)
	wg.Go(down.read)
	wg.Go(up.write)
	wg.Go(down.write)
	wg.Wait()
}

func newFlow(c *conn, from, to net.Conn, down bool) (*flow, error) {
	a, err := newAlarm()
	if err != nil {
		return nil, err
	}
	return &flow{conn: c, from: from, to: to, down: down, queue: newQueue(), alarm: a}, nil
}

// close ends both sides and everything that waits on them.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	c.client.Close()
	if c.server != nil {
		c.server.Close()
	}
	for _, f := range c.flows {
		f.queue.close()
		f.alarm.stop()
	}
}

// reset is close, with resets in place of orderly ends.
func (c *conn) reset() {
	c.mu.Lock()
	for _, side := range []net.Conn{c.client, c.server} {
		if tcp, ok := side.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
	}
	c.mu.Unlock()
	c.close()
}

func (c *conn) drop() { c.lost.Store(true) }

func (c *conn) halfOpen() {
	c.drop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		abort(c.server)
	}
}

func abort(side net.Conn) {
	if tcp, ok := side.(*net.TCPConn); ok {
		tcp.SetLinger(0)
		tcp.Close()
	}
}

// carries tells whether the middlebox still knows the connection, which it
// forgets when it has been idle for too long.
func (c *conn) carries(idleDrop time.Duration) bool {
	now := time.Since(c.born)
	before := time.Duration(c.last.Swap(int64(now)))
	if idleDrop > 0 && now-before > idleDrop {
		c.lost.Store(true)
	}
	return !c.lost.Load()
}

// read takes from one side and sends it on its way.
func (f *flow) read() {
	for {
		buf := buffers.Get().(*[chunkSize]byte)
		n, err := f.from.Read(buf[:])
		now := time.Now()
		if n == 0 {
			buffers.Put(buf)
		} else if !f.send(buf, n, now) {
			return
		}
		switch {
		case err == nil:
		case f.conn.lost.Load():
			f.vanish()
			return
		case errors.Is(err, io.EOF):
			f.queue.push(chunk{due: f.arrival(now, 0)})
			return
		default:
			f.conn.reset()
			return
		}
	}
}

// send reports false once the connection has ended.
func (f *flow) send(buf *[chunkSize]byte, n int, now time.Time) bool {
	p := f.conn.proxy
	if !f.down {
		p.bytesUp.Add(int64(n))
		p.requests.Add(int64(f.conn.count.feed(buf[:n])))
	}
	if !f.conn.carries(p.Conditions().IdleDrop) {
		buffers.Put(buf)
		return true
	}
	return f.queue.push(chunk{due: f.arrival(now, n), buf: buf, n: n})
}

// arrival is when n bytes that were read now are due on the other side.
func (f *flow) arrival(now time.Time, n int) time.Time {
	p := f.conn.proxy
	c := p.Conditions()
	if f.down {
		return p.down.arrival(now, n, c.DownBytesPerSecond, c.RTT/2)
	}
	// The client connected to the proxy in no time; its first byte makes up for
	// the handshake that it did not wait for.
	if ready := f.conn.born.Add(c.RTT); now.Before(ready) {
		now = ready
	}
	return p.up.arrival(now, n, c.UpBytesPerSecond, c.RTT/2)
}

// vanish is the end of one side of a lost connection: the other never hears of
// it. When the client has gone nobody can tell any more, and all is cleared
// away once the server has gone too.
func (f *flow) vanish() {
	f.from.Close()
	f.queue.close()
}

// write hands over what has arrived.
func (f *flow) write() {
	for {
		c, ok := f.queue.pop()
		if !ok || !f.alarm.until(c.due) {
			return
		}
		f.conn.proxy.wait()
		if c.buf == nil {
			if tcp, ok := f.to.(*net.TCPConn); ok && !f.conn.lost.Load() {
				tcp.CloseWrite()
			}
			return
		}
		ok = f.deliver(c)
		buffers.Put(c.buf)
		if !ok {
			return
		}
	}
}

// deliver reports false once the connection has ended.
func (f *flow) deliver(c chunk) bool {
	if f.conn.lost.Load() {
		return true
	}
	n, whole := c.n, true
	if f.down {
		n, whole = f.conn.proxy.cut(n)
		f.conn.proxy.bytesDown.Add(int64(n))
	}
	if _, err := f.to.Write(c.buf[:n]); err != nil && !f.conn.lost.Load() {
		f.conn.reset()
		return false
	}
	if !whole {
		f.conn.close()
	}
	return whole
}
