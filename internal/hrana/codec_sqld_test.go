package hrana

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A dialect is a version and an encoding, and where a server speaks it.
type dialect struct {
	path string
	enc  Encoding
}

func (d dialect) v3() bool { return d.path != "/v2" }

// eachDialect runs f against a real server in all that it speaks.
func eachDialect(t *testing.T, f func(t *testing.T, d dialect, post func(t testing.TB, endpoint string, body []byte) []byte)) {
	defer goleak.VerifyNone(t)
	for _, d := range []dialect{{"/v2", JSON}, {"/v3", JSON}, {"/v3-protobuf", Protobuf}} {
		t.Run(d.path[1:], func(t *testing.T) {
			server := sqld.ForTest(t, sqld.Options{})
			client := &http.Client{Transport: new(http.Transport)}
			defer client.CloseIdleConnections()
			f(t, d, func(t testing.TB, endpoint string, body []byte) []byte {
				resp, err := client.Post(server.URL()+d.path+endpoint, "", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				answer, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%v, status %d, %s, for %s", err, resp.StatusCode, answer, body)
				}
				return answer
			})
		})
	}
}

// volatile is what differs from run to run.
var volatile = regexp.MustCompile(`(baton "[^"]*"|(?:index|read|written) \d+|took \S+) ?`)

// Every type of request, in every dialect, with one expected outcome for all.
func TestCodecRequestsOnServer(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect, post func(testing.TB, string, []byte) []byte) {
		baton := ""
		send := func(reqs ...StreamReq) (shown string) {
			body, err := AppendPipelineReq(nil, d.enc, &PipelineReq{Baton: baton, Requests: reqs})
			if err != nil {
				t.Fatal(err)
			}
			var resp PipelineResp
			answer := post(t, "/pipeline", body)
			if err := DecodePipelineResp(d.enc, answer, &resp); err != nil {
				t.Fatalf("%v\n%s", err, answer)
			}
			baton = resp.Baton
			return volatile.ReplaceAllString(exactPipelineResp(&resp), "")
		}
		check := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		}
		stmt := func(sql string, args ...exec.Value) Stmt { return Stmt{SQL: sql, Args: args, WantRows: true} }
		num := func(i int64) exec.Value { return exec.Value{Kind: exec.Integer, Int: i} }
		text := func(s string) exec.Value { return exec.Value{Kind: exec.Text, Text: s} }

		check(send(
			StreamReq{Type: Sequence, SQL: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE); CREATE TABLE u (x);"},
			StreamReq{Type: Execute, Stmt: stmt("INSERT INTO t VALUES (?, ?)", num(math.MinInt64), text("a\x00\u2028\"\\"))},
			StreamReq{Type: Execute, Stmt: Stmt{SQL: "INSERT INTO t (v) VALUES (:v) RETURNING *", WantRows: true, Named: []NamedArg{{":v", text("b")}}}},
			StreamReq{Type: Execute, Stmt: Stmt{SQL: "INSERT INTO t (v) VALUES ($v)", Named: []NamedArg{{"v", text("b")}}}},
			StreamReq{Type: Execute, Stmt: stmt("SELECT * FROM t ORDER BY id")},
			StreamReq{Type: Execute, Stmt: stmt("SELECT")},
		), `url ""
sequence: autocommit false
execute: cols [] affected 1 rowid -9223372036854775808 
execute: cols [{"id" "INTEGER"} {"v" "TEXT"}] affected 1 rowid -9223372036854775807 
    [-9223372036854775807 "b"]
error "SQLITE_CONSTRAINT" "SQLite error: UNIQUE constraint failed: t.v"
execute: cols [{"id" "INTEGER"} {"v" "TEXT"}] affected 0 rowid 0 
    [-9223372036854775808 "a\x00\u2028\"\\"]
    [-9223372036854775807 "b"]
error "SQL_PARSE_ERROR" "SQL string could not be parsed: unexpected end of input at (1, 7)"
`)
		if baton == "" {
			t.Fatal("the stream is closed")
		}
		check(send(
			StreamReq{Type: StoreSQL, SQLID: -7, SQL: "SELECT ? AS x"},
			StreamReq{Type: Execute, Stmt: Stmt{SQLID: -7, HasSQLID: true, Args: []exec.Value{num(5)}, WantRows: true}},
			StreamReq{Type: Describe, SQLID: -7, HasSQLID: true},
			StreamReq{Type: Describe, SQL: "EXPLAIN SELECT :a, ?, ?5"},
			StreamReq{Type: CloseSQL, SQLID: -7},
			StreamReq{Type: StoreSQL, SQLID: 8, SQL: "DELETE FROM t WHERE v = 'b'"},
			StreamReq{Type: Sequence, SQLID: 8, HasSQLID: true},
			StreamReq{Type: Execute, Stmt: stmt("SELECT count(*) FROM t")},
		), `url ""
store_sql: autocommit false
execute: cols [{"x" ""}] affected 0 rowid 0 
    [5]
describe: params [""] cols [{"x" ""}] explain false readonly true
describe: params [":a" "" "" "" "?5"] cols [{"addr" ""} {"opcode" ""} {"p1" ""} {"p2" ""} {"p3" ""} {"p4" ""} {"p5" ""} {"comment" ""}] explain true readonly true
close_sql: autocommit false
store_sql: autocommit false
sequence: autocommit false
execute: cols [{"count(*)" ""}] affected 0 rowid 0 
    [1]
`)
		cond := func(t CondType, step uint32, conds ...*Cond) *Cond { return &Cond{Type: t, Step: step, Conds: conds} }
		steps := []BatchStep{
			{Stmt: stmt("INSERT INTO u VALUES (?)", num(1))},
			{Stmt: stmt("SELECT x, abs(-9223372036854775808) FROM u")},
			{Stmt: stmt("SELECT 2"), Cond: cond(CondOK, 1)},
			{Stmt: stmt("SELECT 3"), Cond: cond(CondError, 1)},
			{Stmt: stmt("SELECT 4"), Cond: cond(CondAnd, 0, cond(CondOK, 0), cond(CondNot, 0, cond(CondOK, 2)))},
			{Stmt: stmt("SELECT 5"), Cond: cond(CondOr, 0)},
			{Stmt: stmt("SELECT 6"), Cond: cond(CondAnd, 0)},
		}
		wantBatch := `url ""
batch:   0: cols [] affected 1 rowid 1 
  3: cols [{"3" ""}] affected 0 rowid 0 
    [3]
  4: cols [{"4" ""}] affected 0 rowid 0 
    [4]
  6: cols [{"6" ""}] affected 0 rowid 0 
    [6]
  1: error "SQLITE_UNKNOWN" "SQLite error: integer overflow"
`
		got := send(StreamReq{Type: BatchRequest, Batch: Batch{Steps: steps, ReplicationIndex: 1}})
		check(strings.ReplaceAll(got, "batch: \n", "batch: "), wantBatch)
		last := []StreamReq{{Type: Execute, Stmt: stmt("BEGIN")}}
		want := `url ""
execute: cols [] affected 0 rowid 0 
`
		if d.v3() {
			last = append(last, StreamReq{Type: GetAutocommit}, StreamReq{Type: BatchRequest, Batch: Batch{Steps: []BatchStep{
				{Stmt: stmt("SELECT 1"), Cond: cond(CondIsAutocommit, 0)},
				{Stmt: stmt("ROLLBACK"), Cond: cond(CondNot, 0, cond(CondIsAutocommit, 0))},
			}}}, StreamReq{Type: GetAutocommit})
			want += `get_autocommit: autocommit false
batch:   1: cols [] affected 0 rowid 0 
get_autocommit: autocommit true
`
		}
		got = send(append(last, StreamReq{Type: Close})...)
		check(strings.ReplaceAll(got, "batch: \n", "batch: "), want+"close: autocommit false\n")
		if baton != "" {
			t.Errorf("after close there is the baton %q", baton)
		}
	})
}

// Every value comes back as it was sent, of the same storage class.
func TestCodecValuesOnServer(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect, post func(testing.TB, string, []byte) []byte) {
		t.Run("generated", rapid.MakeCheck(func(rt *rapid.T) {
			args := rapid.SliceOfN(genValue, 1, 40).Draw(rt, "args")
			sql := "SELECT " + strings.Repeat("?,", len(args))
			for i := range args {
				sql += fmt.Sprintf("typeof(?%d),", i+1)
			}
			got := selectOne(t, d, post, strings.TrimSuffix(sql, ","), args...)
			for i, v := range args {
				kind := map[exec.Kind]string{exec.Null: "null", exec.Integer: "integer", exec.Float: "real", exec.Text: "text", exec.Blob: "blob"}[v.Kind]
				if exactValue(got[i]) != exactValue(v) || got[len(args)+i].Text != kind {
					t.Fatalf("sent %s, got %s, %s", exactValue(v), exactValue(got[i]), got[len(args)+i].Text)
				}
			}
		}))
		nan := exec.Value{Kind: exec.Float, Float: math.NaN()}
		if got := selectOne(t, d, post, "SELECT ?", nan); got[0].Kind != exec.Null {
			t.Errorf("NaN came back as %s", exactValue(got[0]))
		}
		for _, inf := range []float64{math.Inf(1), math.Inf(-1)} {
			sql := map[bool]string{true: "SELECT 9e999", false: "SELECT -9e999"}[inf > 0]
			got := selectOne(t, d, post, sql)[0]
			// In JSON the sign does not arrive, so no infinity is made up.
			if ok := got.Float == inf || d.enc == JSON && math.IsNaN(got.Float); got.Kind != exec.Float || !ok {
				t.Errorf("%s came as %s", sql, exactValue(got))
			}
			arg := exec.Value{Kind: exec.Float, Float: inf}
			if d.enc == Protobuf {
				if got := selectOne(t, d, post, "SELECT ?", arg)[0]; got.Float != inf {
					t.Errorf("%v came back as %s", inf, exactValue(got))
				}
			} else if _, err := AppendPipelineReq(nil, d.enc, &PipelineReq{Requests: []StreamReq{{Type: Execute, Stmt: Stmt{Args: []exec.Value{arg}}}}}); !errors.Is(err, ErrInfinity) {
				t.Errorf("%v is refused with %v", inf, err)
			}
		}
	})
}

func selectOne(t testing.TB, d dialect, post func(testing.TB, string, []byte) []byte, sql string, args ...exec.Value) []exec.Value {
	t.Helper()
	body, err := AppendPipelineReq(nil, d.enc, &PipelineReq{Requests: []StreamReq{{Type: Execute, Stmt: Stmt{SQL: sql, Args: args, WantRows: true}}, {Type: Close}}})
	if err != nil {
		t.Fatal(err)
	}
	var resp PipelineResp
	answer := post(t, "/pipeline", body)
	if err := DecodePipelineResp(d.enc, answer, &resp); err != nil || resp.Results[0].Err != nil {
		t.Fatalf("%v\n%s", err, answer)
	}
	rows := &resp.Results[0].Stmt.Rows
	row := make([]exec.Value, rows.Width())
	for col := range row {
		row[col] = rows.Value(0, col)
	}
	return row
}

func TestCodecCursorOnServer(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect, post func(testing.TB, string, []byte) []byte) {
		if !d.v3() {
			t.Skip("version 2 has no cursor")
		}
		body, err := AppendCursorReq(nil, d.enc, &CursorReq{Batch: Batch{Steps: []BatchStep{
			{Stmt: Stmt{SQL: "CREATE TABLE t (id INTEGER PRIMARY KEY, v)", WantRows: true}},
			{Stmt: Stmt{SQL: "INSERT INTO t VALUES (7, :a), (8, :b)", WantRows: true, Named: []NamedArg{
				{":a", exec.Value{Kind: exec.Text, Text: "a\n\x00"}}, {"b", exec.Value{Kind: exec.Blob, Blob: []byte{0, 255}}},
			}}},
			{Stmt: Stmt{SQL: "SELECT id, v, 1.5, NULL FROM t", WantRows: true}, Cond: &Cond{Type: CondOK, Step: 1}},
			{Stmt: Stmt{SQL: "INSERT INTO t VALUES (7, 0)", WantRows: true}},
			{Stmt: Stmt{SQL: "SELECT 2", WantRows: true}, Cond: &Cond{Type: CondOK, Step: 3}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(bytes.NewReader(post(t, "/cursor", body)), 16)
		buf, err := NextMessage(d.enc, r, nil, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var head CursorResp
		if err := DecodeCursorResp(d.enc, buf, &head); err != nil || head.Baton == "" {
			t.Fatalf("%v, %+v", err, head)
		}
		var got strings.Builder
		var e CursorEntry
		var rows exec.Table
		for {
			if buf, err = NextMessage(d.enc, r, buf, 1<<20); err == io.EOF {
				break
			}
			if err == nil {
				err = DecodeCursorEntry(d.enc, buf, &e, &rows)
			}
			if err != nil {
				t.Fatalf("%v in %q", err, buf)
			}
			if e.Type == StepBegin {
				rows.Reset(len(e.Cols))
			}
			if e.Type == Row {
				got.WriteString(exactRow(&rows, rows.Len()-1) + "\n")
			} else {
				got.WriteString(volatile.ReplaceAllString(exactEntry(&e), "some index") + "\n")
			}
		}
		want := `step 0 begins with cols []
step ends with affected 0 rowid 0
step 1 begins with cols []
step ends with affected 2 rowid 8
step 2 begins with cols [{"id" "INTEGER"} {"v" ""} {"1.5" ""} {"NULL" ""}]
[7 "a\n\x00" float(1.5 3ff8000000000000) null]
[8 x'00ff' float(1.5 3ff8000000000000) null]
step ends with affected 0 rowid 0
step 3 begins with cols []
step 3: error "SQLITE_CONSTRAINT" "SQLite error: UNIQUE constraint failed: t.id"
some index
`
		if got.String() != want {
			t.Errorf("got\n%s\nwant\n%s", got.String(), want)
		}
	})
}
