package hranatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// An endpoint is a path that speaks Hrana.
type endpoint struct {
	version  int
	encoding hrana.Encoding
	cursor   bool
}

var endpoints = map[string]endpoint{
	"/v2/pipeline":          {version: 2},
	"/v3/pipeline":          {version: 3},
	"/v3/cursor":            {version: 3, cursor: true},
	"/v3-protobuf/pipeline": {version: 3, encoding: hrana.Protobuf},
	"/v3-protobuf/cursor":   {version: 3, encoding: hrana.Protobuf, cursor: true},
}

// pages answer a GET without asking for a token.
var pages = map[string]string{
	"/health":      "",
	"/version":     "hranatest",
	"/v2":          "Hello, this is HTTP API v2 (Hrana over HTTP)",
	"/v3":          "Hello, this is HTTP API v2 (Hrana over HTTP)",
	"/v3-protobuf": "Hello, this is HTTP API v2 (Hrana over HTTP)",
}

// route answers one request.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone, or lied about the length
	}
	if s.opts.OnRequest != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.opts.OnRequest(r)
	}
	path, ok := strings.CutPrefix(r.URL.Path, s.opts.Prefix)
	if !ok {
		path = ""
	}
	if e, ok := endpoints[path]; ok && s.opts.Profile.serves(e) {
		s.counters.request(path)
		s.endpoint(w, r, body, e)
		return
	}
	page, ok := pages[path]
	if !ok || !s.opts.Profile.shows(path) {
		s.counters.request("")
		contentType, text := s.opts.Profile.notFound()
		s.write(w, r, http.StatusNotFound, contentType, []byte(text))
		return
	}
	s.counters.request(path)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET,HEAD")
		s.write(w, r, http.StatusMethodNotAllowed, "", nil)
		return
	}
	contentType := "text/plain"
	if page == "" {
		contentType = ""
	}
	s.write(w, r, http.StatusOK, contentType, []byte(page))
}

// endpoint answers a request to an endpoint, with the faults that are asked for.
func (s *Server) endpoint(w http.ResponseWriter, r *http.Request, body []byte, e endpoint) {
	if r.Method != http.MethodPost {
		if s.opts.Profile == V2 {
			s.write(w, r, http.StatusNotFound, "text/plain", []byte("Not Found"))
			return
		}
		w.Header().Set("Allow", "POST")
		s.write(w, r, http.StatusMethodNotAllowed, "", nil)
		return
	}
	fault, delay := s.faults.next()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	if s.before(w, r, fault) {
		return
	}
	if fault.kind == noFault {
		s.answer(w, r, body, e)
		return
	}
	a := &answer{head: make(http.Header), status: http.StatusOK}
	s.answer(a, r, body, e)
	s.spoil(w, a, fault, e)
}

// answer executes a request to an endpoint.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, body []byte, e endpoint) {
	readOnly, err := s.authorize(r)
	if err == nil {
		if e.cursor {
			err = s.cursor(w, r, body, e, readOnly)
		} else {
			err = s.pipeline(w, r, body, e, readOnly)
		}
	}
	if err != nil {
		s.fail(w, r, err, e)
	}
}

// fail sends the answer to a request that failed as a whole.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error, e endpoint) {
	var f *failure
	if !errors.As(err, &f) {
		f = internal(err.Error())
	}
	f = s.opts.Profile.failure(f, s.opts.StreamCodes)
	contentType, text := "text/plain", []byte(f.message)
	switch {
	case f.json:
		contentType = "application/json"
		text = mustJSON(struct {
			Error string `json:"error"`
			Code  string `json:"code,omitempty"`
		}{f.message, f.code})
	case f.code != "":
		contentType = contentTypeOf(e.encoding)
		if e.encoding == hrana.Protobuf {
			text = protoError(f)
			break
		}
		text = mustJSON(struct {
			Message string `json:"message"`
			Code    string `json:"code"`
		}{f.message, f.code})
	}
	s.write(w, r, f.status, contentType, text)
}

func mustJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // of two strings
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// protoError is a Hrana error in protobuf: message and code are fields 1 and 2.
func protoError(f *failure) []byte {
	var b []byte
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, f.message)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendString(b, f.code)
}

func contentTypeOf(e hrana.Encoding) string {
	if e == hrana.Protobuf {
		return "application/x-protobuf"
	}
	return "application/json"
}

// undecodable is what sqld says of a body that it cannot read.
func undecodable(e hrana.Encoding, err error) *failure {
	text := "Cannot deserialize client message from JSON: "
	if e == hrana.Protobuf {
		text = "Could not decode client message from Protobuf: failed to decode Protobuf message: "
	}
	f := misuse(text + err.Error())
	f.undecodable = true
	return f
}
