package hrana

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// protoDecoders are all decoders of the encoding, each given a whole message.
var protoDecoders = map[string]func([]byte) error{
	"pipeline request": func(b []byte) error { return DecodePipelineReq(Protobuf, b, new(PipelineReq)) },
	"pipeline answer":  func(b []byte) error { return DecodePipelineResp(Protobuf, b, new(PipelineResp)) },
	"cursor request":   func(b []byte) error { return DecodeCursorReq(Protobuf, b, new(CursorReq)) },
	"cursor answer":    func(b []byte) error { return DecodeCursorResp(Protobuf, b, new(CursorResp)) },
	"cursor entry":     func(b []byte) error { return DecodeCursorEntry(Protobuf, b, new(CursorEntry), wide()) },
}

func wide() *exec.Table {
	t := new(exec.Table)
	t.Reset(2)
	return t
}

// field is a length-delimited field.
func field(num protowire.Number, content ...string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), strings.Join(content, "")))
}

func varint(num protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v))
}

// executed and batched are answers around one StmtResult and one BatchResult.
func executed(result ...string) string { return field(3, field(1, field(2, field(1, result...)))) }
func batched(result ...string) string  { return field(3, field(1, field(3, field(1, result...)))) }

var (
	colA     = field(1, field(1, "a"))
	aNull    = field(1, field(1))
	stmtOne  = field(2, field(1, "SELECT 1"))
	asBatch  = func(step ...string) string { return field(2, field(3, field(1, field(1, step...)))) }
	withArgs = func(arg string) string { return field(2, field(2, field(1, field(1, "SELECT ?"), arg))) }
)

