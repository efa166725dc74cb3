package hranahttp

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// A database that has moved leaves connections behind that lead to where it was. If
// the old server is gone they break, and who dials asks for the name's address anew.
// If it goes on, it may say so: 421, which is meant for this, a 404, or a redirect.
// What says nothing, as a copy that nobody writes to any more, no client can tell
// from the database; connections are renewed for their age because of that.

// lookAgain is how often a new connection is tried for such answers: they may be
// right.
const lookAgain = time.Second

// moves is what a Client knows of where its database is.
type moves struct {
	found  atomic.Bool  // it has been somewhere
	looked atomic.Int64 // when it may last have been elsewhere, in nanoseconds since the epoch
}

// onOld tells whether an answer that is no result may be another on a new
// connection, and leaves no idle ones. Nothing of the request has been executed then.
func (c *Client) onOld(q *call, resp *http1.Response) bool {
	switch resp.Status {
	case http.StatusMisdirectedRequest:
	case http.StatusNotFound, http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if q.hasBaton {
			return false // it may be about the stream
		}
	default:
		return false
	}
	born, reused := resp.Reused()
	if !reused || !c.moves.found.Load() {
		return false
	}
	for {
		last, now := c.moves.looked.Load(), time.Now().UnixNano()
		switch {
		case born.UnixNano() < last:
			return true
		case now-last < int64(lookAgain):
			return false
		case c.moves.looked.CompareAndSwap(last, now):
			c.transport.pool.Renew(&q.ep.place.target)
			return true
		}
	}
}
