package hranatest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// smallest is the length below which sqld does not compress.
const smallest = 32

var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.DefaultCompression)
	return z
}}

// A body is the body of an answer that is written bit by bit.
type body struct {
	io.Writer
	to  http.ResponseWriter
	zip *gzip.Writer
}

func (b *body) flush() {
	if b.zip != nil {
		_ = b.zip.Flush()
	}
	if flusher, ok := b.to.(http.Flusher); ok {
		flusher.Flush()
	}
}

// begin begins an answer of unknown length.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, e endpoint) *body {
	if e.encoding == hrana.Protobuf {
		w.Header().Set("Content-Type", "application/octet-stream")
	} else {
		w.Header().Set("Content-Type", "text/plain")
	}
	if !acceptsGzip(r) {
		return &body{Writer: w, to: w}
	}
	return zipped(w)
}

func zipped(w http.ResponseWriter) *body {
	w.Header().Set("Content-Encoding", "gzip")
	zip := gzips.Get().(*gzip.Writer)
	zip.Reset(w)
	return &body{Writer: zip, to: w, zip: zip}
}

// Close completes the body.
func (b *body) Close() error {
	if b.zip == nil {
		return nil
	}
	err := b.zip.Close()
	gzips.Put(b.zip)
	return err
}

// write sends a whole answer.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, contentType string, text []byte) {
	h := w.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	} else {
		h["Content-Type"] = nil // net/http would guess one
	}
	if len(text) >= smallest && acceptsGzip(r) {
		b := zipped(w)
		w.WriteHeader(status)
		_, _ = b.Write(text)
		_ = b.Close()
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// acceptsGzip reports whether the client takes gzip, the one of sqld's
// encodings that is spoken here.
func acceptsGzip(r *http.Request) bool {
	for _, each := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(each), ";")
		if name == "gzip" || name == "*" {
			return !strings.Contains(strings.ReplaceAll(params, " ", ""), "q=0") || strings.Contains(params, "q=0.")
		}
	}
	return false
}