func TestProtoMalformed(t *testing.T) {
	for _, c := range []struct{ decoder, name, input, want string }{
		{"pipeline answer", "empty tag", "\x80", "a field's tag is cut off"},
		{"pipeline answer", "field number 0", "\x02\x00", "0 is not a field number"},
		{"pipeline answer", "field number beyond 29 bits", varint(1<<29-1, 1)[:4] + "\x7f\x01", "is not a field number"},
		{"pipeline answer", "tag of 11 bytes", strings.Repeat("\x80", 11), "a field's tag is cut off or malformed"},
		{"pipeline answer", "wire type 6", "\x1e", "field 3 of wire type 6 is cut off or malformed"},
		{"pipeline answer", "wire type 7", "\x1f\x00", "field 3 of wire type 7"},
		{"pipeline answer", "group without end", "\x1b\x08\x01", "field 3 of wire type 3"},
		{"pipeline answer", "length beyond the end", "\x0a\x05abc", "field 1 of wire type 2 is cut off"},
		{"pipeline answer", "length of 2^63", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7fabc", "field 1 of wire type 2 is cut off"},
		{"pipeline answer", "length of 11 bytes", "\x0a" + strings.Repeat("\xff", 11), "field 1 of wire type 2"},
		{"pipeline answer", "number as baton", varint(1, 5), "field 1 has wire type 0 instead of 2"},
		{"pipeline answer", "invalid UTF-8 in the baton", field(1, "\xff"), "field 1: text is not valid UTF-8"},
		{"pipeline answer", "invalid UTF-8 in the URL", field(2, "\xc0\x80"), "field 2: text is not valid UTF-8"},
		{"pipeline answer", "result without a type", field(3), "result 0: StreamResponse: its type is missing or unknown"},
		{"pipeline answer", "response without a type", field(3, field(1)), "its type is missing or unknown"},
		{"pipeline answer", "response of unknown type", field(3, field(1, field(9))), "its type is missing or unknown"},
		{"pipeline answer", "execute without result", field(3, field(1, field(2))), "member 2 has no result"},
		{"pipeline answer", "batch without result", field(3, field(1, field(3))), "member 3 has no result"},
		{"pipeline answer", "describe without result", field(3, field(1, field(5))), "member 5 has no result"},
		{"pipeline answer", "response as number", field(3, field(1, varint(2, 1))), "field 2 has wire type 0"},
		{"pipeline answer", "is_autocommit as text", field(3, field(1, field(8, field(1, "t")))), "field 1 has wire type 2 instead of 0"},
		{"pipeline answer", "second result", executed() + field(3), "result 1: "},
		{"pipeline answer", "error as number", field(3, varint(2, 1)), "field 2 has wire type 0"},
		{"pipeline answer", "invalid UTF-8 in an error", field(3, field(2, field(1, "\xff"))), "Error: field 1: text is not valid UTF-8"},

		{"pipeline answer", "column as number", executed(varint(1, 1)), "StmtResult: field 1 has wire type 0"},
		{"pipeline answer", "invalid UTF-8 in a column", executed(field(1, field(1, "\xff"))), "Col: field 1: text is not valid UTF-8"},
		{"pipeline answer", "invalid UTF-8 in a decltype", executed(field(1, field(2, "\xff"))), "Col: field 2: text is not valid UTF-8"},
		{"pipeline answer", "row as number", executed(colA, varint(2, 1)), "field 2 has wire type 0"},
		{"pipeline answer", "value as number", executed(colA, field(2, varint(1, 1))), "Row: field 1 has wire type 0"},
		{"pipeline answer", "value cut off", executed(colA, field(2, "\x0a\x05\x10")), "Row: field 1 of wire type 2 is cut off"},
		{"pipeline answer", "row too short", executed(colA, colA, field(2, aNull, aNull), field(2, aNull)), "row 1 does not have the 2 columns"},
		{"pipeline answer", "row too long", executed(colA, field(2, aNull, aNull)), "row 0 does not have the 1 columns"},
		{"pipeline answer", "row without columns", executed(field(2, aNull)), "row 0 does not have the 0 columns"},
		{"pipeline answer", "value without a type", executed(colA, field(2, field(1))), "column 0: Value: its type is missing or unknown"},
		{"pipeline answer", "value of unknown type", executed(colA, field(2, field(1, field(6)))), "column 0: Value: its type is missing or unknown"},
		{"pipeline answer", "invalid UTF-8 in a cell", executed(colA, field(2, field(1, field(4, "a\xffb")))), "column 0: text is not valid UTF-8"},
		{"pipeline answer", "text cut off", executed(colA, field(2, field(1, "\x22\x05ab"))), "Value: field 4 of wire type 2 is cut off"},
		{"pipeline answer", "float cut off", executed(colA, field(2, field(1, "\x19\x05ab"))), "Value: field 3 of wire type 1 is cut off"},
		{"pipeline answer", "integer cut off", executed(colA, field(2, field(1, "\x10\x80"))), "Value: field 2 of wire type 0 is cut off"},
		{"pipeline answer", "integer of 11 bytes", executed(colA, field(2, field(1, "\x10"+strings.Repeat("\x80", 10)+"\x01"))), "Value: field 2 of wire type 0"},
		{"pipeline answer", "integer as text", executed(colA, field(2, field(1, field(2, "1")))), "Value: field 2 has wire type 2 instead of 0"},
		{"pipeline answer", "float as integer", executed(colA, field(2, field(1, varint(3, 1)))), "Value: field 3 has wire type 0 instead of 1"},
		{"pipeline answer", "blob as integer", executed(colA, field(2, field(1, varint(5, 1)))), "Value: field 5 has wire type 0 instead of 2"},
		{"pipeline answer", "null as integer", executed(colA, field(2, field(1, varint(1, 0)))), "Value: field 1 has wire type 0 instead of 2"},
		{"pipeline answer", "too many rows affected", executed(varint(3, 1<<63)), "field 3 exceeds 63 bits"},
		{"pipeline answer", "rowid as text", executed(field(4, "1")), "field 4 has wire type 2"},
		{"pipeline answer", "duration as integer", executed(varint(8, 1)), "field 8 has wire type 0"},

		{"pipeline answer", "step 4 billion", batched(field(1, varint(1, math.MaxUint32), field(2))), "step 4294967295: there is no batch of so many steps"},
		{"pipeline answer", "error of step 4 billion", batched(field(2, varint(1, math.MaxUint32), field(2))), "step 4294967295: there is no batch of so many steps"},
		{"pipeline answer", "step beyond 32 bits", batched(field(1, varint(1, 1<<32), field(2))), "field 1 exceeds 32 bits"},
		{"pipeline answer", "step as text", batched(field(1, field(1, "0"))), "field 1 has wire type 2"},
		{"pipeline answer", "step's result", batched(field(1, varint(1, 2), field(2, varint(1, 1)))), "BatchResult: step 2: StmtResult: field 1 has wire type 0"},
		{"pipeline answer", "map as number", batched(varint(1, 0)), "BatchResult: field 1 has wire type 0"},

		{"cursor answer", "baton", varint(1, 1), "CursorRespBody: field 1 has wire type 0"},
		{"cursor entry", "unknown type", field(7), "CursorEntry: its type is missing or unknown"},
		{"cursor entry", "row too short", field(4, aNull), "row 0 does not have the 2 columns"},
		{"cursor entry", "two rows", field(4, aNull, aNull) + field(4, aNull, aNull), "a row is followed by more"},
		{"cursor entry", "row as number", varint(4, 1), "CursorEntry: field 4 has wire type 0"},
		{"cursor entry", "error without error", field(3), "StepErrorEntry: no error"},
		{"cursor entry", "step beyond 32 bits", field(1, varint(1, 1<<32)), "field 1 exceeds 32 bits"},
		{"cursor entry", "index as text", field(6, field(1, "1")), "field 1 has wire type 2"},

		{"pipeline request", "request as number", varint(2, 1), "field 2 has wire type 0"},
		{"pipeline request", "no statement", field(2, field(2)), "request 0: StreamRequest: Stmt: neither sql nor sql_id is given"},
		{"pipeline request", "sql and sql_id", field(2, field(2, field(1, field(1, "SELECT 1"), varint(2, 1)))), "both sql and sql_id are given"},
		{"pipeline request", "describe nothing", field(2, field(5)), "neither sql nor sql_id is given"},
		{"pipeline request", "argument without a type", withArgs(field(3)), "Stmt: Value: its type is missing or unknown"},
		{"pipeline request", "named argument without value", withArgs(field(4, field(1, "a"))), "Stmt: Value: its type is missing or unknown"},
		{"pipeline request", "invalid UTF-8 in an argument", withArgs(field(3, field(4, "\xff"))), "Value: field 4: text is not valid UTF-8"},
		{"pipeline request", "invalid UTF-8 in a name", withArgs(field(4, field(1, "\xff"), field(2, field(1)))), "NamedArg: field 1: text is not valid UTF-8"},
		{"pipeline request", "condition without a type", asBatch(field(1), stmtOne), "step 0: BatchCond: its type is missing or unknown"},
		{"pipeline request", "condition as number", asBatch(varint(1, 1), stmtOne), "field 1 has wire type 0"},
		{"pipeline request", "condition of step as text", asBatch(field(1, field(1, "0")), stmtOne), "field 1 has wire type 2"},
		{"pipeline request", "condition nested", asBatch(field(1, deepCond(maxCondDepth)), stmtOne), "messages are nested deeper than 95"},
		{"cursor request", "step without statement", field(2, field(1)), "Batch: step 0: Stmt: neither sql nor sql_id is given"},
	} {
		t.Run(c.decoder+"/"+c.name, func(t *testing.T) {
			err := protoDecoders[c.decoder]([]byte(c.input))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "protobuf ") {
				t.Errorf("the error is %v, want one with %q", err, c.want)
			}
			// That a transfer was cut off is for the transport to say.
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				t.Errorf("%v passes for a broken transfer", err)
			}
		})
	}
}

