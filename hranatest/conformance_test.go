package hranatest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// Every conversation of conversations_test.go is held with a real sqld and with
// a Server, once in JSON and once in protobuf, and the two must say the same.
// What may differ is taken out before: batons, times, and what is counted.

// A conversation is what one client says, request by request. Those of one
// stream share a letter, "a" if none is given.
type conversation struct {
	name string
	says []exchange
}

// An exchange is one HTTP request. BATON in the body stands for the last baton
// of its stream.
type exchange struct {
	path   string // without a version: "pipeline" or "cursor", else as it is
	body   string
	stream string
}

// pipeline is an exchange with the given requests as JSON.
func pipeline(requests ...string) exchange {
	return exchange{path: "pipeline", body: `{"baton":BATON,"requests":[` + strings.Join(requests, ",") + `]}`}
}

func cursor(steps ...string) exchange {
	return exchange{path: "cursor", body: `{"baton":BATON,"batch":{"steps":[` + strings.Join(steps, ",") + `]}}`}
}

func (e exchange) on(stream string) exchange {
	e.stream = stream
	return e
}

func (e exchange) to(path string) exchange {
	e.path = path
	return e
}

// execute, batch and the like are requests in JSON.
func execute(sql string, args ...string) string {
	return `{"type":"execute","stmt":` + stmt(sql, args...) + `}`
}

func stmt(sql string, args ...string) string {
	return `{"sql":` + quote(sql) + `,"args":[` + strings.Join(args, ",") + `]}`
}

func batch(steps ...string) string {
	return `{"type":"batch","batch":{"steps":[` + strings.Join(steps, ",") + `]}}`
}

func stepOf(sql string, cond ...string) string {
	if len(cond) > 0 {
		return `{"stmt":` + stmt(sql) + `,"condition":` + cond[0] + `}`
	}
	return `{"stmt":` + stmt(sql) + `}`
}

func quote(s string) string { return string(mustJSON(s)) }

func executes(sqls ...string) exchange {
	requests := make([]string, len(sqls))
	for i, sql := range sqls {
		requests[i] = execute(sql)
	}
	return pipeline(requests...)
}

// plain asks for no compression, which would cost more than the rest of a test.
var plain = &http.Client{Transport: &http.Transport{DisableCompression: true}}

// A talk holds conversations with one server in one encoding.
type talk struct {
	t        *testing.T
	url      string
	encoding hrana.Encoding
	version  int
	batons   map[string]string
	table    string // what TABLE in a body stands for
}

// say sends one exchange and gives the answer's parts, as far as they must
// agree: what it begins with, then one for each result or cursor entry.
func (k *talk) say(e exchange) []string {
	stream := e.stream
	if stream == "" {
		stream = "a"
	}
	baton := "null"
	if b := k.batons[stream]; b != "" {
		baton = quote(b)
	}
	body := []byte(strings.ReplaceAll(e.body, "BATON", baton))
	path := e.path
	switch path {
	case "pipeline", "cursor":
		path = fmt.Sprintf("/v%d/%s", k.version, e.path)
		if k.encoding == hrana.Protobuf {
			path = "/v3-protobuf/" + e.path
			body = k.protobuf(e.path, body)
		}
	}
	resp, err := plain.Post(k.url+path, "application/json", bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, broken := io.ReadAll(resp.Body)
	parts := []string{fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("Content-Type"))}
	switch {
	case broken != nil:
		// What arrived before is a matter of luck.
		parts = append(parts, broken.Error())
	case resp.StatusCode == http.StatusOK && e.path == "pipeline":
		parts = append(parts, k.pipelineAnswer(stream, answer)...)
	case resp.StatusCode == http.StatusOK && e.path == "cursor":
		parts = append(parts, k.cursorAnswer(stream, answer)...)
	default:
		parts = append(parts, settled(string(answer)))
	}
	return parts
}

