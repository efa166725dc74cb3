package hranahttp

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// batonErrors are sqld's plain-text answers to a baton it does not take. They
// come before anything of the request is looked at.
var batonErrors = []string{
	"Received an invalid baton",
	"Received a baton that has already been used",
	"Stream for this baton was closed",
}

// statusError says what an answer other than 200 means. A request that carried
// a baton has lost its stream whatever the status: the next baton was not told.
func statusError(resp *http.Response, body []byte, hasBaton bool) *exec.Error {
	e := &exec.Error{Source: exec.FromServer, Status: resp.StatusCode, StreamLost: hasBaton}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now)
	e.Code, e.Message = serverMessage(resp, body)
	e.Proof = statusProof(e, hasBaton)
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound && !hasBaton:
		e.Message += " (is the URL that of a libSQL database?)"
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		e.Message += " (the server redirects; put the final URL in the DSN)"
	}
	return e
}

// statusProof is the table of what an HTTP status proves about execution. A
// failed pipeline proves nothing in general: sqld answers 500 to an INSERT it
// has committed if the next result is not valid UTF-8.
func statusProof(e *exec.Error, hasBaton bool) exec.Proof {
	switch s := e.Status; {
	case e.Code == "STREAM_EXPIRED":
		return exec.NotExecuted
	case s >= 300 && s < 400,
		s == http.StatusUnauthorized, // checked before the body is read
		s == http.StatusMethodNotAllowed, s == http.StatusRequestEntityTooLarge,
		s == http.StatusUnsupportedMediaType, s == http.StatusRequestURITooLong,
		s == http.StatusTooManyRequests, // no connection could be opened for the stream
		s == http.StatusNotFound,        // no such path, database or (Turso Cloud) stream
		s == http.StatusMisdirectedRequest:
		return exec.NotExecuted
	case s == http.StatusBadRequest && hasBaton:
		for _, text := range batonErrors {
			if strings.Contains(e.Message, text) {
				return exec.NotExecuted
			}
		}
	}
	return exec.OutcomeUnknown
}

// serverMessage finds the message in the shapes that sqld and Turso Cloud use:
// {"error": "..."}, {"message": "...", "code": "..."} and plain text.
func serverMessage(resp *http.Response, body []byte) (code, message string) {
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
	if ct := resp.Header.Get("Content-Type"); strings.Contains(ct, "html") {
		return "", "the answer is a web page, not libSQL's"
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

func isHrana(contentType string) bool {
	return strings.Contains(contentType, "json") || strings.Contains(contentType, "protobuf") ||
		strings.Contains(contentType, "octet-stream")
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
