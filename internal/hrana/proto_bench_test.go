package hrana

import (
	"bufio"
	"bytes"
	"fmt"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

const protoBaton = "hEF3KJbWFieQZytceSCu7SyXkUJx9tIM1cYzyPUbHdGtLO8oSDnG1l8pZRrB4d+x"

// protoRows are rows of four columns, 70 bytes each on the wire.
func protoRows(rows int) *exec.Result {
	r := &exec.Result{
		Cols: []exec.Column{
			{Name: "id", Decltype: "INTEGER"}, {Name: "name", Decltype: "TEXT"},
			{Name: "score", Decltype: "REAL"}, {Name: "note", Decltype: "TEXT"},
		},
		RowsRead: uint64(rows), ServerTime: 123000, ReplicationIndex: 4711,
	}
	r.Rows.Reset(4)
	for i := range rows {
		r.Rows.AppendInt(int64(i) * 1000)
		r.Rows.AppendBytes(exec.Text, fmt.Appendf(nil, "user-%06d", i))
		r.Rows.AppendFloat(float64(i) / 7)
		r.Rows.AppendBytes(exec.Text, []byte("a note of some length, 32 bytes."))
		r.Rows.EndRow()
	}
	return r
}

func protoAnswer(t testing.TB, rows int) []byte {
	b, err := AppendPipelineResp(nil, Protobuf, &PipelineResp{
		Baton:   protoBaton,
		Results: []StreamResult{{Type: Execute, Stmt: protoRows(rows)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func protoPointRequest() *PipelineReq {
	return &PipelineReq{Baton: protoBaton, Requests: []StreamReq{{Type: Execute, Stmt: Stmt{
		SQL: "SELECT id, name, score, note FROM users WHERE id = ?", Args: []exec.Value{{Kind: exec.Integer, Int: 42}}, WantRows: true,
	}}}}
}

// An answer of one result costs these allocations, whatever it holds: the baton,
// the results, the result, its columns, their names, its cells and its texts.
const protoAllocs = 7

func TestProtoAllocations(t *testing.T) {
	if raceEnabled {
		return
	}
	for _, rows := range []int{1, 10_000} {
		data := protoAnswer(t, rows)
		got := testing.AllocsPerRun(10, func() {
			if err := DecodePipelineResp(Protobuf, data, new(PipelineResp)); err != nil {
				t.Fatal(err)
			}
		})
		if got > protoAllocs {
			t.Errorf("an answer of %d rows: %v allocations, want %d", rows, got, protoAllocs)
		}
		var resp PipelineResp
		if err := DecodePipelineResp(Protobuf, data, &resp); err != nil {
			t.Fatal(err)
		}
		if table := &resp.Results[0].Stmt.Rows; table.Size() > table.Used()+table.Used()/4 {
			t.Errorf("a table of %d bytes holds %d", table.Used(), table.Size())
		}
	}
	req := protoPointRequest()
	dst, err := AppendPipelineReq(nil, Protobuf, req)
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(10, func() { dst, err = AppendPipelineReq(dst[:0], Protobuf, req) }); got > 0 || err != nil {
		t.Errorf("a request into a buffer that is large enough: %v allocations, %v", got, err)
	}
	entry, err := AppendCursorEntry(nil, Protobuf, &CursorEntry{Type: Row}, &protoRows(1).Rows, 0)
	if err != nil {
		t.Fatal(err)
	}
	var table exec.Table
	var e CursorEntry
	if got := testing.AllocsPerRun(10, func() {
		table.Reset(4)
		err = DecodeCursorEntry(Protobuf, entry[1:], &e, &table)
	}); got > 0 || err != nil {
		t.Errorf("a row into a table that is large enough: %v allocations, %v", got, err)
	}
}

func benchmarkProtoDecode(b *testing.B, rows int) {
	data := protoAnswer(b, rows)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodePipelineResp(Protobuf, data, new(PipelineResp)); err != nil {
			b.Fatal(err)
		}
	}
}

// The floor is protoAllocs and 112 KB, the table's final size, and the time in
// which these rows, already decoded, are checked for UTF-8 and appended to a
// table: 89 of 130 us. The rest is to read 9000 tags and lengths, most of them
// twice.
func BenchmarkProtoDecode1000x4(b *testing.B) { benchmarkProtoDecode(b, 1000) }

// The floor is protoAllocs, which take 0.7 of 1.2 us.
func BenchmarkProtoDecodePoint(b *testing.B) { benchmarkProtoDecode(b, 1) }

// The floor is no allocation and the copy of 150 bytes.
func BenchmarkProtoEncodePoint(b *testing.B) {
	req := protoPointRequest()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = AppendPipelineReq(dst[:0], Protobuf, req); err != nil {
			b.Fatal(err)
		}
	}
}

// The floor is no allocation, and the copy and the UTF-8 check of 43 KB in 2000
// pieces.
func BenchmarkProtoEncode1000x4(b *testing.B) {
	resp := &PipelineResp{Baton: protoBaton, Results: []StreamResult{{Type: Execute, Stmt: protoRows(1000)}}}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = AppendPipelineResp(dst[:0], Protobuf, resp); err != nil {
			b.Fatal(err)
		}
	}
}

// A scan of a million rows: the floor is no allocation at all once buffer and
// table have grown.
func BenchmarkProtoCursorRow(b *testing.B) {
	entry, err := AppendCursorEntry(nil, Protobuf, &CursorEntry{Type: Row}, &protoRows(1).Rows, 0)
	if err != nil {
		b.Fatal(err)
	}
	source := bytes.NewReader(entry)
	r := bufio.NewReader(source)
	var buf []byte
	var e CursorEntry
	var table exec.Table
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(entry)
		r.Reset(source)
		table.Reset(4)
		if buf, err = NextMessage(Protobuf, r, buf, 1<<20); err != nil {
			b.Fatal(err)
		}
		if err = DecodeCursorEntry(Protobuf, buf, &e, &table); err != nil {
			b.Fatal(err)
		}
	}
}
