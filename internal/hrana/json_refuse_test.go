package hrana

import (
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Each is refused with its cause, and none of it is quoted but types.
func TestJSONRefusesAnswers(t *testing.T) {
	result := func(r string) string {
		return `{"results":[{"type":"ok","response":{"type":"execute","result":` + r + `}}]}`
	}
	row := func(cells string) string { return result(`{"cols":[{"name":"secret"}],"rows":[[` + cells + `]]}`) }
	value := func(v string) string { return row(`{"type":"text","value":` + v + `}`) }
	for _, c := range []struct{ body, want string }{
		{``, "it ends where an object was expected"},
		{`null`, "an object was expected"},
		{`[]`, "an object was expected"},
		{`<html>`, "an object was expected"},
		{`{}`, "without results"},
		{`{"error":"secret"}`, "without results"},
		{`{"results":null}`, "an array was expected"},
		{`{"results":[]`, "it ends where a comma or the end of an object was expected"},
		{`{"results":[]}x`, "more after the end"},
		{`{"results":[]} {}`, "more after the end"},
		{`{"results":[],}`, "a string was expected"},
		{`{"results":[{"type":"error","error":{"message":"a"}},]}`, "an object was expected"},
		{`{"results":[{"type":"error","error":{"message":"a"}}{}]}`, "a comma or the end of an array"},
		{`{"results"[]}`, "a colon was expected"},
		{`{"results":[{}]}`, `a result of the unknown type ""`},
		{`{"results":[{"type":"none"}]}`, `a result of the unknown type "none"`},
		{`{"results":[{"type":"ok"}]}`, "without a response"},
		{`{"results":[{"type":"ok","response":null}]}`, "without a response"},
		{`{"results":[{"type":"ok","response":{}}]}`, "a response without a type"},
		{`{"results":[{"type":"ok","response":{"type":"future"}}]}`, `a response of the unknown type "future"`},
		{`{"results":[{"type":"ok","response":{"type":"execute"}}]}`, "without a result"},
		{`{"results":[{"type":"ok","response":{"type":"execute","result":null}}]}`, "an object was expected"},
		{`{"results":[{"type":"error"}]}`, "an error that says nothing"},
		{`{"results":[{"type":"error","error":null}]}`, "an error that says nothing"},
		{`{"results":[{"type":"error","error":{}}]}`, "an error without a message"},
		{`{"results":[{"type":"ok","response":{"type":"describe","result":{"params":[{}]}}}]}`, "a parameter without a name"},
		{`{"results":[{"type":"ok","response":{"type":"batch","result":{}}}]}`, "without those of its steps"},
		{result(`{}`), "without its columns or rows"},
		{result(`{"cols":[]}`), "without its columns or rows"},
		{result(`{"cols":[{}],"rows":[]}`), "a column without a name"},
		{result(`{"cols":[],"rows":[],"cols":[{"name":"a"}]}`), "its columns twice"},
		{row(``), "not as many values as there are columns (1)"},
		{row(`{"type":"null"},{"type":"null"}`), "not as many values as there are columns (1)"},
		{result(`{"cols":[],"rows":[[{"type":"null"}]]}`), "not as many values as there are columns (0)"},
		{result(`{"rows":[[]],"cols":[{"name":"a"}]}`), "not as many values as there are columns (1)"},
		{row(`null`), "an object was expected"},
		{row(`{}`), "a value without a type"},
		{row(`{"value":"1"}`), "a value without a type"},
		{row(`{"type":"text"}`), "text without the value"},
		{row(`{"type":"blob","value":"AA"}`), "blob without the value"},
		{row(`{"type":"decimal","value":"1"}`), `a value of the unknown type "decimal"`},
		{row(`{"type":"` + strings.Repeat("x", 1000) + `"}`), `a value of the unknown type "` + strings.Repeat("x", 40) + `"`},
		{row(`{"type":"integer","value":"9223372036854775808"}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":"-9223372036854775809"}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":"99999999999999999999999"}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":""}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":"-"}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":" 1"}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":1.5}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":1e3}`), "not an integer of 64 bits"},
		{row(`{"type":"integer","value":null}`), "an integer was expected"},
		{row(`{"type":"float","value":"1.5"}`), "a number was expected"},
		{row(`{"type":"float","value":NaN}`), "a number was expected"},
		{row(`{"type":"float","value":1e999}`), "out of range"},
		{row(`{"type":"float","value":01}`), "a comma or the end of an object"},
		{row(`{"type":"float","value":1.}`), "a number was expected"},
		{row(`{"type":"float","value":.5}`), "a number was expected"},
		{row(`{"type":"float","value":1e}`), "a number was expected"},
		{row(`{"type":"float","value":+1}`), "a number was expected"},
		{row(`{"type":"float","value":0x10}`), "a comma or the end of an object"},
		{row(`{"type":"blob","base64":"A"}`), "not valid base64"},
		{row(`{"type":"blob","base64":"A==="}`), "not valid base64"},
		{row(`{"type":"blob","base64":"AB"}`), "not valid base64"},
		{row(`{"type":"blob","base64":"A-_A"}`), "not valid base64"},
		{row(`{"type":"blob","base64":"AA\nAA"}`), "not valid base64"},
		{row(`{"type":"blob","base64":7}`), "a string was expected"},
		{value(`null`), "a string was expected"},
		{value(`"secret`), "ends inside a string"},
		{value(`"secret` + "\n" + `"`), "a control character in a string"},
		{value(`"secret` + "\x00" + `"`), "a control character in a string"},
		{value(`"secret` + "\xff" + `"`), "not valid UTF-8"},
		{value(`"secret` + "\xc3" + `"`), "not valid UTF-8"},
		{value(`"` + "\xed\xa0\x80" + `"`), "not valid UTF-8"},
		{value(`"` + "\xc0\x80" + `"`), "not valid UTF-8"},
		{value(`"\x41"`), "an unknown escape"},
		{value(`"\u00"`), "four hexadecimal digits"},
		{value(`"\u00g0"`), "four hexadecimal digits"},
		{value(`"\ud800"`), "half of a surrogate pair"},
		{value(`"\ud800x"`), "half of a surrogate pair"},
		{value(`"\ud800\u0041"`), "half of a surrogate pair"},
		{value(`"\udc00\ud800"`), "half of a surrogate pair"},
		{`{"results":[{"type":"ok","response":{"type":"execute","result":{"cols":[{"name":"a"}],"rows":[[{"type":"text","value":"\`, "an escape that is cut off"},
		{result(`{"cols":[],"rows":[],"affected_row_count":9223372036854775808}`), "an integer of 64 bits was expected"},
		{result(`{"cols":[],"rows":[],"query_duration_ms":1e999}`), "a number is out of range"},
		{`{"results":[{"type":"ok","response":{"type":"get_autocommit","is_autocommit":null}}]}`, "true or false was expected"},
		{result(`{"cols":[],"rows":[],"affected_row_count":true}`), "a number was expected"},
		{result(`{"cols":[],"rows":[],"replication_index":18446744073709551616}`), "an unsigned integer of 64 bits was expected"},
		{result(`{"cols":[],"rows":[],"replication_index":-1}`), "an unsigned integer of 64 bits was expected"},
		{result(`{"cols":[],"rows":[],"x":` + strings.Repeat("[", 200)), "nested more than 128 deep"},
		{result(`{"cols":[],"rows":[],"x":` + strings.Repeat(`{"a":`, 1000000)), "nested more than 128 deep"},
		{`{"results":[],"x":[1 2]}`, "a comma or the end of an array"},
		{`{"results":[],"x":{1:2}}`, "a string was expected"},
		{`{"results":[],"x":nul}`, "null was expected"},
		{`{"results":[],"x":trve}`, "true was expected"},
		{`{"results":[],"x":"\q"}`, "an unknown escape"},
		{`{"results":[],"x":}`, "a number was expected"},
		{`{"results":[],"baton":7}`, "a string was expected"},
	} {
		err := DecodePipelineResp(JSON, []byte(c.body), new(PipelineResp))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.300s\n\tis refused with %v, want %q", c.body, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error quotes the answer: %v", err)
		}
	}
}

func TestJSONRefusesCursorEntries(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{``, "it ends where an object was expected"},
		{`{}`, "a cursor entry without a type"},
		{`{"error":"Internal Error"}`, "an object was expected"},
		{`{"type":"future"}`, `a cursor entry of the unknown type "future"`},
		{`{"type":"row"}`, "a row entry with 0 rows"},
		{`{"type":"row","row":[{"type":"null"}],"row":[{"type":"null"}]}`, "a row entry with 2 rows"},
		{`{"type":"row","row":[]}`, "not as many values"},
		{`{"row":[{"type":"null"},{"type":"null"}],"type":"row"}`, "not as many values"},
		{`{"type":"step_begin","step":0}`, "without its columns"},
		{`{"type":"step_begin","step":4294967296,"cols":[]}`, "an integer of 32 bits was expected"},
		{`{"type":"step_begin","step":-1,"cols":[]}`, "an integer of 32 bits was expected"},
		{`{"type":"step_error","step":0}`, "without the error"},
		{`{"type":"error","error":null}`, "without the error"},
		{`{"type":"step_end"} x`, "more after the end"},
	} {
		var table exec.Table
		table.Reset(1)
		err := DecodeCursorEntry(JSON, []byte(c.line), new(CursorEntry), &table)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n\tis refused with %v, want %q", c.line, err, c.want)
		}
	}
	if err := DecodeCursorResp(JSON, []byte(`{"type":"step_end"}`), new(CursorResp)); err == nil {
		t.Error("an entry is taken for the beginning of a cursor")
	}
}

func TestJSONRefusesRequests(t *testing.T) {
	execute := func(stmt string) string { return `{"requests":[{"type":"execute","stmt":` + stmt + `}]}` }
	arg := func(v string) string { return execute(`{"sql":"","args":[` + v + `]}`) }
	cond := func(c string) string {
		return `{"requests":[{"type":"batch","batch":{"steps":[{"stmt":{"sql":""},"condition":` + c + `}]}}]}`
	}
	for _, c := range []struct{ body, want string }{
		{`{}`, "without requests"},
		{`{"requests":[{}]}`, "a request without a type"},
		{`{"requests":[{"type":"future"}]}`, `a request of the unknown type "future"`},
		{`{"requests":[{"type":"execute"}]}`, "type execute without what it is about"},
		{`{"requests":[{"type":"batch"}]}`, "type batch without what it is about"},
		{`{"requests":[{"type":"batch","batch":{}}]}`, "a batch without steps"},
		{`{"requests":[{"type":"batch","batch":{"steps":[{}]}}]}`, "a step without a statement"},
		{`{"requests":[{"type":"store_sql","sql_id":1}]}`, "type store_sql without"},
		{`{"requests":[{"type":"store_sql","sql":"x"}]}`, "type store_sql without"},
		{`{"requests":[{"type":"close_sql"}]}`, "type close_sql without"},
		{`{"requests":[{"type":"describe"}]}`, "exactly one of sql and sql_id"},
		{`{"requests":[{"type":"sequence","sql":"x","sql_id":1}]}`, "exactly one of sql and sql_id"},
		{execute(`{}`), "exactly one of sql and sql_id"},
		{execute(`{"sql":null,"sql_id":null}`), "exactly one of sql and sql_id"},
		{execute(`{"sql":"","sql_id":1}`), "exactly one of sql and sql_id"},
		{execute(`{"sql_id":2147483648}`), "an integer of 32 bits"},
		{execute(`{"sql":"","named_args":[{"name":"a"}]}`), "without its name or value"},
		{arg(`{"type":"float","value":null}`), "a float value is null"},
		{arg(`{"type":"float","value":9e999}`), "out of range"},
		{arg(`{"type":"integer","value":"x"}`), "not an integer"},
		{cond(`{}`), "a condition without a type"},
		{cond(`{"type":"xor"}`), `a condition of the unknown type "xor"`},
		{cond(`{"type":"ok"}`), "a condition without what it is about"},
		{cond(`{"type":"not"}`), "a condition without what it is about"},
		{cond(`{"type":"and"}`), "a condition without what it is about"},
		{cond(strings.Repeat(`{"type":"not","cond":`, maxCondDepth) + `{"type":"ok","step":0}` + strings.Repeat("}", maxCondDepth)), "a condition is nested more than"},
	} {
		err := DecodePipelineReq(JSON, []byte(c.body), new(PipelineReq))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.300s\n\tis refused with %v, want %q", c.body, err, c.want)
		}
	}
	if err := DecodeCursorReq(JSON, []byte(`{"baton":null}`), new(CursorReq)); err == nil || !strings.Contains(err.Error(), "without a batch") {
		t.Errorf("a cursor without a batch is refused with %v", err)
	}
}

// A server must not answer with what its client would refuse.
func TestJSONRefusesToWriteAnswers(t *testing.T) {
	text := &exec.Result{Cols: []exec.Column{{Name: "a"}}}
	text.Rows.Reset(1)
	text.Rows.AppendBytes(exec.Text, []byte("a\xff"))
	text.Rows.EndRow()
	for _, c := range []struct {
		res  StreamResult
		want string
	}{
		{StreamResult{}, "type 0"},
		{StreamResult{Type: Execute}, "execute without a result"},
		{StreamResult{Type: BatchRequest}, "batch without a result"},
		{StreamResult{Type: Describe}, "describe without a result"},
		{StreamResult{Type: Execute, Stmt: text}, "not valid UTF-8"},
		{StreamResult{Type: BatchRequest, Batch: &BatchResult{Steps: []*exec.Result{nil, text}}}, "not valid UTF-8"},
		{StreamResult{Err: &Error{Message: "\xff"}}, "not valid UTF-8"},
	} {
		b, err := AppendPipelineResp([]byte(prefix), JSON, &PipelineResp{Results: []StreamResult{c.res}})
		if err == nil || !strings.Contains(err.Error(), c.want) || string(b) != prefix {
			t.Errorf("%+v is refused with %v, want %q", c.res, err, c.want)
		}
	}
	for _, e := range []*CursorEntry{{}, {Type: 99}, {Type: StepError}, {Type: CursorError}} {
		if _, err := AppendCursorEntry(nil, JSON, e, nil, 0); err == nil {
			t.Errorf("%+v is written", e)
		}
	}
}
