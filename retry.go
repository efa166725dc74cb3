package tursoopt

import "github.com/turso-opt/turso-opt/internal/limit"

// What is sent again, and when, is one table: docs/semantics.md has it in words,
// a test holds it against what the driver does, case by case. What an error proves
// about execution is decided in internal/hranahttp (status.go, errors.go); what may
// be sent again because of it in internal/stream (again.go), where a stream or a
// connection was lost, and in internal/lane (patience.go, write.go), where the
// server or the database is at its limit. RunTx adds whole transactions.
//
// While the server is down nothing is sent at all, but for a ping now and then:
// see internal/hranahttp, circuit.go.

func (c *Config) retries() bool { return c.Retry == nil || *c.Retry }

// retryBudget is what one Connector's requests may be sent again together, nil for
// nothing.
func (c *Config) retryBudget() *limit.Budget {
	if !c.retries() {
		return nil
	}
	return new(limit.Budget)
}

// CircuitStats are those of a server that was down: requests failed in a row, and
// so did a ping.
type CircuitStats struct {
	// Open: statements fail with ErrUnavailable now.
	Open bool
	// Opened counts how often that has begun, Refused the requests that were not
	// sent for it, and Probes the pings that were.
	Opened, Refused, Probes uint64
}

func (c *Connector) circuitStats() CircuitStats {
	n := c.client.Circuit()
	return CircuitStats{Open: n.Open, Opened: n.Opened, Refused: n.Refused, Probes: n.Probes}
}
