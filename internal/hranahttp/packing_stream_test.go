package hranahttp

import (
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
