package hrana

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The tests of this file hold for both encodings alike. They compare messages by
// the exact functions, which tell all that a message means and no more.

var encodings = []Encoding{JSON, Protobuf}

func eachEncoding(t *testing.T, f func(t *testing.T, enc Encoding)) {
	for _, enc := range encodings {
		t.Run(enc.String(), func(t *testing.T) { f(t, enc) })
	}
}

// prefix stands for what a buffer already holds when an encoder appends to it.
const prefix = "before"

// encoded checks that an encoder only appends, and wipes its result after use,
// so that a decoder that keeps a part of its input is found out.
func encoded(t *rapid.T, b []byte, err error) (body []byte, wipe func()) {
	if err != nil {
		t.Fatal(err)
	}
	body, ok := bytes.CutPrefix(b, []byte(prefix))
	if !ok {
		t.Fatalf("what the buffer held was overwritten: %q", b)
	}
	return body, func() {
		for i := range body {
			body[i] = '#'
		}
	}
}

func TestCodecRoundTripsPipelineRequests(t *testing.T) {
	eachEncoding(t, func(t *testing.T, enc Encoding) {
		rapid.Check(t, func(t *rapid.T) {
			req := genPipelineReq.Draw(t, "request")
			b, err := AppendPipelineReq([]byte(prefix), enc, req)
			body, wipe := encoded(t, b, err)
			got := PipelineReq{Baton: "old", Requests: make([]StreamReq, 9)}
			if err := DecodePipelineReq(enc, body, &got); err != nil {
				t.Fatalf("%v\n%q", err, body)
			}
			wipe()
			if got, want := exactPipelineReq(&got), exactPipelineReq(req); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		})
	})
}

func TestCodecRoundTripsPipelineAnswers(t *testing.T) {
	eachEncoding(t, func(t *testing.T, enc Encoding) {
		rapid.Check(t, func(t *rapid.T) {
			resp := genPipelineResp.Draw(t, "answer")
			b, err := AppendPipelineResp([]byte(prefix), enc, resp)
			body, wipe := encoded(t, b, err)
			got := PipelineResp{Baton: "old", Results: make([]StreamResult, 9)}
			if err := DecodePipelineResp(enc, body, &got); err != nil {
				t.Fatalf("%v\n%q", err, body)
			}
			wipe()
			if enc == Protobuf {
				forgetBatchIndex(resp)
			}
			if got, want := exactPipelineResp(&got), exactPipelineResp(resp); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		})
	})
}

// forgetBatchIndex takes away what protobuf has no field for.
func forgetBatchIndex(resp *PipelineResp) {
	for i := range resp.Results {
		if b := resp.Results[i].Batch; b != nil {
			b.ReplicationIndex = 0
		}
	}
}

func TestCodecRoundTripsCursorRequests(t *testing.T) {
	eachEncoding(t, func(t *testing.T, enc Encoding) {
		rapid.Check(t, func(t *rapid.T) {
			req := &CursorReq{Baton: genText.Draw(t, "baton"), Batch: genBatch.Draw(t, "batch")}
			b, err := AppendCursorReq([]byte(prefix), enc, req)
			body, wipe := encoded(t, b, err)
			got := CursorReq{Baton: "old", Batch: Batch{ReplicationIndex: 9, Steps: make([]BatchStep, 9)}}
			if err := DecodeCursorReq(enc, body, &got); err != nil {
				t.Fatalf("%v\n%q", err, body)
			}
			wipe()
			if got.Baton != req.Baton || exactBatch(&got.Batch) != exactBatch(&req.Batch) {
				t.Fatalf("got  %q %s\nwant %q %s", got.Baton, exactBatch(&got.Batch), req.Baton, exactBatch(&req.Batch))
			}
		})
	})
}

// A whole answer of a cursor goes through a reader that cuts it anywhere.
func TestCodecRoundTripsCursors(t *testing.T) {
	eachEncoding(t, func(t *testing.T, enc Encoding) {
		rapid.Check(t, func(t *rapid.T) {
			head := &CursorResp{Baton: genText.Draw(t, "baton"), BaseURL: genText.Draw(t, "url")}
			entries := rapid.SliceOfN(genEntry, 0, 6).Draw(t, "entries")
			rows := genResult.Draw(t, "rows").Rows
			stream, err := AppendCursorResp([]byte(prefix), enc, head)
			var want []string
			row := 0
			for _, e := range entries {
				if err != nil {
					break
				}
				want = append(want, exactEntry(e))
				if e.Type == Row {
					if row == rows.Len() {
						want = want[:len(want)-1]
						continue
					}
					want = append(want, exactRow(&rows, row))
				}
				stream, err = AppendCursorEntry(stream, enc, e, &rows, row)
				if e.Type == Row {
					row++
				}
			}
			body, _ := encoded(t, stream, err)

			r := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(body)), 16)
			var buf []byte
			next := func() bool {
				buf, err = NextMessage(enc, r, buf, 1<<20)
				if err != nil && err != io.EOF {
					t.Fatal(err)
				}
				return err == nil
			}
			gotHead := CursorResp{Baton: "old", BaseURL: "old"}
			if !next() {
				t.Fatal("no first message")
			}
			if err := DecodeCursorResp(enc, buf, &gotHead); err != nil || gotHead != *head {
				t.Fatalf("got %+v, %v, want %+v", gotHead, err, *head)
			}
			var got []string
			var cells exec.Table
			cells.Reset(rows.Width())
			e := CursorEntry{Type: StepError, Step: 9, Err: &Error{}}
			for next() {
				if err := DecodeCursorEntry(enc, buf, &e, &cells); err != nil {
					t.Fatalf("%v\n%q", err, buf)
				}
				clear(buf)
				got = append(got, exactEntry(&e))
				if e.Type == Row {
					got = append(got, exactRow(&cells, cells.Len()-1))
				}
			}
			if got, want := strings.Join(got, "\n"), strings.Join(want, "\n"); got != want {
				t.Fatalf("got\n%s\nwant\n%s", got, want)
			}
		})
	})
}

func TestCodecNextMessage(t *testing.T) {
	eachEncoding(t, func(t *testing.T, enc Encoding) {
		first, err := AppendCursorResp(nil, enc, &CursorResp{Baton: strings.Repeat("b", 100)})
		if err != nil {
			t.Fatal(err)
		}
		both, err := AppendCursorEntry(bytes.Clone(first), enc, &CursorEntry{Type: StepEnd, RowsAffected: 1}, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		read := func(b []byte, limit int) (messages int, err error) {
			r := bufio.NewReaderSize(bytes.NewReader(b), 16)
			for {
				if _, err := NextMessage(enc, r, nil, limit); err != nil {
					return messages, err
				}
				messages++
			}
		}
		size := 0
		for limit := range len(first) + 1 {
			if n, _ := read(first, limit); n == 1 {
				size = limit
				break
			}
		}
		if size < 100 {
			t.Fatalf("a message of 100 bytes and more passed a limit of %d", size)
		}
		if n, err := read(both, size); n != 2 || err != io.EOF {
			t.Errorf("%d messages, %v; want 2 messages and io.EOF", n, err)
		}
		if n, err := read(both, size-1); n != 0 || err == nil || err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("above the limit: %d messages, %v", n, err)
		}
		for cut := range both {
			want := error(io.ErrUnexpectedEOF)
			if cut == 0 || cut == len(first) {
				want = io.EOF
			}
			if _, err := read(both[:cut], size); err != want {
				t.Errorf("after %d of %d bytes: %v, want %v", cut, len(both), err, want)
			}
		}
		broken := errors.New("the connection broke")
		r := bufio.NewReader(io.MultiReader(bytes.NewReader(first[:5]), iotest.ErrReader(broken)))
		if _, err := NextMessage(enc, r, nil, size); err != broken {
			t.Errorf("a broken transfer gives %v", err)
		}
	})
}

