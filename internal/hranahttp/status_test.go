package hranahttp

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// What each answer proves, for a request without a baton and for one with.
func TestStatusProof(t *testing.T) {
	const no, unknown = exec.NotExecuted, exec.OutcomeUnknown
	for _, c := range []struct {
		status         int
		body           string
		without, with_ exec.Proof
	}{
		{300, "", unknown, unknown},
		{301, "", no, no},
		{302, "", no, no},
		{303, "", unknown, unknown},
		{307, "", no, no},
		{308, "", no, no},
		{400, "", unknown, unknown},
		{400, `{"message":"The stream has expired due to inactivity","code":"STREAM_EXPIRED"}`, no, no},
		{400, "Received an invalid baton", unknown, no},
		{400, "Received a baton that has already been used", unknown, no},
		{400, "Stream for this baton was closed", unknown, no},
		{400, "near \"Received an invalid baton\": syntax error", unknown, unknown},
		{400, "Cannot deserialize client message from JSON: EOF while parsing a list at line 1 column 13", no, no},
		{400, "Could not decode client message from Protobuf: failed to decode Protobuf message: buffer underflow", no, no},
		{401, `{"error":"Unauthorized: ..."}`, no, no},
		{403, `{"error":"Authorization forbidden: Current session doesn't not have Write permission to namespace default"}`, no, no},
		{403, `{"error":"Authorization forbidden: attach"}`, unknown, unknown},
		{404, `{"error":"stream not found: 123"}`, no, no},
		{404, "", no, no},
		{405, "", no, no},
		{407, "", no, no},
		{408, "", unknown, unknown},
		{409, "", unknown, unknown},
		{411, "", no, no},
		{413, "", no, no},
		{414, "", no, no},
		{415, "", no, no},
		{418, "", unknown, unknown},
		{421, "", no, no},
		{429, `{"error":"Timed out while opening database connection"}`, no, no},
		{431, "", no, no},
		{500, `{"error":"internal"}`, unknown, unknown},
		{500, "Received an invalid baton", unknown, unknown},
		{502, "", unknown, unknown},
		{503, "", unknown, unknown},
		{504, "", unknown, unknown},
		{201, "", unknown, unknown},
	} {
		for _, hasBaton := range []bool{false, true} {
			e := statusError(statusHead{status: c.status}, []byte(c.body), hasBaton)
			want := c.without
			if hasBaton {
				want = c.with_
			}
			if e.Proof != want {
				t.Errorf("%d %q, baton %v: proof %v, want %v", c.status, c.body, hasBaton, e.Proof, want)
			}
			if e.StreamLost != hasBaton || e.Status != c.status || e.Source != exec.FromServer {
				t.Errorf("%d %q, baton %v: %+v", c.status, c.body, hasBaton, e)
			}
		}
	}
}

