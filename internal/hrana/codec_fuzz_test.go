package hrana

import (
	"bufio"
	"bytes"
	"slices"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The fuzz targets hold for both encodings: no input makes a decoder panic, and
// what it accepts means the same when it has been encoded and decoded again.
// Their seeds are generated messages, each in both encodings.

const (
	seeds = 40
	// Long seeds are left out: the fuzzer spends its time on making them short.
	longestSeed = 1000
)

// seed adds messages as append encodes them.
func seed(f *testing.F, append func(enc Encoding, i int) ([]byte, error)) {
	for _, enc := range encodings {
		for i := range seeds {
			b, err := append(enc, i)
			if err != nil {
				f.Fatal(err)
			}
			if len(b) <= longestSeed {
				f.Add(b, enc == Protobuf)
			}
		}
	}
}

func encodingOf(protobuf bool) Encoding {
	if protobuf {
		return Protobuf
	}
	return JSON
}

func FuzzDecodePipelineResp(f *testing.F) {
	seed(f, func(enc Encoding, i int) ([]byte, error) {
		return AppendPipelineResp(nil, enc, genPipelineResp.Example(i))
	})
	f.Fuzz(func(t *testing.T, data []byte, protobuf bool) {
		enc := encodingOf(protobuf)
		var resp, again PipelineResp
		if DecodePipelineResp(enc, data, &resp) != nil {
			return
		}
		for i := range resp.Results {
			r := resp.Results[i].Stmt
			if r != nil && r.Rows.Size() > 64*len(data)+firstArena {
				t.Fatalf("%d bytes hold a table of %d", len(data), r.Rows.Size())
			}
		}
		b, err := AppendPipelineResp(nil, enc, &resp)
		if err == nil {
			err = DecodePipelineResp(enc, b, &again)
		}
		if got, want := exactPipelineResp(&again), exactPipelineResp(&resp); err != nil || got != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	})
}

func FuzzDecodePipelineReq(f *testing.F) {
	seed(f, func(enc Encoding, i int) ([]byte, error) {
		return AppendPipelineReq(nil, enc, genPipelineReq.Example(i))
	})
	f.Fuzz(func(t *testing.T, data []byte, protobuf bool) {
		enc := encodingOf(protobuf)
		var req, again PipelineReq
		if DecodePipelineReq(enc, data, &req) != nil {
			return
		}
		// A server answers a request of an unknown type; nobody sends one.
		req.Requests = slices.DeleteFunc(req.Requests, func(r StreamReq) bool { return r.Type == 0 })
		b, err := AppendPipelineReq(nil, enc, &req)
		if err == nil {
			err = DecodePipelineReq(enc, b, &again)
		}
		if got, want := exactPipelineReq(&again), exactPipelineReq(&req); err != nil || got != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	})
}

func FuzzDecodeCursorReq(f *testing.F) {
	seed(f, func(enc Encoding, i int) ([]byte, error) {
		return AppendCursorReq(nil, enc, &CursorReq{Baton: genText.Example(i), Batch: genBatch.Example(i)})
	})
	f.Fuzz(func(t *testing.T, data []byte, protobuf bool) {
		enc := encodingOf(protobuf)
		var req, again CursorReq
		if DecodeCursorReq(enc, data, &req) != nil {
			return
		}
		b, err := AppendCursorReq(nil, enc, &req)
		if err == nil {
			err = DecodeCursorReq(enc, b, &again)
		}
		if got, want := exactBatch(&again.Batch), exactBatch(&req.Batch); err != nil || got != want || again.Baton != req.Baton {
			t.Errorf("got  %q %s, %v\nwant %q %s", again.Baton, got, err, req.Baton, want)
		}
	})
}

// FuzzDecodeCursorEntry reads a whole answer of a cursor, of any number of
// messages.
func FuzzDecodeCursorEntry(f *testing.F) {
	const width = 2
	seed(f, func(enc Encoding, i int) ([]byte, error) {
		var row exec.Table
		row.Reset(width)
		row.AppendValue(genValue.Example(i))
		row.AppendValue(genValue.Example(i + seeds))
		row.EndRow()
		b, err := AppendCursorResp(nil, enc, &CursorResp{Baton: genText.Example(i), BaseURL: genText.Example(i + seeds)})
		for j := 0; j < 4 && err == nil; j++ {
			b, err = AppendCursorEntry(b, enc, genEntry.Example(4*i+j), &row, 0)
		}
		return b, err
	})
	f.Fuzz(func(t *testing.T, data []byte, protobuf bool) {
		enc := encodingOf(protobuf)
		r := bufio.NewReaderSize(bytes.NewReader(data), 16)
		var buf []byte
		for {
			var err error
			if buf, err = NextMessage(enc, r, buf, 1<<16); err != nil {
				return
			}
			var head, headAgain CursorResp
			if DecodeCursorResp(enc, buf, &head) == nil {
				b, err := AppendCursorResp(nil, enc, &head)
				if err == nil {
					b, err = NextMessage(enc, bufio.NewReader(bytes.NewReader(b)), nil, len(b))
				}
				if err == nil {
					err = DecodeCursorResp(enc, b, &headAgain)
				}
				if err != nil || head != headAgain {
					t.Errorf("got  %q, %v\nwant %q", headAgain, err, head)
				}
			}
			var e, again CursorEntry
			var row, rowAgain exec.Table
			row.Reset(width)
			rowAgain.Reset(width)
			if DecodeCursorEntry(enc, buf, &e, &row) != nil {
				continue
			}
			b, err := AppendCursorEntry(nil, enc, &e, &row, 0)
			if err == nil {
				b, err = NextMessage(enc, bufio.NewReader(bytes.NewReader(b)), nil, len(b))
			}
			if err == nil {
				err = DecodeCursorEntry(enc, b, &again, &rowAgain)
			}
			if got, want := exactEntry(&again), exactEntry(&e); err != nil || got != want {
				t.Fatalf("got  %s, %v\nwant %s", got, err, want)
			}
			if row.Len() != rowAgain.Len() || (e.Type == Row) != (row.Len() == 1) {
				t.Fatalf("%d rows, then %d", row.Len(), rowAgain.Len())
			}
			if e.Type == Row && exactRow(&row, 0) != exactRow(&rowAgain, 0) {
				t.Errorf("got  %s\nwant %s", exactRow(&rowAgain, 0), exactRow(&row, 0))
			}
		}
	})
}