// What a caller cannot have meant is refused before anything is sent, and the
// error says where it is.
func TestCodecRefusesRequests(t *testing.T) {
	bad := "a\xffb"
	text := exec.Value{Kind: exec.Text, Text: bad}
	deep := &Cond{Type: CondOK}
	for range maxCondDepth {
		deep = &Cond{Type: CondNot, Conds: []*Cond{deep}}
	}
	step := func(c *Cond) StreamReq {
		return StreamReq{Type: BatchRequest, Batch: Batch{Steps: []BatchStep{{Stmt: Stmt{SQL: "SELECT 1"}}, {Stmt: Stmt{SQL: "SELECT 2"}, Cond: c}}}}
	}
	for _, c := range []struct {
		name, want string
		req        StreamReq
	}{
		{"SQL", "not valid UTF-8", StreamReq{Type: Execute, Stmt: Stmt{SQL: bad}}},
		{"sequence", "not valid UTF-8", StreamReq{Type: Sequence, SQL: bad}},
		{"argument", "argument 2: text is not valid UTF-8", StreamReq{Type: Execute, Stmt: Stmt{Args: []exec.Value{{}, text}}}},
		{"cut-off character", "argument 1: text is not valid UTF-8", StreamReq{Type: Execute, Stmt: Stmt{Args: []exec.Value{{Kind: exec.Text, Text: "a\xf0\x9f\x98"}}}}},
		{"surrogate", "argument 1: text is not valid UTF-8", StreamReq{Type: Execute, Stmt: Stmt{Args: []exec.Value{{Kind: exec.Text, Text: "\xed\xa0\x80"}}}}},
		{"named", `argument ":a": text is not valid UTF-8`, StreamReq{Type: Execute, Stmt: Stmt{Named: []NamedArg{{":a", text}}}}},
		{"step", "step 0: argument 1", StreamReq{Type: BatchRequest, Batch: Batch{Steps: []BatchStep{{Stmt: Stmt{Args: []exec.Value{text}}}}}}},
		{"type", "type 99", StreamReq{Type: 99}},
		{"no type", "type 0", StreamReq{}},
		{"condition", "step 1", step(&Cond{})},
		{"deep", "step 1", step(deep)},
		{"not", "not of 2", step(&Cond{Type: CondNot, Conds: []*Cond{{Type: CondOK}, {Type: CondOK}}})},
		{"nil", "nil", step(&Cond{Type: CondAnd, Conds: []*Cond{nil}})},
	} {
		eachEncoding(t, func(t *testing.T, enc Encoding) {
			b, err := AppendPipelineReq([]byte(prefix), enc, &PipelineReq{Requests: []StreamReq{c.req}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: the error is %v, want one with %q", c.name, err, c.want)
			}
			if string(b) != prefix {
				t.Errorf("%s: the buffer is %q after an error", c.name, b)
			}
		})
	}
}

// Every cut of a valid message is an error or, in protobuf, may be a shorter
// valid message; none panics.
func TestCodecCutMessages(t *testing.T) {
	eachEncoding(t, func(t *testing.T, enc Encoding) {
		rapid.Check(t, func(t *rapid.T) {
			resp, err := AppendPipelineResp(nil, enc, genPipelineResp.Draw(t, "answer"))
			if err != nil {
				t.Fatal(err)
			}
			req, err := AppendPipelineReq(nil, enc, genPipelineReq.Draw(t, "request"))
			if err != nil {
				t.Fatal(err)
			}
			cut := func(b []byte) []byte { return b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")] }
			if len(resp) > 0 {
				err = DecodePipelineResp(enc, cut(resp), new(PipelineResp))
				if enc == JSON && err == nil {
					t.Fatal("a cut answer is accepted")
				}
			}
			if len(req) > 0 {
				err = DecodePipelineReq(enc, cut(req), new(PipelineReq))
				if enc == JSON && err == nil {
					t.Fatal("a cut request is accepted")
				}
			}
		})
	})
}
