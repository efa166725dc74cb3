//go:build !linux

package hranahttp

import (
	"net"
	"time"
)

// setUserTimeout does nothing where the system has no such bound: what is not
// acknowledged is given up when TCP does.
func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }
