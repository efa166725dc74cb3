package hrana

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The bytes below were sent by sqld 0.24.32. They are decoded, and encoded again
// to the very same bytes: an embedded server that encodes what sqld's engine
// found out answers as sqld.

func TestProtoPipelineCaptured(t *testing.T) {
	for _, c := range []struct{ name, sent, want string }{
		{"values", `
			1a740a7212700a6e0a030a01310a060a046e756c6c0a040a022d310a050a03312e350a050a032761270a090a07782730306666270a040a0227270a05
			0a03782727122a0a0210020a020a000a0210010a0919000000000000f83f0a032201610a042a0200ff0a0222000a022a00410ad7a3703d0aa73f1a04
			0a020a00`, `
execute [1|null|-1|1.5|'a'|x'00ff'|''|x''] (1, null, -1, float 1.5, "a", x'00ff', "", x'') took 45µs
close
`},
		{"ddl and dml", `
			1a150a1312110a0f28013001380241ec51b81e85ebf93f1a190a1712150a131802200c280230023802418195438b6ce7bb3f1a2a0a2812260a240a0c
			0a01611207494e54454745520a090a016212045445585428024139b4c876be9f9a3f1a040a020a00`, `
execute [] read 1 written 2 index 1 took 1.62ms
execute [] affected 2 rowid 6 read 2 written 2 index 2 took 109µs
execute [a INTEGER|b TEXT] index 2 took 26µs
close
`},
		{"every request", `
			1a040a0222001a330a312a2f0a2d0a000a040a023a78120c0a01611207494e544547455212090a016212045445585412030a013f12030a017120011a
			040a0232001a1c0a1a12180a160a030a013712040a02100e280241fa7e6abc7493983f1a040a023a001a060a04420208011a5912570a4453514c2073
			7472696e6720636f756c64206e6f74206265207061727365643a2073796e746178206572726f722061726f756e64204c313a393a20606e6f6e73656e
			736560120f53514c5f50415253455f4552524f521a3512330a2153514c697465206572726f723a206e6f2073756368207461626c653a206e6f706512
			0e53514c4954455f554e4b4e4f574e1a040a020a00`, `
sequence
describe ["" ":x"] [a INTEGER|b TEXT|?|q] explain false readonly true
store_sql
execute [7] (7) index 2 took 24µs
close_sql
get_autocommit true
error SQL_PARSE_ERROR SQL string could not be parsed: syntax error around L1:9: ` + "`" + `nonsense` + "`" + `
error SQLITE_UNKNOWN SQLite error: no such table: nope
close
`},
		{"batch", `
			1a9c010a99011a96010a93010a1a080012160a050a036f6e6512040a0210024179e9263108ac7c3f0a15080312111801200e30013801413333333333
			33b33f0a18080412140a030a013412040a02100841fa7e6abc7493683f1244080112400a2b53514c697465206572726f723a20554e4951554520636f
			6e73747261696e74206661696c65643a20742e61121153514c4954455f434f4e53545241494e541a040a020a00`, `
batch
	0: [one] (1) took 7µs
	1: SQLITE_CONSTRAINT SQLite error: UNIQUE constraint failed: t.a
	2: skipped
	3: [] affected 1 rowid 7 read 1 written 1 took 75µs
	4: [4] (4) took 3µs
close
`},
		{"baton", `
			0a404b4b35464f6158485531384b48352b34376f4e5670333743566130733931716b736d305657386f694b4a77646b3557517a665679506766717776
			7761666d7462`, `
baton KK5FOaXHU18KH5+47oNVp37CVa0s91qksm0VW8oiKJwdk5WQzfVyPgfqwvwafmtb
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := unhex(t, c.sent)
			var resp PipelineResp
			if err := DecodePipelineResp(Protobuf, sent, &resp); err != nil {
				t.Fatal(err)
			}
			if got, want := showResp(&resp), strings.TrimLeft(c.want, "\n"); got != want {
				t.Errorf("decoded as\n%swant\n%s", got, want)
			}
			again, err := AppendPipelineResp([]byte("before"), Protobuf, &resp)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, append([]byte("before"), sent...)) {
				t.Errorf("encoded again as\n%x\nwant\n%x", again[len("before"):], sent)
			}
		})
	}
}

func TestProtoCursorCaptured(t *testing.T) {
	for _, c := range []struct{ name, sent, want string }{
		{"skipped steps", `
			420a404c584b58656543663635436655684a55426f44624b466c5038755261534e2f6d6c66594753723650522f5a5467716347352f6c656e5a787973
			366d6334433669090a0712050a036f6e650622040a021002021200040a0208010412020801090a07080212030a01330622040a021006021200090a07
			080412030a01340622040a0210080212000432020806`, `
baton LXKXeeCf65CfUhJUBoDbKFlP8uRaSN/mlfYGSr6PR/ZTgqcG5/lenZxys6mc4C6i
begin 0 [one]
row (1)
end affected 0 rowid 0
begin 1 []
end affected 1 rowid 0
begin 2 [3]
row (3)
end affected 0 rowid 0
begin 4 [4]
row (4)
end affected 0 rowid 0
index 6
`},
		{"errors before and after rows", `
			420a40364649653655506d424a6831656a424d37435a435670345268773466674e4d6d3043714f3044572f78707043614769634462506e6f7857687a
			2f355a49315142220a20120c0a01611207494e544547455212050a03312f3012090a01621204544558540f220d0a02100a0a020a000a032201780f22
			0d0a02100c0a020a000a0322017910220e0a0310c8010a020a000a0322017510220e0a0310ca010a020a000a03220175021200040a020801461a4408
			0112400a2b53514c697465206572726f723a20554e4951554520636f6e73747261696e74206661696c65643a20742e61121153514c4954455f434f4e
			53545241494e54210a1f0802121b0a19616273282d3932323333373230333638353437373538303829361a34080212300a1e53514c69746520657272
			6f723a20696e7465676572206f766572666c6f77120e53514c4954455f554e4b4e4f574e0432020806`, `
baton 6FIe6UPmBJh1ejBM7CZCVp4Rhw4fgNMm0CqO0DW/xppCaGicDbPnoxWhz/5ZI1QB
begin 0 [a INTEGER|1/0|b TEXT]
row (5, null, "x")
row (6, null, "y")
row (100, null, "u")
row (101, null, "u")
end affected 0 rowid 0
begin 1 []
error 1 SQLITE_CONSTRAINT SQLite error: UNIQUE constraint failed: t.a
begin 2 [abs(-9223372036854775808)]
error 2 SQLITE_UNKNOWN SQLite error: integer overflow
index 6
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := unhex(t, c.sent)
			var got strings.Builder
			var buf, again []byte
			var err error
			var table exec.Table
			r := bufio.NewReader(bytes.NewReader(sent))
			for first := true; ; first = false {
				if buf, err = NextMessage(Protobuf, r, buf, 1<<20); err != nil {
					break
				}
				if first {
					var resp CursorResp
					if err := DecodeCursorResp(Protobuf, buf, &resp); err != nil {
						t.Fatal(err)
					}
					got.WriteString("baton " + resp.Baton + resp.BaseURL + "\n")
					again, err = AppendCursorResp(again, Protobuf, &resp)
				} else {
					var e CursorEntry
					if err := DecodeCursorEntry(Protobuf, buf, &e, &table); err != nil {
						t.Fatal(err)
					}
					if e.Type == StepBegin {
						table.Reset(len(e.Cols))
					}
					got.WriteString(showEntry(&e, &table) + "\n")
					again, err = AppendCursorEntry(again, Protobuf, &e, &table, table.Len()-1)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err != io.EOF {
				t.Fatal(err)
			}
			if want := strings.TrimLeft(c.want, "\n"); got.String() != want {
				t.Errorf("decoded as\n%swant\n%s", got.String(), want)
			}
			if !bytes.Equal(again, sent) {
				t.Errorf("encoded again as\n%x\nwant\n%x", again, sent)
			}
		})
	}
}
