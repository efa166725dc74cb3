package hranahttp

import (
	"bytes"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// How messages of sqld begin that come before anything of a request is executed:
// its answers to a baton that it does not take, and to what it cannot read.
var (
	batonErrors = []string{
		"Received an invalid baton",
		"Received a baton that has already been used",
		"Stream for this baton was closed",
	}
	unreadErrors = []string{
		"Cannot deserialize client message",
		"Could not decode client message",
	}
)

// BatonUsed tells whether the server has refused a baton that it knows: a request
// that had it has come before.
func BatonUsed(e *exec.Error) bool { return strings.HasPrefix(e.Message, batonErrors[1]) }

// noWrite is in the message with which sqld refuses a write to a token that may
// only read. No write of the same request can have had more luck.
const noWrite = "have Write permission"

// statusHead is what counts of the head of an answer other than 200.
type statusHead struct {
	status                            int
	contentType, retryAfter, location string
}

// statusError says what an answer other than 200 means. A request that carried
// a baton has lost its stream whatever the status: the next baton was not told.
func statusError(h statusHead, body []byte, hasBaton bool) *exec.Error {
	e := &exec.Error{Source: exec.FromServer, Status: h.status, StreamLost: hasBaton}
	e.RetryAfter = retryAfter(h.retryAfter, time.Now)
	e.Code, e.Message = serverMessage(h.contentType, body)
	e.Proof = statusProof(e, hasBaton)
	if e.Message == "" {
		e.Message = http.StatusText(h.status)
	}
	switch {
	case h.status == http.StatusNotFound && !hasBaton:
		e.Message += " (is the URL that of a libSQL database?)"
	case h.status >= 300 && h.status < 400:
		where := ""
		if u, err := url.Parse(h.location); err == nil && u.Host != "" {
			where = " to " + clean(u.Scheme+"://"+u.Host, 200)
		}
		e.Message += " (the server redirects" + where + "; put the final URL in the DSN)"
	}
	return e
}

// statusProof is the table of what an HTTP status proves about execution. A
// failed pipeline proves nothing in general: sqld answers 500 to an INSERT it
// has committed if the next result is not valid UTF-8, and 403 where only a
// later statement is forbidden.
func statusProof(e *exec.Error, hasBaton bool) exec.Proof {
	switch s := e.Status; {
	case e.Code == "STREAM_EXPIRED":
		return exec.NotExecuted
	case s == http.StatusMovedPermanently, s == http.StatusFound, // a login page's way, too
		s == http.StatusTemporaryRedirect, s == http.StatusPermanentRedirect,
		s == http.StatusUnauthorized, // checked before the body is read
		s == http.StatusNotFound,     // no such path, database or (Turso Cloud) stream
		s == http.StatusMethodNotAllowed,
		s == http.StatusProxyAuthRequired,
		s == http.StatusLengthRequired,
		s == http.StatusRequestEntityTooLarge,
		s == http.StatusRequestURITooLong,
		s == http.StatusUnsupportedMediaType,
		s == http.StatusMisdirectedRequest,
		s == http.StatusTooManyRequests, // no connection could be opened for the stream
		s == http.StatusRequestHeaderFieldsTooLarge:
		return exec.NotExecuted
	case s == http.StatusBadRequest && hasPrefix(e.Message, unreadErrors),
		s == http.StatusBadRequest && hasBaton && hasPrefix(e.Message, batonErrors),
		s == http.StatusForbidden && strings.Contains(e.Message, noWrite):
		return exec.NotExecuted
	}
	return exec.OutcomeUnknown
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// serverMessage finds the message in the shapes that sqld and Turso Cloud use:
// {"error": "..."}, {"message": "...", "code": "..."}, the latter in protobuf too
// where that is spoken, and plain text.
func serverMessage(contentType string, body []byte) (code, message string) {
	if strings.Contains(contentType, "protobuf") {
		if e, err := hrana.DecodeError(body); err == nil {
			return clean(e.Code, 60), clean(e.Message, 500)
		}
	}
	var shape struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Code    string          `json:"code"`
	}
	if json.Unmarshal(body, &shape) == nil {
		var text string
		if json.Unmarshal(shape.Error, &text) == nil && text != "" {
			return clean(shape.Code, 60), clean(text, 500)
		}
		var inner struct{ Message, Code string }
		if json.Unmarshal(shape.Error, &inner) == nil && inner.Message != "" {
			return clean(inner.Code, 60), clean(inner.Message, 500)
		}
		if shape.Message != "" {
			return clean(shape.Code, 60), clean(shape.Message, 500)
		}
	}
	if isHTML(contentType) {
		return "", "the answer is a web page, not libSQL's" + pageTitle(body)
	}
	return "", clean(string(body), 200)
}

// clean makes a server's text fit for one line of a log.
func clean(s string, limit int) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "?"))
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit] + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// isHrana tells whether a content type is one that servers give to Hrana.
func isHrana(contentType []byte) bool {
	return len(contentType) == 0 || bytes.Contains(contentType, []byte("json")) ||
		bytes.Contains(contentType, []byte("protobuf")) || bytes.Contains(contentType, []byte("octet-stream")) ||
		bytes.HasPrefix(contentType, []byte("text/plain"))
}

func isHTML(contentType string) bool { return strings.Contains(strings.ToLower(contentType), "html") }

// pageTitle is what a web page calls itself, which is often all that a proxy
// says about an error.
func pageTitle(page []byte) string {
	lower := bytes.ToLower(page)
	from := bytes.Index(lower, []byte("<title>"))
	if from < 0 || len(lower) != len(page) {
		return ""
	}
	from += len("<title>")
	to := bytes.Index(lower[from:], []byte("</title>"))
	if to < 0 {
		return ""
	}
	if title := clean(html.UnescapeString(string(page[from:from+to])), 100); title != "" {
		return " (" + strconv.Quote(title) + ")"
	}
	return ""
}

// lacksMethod tells whether a status says that the server does not know the path
// or what is sent there.
func lacksMethod(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	}
	return false
}

// retryAfter reads both forms of Retry-After, RFC 9110 section 10.2.3.
func retryAfter(v string, now func() time.Time) time.Duration {
	if v == "" {
		return 0
	}
	if secs, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(secs) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now()))
	}
	return 0
}
