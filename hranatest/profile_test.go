package hranatest

import (
	"net/http"
	"strings"
	"testing"
)

func TestCloud(t *testing.T) {
	s := NewServer(t, Options{Profile: Cloud})
	k := newTalk(t, s)
	k.must(executes(`create table t(a unique)`, `begin`, `insert into t values(1)`))
	s.ExpireStreams()
	used := k.batons["a"]
	for _, c := range []struct{ baton, want string }{
		{used, `{"error":"stream not found:`}, {"made-up", `{"error":"stream not found:`},
	} {
		a := post(s, `{"baton":`+quote(c.baton)+`,"requests":[]}`)
		if a.status != http.StatusNotFound || !strings.HasPrefix(a.body, c.want) || strings.Contains(a.body, "code") {
			t.Errorf("answered %+v", a)
		}
	}
	for path, want := range map[string]int{"/v3-protobuf/pipeline": 404, "/v3-protobuf/cursor": 404, "/v2/pipeline": 200, "/v3/pipeline": 200} {
		body := bare()
		if path[:12] == "/v3-protobuf" {
			body = ""
		}
		if a := send(http.MethodPost, s.URL()+path, body, nil); a.status != want {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := post(s, bare(execute(`insert into t values(1)`), execute(`insert into t values(1)`), execute(``))); !strings.Contains(a.body, `"message":"UNIQUE constraint failed: t.a","code":"SQLITE_CONSTRAINT"`) || !strings.Contains(a.body, `"code":"SQL_PARSE_ERROR"`) {
		t.Errorf("answered %+v", a)
	}
	// A close that is not the last request: nothing is executed.
	if a := post(s, bare(execute(`insert into t values(2)`), `{"type":"close"}`, execute(`select 1`))); a.status != http.StatusBadRequest || !strings.HasPrefix(a.body, `{"error":`) {
		t.Errorf("answered %+v", a)
	}
	if got := k.one("b", `select count(*) from t`); got != "1" {
		t.Errorf("%s rows", got)
	}
	for _, request := range []string{`{"type":"get_autocommit"}`, batch(stepOf(`select 1`, `{"type":"is_autocommit"}`))} {
		if a := send(http.MethodPost, s.URL()+"/v2/pipeline", bare(request), nil); a.status != http.StatusBadRequest {
			t.Errorf("%s: answered %+v", request, a)
		}
	}
	k.must(pipeline(`{"type":"store_sql","sql_id":1,"sql":"select 1"}`, `{"type":"store_sql","sql_id":1,"sql":"select 2"}`).on("c"))
	if a := post(s, bare(`{"type":"execute","stmt":{"sql":"select a from t","want_rows":false}}`)); !strings.Contains(a.body, `"rows":[]`) {
		t.Errorf("answered %+v", a)
	}
}

func TestCloudsIndexGoesUpAndDown(t *testing.T) {
	s := NewServer(t, Options{Profile: Cloud})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`))
	var up, down bool
	last := s.replicationIndex()
	for range 50 {
		k.must(executes(`insert into t values(1)`))
		now := s.replicationIndex()
		up, down = up || now > last, down || now < last
		last = now
	}
	if !up || !down {
		t.Error("the index has an order")
	}
}

func TestStreamCodes(t *testing.T) {
	s := NewServer(t, Options{Profile: Cloud, StreamCodes: true})
	k := newTalk(t, s)
	gone := func(stream string, status int, code string) {
		t.Helper()
		a := post(s, `{"baton":`+quote(k.batons[stream])+`,"requests":[]}`)
		if a.status != status || !strings.Contains(a.body, `"code":"`+code+`"`) || !strings.HasPrefix(a.body, `{"error":`) {
			t.Errorf("answered %+v", a)
		}
	}
	k.must(executes(`begin`).on("expired"))
	s.ExpireStreams()
	gone("expired", http.StatusGone, "STREAM_EXPIRED")
	k.must(executes(`begin`).on("lost"))
	s.ForgetStreams()
	gone("lost", http.StatusGone, "STREAM_LOST")
	k.batons["made up"] = "made up"
	gone("made up", http.StatusNotFound, "STREAM_NOT_FOUND")
}

func TestNullBatons(t *testing.T) {
	s := NewServer(t, Options{Profile: Cloud, NullBatons: true})
	k := newTalk(t, s)
	for _, c := range []struct {
		requests []string
		kept     bool
	}{
		{[]string{execute(`select 1`)}, false},
		{nil, false},
		{[]string{execute(`begin`)}, true},
		{[]string{execute(`begin`), execute(`commit`)}, false},
		{[]string{execute(`pragma foreign_keys=off`)}, true},
		{[]string{execute(`pragma foreign_keys`)}, false},
		{[]string{`{"type":"store_sql","sql_id":1,"sql":"x"}`}, true},
		{[]string{`{"type":"store_sql","sql_id":1,"sql":"x"}`, `{"type":"close_sql","sql_id":1}`}, false},
	} {
		k.batons["a"] = ""
		k.must(pipeline(c.requests...))
		if kept := k.batons["a"] != ""; kept != c.kept {
			t.Errorf("after %v the stream is kept: %t", c.requests, kept)
		}
	}
	k.batons["a"] = ""
	k.say(cursor(stepOf(`select 1`)))
	if k.batons["a"] == "" {
		t.Error("a cursor was given no baton")
	}
}

func TestV2(t *testing.T) {
	s := NewServer(t, Options{Profile: V2})
	v2 := func(body string) answered { return send(http.MethodPost, s.URL()+"/v2/pipeline", body, nil) }
	if a := v2(bare(execute(`create table t(a)`), batch(stepOf(`insert into t values(1)`)))); a.status != http.StatusOK || strings.Contains(a.body, "error\"") {
		t.Fatalf("answered %+v", a)
	}
	for _, request := range []string{
		`{"type":"close"}`, `{"type":"sequence","sql":"select 1"}`, `{"type":"describe","sql":"select 1"}`,
		`{"type":"store_sql","sql_id":1,"sql":"select 1"}`, `{"type":"close_sql","sql_id":1}`, `{"type":"get_autocommit"}`,
	} {
		// Nothing of such a pipeline is executed.
		if a := v2(bare(execute(`insert into t values(2)`), request)); a.status != http.StatusInternalServerError || !strings.HasPrefix(a.body, "Internal Server Error: ") {
			t.Errorf("%s: answered %+v", request, a)
		}
	}
	for _, path := range []string{"/v3/pipeline", "/v3/cursor", "/v3-protobuf/pipeline", "/v3", "/v2", "/health", "/", "/v2/cursor"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if a := send(method, s.URL()+path, bare(), nil); a.status != http.StatusNotFound || a.body != "Not Found" {
				t.Errorf("%s %s: answered %+v", method, path, a)
			}
		}
	}
	if a := send(http.MethodGet, s.URL()+"/v2/pipeline", "", nil); a.status != http.StatusNotFound {
		t.Errorf("answered %+v", a)
	}
	if a := v2(`{`); a.status != http.StatusInternalServerError {
		t.Errorf("answered %+v", a)
	}
	// A text that is not SQL is its step's own trouble, and a skipped step has
	// not failed.
	a := v2(bare(batch(stepOf(`insert into t values(3)`), stepOf(`selec`), stepOf(`insert into t values(4)`, `{"type":"error","step":0}`), stepOf(`insert into t values(5)`, `{"type":"error","step":2}`)), execute(`select group_concat(a) from t`)))
	if !strings.Contains(a.body, `{"type":"text","value":"1,3"}`) || !strings.Contains(a.body, "SQL_PARSE_ERROR") {
		t.Errorf("answered %+v", a)
	}
}
