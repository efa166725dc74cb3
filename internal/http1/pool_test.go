package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A server that has closed or reset an idle connection, or sent something on it
// that nobody asked for, costs no request: it is found out before.
func TestDeadIdleConnectionIsNotUsed(t *testing.T) {
	for name, end := range map[string]func(conn *net.TCPConn){
		"closed":      func(conn *net.TCPConn) { conn.Close() },
		"half closed": func(conn *net.TCPConn) { conn.CloseWrite() },
		"reset":       func(conn *net.TCPConn) { conn.SetLinger(0); conn.Close() },
		"unasked for": func(conn *net.TCPConn) { io.WriteString(conn, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			release := make(chan struct{})
			to := serve(t, func(conn net.Conn, r *bufio.Reader) {
				request(r)
				io.WriteString(conn, fine)
				<-release
				end(conn.(*net.TCPConn))
				close(ended)
				r.ReadByte()
			}, answering(fine))
			p := newPool(t, nil)
			do(t, p, to, post("a"))
			close(release)
			<-ended
			// Loopback delivers before the call returns, a reset a moment later.
			awaitArrival(t, p, to)
			if status, _ := do(t, p, to, post("b")); status != 200 || p.dials() != 2 {
				t.Errorf("status %d over %d connections", status, p.dials())
			}
		})
	}
}

// awaitArrival waits until something has arrived on the idle connection.
func awaitArrival(t *testing.T, p *testPool, to *Target) {
	t.Helper()
	p.mu.Lock()
	c := to.idle[0]
	p.mu.Unlock()
	for deadline := time.Now().Add(10 * time.Second); c.sock.look() == quiet; {
		if time.Now().After(deadline) {
			t.Fatal("nothing has arrived")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestIdleConnectionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newPipes()
		p := newPool(t, net.dial)
		to := &Target{Addr: "db:1"}
		two := holdTwo(t, p, to)
		time.Sleep(30 * time.Second)
		do(t, p, to, post("a")) // uses one of them
		if net.open.Load() != 2 {
			t.Fatalf("%d connections are open, want %d", net.open.Load(), two)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if net.open.Load() != 1 {
			t.Errorf("%d connections are open when one has been idle for 91 s, want 1", net.open.Load())
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if net.open.Load() != 0 {
			t.Errorf("%d connections are open when all have been idle for 90 s", net.open.Load())
		}
		if p.sweep != nil || len(p.held) != 0 {
			t.Error("a timer runs with nothing to wait for")
		}
		do(t, p, to, post("b"))
		p.close()
		net.wg.Wait()
	})
}

// holdTwo makes the pool hold two idle connections.
func holdTwo(t *testing.T, p *testPool, to *Target) int {
	t.Helper()
	var held []*Response
	for range 2 {
		resp, _, err := p.Do(context.Background(), to, post("x"))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, resp)
	}
	for _, resp := range held {
		io.ReadAll(resp)
		resp.Close()
	}
	return len(held)
}

// pipes are connections in memory to a server that answers everything.
type pipes struct {
	open atomic.Int32
	wg   sync.WaitGroup
}

func newPipes() *pipes { return &pipes{} }

func (n *pipes) dial(context.Context, string) (net.Conn, error) {
	client, server := net.Pipe()
	n.open.Add(1)
	n.wg.Go(func() {
		answering(fine)(server, bufio.NewReader(server))
		server.Close()
		n.open.Add(-1)
	})
	return client, nil
}

// A connection that cannot be looked at is asked when it has been idle for a
// while.
func TestConnectionThatCannotBeLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers []net.Conn
		var wg sync.WaitGroup
		p := newPool(t, func(context.Context, string) (net.Conn, error) {
			client, server := net.Pipe()
			servers = append(servers, server)
			wg.Go(func() { answering(fine)(server, bufio.NewReader(server)) })
			return &patientConn{client}, nil
		})
		to := &Target{Addr: "db:1"}
		do(t, p, to, post("a"))
		time.Sleep(2 * trust)
		do(t, p, to, post("b"))
		if p.dials() != 1 {
			t.Errorf("%d connections, want 1: nothing was wrong with the first", p.dials())
		}
		servers[0].Close()
		time.Sleep(2 * trust)
		do(t, p, to, post("c"))
		if p.dials() != 2 {
			t.Errorf("%d connections after the first was closed, want 2", p.dials())
		}
		p.close()
		wg.Wait()
	})
}

// A patientConn takes what is written to it, as a socket's buffer does, whether
// or not the other side is still there.
type patientConn struct{ net.Conn }

func (c *patientConn) Write(p []byte) (int, error) {
	c.Conn.Write(p)
	return len(p), nil
}

func TestNoMoreIdleThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newPipes()
		p := newPool(t, net.dial)
		to := &Target{Addr: "db:1"}
		var wg sync.WaitGroup
		release := make(chan struct{})
		for range maxIdle + 10 {
			wg.Go(func() {
				resp, _, err := p.Do(context.Background(), to, post("x"))
				if err != nil {
					t.Error(err)
					return
				}
				<-release
				io.ReadAll(resp)
				resp.Close()
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		synctest.Wait()
		if n := net.open.Load(); n != maxIdle {
			t.Errorf("%d connections are kept, want %d", n, maxIdle)
		}
		p.close()
		net.wg.Wait()
	})
}

