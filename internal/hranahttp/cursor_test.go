package hranahttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/netem"
)

func selectAll() *hrana.CursorReq {
	return &hrana.CursorReq{Batch: hrana.Batch{Steps: []hrana.BatchStep{{Stmt: hrana.Stmt{SQL: "SELECT 1", WantRows: true}}}}}
}

// drain reads a cursor to its end and counts the rows.
func drain(cur *Cursor) (rows int, err error) {
	var e hrana.CursorEntry
	var table exec.Table
	for {
		table.Reset(1)
		if err := cur.Next(&e, &table); err != nil {
			return rows, err
		}
		if e.Type == hrana.Row {
			rows++
		}
	}
}

func TestCursor(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{rows: 10_000, baton: "next"}
		c := m.client(t, f, nil)
		for _, level := range []Level{V3JSON, V3Protobuf} {
			cur, err := c.Cursor(context.Background(), c.Home(), level, selectAll(), Expect{})
			if err != nil {
				t.Fatal(err)
			}
			if cur.Baton != "next" || cur.Endpoint != c.Home() {
				t.Errorf("baton %q", cur.Baton)
			}
			if n, err := drain(cur); n != 10_000 || err != io.EOF {
				t.Errorf("%v: %d rows, %v", level, n, err)
			}
			if n, err := drain(cur); n != 0 || err != io.EOF {
				t.Errorf("%v: then %d rows, %v", level, n, err)
			}
			if cur.Buffered() || cur.Close() != nil {
				t.Error("it goes on after its end")
			}
		}
		if n := c.Counters(); n.Requests != 2 || n.Failed != 0 || n.Dials != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// Close in the middle stops the transfer, and the server notices.
func TestCursorIsLeft(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		gone := make(chan struct{})
		f := &fake{rows: 10}
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "cursor") {
				return false
			}
			f.rows = 3000
			f.cursor(w, hrana.JSON, nil)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(gone)
			return true
		}
		c := m.client(t, f, func(cfg *Config) { cfg.Encoding = OnlyJSON })
		cur, err := c.Cursor(context.Background(), c.Home(), V3JSON, selectAll(), Expect{})
		if err != nil {
			t.Fatal(err)
		}
		var e hrana.CursorEntry
		var table exec.Table
		table.Reset(1)
		for range 10 {
			if err := cur.Next(&e, &table); err != nil {
				t.Fatal(err)
			}
		}
		if !cur.Buffered() {
			t.Error("nothing more has arrived")
		}
		if err := cur.Close(); err != nil {
			t.Error(err)
		}
		<-gone
		if err := cur.Next(&e, &table); err != io.EOF {
			t.Errorf("after Close: %v", err)
		}
		if n := c.Counters().Failed; n != 0 {
			t.Errorf("%d failed", n)
		}
		ask(t, c)
	})
}

