package hrana

import (
	"math"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// SQLite has infinities and, in JSON, sqld takes none; it has no NaN and binds
// NULL for one.
func TestJSONRequestsWithoutFiniteFloats(t *testing.T) {
	request := func(f float64) ([]byte, error) {
		return AppendPipelineReq(nil, JSON, &PipelineReq{Requests: []StreamReq{{Type: Execute, Stmt: Stmt{SQL: "?", WantRows: true, Args: []exec.Value{{Kind: exec.Float, Float: f}}}}}})
	}
	for _, sign := range []int{1, -1} {
		if _, err := request(math.Inf(sign)); err == nil || err.Error() != "argument 1: "+ErrInfinity.Error() {
			t.Errorf("an infinity is refused with %v", err)
		}
	}
	got, err := request(math.NaN())
	if want := `{"requests":[{"type":"execute","stmt":{"sql":"?","args":[{"type":"null"}]}}]}`; err != nil || string(got) != want {
		t.Errorf("NaN is written as %s, %v, want %s", got, err, want)
	}
}

// Requests are as short as sqld lets them be.
func TestJSONWritesRequests(t *testing.T) {
	req := &PipelineReq{Baton: "b", Requests: []StreamReq{
		{Type: Execute, Stmt: Stmt{SQL: "a\"\\\x00\u2028é\n/", WantRows: true, Args: []exec.Value{
			{}, {Kind: exec.Integer, Int: math.MinInt64}, {Kind: exec.Float, Float: 1}, {Kind: exec.Float, Float: 1e300}, {Kind: exec.Blob, Blob: []byte{0}}, {Kind: exec.Blob},
		}}},
		{Type: Execute, Stmt: Stmt{SQLID: 3, HasSQLID: true, Named: []NamedArg{{":n", exec.Value{Kind: exec.Text, Text: "t"}}}, ReplicationIndex: 7}},
		{Type: StoreSQL, SQLID: -1, SQL: "x"}, {Type: CloseSQL, SQLID: 2}, {Type: Sequence, SQL: "x"}, {Type: Describe, SQLID: 5, HasSQLID: true}, {Type: GetAutocommit}, {Type: Close},
	}}
	want := `{"baton":"b","requests":[` +
		`{"type":"execute","stmt":{"sql":"a\"\\\u0000` + "\u2028é" + `\n/","args":[{"type":"null"},{"type":"integer","value":"-9223372036854775808"},{"type":"float","value":1.0},{"type":"float","value":1e+300},{"type":"blob","base64":"AA"},{"type":"blob","base64":""}]}},` +
		`{"type":"execute","stmt":{"sql_id":3,"named_args":[{"name":":n","value":{"type":"text","value":"t"}}],"want_rows":false,"replication_index":"7"}},` +
		`{"type":"store_sql","sql_id":-1,"sql":"x"},{"type":"close_sql","sql_id":2},{"type":"sequence","sql":"x"},{"type":"describe","sql_id":5},{"type":"get_autocommit"},{"type":"close"}]}`
	got, err := AppendPipelineReq(nil, JSON, req)
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	cursor := &CursorReq{Batch: Batch{ReplicationIndex: 9, Steps: []BatchStep{{Stmt: Stmt{SQL: "x", WantRows: true}}, {
		Cond: &Cond{Type: CondAnd, Conds: []*Cond{{Type: CondNot, Conds: []*Cond{{Type: CondError}}}, {Type: CondOr}, {Type: CondOK, Step: 1}, {Type: CondIsAutocommit}}},
		Stmt: Stmt{SQL: "y", WantRows: true},
	}}}}
	want = `{"batch":{"steps":[{"stmt":{"sql":"x"}},{"condition":{"type":"and","conds":[{"type":"not","cond":{"type":"error","step":0}},{"type":"or","conds":[]},{"type":"ok","step":1},{"type":"is_autocommit"}]},"stmt":{"sql":"y"}}],"replication_index":"9"}}`
	got, err = AppendCursorReq(nil, JSON, cursor)
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