// A connection that becomes free is given to whoever waits for a dial, the
// longest first.
func TestFreeConnectionGoesToWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		var dials atomic.Int32
		p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
			if dials.Add(1) > 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return pipes.dial(ctx, addr)
		})
		to := &Target{Addr: "db:1"}
		resp, _, err := p.Do(context.Background(), to, post("a"))
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				resp, _, err := p.Do(context.Background(), to, post("b"))
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i)
				io.ReadAll(resp)
				resp.Close()
			})
			synctest.Wait()
		}
		io.ReadAll(resp)
		resp.Close()
		wg.Wait()
		if len(order) != 2 || order[0] != 0 {
			t.Errorf("served in the order %v", order)
		}
		p.close()
		pipes.wg.Wait()
	})
}

// Whoever leaves during a dial leaves the connection to the next one, and
// nothing behind in the queue.
func TestDialGoesOnWithoutItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
			time.Sleep(time.Second)
			return pipes.dial(ctx, addr)
		})
		to := &Target{Addr: "db:1"}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if _, sent, err := p.Do(ctx, to, post("a")); !errors.Is(err, context.DeadlineExceeded) || sent {
			t.Errorf("sent %v, error %v", sent, err)
		}
		if d := time.Since(begin); d != 100*time.Millisecond {
			t.Errorf("returned after %v", d)
		}
		if len(to.waiting) != 0 {
			t.Error("the caller still waits")
		}
		time.Sleep(time.Second)
		do(t, p, to, post("b"))
		if n, _, _ := p.sockets.Counts(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		p.close()
		pipes.wg.Wait()
	})
}

// Whoever comes while a dial is under way that nobody needs any more waits for
// that one, unless it takes so long that it may never end.
func TestDialIsInherited(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		dials int32
	}{"at once": {0, 1}, "soon": {promise - time.Millisecond, 1}, "later": {promise, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pipes := newPipes()
				var dials atomic.Int32
				p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
					dials.Add(1)
					time.Sleep(time.Second)
					return pipes.dial(ctx, addr)
				})
				to := &Target{Addr: "db:1"}
				ctx, cancel := context.WithCancel(context.Background())
				go p.Do(ctx, to, post("a"))
				synctest.Wait()
				cancel()
				synctest.Wait()
				time.Sleep(c.after)
				do(t, p, to, post("b"))
				if n := dials.Load(); n != c.dials {
					t.Errorf("%d dials, want %d", n, c.dials)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if len(to.dials) != 0 || len(to.waiting) != 0 {
					t.Errorf("%d dials and %d waiters are left", len(to.dials), len(to.waiting))
				}
				p.close()
				pipes.wg.Wait()
			})
		})
	}
}

// The failure of a dial that began before somebody came is not that one's.
func TestInheritedDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		var dials atomic.Int32
		p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				time.Sleep(200 * time.Millisecond)
				return nil, errors.New("no route")
			}
			return pipes.dial(ctx, addr)
		})
		to := &Target{Addr: "db:1"}
		ctx, cancel := context.WithCancel(context.Background())
		go p.Do(ctx, to, post("a"))
		synctest.Wait()
		cancel()
		time.Sleep(time.Millisecond)
		do(t, p, to, post("b"))
		if n := dials.Load(); n != 2 {
			t.Errorf("%d dials, want 2", n)
		}
		p.close()
		pipes.wg.Wait()
	})
}

func TestDialFails(t *testing.T) {
	cause := errors.New("no route")
	p := newPool(t, func(context.Context, string) (net.Conn, error) { return nil, cause })
	to := &Target{Addr: "db:1"}
	for range 3 {
		if _, sent, err := p.Do(context.Background(), to, post("a")); !errors.Is(err, cause) || sent {
			t.Errorf("sent %v, error %v", sent, err)
		}
	}
	if len(to.waiting) != 0 || len(to.dials) != 0 {
		t.Errorf("%d wait for ever for %d dials", len(to.waiting), len(to.dials))
	}
}

func TestClosedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		slow := make(chan struct{})
		p := newPool(t, func(ctx context.Context, addr string) (net.Conn, error) {
			select {
			case <-slow:
				return pipes.dial(ctx, addr)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		to := &Target{Addr: "db:1"}
		waiting := make(chan error)
		go func() {
			_, _, err := p.Do(context.Background(), to, post("a"))
			waiting <- err
		}()
		synctest.Wait()
		p.close()
		if err := <-waiting; err == nil {
			t.Error("a request went out after Close")
		}
		if _, sent, err := p.Do(context.Background(), to, post("a")); err != ErrClosed || sent {
			t.Errorf("sent %v, error %v", sent, err)
		}
	})
}

func TestManyCallersShareConnections(t *testing.T) {
	to := serve(t, answering(fine))
	p := newPool(t, nil)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 50 {
				ctx, cancel := context.WithCancel(context.Background())
				resp, _, err := p.Do(ctx, to, post("a"))
				if err != nil {
					t.Error(err)
					cancel()
					return
				}
				if b, err := io.ReadAll(resp); string(b) != "ok" || err != nil {
					t.Errorf("%q, %v", b, err)
				}
				resp.Close()
				cancel()
			}
		})
	}
	wg.Wait()
	if n := p.dials(); n > 64 {
		t.Errorf("%d connections for 32 callers", n)
	}
}