// protobuf is a body in JSON in the other encoding. One that cannot be decoded
// is sent as it is.
func (k *talk) protobuf(path string, body []byte) []byte {
	var out []byte
	var err error
	if path == "cursor" {
		var req hrana.CursorReq
		if err = hrana.DecodeCursorReq(hrana.JSON, body, &req); err == nil {
			out, err = hrana.AppendCursorReq(nil, hrana.Protobuf, &req)
		}
	} else {
		var req hrana.PipelineReq
		if err = hrana.DecodePipelineReq(hrana.JSON, body, &req); err == nil {
			out, err = hrana.AppendPipelineReq(nil, hrana.Protobuf, &req)
		}
	}
	if err != nil {
		return body
	}
	return out
}

func (k *talk) pipelineAnswer(stream string, answer []byte) []string {
	if k.encoding == hrana.Protobuf {
		var resp hrana.PipelineResp
		if err := hrana.DecodePipelineResp(hrana.Protobuf, answer, &resp); err != nil {
			k.t.Errorf("not protobuf: %q: %v", answer, err)
			return nil
		}
		// Compared as JSON, which shows what differs.
		var err error
		if answer, err = hrana.AppendPipelineResp(nil, hrana.JSON, &resp); err != nil {
			k.t.Error(err)
		}
	}
	var whole map[string]any
	if err := json.Unmarshal(answer, &whole); err != nil {
		k.t.Errorf("not JSON: %q", answer)
		return nil
	}
	k.batons[stream], _ = whole["baton"].(string)
	results, _ := whole["results"].([]any)
	delete(whole, "results")
	parts := []string{pretty(whole)}
	for _, each := range results {
		parts = append(parts, pretty(each))
	}
	return parts
}

func (k *talk) cursorAnswer(stream string, answer []byte) (parts []string) {
	if k.encoding == hrana.Protobuf {
		return k.protobufCursor(stream, answer)
	}
	for i, line := range bytes.Split(bytes.TrimSuffix(answer, []byte("\n")), []byte("\n")) {
		var each any
		if err := json.Unmarshal(line, &each); err != nil {
			k.t.Errorf("not JSON: %q", line)
			continue
		}
		if i == 0 {
			k.batons[stream], _ = each.(map[string]any)["baton"].(string)
		}
		parts = append(parts, pretty(each))
	}
	return parts
}

var (
	// The two have different decoders, with other words for what is wrong.
	undecodableText = regexp.MustCompile("(?s)^((Cannot deserialize|Could not decode) client message from|Either `sql` or `sql_id` are required).*")
)

func settled(text string) string { return undecodableText.ReplaceAllString(text, "undecodable") }

// pretty is JSON without what may differ.
func pretty(v any) string {
	v = mask("", v)
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err)
	}
	return string(text)
}

func mask(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, each := range v {
			out[key] = mask(key, each)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, each := range v {
			out[i] = mask("", each)
		}
		return out
	case nil:
		if name == "last_insert_rowid" {
			return "0" // the codec knows no difference
		}
		return nil
	}
	switch name {
	case "baton", "replication_index":
		return reflect.TypeOf(v).String()
	case "rows_read", "rows_written", "query_duration_ms":
		return "counted"
	}
	return v
}

// hold holds a conversation with both servers.
func (c conversation) hold(t *testing.T, theirs, mine *talk) {
	defer theirs.end()
	defer mine.end()
	for i, e := range c.says {
		want, got := theirs.say(e), mine.say(e)
		for j := range max(len(want), len(got)) {
			w, g := part(want, j), part(got, j)
			if w != g {
				t.Errorf("exchange %d, %s %s, part %d:\n%s", i+1, e.path, e.about(j-2), j+1, difference(w, g))
			}
		}
	}
}

