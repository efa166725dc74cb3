package tursoopt

import (
	"strings"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A poolUse is what a connection is used for between two stays in the pool. It
// begins with the first thing that is asked of the connection: one that
// database/sql has opened for somebody who has gone since lies in the pool like
// any other and has never been used.
type poolUse struct {
	sizer *PoolSizer // who counts it; nil while there is no use, or no controller
	since time.Duration
	apart bool // the connection is not one of the pool
}

// begin is called by whatever uses the connection, and counts the first time.
func (u *poolUse) begin(c *Connector) {
	if u.sizer != nil || u.apart {
		return
	}
	if p := c.sizer.Load(); p != nil {
		u.sizer, u.since = p, p.begin()
	}
}

// end is called when the connection goes back to the pool, or ends.
func (u *poolUse) end() {
	if u.sizer != nil {
		u.sizer.uses.end(u.since)
		u.sizer = nil
	}
}

// served counts how long the server worked on statements.
func (u *poolUse) served(results []exec.StmtResult) {
	if u.sizer == nil {
		return
	}
	n, all := 0, time.Duration(0)
	for i := range results {
		if r := results[i].Result; r != nil && r.ServerTime > 0 {
			n++
			all += r.ServerTime
		}
	}
	if n > 0 {
		u.sizer.uses.served(n, all)
	}
}

// failed counts errors that say that the server is at a limit of its own.
func (u *poolUse) failed(err error) {
	if err != nil && u.sizer != nil && refusal(err) {
		u.sizer.uses.refuse()
	}
}

// refusal tells whether an error is HTTP's 429 or 503, or because of one: they may
// cost a transaction. libsql-client-go says so in its text only.
func refusal(err error) bool {
	e := asExec(err)
	if e == nil {
		return refusalText(err.Error())
	}
	for ; e != nil; e = asExec(e.Err) {
		if e.Source == exec.FromServer && (e.Status == 429 || e.Status == 503) {
			return true
		}
	}
	return false
}

func refusalText(text string) bool {
	return strings.Contains(text, "error code 429:") || strings.Contains(text, "error code 503:")
}

// poolUses counts the uses of a DB's connections.
type poolUses struct {
	// start is what times are counted from: reading the wall clock as well would
	// cost as much again.
	start time.Time
	mu    sync.Mutex
	total poolTotals
}

func (u *poolUses) now() time.Duration { return time.Since(u.start) }

// poolTotals only grow, but for inUse.
type poolTotals struct {
	at, busy        time.Duration // busy: what has been in use until then, all together
	inUse           int
	begun, finished int
	held            time.Duration // by those that finished
	answered        int           // statements of which the server told its time
	server          time.Duration
	refused         int
}

// pass lets time go by.
func (t *poolTotals) pass(now time.Duration) {
	if now > t.at {
		t.busy += time.Duration(t.inUse) * (now - t.at)
		t.at = now
	}
}

// begin gives the time, and how many are in use now.
func (u *poolUses) begin() (now time.Duration, inUse int) {
	now = u.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total.pass(now)
	u.total.inUse++
	u.total.begun++
	return now, u.total.inUse
}

func (u *poolUses) end(since time.Duration) {
	now := u.now()
	u.mu.Lock()
	u.total.pass(now)
	u.total.inUse--
	u.total.finished++
	u.total.held += now - since
	u.mu.Unlock()
}

func (u *poolUses) served(n int, all time.Duration) {
	u.mu.Lock()
	u.total.answered += n
	u.total.server += all
	u.mu.Unlock()
}

func (u *poolUses) refuse() {
	u.mu.Lock()
	u.total.refused++
	u.mu.Unlock()
}

// totals is what has been counted so far.
func (u *poolUses) totals() poolTotals {
	now := u.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total.pass(now)
	return u.total
}
