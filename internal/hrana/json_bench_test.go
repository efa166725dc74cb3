package hrana

import (
	"fmt"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// jsonAnswer is the answer to an execute and a close, as sqld writes it.
func jsonAnswer(rows int) []byte {
	var b strings.Builder
	b.WriteString(`{"baton":"L6FbZc9qh6MckFMfGXGM6oc/dv0YvPOjKH195Xn/9lAxdx8a9TIHAHvMnCYeao/V","base_url":null,"results":[{"type":"ok","response":{"type":"execute","result":{"cols":[{"name":"id","decltype":"INTEGER"},{"name":"name","decltype":"TEXT"},{"name":"score","decltype":"REAL"},{"name":"note","decltype":"TEXT"}],"rows":[`)
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `[{"type":"integer","value":"%d"},{"type":"text","value":"user number %d"},{"type":"float","value":%v.25},{"type":"text","value":"a note of ordinary length, %d"}]`, i, i, i, i)
	}
	b.WriteString(`],"affected_row_count":0,"last_insert_rowid":null,"replication_index":"12345","rows_read":1000,"rows_written":0,"query_duration_ms":0.417}}}]}`)
	return []byte(b.String())
}

// What a decoder of a thousand rows must do is look at each byte once and make
// the table; the floor of its allocations is 7: the results, the result, the
// columns and their names, the cells, the arena, the baton. Two more are for the
// first row, from whose size the rest is foreseen.
func BenchmarkJSONDecode1000x4(b *testing.B) { benchmarkJSONDecode(b, 1000) }

// A point query's answer costs the floor of 7 allocations and no more.
func BenchmarkJSONDecodePoint(b *testing.B) { benchmarkJSONDecode(b, 1) }

func benchmarkJSONDecode(b *testing.B, rows int) {
	answer := jsonAnswer(rows)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		var resp PipelineResp
		if err := DecodePipelineResp(JSON, answer, &resp); err != nil {
			b.Fatal(err)
		}
	}
}

// Rows of a cursor come one by one into a table that is used again, so the floor
// is no allocation at all.
func BenchmarkJSONDecodeCursorRow(b *testing.B) {
	msg := []byte(`{"type":"row","row":[{"type":"integer","value":"17"},{"type":"text","value":"user number 17"},{"type":"float","value":17.25},{"type":"text","value":"a note of ordinary length"}]}`)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	var e CursorEntry
	var t exec.Table
	t.Reset(4)
	for b.Loop() {
		if err := DecodeCursorEntry(JSON, msg, &e, &t); err != nil {
			b.Fatal(err)
		}
		if t.Len() == 100 {
			t.Reset(4)
		}
	}
}

// Into a buffer with room, a request is written without any allocation.
func BenchmarkJSONEncodePoint(b *testing.B) {
	req := &PipelineReq{Requests: []StreamReq{
		{Type: Execute, Stmt: Stmt{SQL: `SELECT id, name, score, note FROM "users" WHERE id = ?`, Args: []exec.Value{{Kind: exec.Integer, Int: 4711}}, WantRows: true}},
		{Type: Close},
	}}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = AppendPipelineReq(buf[:0], JSON, req); err != nil {
			b.Fatal(err)
		}
	}
}
