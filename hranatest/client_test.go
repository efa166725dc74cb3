package hranatest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// newTalk talks to a server in JSON, version 3.
func newTalk(t *testing.T, s *Server) *talk {
	return &talk{t: t, url: s.URL(), version: 3, batons: map[string]string{}}
}

// answered is an HTTP answer in full.
type answered struct {
	status int
	header http.Header
	body   string
	err    error // of the request, or of reading the body
}

// post sends a pipeline and shows all of what came back.
func post(s *Server, body string) (a answered) {
	return send(http.MethodPost, s.URL()+"/v3/pipeline", body, nil)
}

func send(method, url, body string, header http.Header) (a answered) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answered{err: err}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := plain.Do(req)
	if err != nil {
		return answered{err: err}
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	text, err := io.ReadAll(resp.Body)
	a.body, a.err = string(text), err
	return a
}

// bare is a pipeline without a baton.
func bare(requests ...string) string {
	return `{"requests":[` + strings.Join(requests, ",") + `]}`
}

// one is the single value that a query gives, as JSON writes it.
func (k *talk) one(stream, sql string) string {
	k.t.Helper()
	parts := k.say(executes(sql).on(stream))
	text := parts[len(parts)-1]
	_, rows, ok := strings.Cut(text, `"rows": [`)
	if !ok {
		k.t.Fatalf("%s: %s", sql, text)
	}
	_, value, _ := strings.Cut(rows, `"value": `)
	value, _, _ = strings.Cut(value, "\n")
	return strings.Trim(value, `",`)
}

// must fails the test if any result of the pipeline is an error.
func (k *talk) must(e exchange) {
	k.t.Helper()
	for _, part := range k.say(e) {
		if strings.Contains(part, `"error"`) || !strings.HasPrefix(part, "200") && !strings.HasPrefix(part, "{") {
			k.t.Fatalf("%s: %s", e.body, part)
		}
	}
}

// wants fails the test if the last part of the answer lacks the text.
func (k *talk) wants(e exchange, text string) {
	k.t.Helper()
	parts := k.say(e)
	if last := parts[len(parts)-1]; !strings.Contains(last, text) {
		k.t.Errorf("%s: %q, want %q in it", e.body, last, text)
	}
}
