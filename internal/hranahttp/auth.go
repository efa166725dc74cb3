package hranahttp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/wire"
)

// auth holds the token in use.
type auth struct {
	current atomic.Pointer[credentials] // nil until a token has been fetched
	mu      sync.Mutex
	fetch   *tokenFetch // under way; nil if none is
}

// credentials are a token as the complete headers that carry it, for each encoding
// one that asks for a plain answer and one that asks for a compressed one. They
// are shared by all requests and never written.
type credentials struct {
	token   string
	headers [2][2]http.Header
}

func (cred *credentials) header(enc hrana.Encoding, packed bool) http.Header {
	return cred.headers[enc][indexOf(packed)]
}

func indexOf(packed bool) int {
	if packed {
		return 1
	}
	return 0
}

// A tokenFetch is one call of the token source, whoever waits for it.
type tokenFetch struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int // guarded by auth.mu
	err     *exec.Error
}

// credentials returns those to use, fetching the token if none has been fetched
// yet.
func (c *Client) credentials(ctx context.Context) (*credentials, *exec.Error) {
	if cred := c.auth.current.Load(); cred != nil {
		return cred, nil
	}
	return c.newerThan(ctx, nil)
}

// renew fetches the token again after the server has refused old. It returns
// nil if there is no other to try.
func (c *Client) renew(ctx context.Context, old *credentials) *credentials {
	if c.cfg.Token == nil {
		return nil
	}
	cred, err := c.newerThan(ctx, old)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("turso-opt: fetching a new token failed after a 401")
		}
		return nil
	}
	if cred == old {
		return nil
	}
	return cred
}

// newerThan returns the credentials that have taken old's place. All who need
// some wait for one call of the source, each no longer than its own context
// allows; when nobody waits any more, the call is cancelled.
func (c *Client) newerThan(ctx context.Context, old *credentials) (*credentials, *exec.Error) {
	a := &c.auth
	a.mu.Lock()
	if cred := a.current.Load(); cred != old {
		a.mu.Unlock()
		return cred, nil // somebody else has been faster
	}
	f := a.fetch
	if f == nil {
		run, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(c.life, cancel)
		f = &tokenFetch{done: make(chan struct{}), cancel: func() { stop(); cancel() }}
		a.fetch = f
		go c.fetchToken(run, f, old)
	}
	f.waiting++
	a.mu.Unlock()
	var gone *exec.Error
	select {
	case <-f.done:
	case <-ctx.Done():
		gone = contextError(ctx, false)
	case <-c.life.Done():
		gone = closedError(false)
	}
	a.mu.Lock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if a.fetch == f {
			a.fetch = nil // whoever comes now does not share its cancellation
		}
	}
	a.mu.Unlock()
	switch {
	case gone != nil:
		return nil, gone
	case f.err != nil:
		return nil, f.err
	}
	return a.current.Load(), nil
}

func (c *Client) fetchToken(ctx context.Context, f *tokenFetch, old *credentials) {
	token, err := c.cfg.Token(ctx)
	token = strings.TrimSpace(token) // files end with a line feed
	a := &c.auth
	a.mu.Lock()
	defer a.mu.Unlock()
	defer close(f.done)
	if a.fetch == f {
		a.fetch = nil
	}
	if old != nil {
		c.counters.tokens.Add(1)
	}
	switch {
	case err != nil:
		f.err = &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Err: &tokenError{err}}
	case !validValue(token):
		f.err = &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Err: &tokenError{errControl}}
	case a.current.Load() != old:
	case old == nil || token != old.token:
		a.current.Store(c.newCredentials(token))
	}
}

var errControl = errors.New("the token contains a control character")

// A tokenError is the token source's. Its text may quote what the source has
// read, so it is not shown; whoever wants it unwraps it.
type tokenError struct{ cause error }

func (e *tokenError) Error() string {
	if e.cause == errControl {
		return e.cause.Error()
	}
	return "the token source failed"
}
func (e *tokenError) Unwrap() error { return e.cause }

func (c *Client) newCredentials(token string) *credentials {
	cred := &credentials{token: token}
	for enc := range cred.headers {
		h := make(http.Header, len(c.fixed)+2)
		for name, values := range c.fixed {
			h[name] = values
		}
		h["Content-Type"] = []string{contentType(hrana.Encoding(enc))}
		if token != "" {
			h["Authorization"] = []string{"Bearer " + token}
		}
		packed := h.Clone()
		packed["Accept-Encoding"] = []string{wire.Accept}
		cred.headers[enc] = [2]http.Header{h, packed}
	}
	return cred
}
