package hranahttp

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// accepting answers 401 to every other token.
func accepting(token *atomic.Value) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer "+token.Load().(string) {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"error":"Unauthorized"}`))
		return true
	}
}

func tokenValue(s string) *atomic.Value {
	var v atomic.Value
	v.Store(s)
	return &v
}

func TestTokenIsFetchedOnceAndRenewedAfter401(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		valid := tokenValue("one")
		var fetched atomic.Int32
		f := &fake{before: accepting(valid)}
		c := m.client(t, f, func(cfg *Config) {
			cfg.Token = func(context.Context) (string, error) { fetched.Add(1); return valid.Load().(string), nil }
		})
		if fetched.Load() != 0 {
			t.Error("the token is fetched before it is needed")
		}
		for range 3 {
			ask(t, c)
		}
		if fetched.Load() != 1 {
			t.Errorf("fetched %d times for 3 requests", fetched.Load())
		}
		valid.Store("two")
		for range 3 {
			ask(t, c)
		}
		if fetched.Load() != 2 || c.Counters().TokenRefresh != 1 {
			t.Errorf("fetched %d times, counted %d", fetched.Load(), c.Counters().TokenRefresh)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		valid.Store("three")
		if _, err := c.PipelineDetached(ctx, c.Home(), V2JSON, query("SELECT 1"), Expect{}, nil); err != nil {
			t.Errorf("detached: %v", err)
		}
	})
}

// A 401 that another token does not cure is told, after one more attempt if
// there is another token, and after none if there is not.
func Test401ThatStays(t *testing.T) {
	for name, c := range map[string]struct {
		source   func(n int) (string, error)
		requests int
	}{
		"same token":    {func(int) (string, error) { return "same", nil }, 1},
		"another token": {func(n int) (string, error) { return strings.Repeat("n", n), nil }, 2},
		"no token more": {func(n int) (string, error) {
			if n > 1 {
				return "", errors.New("vault is sealed")
			}
			return "n", nil
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{before: accepting(tokenValue("right"))}
			n := 0
			cl := newTestClient(t, startServer(t, f).URL, func(cfg *Config) {
				cfg.Token = func(context.Context) (string, error) { n++; return c.source(n) }
			})
			e := fails(t, cl)
			if e.Status != 401 || e.Proof != exec.NotExecuted || e.Source != exec.FromServer || e.Error() != "HTTP 401: Unauthorized" {
				t.Errorf("%+v", e)
			}
			if f.posts() != c.requests {
				t.Errorf("%d requests, want %d", f.posts(), c.requests)
			}
		})
	}
	f := &fake{before: accepting(tokenValue("right"))}
	if e := fails(t, newTestClient(t, startServer(t, f).URL, nil)); e.Status != 401 || f.posts() != 1 {
		t.Errorf("without a token source: %d requests, %v", f.posts(), e)
	}
}

// Callers who find that the token has expired at the same time make one call of
// the source, and all go on with what it gives.
func TestConcurrentCallersShareOneFetch(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		valid := tokenValue("one")
		var fetched, running atomic.Int32
		f := &fake{before: accepting(valid)}
		c := m.client(t, f, func(cfg *Config) {
			cfg.Token = func(context.Context) (string, error) {
				if running.Add(1) > 1 {
					t.Error("two calls of the source at a time")
				}
				defer running.Add(-1)
				fetched.Add(1)
				return valid.Load().(string), nil
			}
		})
		together := func() {
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() { ask(t, c) })
			}
			wg.Wait()
		}
		together()
		valid.Store("two")
		together()
		if n := fetched.Load(); n != 2 {
			t.Errorf("fetched %d times, want 2", n)
		}
	})
}

func TestCallerLeavesWhileTheTokenIsFetched(t *testing.T) {
	type key struct{}
	calls := make(chan context.Context, 3)
	inBubble(t, &fake{}, func(cfg *Config) {
		cfg.Token = func(ctx context.Context) (string, error) {
			calls <- ctx
			select {
			case <-time.After(time.Minute):
				return "late", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
	}, func(t *testing.T, c *Client) {
		// Two wait; the source goes on while one of them does.
		var wg sync.WaitGroup
		for _, d := range []time.Duration{time.Second, 2 * time.Second} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), key{}, "v"), d)
				defer cancel()
				begin := time.Now()
				e := failsWith(t, ctx, c, query("SELECT 1"))
				if !errors.Is(e, context.DeadlineExceeded) || e.Proof != exec.NotExecuted || e.StreamLost {
					t.Errorf("%+v", e)
				}
				if got := time.Since(begin); got != d {
					t.Errorf("returned after %v, want %v", got, d)
				}
			})
		}
		time.Sleep(1500 * time.Millisecond)
		ctx := <-calls
		if ctx.Err() != nil {
			t.Error("the source is cancelled while somebody waits")
		}
		if ctx.Value(key{}) != "v" {
			t.Error("the caller's values are lost")
		}
		wg.Wait()
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("the source goes on for nobody")
		}
		// Whoever comes then has a call of its own, and gets its token.
		ask(t, c)
		if len(calls) != 1 {
			t.Errorf("%d calls more", len(calls))
		}
	})
}

func TestCloseEndsAFetch(t *testing.T) {
	inBubble(t, &fake{}, func(cfg *Config) {
		cfg.Token = func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	}, func(t *testing.T, c *Client) {
		result := make(chan error, 1)
		go func() {
			_, err := c.Pipeline(context.Background(), c.Home(), V2JSON, query("SELECT 1"), Expect{})
			result <- err
		}()
		synctest.Wait()
		c.Close()
		if e := (<-result).(*exec.Error); e.Code != exec.CodeClosed || e.Proof != exec.NotExecuted {
			t.Errorf("%+v", e)
		}
	})
}

func TestTokenSourceFails(t *testing.T) {
	f := &fake{}
	cause := errors.New("read s3cret from vault: denied")
	n := 0
	c := newTestClient(t, startServer(t, f).URL, func(cfg *Config) {
		cfg.Token = func(context.Context) (string, error) {
			switch n++; n {
			case 1:
				return "", cause
			case 2:
				return "s3cret\r\nX-Evil: 1", nil
			}
			return " right\n", nil
		}
	})
	e := fails(t, c)
	if e.Proof != exec.NotExecuted || e.Source != exec.FromClient || !errors.Is(e, cause) || e.Error() != "the token source failed" {
		t.Errorf("%+v, reads %q", e, e)
	}
	if e = fails(t, c); e.Proof != exec.NotExecuted || e.Error() != "the token contains a control character" {
		t.Errorf("%+v, reads %q", e, e)
	}
	if f.posts() != 0 {
		t.Error("a request went out")
	}
	// The next caller asks again, and a line feed at the end is a file's.
	ask(t, c)
	if got := f.requests()[0].header.Get("Authorization"); got != "Bearer right" {
		t.Errorf("sent %q", got)
	}
}

func TestUserAndPassword(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ada:pass word"))
	for name, c := range map[string]struct{ token, want string }{
		"alone": {"", basic}, "a token comes first": {"t", "Bearer t"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			srv := startServer(t, f)
			cl := newTestClient(t, strings.Replace(srv.URL, "://", "://ada:pass%20word@", 1), func(cfg *Config) {
				cfg.Token = func(context.Context) (string, error) { return c.token, nil }
			})
			ask(t, cl)
			if got := f.requests()[0].header["Authorization"]; len(got) != 1 || got[0] != c.want {
				t.Errorf("sent %q", got)
			}
		})
	}
}
