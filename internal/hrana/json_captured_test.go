package hrana

import (
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Answers of sqld 0.24.32, as they came.
func TestJSONReadsCapturedAnswers(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{
			"executes",
			`{"baton":"fBjng7Tccy63VcDJplqX4e7YIJ73G/OLpWWc5VanXz20C7f69S2ib2VHeZQQzADj","base_url":null,"results":[{"type":"ok","response":{"type":"execute","result":{"cols":[],"rows":[],"affected_row_count":1,"last_insert_rowid":"1","replication_index":"7","rows_read":1,"rows_written":1,"query_duration_ms":0.101}}},{"type":"ok","response":{"type":"execute","result":{"cols":[{"name":"id","decltype":"INTEGER"},{"name":"name","decltype":"TEXT"},{"name":"score","decltype":"REAL"},{"name":"photo","decltype":"BLOB"}],"rows":[[{"type":"integer","value":"1"},{"type":"text","value":"O'Br\"ien \\ \n\u0001 é 😀 ` + "\u2028" + `"},{"type":"float","value":2.5},{"type":"blob","base64":"AAH/"}],[{"type":"integer","value":"2"},{"type":"text","value":"b"},{"type":"null"},{"type":"null"}]],"affected_row_count":0,"last_insert_rowid":null,"replication_index":"8","rows_read":2,"rows_written":0,"query_duration_ms":0.031}}},{"type":"error","error":{"message":"SQLite error: UNIQUE constraint failed: users.id","code":"SQLITE_CONSTRAINT"}},{"type":"ok","response":{"type":"execute","result":{"cols":[{"name":"9e999","decltype":null}],"rows":[[{"type":"float","value":null}]],"affected_row_count":0,"last_insert_rowid":null,"replication_index":null,"rows_read":1,"rows_written":0,"query_duration_ms":0.033}}}]}`,
			`baton "fBjng7Tccy63VcDJplqX4e7YIJ73G/OLpWWc5VanXz20C7f69S2ib2VHeZQQzADj" url ""
execute: cols [] affected 1 rowid 1 index 7 read 1 written 1 took 101µs
execute: cols [{"id" "INTEGER"} {"name" "TEXT"} {"score" "REAL"} {"photo" "BLOB"}] affected 0 rowid 0 index 8 read 2 written 0 took 31µs
    [1 "O'Br\"ien \\ \n\x01 é 😀 \u2028" float(2.5 4004000000000000) x'0001ff']
    [2 "b" null null]
error "SQLITE_CONSTRAINT" "SQLite error: UNIQUE constraint failed: users.id"
execute: cols [{"9e999" ""}] affected 0 rowid 0 index 0 read 1 written 0 took 33µs
    [float(NaN 7ff8000000000001)]
`,
		},
		{
			"batch",
			`{"baton":null,"base_url":null,"results":[{"type":"ok","response":{"type":"batch","result":{"step_results":[{"cols":[{"name":"1","decltype":null}],"rows":[[{"type":"integer","value":"1"}]],"affected_row_count":0,"last_insert_rowid":null,"replication_index":null,"rows_read":0,"rows_written":0,"query_duration_ms":0.01},null,null],"step_errors":[null,{"message":"SQLite error: integer overflow","code":"SQLITE_UNKNOWN"},null],"replication_index":"9"}}},{"type":"ok","response":{"type":"close"}}]}`,
			`baton "" url ""
batch: index 9
  0: cols [{"1" ""}] affected 0 rowid 0 index 0 read 0 written 0 took 10µs
    [1]
  1: error "SQLITE_UNKNOWN" "SQLite error: integer overflow"
close: autocommit false
`,
		},
		{
			"the rest",
			`{"baton":null,"base_url":"http://127.0.0.1:8080","results":[{"type":"ok","response":{"type":"get_autocommit","is_autocommit":true}},{"type":"ok","response":{"type":"describe","result":{"params":[{"name":null},{"name":":a"}],"cols":[{"name":"?","decltype":null},{"name":"x","decltype":"INT"}],"is_explain":false,"is_readonly":true}}},{"type":"ok","response":{"type":"sequence"}},{"type":"ok","response":{"type":"store_sql"}},{"type":"ok","response":{"type":"close_sql"}},{"type":"error","error":{"message":"m","code":null}},{"type":"error","error":{"message":"without a code"}}]}`,
			`baton "" url "http://127.0.0.1:8080"
get_autocommit: autocommit true
describe: params ["" ":a"] cols [{"?" ""} {"x" "INT"}] explain false readonly true
sequence: autocommit false
store_sql: autocommit false
close_sql: autocommit false
error "" "m"
error "" "without a code"
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var resp PipelineResp
			if err := DecodePipelineResp(JSON, []byte(c.body), &resp); err != nil {
				t.Fatal(err)
			}
			if got := exactPipelineResp(&resp); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// A cursor's answer of sqld 0.24.32, as it came.
func TestJSONReadsCapturedCursor(t *testing.T) {
	var table exec.Table
	table.Reset(0)
	for _, c := range []struct{ line, want string }{
		{`{"type":"step_begin","step":0,"cols":[]}`, "step 0 begins with cols []"},
		{`{"type":"step_end","affected_row_count":1,"last_insert_rowid":3}`, "step ends with affected 1 rowid 3"},
		{`{"type":"step_begin","step":1,"cols":[{"name":"big","decltype":null},{"name":"id","decltype":"INTEGER"}]}`, `step 1 begins with cols [{"big" ""} {"id" "INTEGER"}]`},
		{`{"type":"row","row":[{"type":"float","value":null},{"type":"integer","value":"1"}]}`, "row"},
		{`{"type":"step_end","affected_row_count":0,"last_insert_rowid":null}`, "step ends with affected 0 rowid 0"},
		{`{"type":"step_error","step":2,"error":{"message":"SQLite error: integer overflow","code":"SQLITE_UNKNOWN"}}`, `step 2: error "SQLITE_UNKNOWN" "SQLite error: integer overflow"`},
		{`{"type":"error","error":{"message":"m","code":"C"}}`, `error "C" "m"`},
		{`{"type":"replication_index","replication_index":10}`, "index 10"},
		{`{"type":"replication_index","replication_index":null}`, "index 0"},
	} {
		var e CursorEntry
		if err := DecodeCursorEntry(JSON, []byte(c.line), &e, &table); err != nil {
			t.Fatal(c.line, err)
		}
		if e.Type == StepBegin {
			table.Reset(len(e.Cols))
		}
		if got := exactEntry(&e); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.line, got, c.want)
		}
	}
	if got, want := exactRow(&table, 0), "[float(NaN 7ff8000000000001) 1]"; table.Len() != 1 || got != want {
		t.Errorf("%d rows, the first %s, want %s", table.Len(), got, want)
	}
}
