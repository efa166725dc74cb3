package hranahttp

import (
	"net"
	"time"
)

// lastHope is how many times as long as a ping may take the kernel believes in a
// connection whose other side says nothing to it: as long as it takes to send
// something six times, by TCP's first guesses of the round trip.
const lastHope = 3

// probes is how many times the kernel asks meanwhile.
const probes = 5

// watchTCP has the kernel find out that the other side of a connection is gone, also
// while a request waits for its answer. A server that works for long is not in
// danger: its kernel answers. What is no TCP connection of net's is left alone.
func (t *Transport) watchTCP(conn net.Conn) {
	d := t.cfg.KeepAlive.Timeout
	tcp, ok := conn.(*net.TCPConn)
	if !ok || d <= 0 {
		return
	}
	// What fails here is missing on a platform, and the driver does without.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: max(d, time.Second),
		Interval: max((lastHope-1)*d/probes, time.Second), Count: probes})
	_ = setUserTimeout(tcp, lastHope*d)
}
