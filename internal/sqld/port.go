package sqld

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports lie below every system's range of ephemeral ports. Inside it, a
// client's own socket could take the port of a server that is down for a
// restart, or a dial to that port could connect to itself.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePort gives a loopback address that nothing listened on a moment ago.
func freePort() (string, error) {
	var err error
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort))
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("sqld: no free port: %w", err)
}