// deepCond is n conditions of type not around an is_autocommit.
func deepCond(n int) string {
	c := field(6)
	for range n {
		c = field(3, c)
	}
	return c
}

// Whatever a message holds that the schema does not know is skipped, and fields
// come in any order.
func TestProtoUnknownFieldsAndAnyOrder(t *testing.T) {
	// Of every wire type, groups in groups too.
	odd := varint(100, 1) + field(101, "x") + "\xb1\x06 8 bytes" + "\xb5\x06 4by" + "\xbb\x06\xbb\x06\x08\x01\xbc\x06\xbc\x06"
	around := func(num protowire.Number, content ...string) string {
		return odd + field(num, append(append([]string{odd}, content...), odd)...) + odd
	}
	value := func(member string) string { return odd + field(1, odd, member, odd) }
	col := func(name string) string { return around(1, field(2, "T"), odd, field(1, name)) }
	result := strings.Join([]string{
		varint(7, 3), varint(3, 2), odd,
		// Rows before the columns, and between them.
		around(2, value("\x10\x03"), value(field(4, "ä"))), col("a"),
		around(2, value(field(5, "b")), value("\x19\x00\x00\x00\x00\x00\x00\xf8\x3f")), col("b"),
		around(2, value(field(1, odd)), value(varint(2, 9)+field(4, "last")))}, "")
	data := field(2, "http://b") + around(3, around(1, around(2, around(1, result)))) +
		around(3, around(2, field(2, "C"), field(1, "M"))) + field(1, "first") + field(1, "baton") +
		around(3, around(1, around(3, around(1,
			around(2, field(2, field(2, "C2"), field(1, "M2")), varint(1, 2)),
			around(1, field(2, varint(3, 7)), varint(1, 1)),
			around(1, field(2, varint(3, 5))))))) // without a key: step 0
	var resp PipelineResp
	if err := DecodePipelineResp(Protobuf, []byte(data), &resp); err != nil {
		t.Fatal(err)
	}
	want := `baton baton
base http://b
execute [a T|b T] (-2, "ä") (x'62', float 1.5) (null, "last") affected 2 written 3
error C M
batch
	0: [] affected 5
	1: [] affected 7
	2: C2 M2
`
	if got := showResp(&resp); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}

	var req PipelineReq
	data = around(2, around(3, around(1, varint(2, 5), around(1, around(2, odd, field(1, "S"), varint(5, 1)), around(1, around(5, around(1, varint(1, 3)))))))) +
		around(2, odd) + around(2, around(99, "x")) + around(2, around(1))
	if err := DecodePipelineReq(Protobuf, []byte(data), &req); err != nil {
		t.Fatal(err)
	}
	if got, want := exactPipelineReq(&req), exactPipelineReq(&PipelineReq{Requests: []StreamReq{
		{Type: BatchRequest, Batch: Batch{ReplicationIndex: 5, Steps: []BatchStep{{Stmt: Stmt{SQL: "S", WantRows: true},
			Cond: &Cond{Type: CondOr, Conds: []*Cond{{Type: CondOK, Step: 3}}}}}}},
		{}, {}, {Type: Close},
	}}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	var e CursorEntry
	table := wide()
	if err := DecodeCursorEntry(Protobuf, []byte(around(4, value(field(1)), value("\x10\x01"))), &e, table); err != nil || showEntry(&e, table) != "row (null, -1)" {
		t.Errorf("%s, %v", showEntry(&e, table), err)
	}
	// sqld's word for a replication index that it does not know.
	e.ReplicationIndex = 7
	if err := DecodeCursorEntry(Protobuf, nil, &e, table); err != nil || showEntry(&e, table) != "index 0" {
		t.Errorf("%s, %v", showEntry(&e, table), err)
	}
}

// Lengths change their own length at 128, 16384 and 2 million.
func TestProtoLengths(t *testing.T) {
	for _, around := range []int{1 << 7, 1 << 14, 1 << 21} {
		for size := around - 20; size <= around; size++ {
			text := strings.Repeat("x", size)
			req := &PipelineReq{Requests: []StreamReq{execute(text, exec.Value{Kind: exec.Text, Text: text}), {Type: GetAutocommit}}}
			b, err := AppendPipelineReq(nil, Protobuf, req)
			if err != nil {
				t.Fatal(err)
			}
			var got PipelineReq
			if err := DecodePipelineReq(Protobuf, b, &got); err != nil || len(got.Requests) != 2 ||
				got.Requests[0].Stmt.SQL != text || got.Requests[0].Stmt.Args[0].Text != text {
				t.Fatalf("a text of %d bytes did not come through: %v", size, err)
			}
			var table, back exec.Table
			table.Reset(1)
			table.AppendBytes(exec.Blob, []byte(text))
			table.EndRow()
			if b, err = AppendCursorEntry(b[:0], Protobuf, &CursorEntry{Type: Row}, &table, 0); err != nil {
				t.Fatal(err)
			}
			msg, err := NextMessage(Protobuf, bufio.NewReader(bytes.NewReader(b)), nil, len(b))
			if err != nil {
				t.Fatal(err)
			}
			back.Reset(1)
			if err := DecodeCursorEntry(Protobuf, msg, new(CursorEntry), &back); err != nil || string(back.Bytes(0, 0)) != text {
				t.Fatalf("a blob of %d bytes did not come through: %v", size, err)
			}
		}
	}
}

