package hranahttp

import (
	"context"
	"io"
	"time"

	"github.com/turso-opt/turso-opt/internal/http1"
)

// A Leash is a request in the hands of somebody who is not its caller.
type Leash = http1.Leash

// A lastingBody ends what its request's context is for.
type lastingBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *lastingBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// Patience is for how long a request may go unanswered before its connection is in
// doubt; 0 if no connection ever is.
func (c *Client) Patience() time.Duration { return c.transport.cfg.KeepAlive.Timeout }

// Doubt says that a request to ep goes unanswered. Connections that are idle may be
// dead as well: who needs one from now on gets a new one, and they are asked.
func (c *Client) Doubt(ep *Endpoint) {
	t := c.transport
	if ep.place.manner.Load() == viaTransport {
		if t.owner != nil {
			t.renewed()
		}
		return
	}
	t.pool.Suspect(&ep.place.target, 0)
}

// Reached tells whether the server answers a ping that is sent now, on a connection
// on which nothing has gone wrong yet. It is false while requests fail at once.
func (c *Client) Reached() bool {
	if !c.circuit.off && c.circuit.open.Load() {
		return false
	}
	p, ok := c.newPing(c.Patience())
	if !ok {
		return false
	}
	status, _, err := p.afresh()
	return err == nil && !isDown(status)
}

// Besides runs f in a goroutine that Close ends, and does not wait for before. It
// reports false, and does not run f, if the client is closed.
func (c *Client) Besides(f func()) bool { return c.besides(f) }
