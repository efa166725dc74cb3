package hrana

import (
	"fmt"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func protoAnswer(rows int) []byte {
	r := &exec.Result{
		Cols:     []exec.Column{{Name: "id", Decltype: "INTEGER"}, {Name: "name", Decltype: "TEXT"}, {Name: "score", Decltype: "REAL"}, {Name: "note", Decltype: "TEXT"}},
		RowsRead: uint64(rows), ServerTime: 123000, ReplicationIndex: 4711,
	}
	r.Rows.Reset(4)
	for i := range rows {
		r.Rows.AppendInt(int64(i) * 1000)
		r.Rows.AppendBytes(exec.Text, fmt.Appendf(nil, "user-%06d", i))
		r.Rows.AppendFloat(float64(i) / 7)
		r.Rows.AppendBytes(exec.Text, []byte("a note of some length, 32 bytes.."))
		r.Rows.EndRow()
	}
	b, err := AppendPipelineResp(nil, Protobuf, &PipelineResp{
		Baton:   "hEF3KJbWFieQZytceSCu7SyXkUJx9tIM1cYzyPUbHdGtLO8oSDnG1l8pZRrB",
		Results: []StreamResult{{Type: Execute, Stmt: r}},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func BenchmarkProtoDecode1000x4(b *testing.B) {
	data := protoAnswer(1000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var resp PipelineResp
		if err := DecodePipelineResp(Protobuf, data, &resp); err != nil {
			b.Fatal(err)
		}
	}
}
func BenchmarkProtoDecodePoint(b *testing.B) {
	data := protoAnswer(1)
	b.ReportAllocs()
	for b.Loop() {
		var resp PipelineResp
		if err := DecodePipelineResp(Protobuf, data, &resp); err != nil {
			b.Fatal(err)
		}
	}
}
func BenchmarkProtoEncodePoint(b *testing.B) {
	req := PipelineReq{Baton: "hEF3KJbWFieQZytceSCu7SyXkUJx9tIM1cYzyPUbHdGtLO8oSDnG1l8pZRrB",
		Requests: []StreamReq{{Type: Execute, Stmt: Stmt{SQL: "SELECT id, name, score, note FROM users WHERE id = ?", Args: []exec.Value{{Kind: exec.Integer, Int: 42}}, WantRows: true}}}}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		dst, err = AppendPipelineReq(dst[:0], Protobuf, &req)
		if err != nil {
			b.Fatal(err)
		}
	}
}
func BenchmarkProtoEncode1000x4(b *testing.B) {
	data := protoAnswer(1000)
	var resp PipelineResp
	if err := DecodePipelineResp(Protobuf, data, &resp); err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		dst, err = AppendPipelineResp(dst[:0], Protobuf, &resp)
		if err != nil {
			b.Fatal(err)
		}
	}
}
