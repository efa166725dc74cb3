package hrana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// scramble writes a JSON value so that it means the same and looks different:
// fields in any order, escapes where none are needed, white space, and fields
// that nobody knows.
func scramble(t *rapid.T, b *bytes.Buffer, v any) {
	space := func() {
		b.WriteString(rapid.SampledFrom([]string{"", "", "", "", " ", "\n\t", "\r\n  "}).Draw(t, "space"))
	}
	str := func(s string) {
		if rapid.IntRange(0, 3).Draw(t, "escaping") > 0 {
			plain, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(plain)
			return
		}
		b.WriteByte('"')
		for _, u := range utf16Of(s) {
			fmt.Fprintf(b, rapid.SampledFrom([]string{`\u%04x`, `\u%04X`}).Draw(t, "case"), u)
		}
		b.WriteByte('"')
	}
	space()
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if rapid.Bool().Draw(t, "shuffle") {
			names = rapid.Permutation(names).Draw(t, "order")
		}
		b.WriteByte('{')
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
				b.WriteString(rapid.SampledFrom([]string{
					`"x":null,`, `"":[],`, `"x":{"type":[{"rows":[-0.5e+3,"]}\"",true,false,{}]}]},`, `"\u0078":"\u0000",`,
				}).Draw(t, "field"))
			}
			str(name)
			space()
			b.WriteByte(':')
			scramble(t, b, v[name])
			space()
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, elem := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			scramble(t, b, elem)
		}
		space()
		b.WriteByte(']')
	case string:
		str(v)
	case json.Number:
		b.WriteString(v.String())
	default:
		fmt.Fprint(b, map[any]string{nil: "null", true: "true", false: "false"}[v])
	}
	space()
}

func utf16Of(s string) (units []uint16) {
	for _, c := range s {
		if c >= 0x10000 {
			c -= 0x10000
			units = append(units, uint16(0xd800+c>>10), uint16(0xdc00+c&0x3ff))
			continue
		}
		units = append(units, uint16(c))
	}
	return units
}

func scrambled(t *rapid.T, text []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	var b bytes.Buffer
	scramble(t, &b, v)
	return b.Bytes()
}

func TestJSONReadsAnyShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		resp := genPipelineResp.Draw(t, "answer")
		text, err := AppendPipelineResp(nil, JSON, resp)
		if err != nil {
			t.Fatal(err)
		}
		text = scrambled(t, text)
		var got PipelineResp
		if err := DecodePipelineResp(JSON, text, &got); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got, want := exactPipelineResp(&got), exactPipelineResp(resp); got != want {
			t.Fatalf("got  %s\nwant %s\n%s", got, want, text)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		req := genPipelineReq.Draw(t, "request")
		text, err := AppendPipelineReq(nil, JSON, req)
		if err != nil {
			t.Fatal(err)
		}
		text = scrambled(t, text)
		var got PipelineReq
		if err := DecodePipelineReq(JSON, text, &got); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got, want := exactPipelineReq(&got), exactPipelineReq(req); got != want {
			t.Fatalf("got  %s\nwant %s\n%s", got, want, text)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		e := genEntry.Draw(t, "entry")
		rows := genResult.Draw(t, "rows").Rows
		if e.Type == Row && rows.Len() == 0 {
			t.Skip("no row")
		}
		text, err := AppendCursorEntry(nil, JSON, e, &rows, 0)
		if err != nil {
			t.Fatal(err)
		}
		text = scrambled(t, text)
		var got CursorEntry
		var table exec.Table
		table.Reset(rows.Width())
		if err := DecodeCursorEntry(JSON, text, &got, &table); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got, want := exactEntry(&got), exactEntry(e); got != want {
			t.Fatalf("got  %s\nwant %s\n%s", got, want, text)
		}
		if e.Type == Row && (table.Len() != 1 || exactRow(&table, 0) != exactRow(&rows, 0)) {
			t.Fatalf("another row: %s", text)
		}
	})
}