func TestStatusMessages(t *testing.T) {
	for name, c := range map[string]struct {
		head       statusHead
		body       string
		code, text string
	}{
		"sqld":          {statusHead{status: 401}, `{"error":"Unauthorized: no"}`, "", "Unauthorized: no"},
		"sqld stream":   {statusHead{status: 400}, `{"message":"gone","code":"STREAM_EXPIRED"}`, "STREAM_EXPIRED", "gone"},
		"sqld protobuf": {statusHead{status: 400, contentType: "application/x-protobuf"}, "\x0a\x07expired\x12\x0eSTREAM_EXPIRED", "STREAM_EXPIRED", "expired"},
		"cloud":         {statusHead{status: 502}, `{"error":{"message":"inner","code":"C"}}`, "C", "inner"},
		"both":          {statusHead{status: 502}, `{"error":"e","code":"C"}`, "C", "e"},
		"plain":         {statusHead{status: 400}, "  Received an invalid baton\n", "", "Received an invalid baton"},
		"nothing":       {statusHead{status: 503}, "", "", "Service Unavailable"},
		"nothing known": {statusHead{status: 599}, "", "", ""},
		"not found":     {statusHead{status: 404}, "", "", "Not Found (is the URL that of a libSQL database?)"},
		"page":          {statusHead{status: 502, contentType: "text/html; charset=utf-8"}, "<html>", "", "the answer is a web page, not libSQL's"},
		"titled page": {statusHead{status: 502, contentType: "Text/HTML"}, "<TITLE>\n502 Bad &amp; Gateway</TITLE>", "",
			`the answer is a web page, not libSQL's ("502 Bad & Gateway")`},
		"redirect":  {statusHead{status: 302, location: "https://login.test/x?token=1"}, "", "", "Found (the server redirects to https://login.test; put the final URL in the DSN)"},
		"elsewhere": {statusHead{status: 302, location: "/login"}, "", "", "Found (the server redirects; put the final URL in the DSN)"},
		"controls":  {statusHead{status: 500}, "a\r\nSet-Cookie: b\x00\x1b[31m", "", "a  Set-Cookie: b  [31m"},
		"not UTF-8": {statusHead{status: 500}, "a\xffb", "", "a?b"},
		"long":      {statusHead{status: 500}, strings.Repeat("é", 300), "", strings.Repeat("é", 100) + "..."},
		"long code": {statusHead{status: 500}, `{"error":"e","code":"` + strings.Repeat("C", 100) + `"}`, strings.Repeat("C", 60) + "...", "e"},
		"an array":  {statusHead{status: 500}, `["error"]`, "", `["error"]`},
		"a null":    {statusHead{status: 500}, `{"error":null,"message":"m"}`, "", "m"},
	} {
		t.Run(name, func(t *testing.T) {
			e := statusError(c.head, []byte(c.body), false)
			if e.Code != c.code || e.Message != c.text {
				t.Errorf("code %q, message %q", e.Code, e.Message)
			}
		})
	}
	if e := statusError(statusHead{status: 404}, nil, true); strings.Contains(e.Message, "URL") {
		t.Errorf("a lost stream is taken for a wrong URL: %s", e.Message)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-1": 0, "1.5": 0, "99999999999999": 0, "soon": 0,
		"Tue, 24 Nov 2026 20:00:30 GMT": 30 * time.Second, "Tue, 24 Nov 2026 19:00:00 GMT": 0,
	} {
		if got := retryAfter(v, func() time.Time { return now }); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
	inModes(t, func(t *testing.T, m mode) {
		c := m.client(t, &fake{before: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "3")
			http.Error(w, `{"error":"slow down"}`, http.StatusTooManyRequests)
			return true
		}}, nil)
		e := fails(t, c)
		if e.RetryAfter != 3*time.Second || e.Status != 429 || e.Proof != exec.NotExecuted || e.StreamLost {
			t.Errorf("%+v", e)
		}
		if got := e.Error(); got != "HTTP 429: slow down" {
			t.Errorf("reads %q", got)
		}
	})
}

// Status and headers arrive in every mode, and the connection is used again.
func TestStatusInEveryMode(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		status := http.StatusFound
		c := m.client(t, &fake{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || status == 200 {
				return false
			}
			w.Header().Set("Location", "https://elsewhere.test/")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			w.Write([]byte("<title>Moved</title>"))
			return true
		}}, nil)
		e := fails(t, c)
		if want := `the answer is a web page, not libSQL's ("Moved") (the server redirects to https://elsewhere.test; put the final URL in the DSN)`; e.Message != want {
			t.Errorf("message %q", e.Message)
		}
		req := query("SELECT 1")
		req.Baton = "b"
		if e := failsWith(t, context.Background(), c, req); !e.StreamLost || e.Proof != exec.NotExecuted {
			t.Errorf("with a baton: %+v", e)
		}
		status = 200
		ask(t, c)
		if n := c.Counters().Dials; n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// FuzzStatusError: whatever a server answers, the message is fit for one line of
// a log, and bounded.
func FuzzStatusError(f *testing.F) {
	f.Add(400, "application/json", "", `{"error":{"message":"m","code":"c"}}`, true)
	f.Add(502, "text/html", "x", "<title>&lt;</title>", false)
	f.Add(302, "application/x-protobuf", "//host", "\x0a\x01a\x12\x01b", false)
	f.Fuzz(func(t *testing.T, status int, contentType, location, body string, hasBaton bool) {
		e := statusError(statusHead{status: status, contentType: contentType, retryAfter: body, location: location}, []byte(body), hasBaton)
		for _, s := range []string{e.Message, e.Code} {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || len(s) > 1000 {
				t.Errorf("%q", s)
			}
		}
		if e.RetryAfter < 0 || e.StreamLost != hasBaton {
			t.Errorf("%+v", e)
		}
	})
}
