package hranahttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// Rows are there as soon as they have come, compressed or not: a server that has sent
// some of them, and goes on when they have been read, is not waited for. It is never
// asked for brotli.
func TestPackedCursorIsStreamed(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		for _, coding := range []string{"gzip", "zstd"} {
			read := make(chan struct{})
			f := &fake{rows: 1000}
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if accept := r.Header.Get("Accept-Encoding"); accept != "zstd, gzip" {
					t.Errorf("asked for %q", accept)
				}
				rec := httptest.NewRecorder()
				f.cursor(rec, hrana.JSON, nil)
				body := rec.Body.Bytes()
				w.Header().Set("Content-Encoding", coding)
				var z interface {
					io.WriteCloser
					Flush() error
				} = gzip.NewWriter(w)
				if coding == "zstd" {
					z, _ = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
				}
				z.Write(body[:len(body)/2])
				z.Flush()
				w.(http.Flusher).Flush()
				select {
				case <-read:
				case <-r.Context().Done():
				}
				z.Write(body[len(body)/2:])
				z.Close()
				return true
			}
			c := m.client(t, f, func(cfg *Config) { cfg.Encoding = OnlyJSON })
			slowPath(c)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // for one that waits
			defer cancel()
			cur, err := c.Cursor(ctx, c.Home(), V3JSON, selectAll(), large())
			if err != nil {
				t.Fatalf("%s: %v", coding, err)
			}
			var e hrana.CursorEntry
			var table exec.Table
			for n := 0; n < 100; {
				table.Reset(1)
				if err := cur.Next(&e, &table); err != nil {
					t.Fatalf("%s: after %d rows, %v", coding, n, err)
				}
				if e.Type == hrana.Row {
					n++
				}
			}
			close(read)
			if n, err := drain(cur); n != 900 || err != io.EOF {
				t.Errorf("%s: then %d rows, %v", coding, n, err)
			}
		}
	})
}

// What the server says to have worked is not taken for what the path takes: an answer
// that took only that has come in no time.
func TestTheServersTimeIsNotThePaths(t *testing.T) {
	f := &fake{}
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		var rows exec.Table
		rows.Reset(1)
		rows.AppendBytes(exec.Text, bytes.Repeat([]byte("x"), 40_000))
		rows.EndRow()
		out, err := hrana.AppendPipelineResp(nil, hrana.JSON, &hrana.PipelineResp{Results: []hrana.StreamResult{{
			Type: hrana.Execute, Stmt: &exec.Result{Cols: []exec.Column{{Name: "1"}}, Rows: rows, ServerTime: time.Hour},
		}}})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", contentType(hrana.JSON))
		w.Write(out)
		return true
	}
	c := newTestClient(t, startServer(t, f).URL, func(cfg *Config) { cfg.Encoding = OnlyJSON })
	if _, err := c.Pipeline(t.Context(), c.Home(), V3JSON, query("SELECT 1"), Expect{Note: new(exec.Note), Times: 1, Steady: true}); err != nil {
		t.Fatal(err)
	}
	if ns := c.packing.law.PerByte(40_000); ns == 0 || ns > 0.001 {
		t.Errorf("the path takes %v ns for a byte", ns)
	}
}