// Numbers may be strings and strings numbers: sqld itself does both, and so do
// others.
func TestJSONReadsNumbersInEitherForm(t *testing.T) {
	read := func(row, fields string) string {
		var resp PipelineResp
		err := DecodePipelineResp(JSON, []byte(`{"results":[{"type":"ok","response":{"type":"execute","result":{"cols":[{"name":"a"}],"rows":[[`+row+`]]`+fields+`}}}]}`), &resp)
		if err != nil {
			return err.Error()
		}
		return exactResult(resp.Results[0].Stmt)
	}
	want := read(`{"type":"integer","value":"-9223372036854775808"}`, `,"affected_row_count":7,"last_insert_rowid":"-9223372036854775808","replication_index":"18446744073709551615","rows_read":1`)
	for _, got := range []string{
		read(`{"type":"integer","value":-9223372036854775808}`, `,"affected_row_count":"7","last_insert_rowid":-9223372036854775808,"replication_index":18446744073709551615,"rows_read":"1"`),
		read(`{"type":"integer","value":"\u002d9223372036854775808"}`, `,"affected_row_count":7,"last_insert_rowid":-9223372036854775808,"replication_index":18446744073709551615,"rows_read":1,"query_duration_ms":null`),
	} {
		if got != want || !strings.Contains(want, "index 18446744073709551615") {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for text, want := range map[string]float64{
		"1": 1, "-0": math.Copysign(0, -1), "0.5": 0.5, "1E2": 100, "1e-2": 0.01, "-1.5e+3": -1500, "123456789012345678901234567890": 123456789012345678901234567890,
		"4.9e-324": 5e-324, "1e-999": 0,
	} {
		if got := read(`{"type":"float","value":`+text+`}`, ""); !strings.Contains(got, exactValue(exec.Value{Kind: exec.Float, Float: want})) {
			t.Errorf("%s is read as %s", text, got)
		}
	}
	for _, blob := range []string{`AA==`, `AA`, `\u0041A`, `A\u0041\u003d=`} {
		if got := read(`{"type":"blob","base64":"`+blob+`"}`, ""); !strings.Contains(got, "x'00'") {
			t.Errorf("%s is read as %s", blob, got)
		}
	}
	for ms, took := range map[string]string{"0.001": "1µs", "1500": "1.5s", "-1": "0s", "1e300": "0s"} {
		if got := read(`{"type":"null"}`, `,"query_duration_ms":`+ms); !strings.Contains(got, "took "+took) {
			t.Errorf("%s ms is read as %s", ms, got)
		}
	}
}

// Whatever encoding/json makes of a string or a number, so does the reader.
func TestJSONReadsAsTheStandardLibrary(t *testing.T) {
	str := rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "abcdefgh", `\n`, `\"`, `\\`, `\/`, `\b`, `\f`, `\r`, `\t`, `\u0000`, `\u00e9`, `\u2028`, `\uD83D`, `\ude00`, `\ud83d\ude00`, `\`, `"`, "é", "😀", "\x01", "\x7f", "\ufffd", `\u12`,
	}), 0, 8)
	rapid.Check(t, func(t *rapid.T) {
		text := `"` + strings.Join(str.Draw(t, "parts"), "") + `"`
		r := jsonReader{data: []byte(text)}
		got := r.text()
		err := r.end()
		var want string
		wantErr := json.Unmarshal([]byte(text), &want)
		// The library puts U+FFFD for half of a surrogate pair.
		lenient := err != nil && strings.Contains(err.Error(), "surrogate")
		if (err == nil) != (wantErr == nil) && !lenient || err == nil && got != want {
			t.Fatalf("%s: got %q, %v; want %q, %v", text, got, err, want, wantErr)
		}
	})
	number := rapid.SliceOfN(rapid.SampledFrom([]string{"0", "1", "9", "-", "+", ".", "e", "E", "00", "17"}), 1, 6)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(number.Draw(t, "parts"), "")
		r := jsonReader{data: []byte(text)}
		got := r.number()
		err := r.end()
		if valid := json.Valid([]byte(text)); valid != (err == nil) || valid && string(got) != text {
			t.Fatalf("%s: got %s, %v", text, got, err)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`-?[0-9]{0,22}`), rapid.Map(genInt, func(i int64) string { return strconv.FormatInt(i, 10) })).Draw(t, "text")
		got, ok := parseInt([]byte(text))
		if want, err := strconv.ParseInt(text, 10, 64); ok != (err == nil) || ok && got != want {
			t.Fatalf("%s: got %d %t, want %d %v", text, got, ok, want, err)
		}
		u, ok := parseUint([]byte(text))
		if want, err := strconv.ParseUint(text, 10, 64); ok != (err == nil) || ok && u != want {
			t.Fatalf("%s: got %d %t, want %d %v", text, u, ok, want, err)
		}
	})
}

// The shape that servers write is read the fast way.
func TestJSONReadsUsualValuesAtOnce(t *testing.T) {
	for _, text := range []string{
		`{"type":"null"}`, `{"type":"integer","value":"-1"}`, `{"type":"float","value":1.5}`, `{"type":"float","value":null}`,
		`{"type":"text","value":"a\n"}`, `{"type":"blob","base64":"AA"}`,
	} {
		r := jsonReader{data: []byte(text)}
		if _, ok := r.compactValue(); !ok || r.end() != nil {
			t.Errorf("%s is read slowly", text)
		}
	}
}
