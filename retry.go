package tursoopt

import "github.com/turso-opt/turso-opt/internal/limit"

// What is sent again, and when, is one table: docs/semantics.md has it in words,
// a test holds it against what the driver does, case by case. What an error proves
// about execution is decided in internal/hranahttp (status.go, errors.go); what may
// be sent again because of it in internal/stream (again.go), where a stream or a
// connection was lost, and in internal/lane (patience.go, write.go), where the
// server or the database is at its limit. RunTx adds whole transactions.

// retryBudget is what one Connector's requests may be sent again together, nil for
// nothing.
func (c *Config) retryBudget() *limit.Budget {
	if c.Retry != nil && !*c.Retry {
		return nil
	}
	return new(limit.Budget)
}