// allocated is how much memory f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestProtoMemory(t *testing.T) {
	if raceEnabled {
		return
	}
	// A few bytes that speak of very much.
	for name, input := range map[string]string{
		"step 4 billion":   batched(field(1, varint(1, math.MaxUint32), field(2))),
		"step 1 million":   batched(field(1, varint(1, 1e6), field(2))),
		"error of step 2M": batched(field(2, varint(1, 2e6), field(2))),
		"steps apart":      strings.Repeat(batched(field(1, varint(1, 200_000), field(2))), 2),
	} {
		var err error
		got := allocated(func() { err = DecodePipelineResp(Protobuf, []byte(input), new(PipelineResp)) })
		if most := uint64(8*maxStepGaps + 64<<10); got > most || err == nil {
			t.Errorf("%s: %d bytes allocated, want at most %d; %v", name, got, most, err)
		}
	}
	if _, err := NextMessage(Protobuf, bufio.NewReader(bytes.NewReader(append(binary.AppendUvarint(nil, 1<<40), "abc"...))), nil, 1<<30); err == nil || !strings.Contains(err.Error(), "1099511627776 bytes, above the limit of 1073741824") {
		t.Error(err)
	}
	claimed := append(binary.AppendUvarint(nil, 1<<30), "abc"...)
	got := allocated(func() {
		if _, err := NextMessage(Protobuf, bufio.NewReader(bytes.NewReader(claimed)), nil, 1<<30); err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
	})
	if got > 256<<10 {
		t.Errorf("a message that claims 1 GiB and holds 3 bytes: %d bytes allocated", got)
	}

	// The smallest parts of which a message can hold many, and the largest in
	// memory for their size on the wire.
	many := func(s string) string { return strings.Repeat(s, 200_000/len(s)) }
	for _, c := range []struct{ decoder, name, input string }{
		{"pipeline answer", "results", many(field(3, field(1, field(1))))},
		{"pipeline answer", "executes", many(executed())},
		{"pipeline answer", "empty results", many(field(3))},
		{"pipeline answer", "columns", executed(many(field(1)))},
		{"pipeline answer", "columns and rows", executed(many(field(1)), many(field(2)))},
		{"pipeline answer", "nulls", executed(many(colA), field(2, many(aNull)))},
		{"pipeline answer", "rows", executed(colA, many(field(2, aNull)))},
		{"pipeline answer", "one step again and again", batched(many(field(1)))},
		{"pipeline answer", "one error again and again", batched(many(field(2)))},
		{"pipeline answer", "batches", many(batched())},
		{"pipeline answer", "parameters", field(3, field(1, field(5, field(1, many(field(1))))))},
		{"pipeline request", "requests", many(field(2))},
		{"pipeline request", "statements", many(field(2, field(2, field(1, field(1)))))},
		{"pipeline request", "arguments", withArgs(many(field(3, field(1))))},
		{"pipeline request", "named arguments", withArgs(many(field(4, field(2, field(1)))))},
		{"cursor request", "steps", field(2, many(field(1, field(2, field(1)))))},
		{"cursor request", "conditions", field(2, field(1, field(1, field(4, many(field(1, field(6))))), stmtOne))},
		{"cursor entry", "columns", field(1, many(field(2)))},
		{"cursor entry", "cells", field(4, many(aNull))},
	} {
		got := allocated(func() { _ = protoDecoders[c.decoder]([]byte(c.input)) })
		ratio := float64(got) / float64(len(c.input))
		t.Logf("%s: %.1f bytes for each byte of %s", c.decoder, ratio, c.name)
		if ratio > 100 {
			t.Errorf("%s: %d bytes allocated for %d of %s", c.decoder, got, len(c.input), c.name)
		}
	}
}

