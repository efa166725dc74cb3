package hrana

import (
	"bufio"
	"bytes"
	"testing"
)

// FuzzDecodeProto gives the same bytes to every decoder. None may panic, and
// what one accepts must mean the same after it was encoded and decoded again.
func FuzzDecodeProto(f *testing.F) {
	f.Add(protoAnswer(f, 3))
	for _, s := range []string{
		executed(colA, field(2, aNull), varint(3, 2), varint(4, 3)),
		batched(field(1, varint(1, 2), field(2)), field(2, varint(1, 1), field(2, field(1, "e")))),
		batched(field(1, varint(1, 1<<32-1), field(2))),
		field(3, field(1, field(5, field(1, field(1, field(1, ":a")), field(2, field(1, "a")), varint(3, 1))))),
		field(1, "baton") + field(2, "url") + field(3, field(2, field(1, "m"), field(2, "c"))),
		asBatch(field(1, deepCond(3)), stmtOne) + withArgs(field(3, field(4, "text"))) + field(2, field(6, varint(1, 7), field(2, "S"))),
		field(2, field(1, field(1, field(4, field(1, varint(1, 3)))), stmtOne)),
		field(1, varint(1, 3), field(2, field(1, "a"))),
		field(4, aNull, field(1, "\x10\x07")), field(6, varint(1, 9)), "\x05" + field(1, "abc"),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var resp, respAgain PipelineResp
		if DecodePipelineResp(Protobuf, data, &resp) == nil {
			b, err := AppendPipelineResp(nil, Protobuf, &resp)
			if err == nil {
				err = DecodePipelineResp(Protobuf, b, &respAgain)
			}
			if got, want := exactPipelineResp(&respAgain), exactPipelineResp(&resp); err != nil || got != want {
				t.Errorf("got %s\nwant %s\n%v", got, want, err)
			}
		}
		var req, reqAgain PipelineReq
		if DecodePipelineReq(Protobuf, data, &req) == nil {
			known := req.Requests[:0]
			for _, r := range req.Requests {
				if r.Type != 0 {
					known = append(known, r)
				}
			}
			req.Requests = known
			b, err := AppendPipelineReq(nil, Protobuf, &req)
			if err == nil {
				err = DecodePipelineReq(Protobuf, b, &reqAgain)
			}
			if got, want := exactPipelineReq(&reqAgain), exactPipelineReq(&req); err != nil || got != want {
				t.Errorf("got %s\nwant %s\n%v", got, want, err)
			}
		}
		var creq, creqAgain CursorReq
		if DecodeCursorReq(Protobuf, data, &creq) == nil {
			b, err := AppendCursorReq(nil, Protobuf, &creq)
			if err == nil {
				err = DecodeCursorReq(Protobuf, b, &creqAgain)
			}
			if got, want := exactBatch(&creqAgain.Batch), exactBatch(&creq.Batch); err != nil || got != want || creqAgain.Baton != creq.Baton {
				t.Errorf("got %s\nwant %s\n%v", got, want, err)
			}
		}
		_ = DecodeCursorResp(Protobuf, data, new(CursorResp))
		var e, again CursorEntry
		table, tableAgain := wide(), wide()
		if DecodeCursorEntry(Protobuf, data, &e, table) == nil {
			b, err := AppendCursorEntry(nil, Protobuf, &e, table, 0)
			if err == nil {
				b, err = NextMessage(Protobuf, bufio.NewReader(bytes.NewReader(b)), nil, len(b))
			}
			if err == nil {
				err = DecodeCursorEntry(Protobuf, b, &again, tableAgain)
			}
			if got, want := exactEntry(&again), exactEntry(&e); err != nil || got != want {
				t.Errorf("got %s\nwant %s\n%v", got, want, err)
			}
			if e.Type == Row && exactRow(tableAgain, 0) != exactRow(table, 0) {
				t.Errorf("got %s\nwant %s", exactRow(tableAgain, 0), exactRow(table, 0))
			}
		}
		r := bufio.NewReader(bytes.NewReader(data))
		var buf []byte
		for err := error(nil); err == nil; {
			buf, err = NextMessage(Protobuf, r, buf, 1<<10)
		}
	})
}
