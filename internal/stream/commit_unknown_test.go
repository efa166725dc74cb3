package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// A group's COMMIT that has failed in a way that proves nothing, and a group that has
// failed as a whole and was not seen to be rolled back, may have been committed: who
// took it for undone would write it again.
func TestCommitGroupOfUnknownOutcome(t *testing.T) {
	type object = map[string]any
	failed := func(code string) object { return object{"code": code, "message": "it has failed"} }
	batch := func(results []any, i int) object {
		return results[i].(object)["response"].(object)["result"].(object)
	}
	commitFails := func(code string) func(results []any) {
		return func(results []any) {
			b := batch(results, 0)
			errs := b["step_errors"].([]any)
			errs[len(errs)-1], b["step_results"].([]any)[len(errs)-1] = failed(code), nil
		}
	}
	whole := object{"type": "error", "error": failed("SQLITE_IOERR")}
	var spoil atomic.Pointer[func(results []any)]
	server := hranatest.NewServer(t, hranatest.Options{})
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport, ErrorLog: log.New(io.Discard, "", 0),
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			// A group's answer is the only one with two batches.
			if f := spoil.Load(); f != nil && bytes.Count(body, []byte("step_results")) == 2 {
				spoil.Store(nil)
				var answer object
				if err := json.Unmarshal(body, &answer); err != nil {
					return err
				}
				(*f)(answer["results"].([]any))
				if body, err = json.Marshal(answer); err != nil {
					return err
				}
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Del("Content-Length")
			return nil
		},
	})
	t.Cleanup(front.Close)
	u, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := hranahttp.New(hranahttp.Config{URL: u, Encoding: hranahttp.OnlyJSON, Plain: true})
	p := NewPool(client, new(limit.Budget), nil)
	t.Cleanup(func() { p.Close(); client.Close() })
	client.AwaitLevel(t.Context())
	s := makeStream(p)
	if _, err := s.Run(t.Context(), exec.Write, &Plan{Stmts: stmts("CREATE TABLE t (a)"), Close: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		spoil  func(results []any)
		undone bool
	}{
		{"COMMIT: SQLITE_IOERR", commitFails("SQLITE_IOERR"), false},
		{"COMMIT: SQLITE_BUSY", commitFails("SQLITE_BUSY"), true},
		{"all, not rolled back", func(results []any) { results[0] = whole }, false},
		{"all, rolled back", func(results []any) {
			batch(results, 1)["step_results"].([]any)[0] = batch(results, 0)["step_results"].([]any)[0]
			results[0] = whole
		}, true},
	} {
		spoil.Store(&c.spoil)
		g, ok, err := p.CommitGroup(context.Background(), &Group{Check: stmts("SELECT 1")[0], Stmts: stmts("INSERT INTO t VALUES (1)")})
		if err != nil || !ok || spoil.Load() != nil {
			t.Fatalf("%s: %v, %v", c.name, ok, err)
		}
		if g.Committed || g.Undone != c.undone || g.Err == nil {
			t.Errorf("%s: committed %v, undone %v, %v", c.name, g.Committed, g.Undone, g.Err)
		}
	}
}
