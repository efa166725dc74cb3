package http1

import (
	"bufio"
	"net"
	"time"
)

const (
	readBuffer = 8 << 10
	// keepWrite bounds the memory that a connection keeps for what it writes;
	// longer bodies are written from where they are.
	keepWrite = 32 << 10
	// trust is for how long a connection that cannot be looked at is used without
	// asking; blink is how long asking takes.
	trust = time.Second
	blink = time.Millisecond
	// lastWords is how long a server may take to say why it has hung up in the
	// middle of a request.
	lastWords = 500 * time.Millisecond
)

var errBufferFull = bufio.ErrBufferFull

// past is a deadline that lets nothing wait.
var past = time.Unix(1, 0)

// A conn is one connection. Whoever has got it from the pool owns it alone.
type conn struct {
	pool   *Pool
	to     *Target
	nc     net.Conn // the socket, or TLS on it
	sock   *Socket
	br     *bufio.Reader
	head   []byte // of the answer under way
	out    []byte
	cut    func() // closes the socket, whoever is using it
	waited bool   // was there before whoever uses it needed it
	used   bool   // has carried a request before
	gone   bool   // is no longer counted as open

	born  time.Time     // since when it has been dialled
	idle  time.Time     // since when it has carried nothing
	since time.Time     // as idle, but for what has only asked whether it is alive
	asked bool          // is being asked that
	made  time.Duration // what dialling it took; 0 if not known
	// suspect: another one that was idle for no longer has died.
	suspect bool
	// retired: another has taken its place, since it is old.
	retired bool
	ahead   bool // was dialled before anybody needed it, and nobody has
}

func newConn(p *Pool, to *Target, nc net.Conn, sock *Socket) *conn {
	c := &conn{pool: p, to: to, nc: nc, sock: sock, br: bufio.NewReaderSize(nc, readBuffer), born: time.Now()}
	c.cut = func() { c.sock.Close() }
	to.open.Add(1)
	return c
}

// close ends a connection that is broken, or on which something is under way.
func (c *conn) close() {
	c.leave()
	c.sock.Close()
}

// askLife says that the connection is being asked whether it is alive.
func (c *conn) askLife() *conn {
	c.asked = true
	c.to.asked.Add(1)
	return c
}

// answered says that it has been, or never will; false if it was not asked.
func (c *conn) answered() bool {
	if !c.asked {
		return false
	}
	c.asked = false
	c.to.asked.Add(-1)
	return true
}

// end ends one that is in order, with TLS's own farewell.
func (c *conn) end() {
	c.leave()
	c.nc.Close()
}

func (c *conn) leave() {
	c.answered()
	if !c.gone {
		c.gone = true
		c.to.open.Add(-1)
	}
}

// usable tells whether an idle connection is still what it was.
func (c *conn) usable() bool {
	for range 16 {
		switch s := c.sock.look(); {
		case s == quiet:
			return true
		case s == dead:
			return false
		case s == unseen:
			return time.Since(c.idle) < trust || c.ask(time.Now().Add(blink))
		}
		// Nothing may arrive that nobody has asked for, but over TLS it may be a
		// session ticket, which is read on the way to data that are not there, or
		// the notice that the server closes.
		if !c.ask(past) {
			return false
		}
	}
	return false
}

// ask reads from a connection on which nothing should come, until a deadline. It
// reports whether nothing came.
func (c *conn) ask(deadline time.Time) bool {
	if c.nc.SetReadDeadline(deadline) != nil {
		return false
	}
	_, err := c.br.Peek(1)
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout() && c.nc.SetReadDeadline(time.Time{}) == nil
}

// write sends a request. An error means that its last bytes have not left, so
// that no server can have it in full.
func (c *conn) write(req *Request) error {
	out := append(c.out[:0], req.Head...)
	if req.Body != nil {
		out = appendLength(out, len(req.Body))
	}
	out = append(out, "\r\n"...)
	rest := req.Body
	if n := keepWrite - len(out); n > 0 {
		n = min(n, len(rest))
		out, rest = append(out, rest[:n]...), rest[n:]
	}
	c.out = out
	if _, err := c.nc.Write(out); err != nil {
		return err
	}
	if len(rest) > 0 {
		if _, err := c.nc.Write(rest); err != nil {
			return err
		}
	}
	return nil
}

// lastWords reads the answer of a server that has hung up before it had the
// whole request, if it sent one: 413 is of more use than a broken pipe.
func (c *conn) lastWords() (*Response, bool) {
	if c.nc.SetReadDeadline(time.Now().Add(lastWords)) != nil {
		return nil, false
	}
	r := &Response{conn: c}
	if r.readHead() != nil || r.Status < 400 {
		return nil, false
	}
	r.keep = false
	return r, true
}
