package lane

import (
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// slow is the server time from which a statement travels alone: its neighbours
// would wait for it. A point query takes some 20 us.
const slow = 4 * time.Millisecond

// sharable tells whether a text may share a request: it has succeeded on this
// server, so that it parses, and is neither slow nor large.
func sharable(n *exec.Note) bool {
	return n.Succeeded.Load() && !wide(n)
}

// wide tells whether a text is known to be slow or large.
func wide(n *exec.Note) bool {
	return n.Large.Load() || n.ServerTime.Load() >= int64(slow) || n.Answer.Load() > maxAnswer/4
}

// expected is how many bytes of answer a text will probably bring.
func expected(n *exec.Note) int { return int(n.Answer.Load()) }
