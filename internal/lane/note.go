package lane

import (
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

const (
	// SlowAfter is the server time from which a statement travels alone: its
	// neighbours would wait for it. A point query takes some 20 us.
	SlowAfter = 4 * time.Millisecond
	// aloneFor is how many times a text travels alone after a request that others
	// shared with it has failed as a whole because of it.
	aloneFor = 64
)

// proven tells whether a text has succeeded on this server, so that it can read
// it.
func proven(n *exec.Note) bool { return n.Succeeded.Load() }

// wide tells whether a text is known to be slow or large, or to take others
// down with it.
func wide(n *exec.Note, slow time.Duration) bool {
	return n.Large.Load() || n.ServerTime.Load() >= int64(slow) || n.Answer.Load() > maxAnswer/4 || n.Alone.Load() > 0
}

// expected is how many bytes of answer a text will probably bring.
func expected(n *exec.Note) int { return int(n.Answer.Load()) }