// What a server's own data make impossible to encode.
func TestProtoRefusesAnswers(t *testing.T) {
	bad := &exec.Result{Cols: []exec.Column{{Name: "a"}}}
	bad.Rows.Reset(1)
	bad.Rows.AppendBytes(exec.Text, []byte("\xff"))
	bad.Rows.EndRow()
	narrow := &exec.Result{Rows: bad.Rows}
	for _, c := range []struct {
		name, want string
		result     StreamResult
	}{
		{"invalid UTF-8", "result 0: StmtResult: row 0: text is not valid UTF-8", StreamResult{Type: Execute, Stmt: bad}},
		{"rows without columns", "rows of 1 values under 0 columns", StreamResult{Type: Execute, Stmt: narrow}},
		{"nothing", "its type is missing", StreamResult{}},
		{"execute", "member 2 has no result", StreamResult{Type: Execute}},
		{"batch", "member 3 has no result", StreamResult{Type: BatchRequest}},
		{"describe", "member 5 has no result", StreamResult{Type: Describe}},
	} {
		b, err := AppendPipelineResp([]byte("before"), Protobuf, &PipelineResp{Results: []StreamResult{c.result}})
		if err == nil || !strings.Contains(err.Error(), c.want) || string(b) != "before" {
			t.Errorf("%s: %q, %v", c.name, b, err)
		}
	}
	for _, e := range []*CursorEntry{{}, {Type: StepError}, {Type: CursorError}, {Type: Row}} {
		if b, err := AppendCursorEntry([]byte("before"), Protobuf, e, &bad.Rows, 0); err == nil || string(b) != "before" {
			t.Errorf("entry of type %d: %q, %v", e.Type, b, err)
		}
	}
}

func TestProtoDurations(t *testing.T) {
	for ms, want := range map[float64]time.Duration{
		0: 0, -1: 0, math.NaN(): 0, math.Inf(1): 0, math.Inf(-1): 0, math.MaxFloat64: 0, 1e-7: 0, 1e10: 0,
		0.000001: 1, 0.033: 33 * time.Microsecond, 1e9: 1e9 * time.Millisecond, (1<<51 - 1) / 1e6: 1<<51 - 1,
	} {
		var w protoWriter
		w.double(8, ms)
		r, err := protoStmtResult(w.b)
		if err != nil || r.ServerTime != want {
			t.Errorf("%v ms: %v, %v; want %v", ms, r.ServerTime, err, want)
			continue
		}
		if w = (protoWriter{}); want != 0 {
			w.stmtResult(1, r)
			if again, err := protoStmtResult(w.b[2:]); err != nil || again.ServerTime != want {
				t.Errorf("%v ms, encoded again: %v, %v; want %v", ms, again.ServerTime, err, want)
			}
		}
	}
}
