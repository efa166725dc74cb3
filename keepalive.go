package tursoopt

import (
	"errors"
	"fmt"
	"time"

	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// Keep-alive: a connection that a middlebox has forgotten in silence is to be
// found by a ping, not by a statement. How is in internal/hranahttp, keepalive.go
// and pace.go; what it means for connections that nobody pings, in internal/http1,
// idle.go.

// Defaults of the Config fields for keep-alive whose zero value stands for them.
const (
	// DefaultStaleAfter is for how long an idle connection is trusted.
	DefaultStaleAfter = 30 * time.Second
	// DefaultPingTimeout bounds the answer to a ping.
	DefaultPingTimeout = 5 * time.Second
	// DefaultKeepAliveIdleStop is how long after the last statement pings go on.
	DefaultKeepAliveIdleStop = 5 * time.Minute
	// DefaultWarmConns is how many connections are kept ready.
	DefaultWarmConns = 1
	// MinKeepAlive is the shortest Config.KeepAlive, MaxWarmConns the largest
	// Config.WarmConns.
	MinKeepAlive = 100 * time.Millisecond
	MaxWarmConns = 64
)

var (
	errKeepAlive = fmt.Errorf("want auto, 0 for none, or a duration of at least %v", MinKeepAlive)
	errWarmConns = fmt.Errorf("want a number of connections from 0 to %d", MaxWarmConns)
)

func (c *Config) validateKeepAlive() error {
	switch {
	case c.KeepAlive > 0 && c.KeepAlive < MinKeepAlive:
		return fmt.Errorf("turso-opt: keepalive: %w", errKeepAlive)
	case c.PingTimeout < 0:
		return errors.New("turso-opt: ping_timeout: must not be negative")
	case c.WarmConns > MaxWarmConns:
		return fmt.Errorf("turso-opt: warm_conns: %w", errWarmConns)
	}
	return nil
}

// keepAlive is what the transport has to do.
func (c *Config) keepAlive() hranahttp.KeepAlive {
	k := hranahttp.KeepAlive{
		Interval:   max(c.KeepAlive, 0),
		Warm:       max(c.WarmConns, 0),
		Timeout:    c.PingTimeout,
		StaleAfter: max(c.StaleAfter, 0),
		IdleStop:   max(c.KeepAliveIdleStop, 0),
	}
	if c.WarmConns == 0 {
		k.Warm = DefaultWarmConns
	}
	if c.KeepAlive < 0 {
		k.Warm = 0
	}
	if c.PingTimeout == 0 {
		k.Timeout = DefaultPingTimeout
	}
	if c.StaleAfter == 0 {
		k.StaleAfter = DefaultStaleAfter
	}
	if c.KeepAliveIdleStop == 0 {
		k.IdleStop = DefaultKeepAliveIdleStop
	}
	return k
}

// KeepAliveStats are those of connections that nobody was using.
type KeepAliveStats struct {
	// Opened counts connections dialled before anybody needed them.
	Opened uint64
	// Refreshed counts connections that took the place of one that was dead or
	// not trusted any more, whether a statement waited for it or not.
	Refreshed uint64
	// Stale counts idle connections that were found dead.
	Stale uint64
	// Moved counts statements whose request went unanswered for longer than
	// Config.PingTimeout and that were run on another connection.
	Moved uint64
	// Pings counts pings sent, PingFailures those that were not answered.
	Pings, PingFailures uint64
	// HandshakeSaved is the time that statements would have waited for a
	// connection: what dialling those took that were opened before they were
	// needed, and those that only pings have kept from being stale. HTTP/2's are
	// not among them.
	HandshakeSaved time.Duration
	// Interval is the longest time between two pings now, as it was given or has
	// been learnt; 0 while none are sent.
	Interval time.Duration
}

func (c *Connector) keepAliveStats() KeepAliveStats {
	n := c.client.KeepAlive()
	return KeepAliveStats{
		Opened: n.Ahead, Refreshed: n.Refreshed, Stale: n.Stale,
		Pings: n.Pings, PingFailures: n.PingFailures,
		HandshakeSaved: n.Saved, Interval: n.Interval, Moved: c.pool.Counters().Moved,
	}
}