func TestConformance(t *testing.T) {
	real, memory, file := sqld.ForTest(t, sqld.Options{}), NewServer(t, Options{}), NewServer(t, inside(t, "file", Options{}))
	newTalk(t, file).must(executes(`create table t(a)`)) // as there is one in sqld by then
	for _, mode := range []struct {
		name     string
		encoding hrana.Encoding
		version  int
		ours     *Server
	}{{"v3", hrana.JSON, 3, memory}, {"protobuf", hrana.Protobuf, 3, memory}, {"v2", hrana.JSON, 2, memory}, {"file", hrana.JSON, 3, file}} {
		t.Run(mode.name, func(t *testing.T) {
			ours := mode.ours
			for _, c := range conversations {
				t.Run(c.name, func(t *testing.T) {
					wipe(t, real.URL())
					wipe(t, ours.URL())
					theirs := &talk{t: t, url: real.URL(), encoding: mode.encoding, version: mode.version, batons: map[string]string{}}
					mine := &talk{t: t, url: ours.URL(), encoding: mode.encoding, version: mode.version, batons: map[string]string{}}
					c.hold(t, theirs, mine)
				})
			}
		})
	}
}

// end closes the streams, so that no transaction is left for others to wait for.
func (k *talk) end() {
	for stream, baton := range k.batons {
		if baton != "" {
			k.say(pipeline(`{"type":"close"}`).on(stream))
		}
	}
}

func part(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return "nothing"
}

// about is the request of a pipeline that a result belongs to.
func (e exchange) about(i int) string {
	var body struct{ Requests []json.RawMessage }
	_ = json.Unmarshal([]byte(strings.ReplaceAll(e.body, "BATON", "null")), &body)
	if i >= 0 && i < len(body.Requests) {
		return fmt.Sprintf("%.300s", body.Requests[i])
	}
	return fmt.Sprintf("%.300s", e.body)
}

// wipe empties a server's database.
func wipe(t *testing.T, url string) {
	t.Helper()
	k := &talk{t: t, url: url, version: 3, batons: map[string]string{}}
	k.say(pipeline(`{"type":"sequence","sql":"PRAGMA foreign_keys=off; DROP VIEW IF EXISTS v; DROP TABLE IF EXISTS c; DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS u; DROP TABLE IF EXISTS w"}`, `{"type":"close"}`))
}

// difference shows the lines around the first that differs.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	at := 0
	for at < len(w) && at < len(g) && w[at] == g[at] {
		at++
	}
	cut := func(lines []string) string {
		from, to := max(0, at-3), min(len(lines), at+6)
		return fmt.Sprintf("%.2000s", strings.Join(lines[min(from, len(lines)):to], "\n"))
	}
	return fmt.Sprintf("sqld says\n%s\nwe say\n%s", cut(w), cut(g))
}

func (k *talk) protobufCursor(stream string, answer []byte) (parts []string) {
	r, limit := bufio.NewReader(bytes.NewReader(answer)), 1<<30
	msg, err := hrana.NextMessage(hrana.Protobuf, r, nil, limit)
	if err != nil {
		k.t.Errorf("not protobuf: %q: %v", answer, err)
		return nil
	}
	var head hrana.CursorResp
	if err := hrana.DecodeCursorResp(hrana.Protobuf, msg, &head); err != nil {
		k.t.Errorf("not protobuf: %q: %v", msg, err)
	}
	k.batons[stream] = head.Baton
	parts = append(parts, fmt.Sprintf("baton %t", head.Baton != ""))
	var table exec.Table
	for {
		msg, err = hrana.NextMessage(hrana.Protobuf, r, msg, limit)
		if err == io.EOF {
			return parts
		}
		if err != nil {
			return append(parts, err.Error())
		}
		var e hrana.CursorEntry
		if err := hrana.DecodeCursorEntry(hrana.Protobuf, msg, &e, &table); err != nil {
			k.t.Errorf("not protobuf: %q: %v", msg, err)
		}
		if e.Type == hrana.StepBegin {
			table.Reset(len(e.Cols))
		}
		if e.Type == hrana.ReplicationIndexEntry {
			e.ReplicationIndex = 1
		}
		text, err := hrana.AppendCursorEntry(nil, hrana.JSON, &e, &table, table.Len()-1)
		if err != nil {
			k.t.Error(err)
		}
		parts = append(parts, string(text))
	}
}