func TestCursorsContextEnds(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		gone := make(chan struct{})
		f := &fake{rows: 10}
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			f.cursor(w, hrana.JSON, nil)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(gone)
			return true
		}
		c := m.client(t, f, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cur, err := c.Cursor(ctx, c.Home(), V3JSON, selectAll(), Expect{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Millisecond, cancel)
		_, err = drain(cur)
		e, ok := err.(*exec.Error)
		if !ok || !errors.Is(e, context.Canceled) || e.Proof != exec.OutcomeUnknown || !e.StreamLost {
			t.Errorf("%+v", err)
		}
		<-gone
		if _, again := drain(cur); again != err {
			t.Errorf("then %v", again)
		}
		if n := c.Counters(); n.Failed != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// What is wrong with a cursor, from its first byte to its last.
func TestCursorFails(t *testing.T) {
	const head = `{"baton":"b","base_url":null}` + "\n"
	const begin = `{"type":"step_begin","step":0,"cols":[{"name":"1","decltype":null}]}` + "\n"
	const row = `{"type":"row","row":[{"type":"integer","value":"1"}]}` + "\n"
	for name, c := range map[string]struct {
		status      int
		contentType string
		body        string
		abort       bool
		atOnce      bool // the error comes from Cursor, not from Next
		rows        int
		source      exec.Source
		text        string
	}{
		"refused":        {status: 404, atOnce: true, source: exec.FromServer, text: "HTTP 404: Not Found (is the URL that of a libSQL database?)"},
		"page":           {contentType: "text/html", body: "<html>\n", atOnce: true, source: exec.FromProtocol, text: "the server does not speak Hrana (it answers with text/html)"},
		"nothing":        {atOnce: true, source: exec.FromTransport, text: "the connection broke before the answer was complete"},
		"cut before":     {body: head[:10], abort: true, atOnce: true, source: exec.FromTransport, text: "the connection broke before the answer was complete"},
		"cut in a row":   {body: head + begin + row + row[:10], abort: true, rows: 1, source: exec.FromTransport, text: "the connection broke before the answer was complete"},
		"ends in a row":  {body: head + begin + row + row[:10], rows: 1, source: exec.FromTransport, text: "the connection broke before the answer was complete"},
		"cut behind one": {body: head + begin + row, abort: true, rows: 1, source: exec.FromTransport, text: "the connection broke before the answer was complete"},
		"garbage":        {body: head + begin + row + "garbage\n", rows: 1, source: exec.FromProtocol, text: "the server's answer cannot be understood"},
		"wider row": {body: head + begin + `{"type":"row","row":[{"type":"null"},{"type":"null"}]}` + "\n", source: exec.FromProtocol,
			text: "the server's answer cannot be understood"},
	} {
		t.Run(name, func(t *testing.T) {
			inModes(t, func(t *testing.T, m mode) {
				cl := m.client(t, &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
					if c.contentType == "" {
						c.contentType = "application/json"
					}
					w.Header().Set("Content-Type", c.contentType)
					if c.status != 0 {
						w.WriteHeader(c.status)
					}
					io.WriteString(w, c.body)
					w.(http.Flusher).Flush()
					if c.abort {
						panic(http.ErrAbortHandler)
					}
					return true
				}}, nil)
				cur, err := cl.Cursor(context.Background(), cl.Home(), V3JSON, selectAll(), Expect{})
				rows := 0
				if err == nil {
					if c.atOnce {
						t.Error("the error is not told at once")
					}
					rows, err = drain(cur)
					defer cur.Close()
				}
				e, ok := err.(*exec.Error)
				if !ok || e.Source != c.source || !strings.HasPrefix(e.Error(), c.text) || rows != c.rows {
					t.Fatalf("%d rows, %#v", rows, err)
				}
				if c.status == 0 && (e.Proof != exec.OutcomeUnknown || !e.StreamLost) {
					t.Errorf("%+v", e)
				}
				if n := cl.Counters(); n.Failed != 1 || n.Requests != 1 {
					t.Errorf("%+v", n)
				}
			})
		})
	}
}

// The connection breaks, or is lost, while rows arrive.
func TestCursorsConnectionBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(p *netem.Proxy)
		text string
	}{
		"cut":   {func(p *netem.Proxy) { p.Truncate(10) }, "the connection broke"},
		"reset": {func(p *netem.Proxy) { p.Reset() }, "the connection broke"},
		"lost":  {func(p *netem.Proxy) { p.Drop() }, "the context ended"},
	} {
		t.Run(name, func(t *testing.T) {
			proceed := make(chan struct{})
			f := &fake{rows: 10}
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				f.cursor(w, hrana.JSON, nil)
				w.(http.Flusher).Flush()
				<-proceed
				f.cursor(w, hrana.JSON, nil)
				return true
			}
			p, cl := behind(t, f)
			limit := time.Minute
			if name == "lost" {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			cur, err := cl.Cursor(ctx, cl.Home(), V3JSON, selectAll(), Expect{})
			if err != nil {
				t.Fatal(err)
			}
			c.harm(p)
			close(proceed)
			_, err = drain(cur)
			e, ok := err.(*exec.Error)
			if !ok || e.Source != exec.FromTransport || e.Proof != exec.OutcomeUnknown || !strings.HasPrefix(e.Error(), c.text) {
				t.Errorf("%#v", err)
			}
		})
	}
}

// A second cursor does not wait for the first, and other requests for neither.
func TestCursorsSideBySide(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{rows: 5_000}
		c := m.client(t, f, nil)
		var open []*Cursor
		for range 5 {
			cur, err := c.Cursor(context.Background(), c.Home(), V3JSON, selectAll(), Expect{})
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, cur)
			ask(t, c)
		}
		for i, cur := range open {
			if n, err := drain(cur); n != 5_000 || err != io.EOF {
				t.Errorf("cursor %d: %d rows, %v", i, n, err)
			}
		}
	})
}

func TestCursorThatCannotBeEncoded(t *testing.T) {
	f := &fake{}
	c := newTestClient(t, startServer(t, f).URL, nil)
	bad := selectAll()
	bad.Batch.Steps[0].Cond = &hrana.Cond{Type: 99}
	_, err := c.Cursor(t.Context(), c.Home(), V3JSON, bad, Expect{})
	if e, ok := err.(*exec.Error); !ok || e.Proof != exec.NotExecuted || e.Source != exec.FromClient || len(f.requests()) != 0 {
		t.Errorf("%#v", err)
	}
}
