package hranahttp

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"sync"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// auth holds the token in use as the complete headers that carry it. The header
// maps are shared by all requests and never written: http.Transport only reads
// them.
type auth struct {
	mu      sync.Mutex
	fetched bool
	token   string
	gen     uint64 // counts the tokens fetched
	headers [2]http.Header
}

type credentials struct {
	header http.Header
	gen    uint64
}

// credentials returns the headers for a request, fetching the token if none has
// been fetched yet.
func (c *Client) credentials(ctx context.Context, enc hrana.Encoding) (credentials, error) {
	a := &c.auth
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.fetched {
		if err := c.fetchToken(ctx); err != nil {
			return credentials{}, err
		}
	}
	return credentials{a.headers[enc], a.gen}, nil
}

// refresh fetches the token again after the server has refused generation gen.
// It reports whether there is another token to try.
func (c *Client) refresh(ctx context.Context, gen uint64) bool {
	if c.cfg.Token == nil {
		return false
	}
	a := &c.auth
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gen != gen {
		return true // somebody else has been faster
	}
	old := a.token
	if err := c.fetchToken(ctx); err != nil {
		c.log.Warn("turso-opt: fetching a new token failed after a 401")
		return false
	}
	c.counters.tokens.Add(1)
	return a.token != old
}

// fetchToken is called with a.mu held: callers that need a token wait for the
// one who fetches it instead of asking for their own.
func (c *Client) fetchToken(ctx context.Context) error {
	a := &c.auth
	token := ""
	if c.cfg.Token != nil {
		var err error
		if token, err = c.cfg.Token(ctx); err != nil {
			// The source's error may quote what it read; only its cause is kept.
			return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Message: "the token source failed", Err: err}
		}
	}
	a.fetched, a.token = true, token
	a.gen++
	for enc := range a.headers {
		h := maps.Clone(c.cfg.Header)
		if h == nil {
			h = http.Header{}
		}
		contentType := "application/json"
		if hrana.Encoding(enc) == hrana.Protobuf {
			contentType = "application/x-protobuf"
		}
		h["Content-Type"] = []string{contentType}
		h["User-Agent"] = []string{c.cfg.UserAgent}
		if u := c.cfg.URL.User; u != nil && token == "" {
			password, _ := u.Password()
			h["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password))}
		}
		if token != "" {
			h["Authorization"] = []string{"Bearer " + token}
		}
		if c.cfg.EncryptionKey != "" {
			h["X-Turso-Encryption-Key"] = []string{c.cfg.EncryptionKey}
		}
		a.headers[enc] = h
	}
	return nil
}
