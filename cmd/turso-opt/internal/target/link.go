package target

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A Link is an emulated network in front of a Target, which counts what passes.
type Link struct {
	*netem.Proxy
	// Config reaches the Target through the network.
	Config *tursoopt.Config
}

// Link puts a network in front of the target; the caller closes it. The error is
// ErrNotCountable if the target is not reached over plain http.
func (t *Target) Link(c netem.Conditions) (*Link, error) {
	ep, err := EndpointOf(t.Config)
	if err != nil || ep.TLS() || ep.WebSocket {
		return nil, ErrNotCountable
	}
	p, err := netem.Start(ep.Addr(), c)
	if err != nil {
		return nil, err
	}
	// By the proxy parameter, which both drivers have, the Host header stays the
	// database's own.
	cfg := t.Config.Clone()
	cfg.Proxy = p.URL()
	return &Link{Proxy: p, Config: cfg}, nil
}

// Settle waits until nothing has passed for a while and gives the totals: what a
// driver sends behind its caller's back belongs to the caller's statement.
func (l *Link) Settle(ctx context.Context) netem.Counts {
	quiet := 50*time.Millisecond + 2*l.Conditions().RTT
	tick := time.NewTicker(quiet / 5)
	defer tick.Stop()
	last, since := l.Counts(), time.Now()
	for time.Since(since) < quiet {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last
		}
		if now := l.Counts(); now != last {
			last, since = now, time.Now()
		}
	}
	return last
}

// calibrations is how often Calibrate measures.
const calibrations = 15

// Calibrate measures how long one byte takes to and fro through a network of the
// conditions c, between this process and itself: the round-trip time that was
// asked for and what the emulation adds to it.
func Calibrate(ctx context.Context, c netem.Conditions) (time.Duration, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, wrap("calibration", err)
	}
	var echo sync.WaitGroup
	defer echo.Wait()
	defer listener.Close()
	echo.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, conn) // ends with the proxy
	})
	p, err := netem.Start(listener.Addr().String(), c)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Addr())
	if err != nil {
		return 0, wrap("calibration", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var times []time.Duration
	buf := make([]byte, 1)
	for i := range calibrations + 1 {
		begin := time.Now()
		if _, err := conn.Write(buf); err != nil {
			return 0, wrap("calibration", err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			return 0, wrap("calibration", err)
		}
		if i > 0 { // the first also pays for the connection
			times = append(times, time.Since(begin))
		}
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
