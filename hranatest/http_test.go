package hranatest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestCompression(t *testing.T) {
	s := NewServer(t, Options{})
	newTalk(t, s).must(executes(`create table t(a)`, `insert into t values('`+strings.Repeat("x", 10000)+`')`))
	for accept, zipped := range map[string]bool{"": false, "gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "identity": false, "*": true} {
		for path, body := range map[string]string{"/v3/pipeline": bare(execute(`select * from t`)), "/v3/cursor": `{"batch":{"steps":[` + stepOf(`select * from t`) + `]}}`} {
			a := send(http.MethodPost, s.URL()+path, body, http.Header{"Accept-Encoding": {accept}})
			text := a.body
			if got := a.header.Get("Content-Encoding") == "gzip"; got != zipped {
				t.Errorf("%s with %q: compressed %t", path, accept, got)
			} else if got {
				z, err := gzip.NewReader(strings.NewReader(a.body))
				if err != nil {
					t.Fatal(err)
				}
				plainText, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				text = string(plainText)
			}
			if !strings.Contains(text, "xxxxxxxxxx") {
				t.Errorf("%s with %q: %.100s", path, accept, text)
			}
		}
	}
}

func TestHTTP2(t *testing.T) {
	s := NewServer(t, Options{})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post(s.URL()+"/v3/pipeline", "application/json", strings.NewReader(bare(execute(`select 42`))))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.ProtoMajor != 2 || err != nil || !strings.Contains(string(body), `"42"`) {
		t.Errorf("HTTP/%d: %s %v", resp.ProtoMajor, body, err)
	}
}

func TestPrefix(t *testing.T) {
	s := NewServer(t, Options{Prefix: "/dev/my-db"})
	if !strings.HasSuffix(s.URL(), "/dev/my-db") {
		t.Error(s.URL())
	}
	newTalk(t, s).must(executes(`select 1`))
	root := strings.TrimSuffix(s.URL(), "/dev/my-db")
	for _, path := range []string{"/v3/pipeline", "/dev/other/v3/pipeline", "/dev/my-dbx/v3/pipeline"} {
		if a := send(http.MethodPost, root+path, bare(), nil); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for _, o := range []Options{{Prefix: "dev"}, {Prefix: "/dev/"}, {Prefix: "/"}, {Profile: 9}, {Addr: "nonsense"}, {Addr: "127.0.0.1:99999"}} {
		if s, err := Start(o); err == nil {
			_ = s.Close()
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestBaseURL(t *testing.T) {
	s := NewServer(t, Options{BaseURL: "http://elsewhere.example"})
	has := func(want string) {
		t.Helper()
		if a := post(s, bare()); !strings.Contains(a.body, `"base_url":`+want) {
			t.Error(a.body)
		}
		if a := send(http.MethodPost, s.URL()+"/v3/cursor", `{"batch":{"steps":[]}}`, nil); !strings.Contains(a.body, `"base_url":`+want) {
			t.Error(a.body)
		}
	}
	has(`"http://elsewhere.example"`)
	s.SetBaseURL("")
	has(`null`)
}

func TestOnRequest(t *testing.T) {
	var seen atomic.Value
	s := NewServer(t, Options{Token: "secret", OnRequest: func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.Store(r.Method + " " + r.URL.Path + " " + r.Header.Get("X-Mine") + " " + string(body))
	}})
	a := send(http.MethodPost, s.URL()+"/v3/pipeline", bare(execute(`select 1`)), http.Header{"X-Mine": {"yes"}, "Authorization": {"Bearer secret"}})
	if a.status != http.StatusOK || !strings.Contains(a.body, `"value":"1"`) {
		t.Errorf("answered %+v", a)
	}
	if want := "POST /v3/pipeline yes " + bare(execute(`select 1`)); seen.Load() != want {
		t.Errorf("saw %q", seen.Load())
	}
	if post(s, `x`); seen.Load() != "POST /v3/pipeline  x" {
		t.Errorf("of a request that was refused, saw %q", seen.Load())
	}
}

func TestCloseTellsOfPanics(t *testing.T) {
	s, err := Start(Options{OnRequest: func(*http.Request) { panic("on purpose") }})
	if err != nil {
		t.Fatal(err)
	}
	if a := post(s, bare()); a.err == nil {
		t.Errorf("answered %+v", a)
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("Close: %v", err)
	}
}

func TestStats(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	before := s.Stats()
	k.must(executes(`create table t(a)`, `insert into t values(1)`))
	k.say(executes(`insert into nope values(1)`, `vacuum`, `selec`))
	k.say(pipeline(batch(stepOf(`select 1`), stepOf(`select 2`, `{"type":"error","step":0}`))))
	k.say(cursor(stepOf(`select 1`)).on("b"))
	send(http.MethodGet, s.URL()+"/health", "", nil)
	send(http.MethodGet, s.URL()+"/nope", "", nil)
	send(http.MethodGet, s.URL()+"/nope/either", "", nil)
	got := s.Stats()
	for path, want := range map[string]int64{"/v3/pipeline": 3, "/v3/cursor": 1, "/health": 1, "": 2} {
		if got.Requests[path] != want {
			t.Errorf("%d requests for %q, want %d", got.Requests[path], path, want)
		}
	}
	if got.Total() != 7 || got.Pipelines() != 3 {
		t.Errorf("%d requests, %d pipelines", got.Total(), got.Pipelines())
	}
	// create, insert, insert into nope, selec, select 1, and the cursor's.
	if got.Statements != 6 {
		t.Errorf("%d statements", got.Statements)
	}
	if got.Streams != 2 || got.Opened != 2 {
		t.Errorf("%d streams are open, %d were opened", got.Streams, got.Opened)
	}
	if got.Connections < 1 || got.Accepted < 1 || before.Requests["/v3/pipeline"] != 0 {
		t.Errorf("%+v, %+v", got, before)
	}
	k.end()
	if n := s.Stats().Streams; n != 0 {
		t.Errorf("%d streams are open", n)
	}
}
