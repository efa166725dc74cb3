package hranahttp

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// The kernel is told for how long to believe in a connection, whoever has dialled
// it: its own word is the only one that tells a dead path from a slow server.
func TestKernelWatchesConnections(t *testing.T) {
	const tcp, socket = syscall.IPPROTO_TCP, syscall.SOL_SOCKET
	own := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, addr)
	}
	for _, c := range []struct {
		timeout                        time.Duration
		on, idle, interval, count, ack int
	}{
		{5 * time.Second, 1, 5, 2, 5, 15_000},
		{time.Second, 1, 1, 1, 5, 3000},
		{200 * time.Millisecond, 1, 1, 1, 5, 600},
	} {
		for _, dial := range []func(context.Context, string, string) (net.Conn, error){nil, own} {
			f := &fake{}
			srv := startServer(t, f)
			client := newTestClient(t, srv.URL, func(cfg *Config) { cfg.Dial, cfg.KeepAlive = dial, KeepAlive{Timeout: c.timeout} })
			ask(t, client)
			seen := 0
			client.transport.sockets.Each(func(s *http1.Socket) {
				raw, err := s.Conn.(*net.TCPConn).SyscallConn()
				if err != nil {
					t.Fatal(err)
				}
				seen++
				_ = raw.Control(func(fd uintptr) {
					for _, o := range []struct{ level, option, want int }{
						{socket, syscall.SO_KEEPALIVE, c.on}, {tcp, syscall.TCP_KEEPIDLE, c.idle}, {tcp, syscall.TCP_KEEPINTVL, c.interval},
						{tcp, syscall.TCP_KEEPCNT, c.count}, {tcp, tcpUserTimeout, c.ack},
					} {
						if got, err := syscall.GetsockoptInt(int(fd), o.level, o.option); err != nil || got != o.want {
							t.Errorf("%v: option %d is %d, %v, want %d", c.timeout, o.option, got, err, o.want)
						}
					}
				})
			})
			if seen == 0 {
				t.Error("no connection")
			}
		}
	}
}
