package http1

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Sockets are all connections that are open, below TLS, and count what travels
// on them. The zero value is ready; its methods may be called at any time.
type Sockets struct {
	mu   sync.Mutex
	open map[*Socket]struct{}

	dials, sent, received atomic.Uint64
}

// Counts are the connections opened so far, and the bytes written to and read
// from them.
func (s *Sockets) Counts() (dials, sent, received uint64) {
	return s.dials.Load(), s.sent.Load(), s.received.Load()
}

// CloseAll closes every connection, whatever is under way on it.
func (s *Sockets) CloseAll() { s.Each(func(k *Socket) { k.Close() }) }

// Each calls f for every connection that is open now.
func (s *Sockets) Each(f func(*Socket)) {
	s.mu.Lock()
	all := make([]*Socket, 0, len(s.open))
	for k := range s.open {
		all = append(all, k)
	}
	s.mu.Unlock()
	for _, k := range all {
		f(k)
	}
}

// Track makes conn one of the Sockets until it is closed.
func (s *Sockets) Track(conn net.Conn) *Socket {
	k := &Socket{Conn: conn, set: s}
	k.prepareLook()
	s.dials.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*Socket]struct{}{}
	}
	s.open[k] = struct{}{}
	return k
}

// A Socket is one connection, below TLS.
type Socket struct {
	net.Conn
	set    *Sockets
	closed atomic.Bool

	// What look needs, and what it has found; Read gives that out first.
	raw   syscall.RawConn
	peek  func(fd uintptr) bool
	early []byte
	space [512]byte
	n     int
	err   error
}

func (k *Socket) Read(p []byte) (int, error) {
	if len(k.early) > 0 {
		n := copy(p, k.early)
		k.early = k.early[n:]
		return n, nil
	}
	n, err := k.Conn.Read(p)
	k.set.received.Add(uint64(n))
	return n, err
}

func (k *Socket) Write(p []byte) (int, error) {
	n, err := k.Conn.Write(p)
	k.set.sent.Add(uint64(n))
	return n, err
}

func (k *Socket) Close() error {
	if k.closed.CompareAndSwap(false, true) {
		k.set.mu.Lock()
		delete(k.set.open, k)
		k.set.mu.Unlock()
	}
	return k.Conn.Close()
}

// prepareLook makes what look needs once, so that looking allocates nothing.
func (k *Socket) prepareLook() {
	sc, ok := k.Conn.(syscall.Conn)
	if !ok || !canPeek {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	k.raw = raw
	k.peek = func(fd uintptr) bool {
		k.n, k.err = peekFD(fd, k.space[:])
		return true
	}
}

// sight is what a look at a Socket has shown.
type sight uint8

const (
	quiet   sight = iota // nothing has arrived, as it should be between requests
	arrived              // something has; the next Read gives it
	dead                 // the other side has ended it, or it is broken
	unseen               // this connection cannot be looked at
)

// look tells what has arrived without waiting. Nobody may be reading.
func (k *Socket) look() sight {
	if k.raw == nil {
		return unseen
	}
	if len(k.early) > 0 {
		return arrived
	}
	if err := k.raw.Read(k.peek); err != nil || k.err != nil {
		return dead
	}
	if k.n == 0 {
		return quiet
	}
	k.early = k.space[:k.n]
	k.set.received.Add(uint64(k.n))
	return arrived
}
