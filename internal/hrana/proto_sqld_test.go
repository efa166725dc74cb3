package hrana

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// protoServer is a real server that is spoken to in protobuf.
type protoServer struct {
	*testing.T
	url    string
	client *http.Client
}

func newProtoServer(t *testing.T) *protoServer {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	s := &protoServer{T: t, url: sqld.ForTest(t, sqld.Options{}).URL(), client: &http.Client{Transport: new(http.Transport)}}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

func (s *protoServer) post(path string, body []byte) (status int, answer []byte) {
	s.Helper()
	resp, err := s.client.Post(s.url+path, "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, answer
}

// pipeline runs requests on a stream of their own unless baton names one.
func (s *protoServer) pipeline(baton string, reqs ...StreamReq) *PipelineResp {
	s.Helper()
	body, err := AppendPipelineReq(nil, Protobuf, &PipelineReq{Baton: baton, Requests: reqs})
	if err != nil {
		s.Fatal(err)
	}
	status, answer := s.post("/v3-protobuf/pipeline", body)
	if status != 200 {
		s.Fatalf("status %d: %s", status, answer)
	}
	resp := new(PipelineResp)
	if err := DecodePipelineResp(Protobuf, answer, resp); err != nil {
		s.Fatalf("%v in %x", err, answer)
	}
	return resp
}

// expect runs requests and compares what they gave, times and indexes aside.
func (s *protoServer) expect(want string, reqs ...StreamReq) {
	s.Helper()
	resp := s.pipeline("", append(reqs, StreamReq{Type: Close})...)
	for i := range resp.Results {
		forget(resp.Results[i].Stmt)
		if b := resp.Results[i].Batch; b != nil {
			for _, r := range b.Steps {
				forget(r)
			}
		}
	}
	if got := strings.TrimSuffix(showResp(resp), "close\n"); got != strings.TrimLeft(want, "\n") {
		s.Errorf("got\n%swant%s", got, want)
	}
}

func forget(r *exec.Result) {
	if r != nil {
		r.ServerTime, r.ReplicationIndex, r.RowsRead, r.RowsWritten = 0, 0, 0, 0
	}
}

func execute(sql string, args ...exec.Value) StreamReq {
	return StreamReq{Type: Execute, Stmt: Stmt{SQL: sql, Args: args, WantRows: true}}
}

func TestProtoSqldValues(t *testing.T) {
	s := newProtoServer(t)
	big := bytes.Repeat([]byte{0, 0xff, 'x'}, 400_000)
	long := strings.Repeat("Käse ", 200_000)
	null := exec.Value{}
	for _, c := range []struct {
		kind      string
		sent, got exec.Value
	}{
		{"null", null, null},
		{"integer", exec.Value{Kind: exec.Integer}, exec.Value{Kind: exec.Integer}},
		{"integer", exec.Value{Kind: exec.Integer, Int: -1}, exec.Value{Kind: exec.Integer, Int: -1}},
		{"integer", exec.Value{Kind: exec.Integer, Int: math.MaxInt64}, exec.Value{Kind: exec.Integer, Int: math.MaxInt64}},
		{"integer", exec.Value{Kind: exec.Integer, Int: math.MinInt64}, exec.Value{Kind: exec.Integer, Int: math.MinInt64}},
		{"real", exec.Value{Kind: exec.Float}, exec.Value{Kind: exec.Float}},
		{"real", exec.Value{Kind: exec.Float, Float: -1.5}, exec.Value{Kind: exec.Float, Float: -1.5}},
		{"real", exec.Value{Kind: exec.Float, Float: math.MaxFloat64}, exec.Value{Kind: exec.Float, Float: math.MaxFloat64}},
		{"real", exec.Value{Kind: exec.Float, Float: math.SmallestNonzeroFloat64}, exec.Value{Kind: exec.Float, Float: math.SmallestNonzeroFloat64}},
		{"real", exec.Value{Kind: exec.Float, Float: math.Inf(1)}, exec.Value{Kind: exec.Float, Float: math.Inf(1)}},
		{"real", exec.Value{Kind: exec.Float, Float: math.Inf(-1)}, exec.Value{Kind: exec.Float, Float: math.Inf(-1)}},
		// SQLite stores no NaN.
		{"null", exec.Value{Kind: exec.Float, Float: math.NaN()}, null},
		{"text", exec.Value{Kind: exec.Text}, exec.Value{Kind: exec.Text}},
		{"text", exec.Value{Kind: exec.Text, Text: "a\x00b\n\"\u2028\U0001f600\ufffd"}, exec.Value{Kind: exec.Text, Text: "a\x00b\n\"\u2028\U0001f600\ufffd"}},
		{"text", exec.Value{Kind: exec.Text, Text: long}, exec.Value{Kind: exec.Text, Text: long}},
		{"blob", exec.Value{Kind: exec.Blob}, exec.Value{Kind: exec.Blob}},
		{"blob", exec.Value{Kind: exec.Blob, Blob: []byte{0}}, exec.Value{Kind: exec.Blob, Blob: []byte{0}}},
		{"blob", exec.Value{Kind: exec.Blob, Blob: big}, exec.Value{Kind: exec.Blob, Blob: big}},
	} {
		resp := s.pipeline("", execute("SELECT ?, typeof(?1)", c.sent), StreamReq{Type: Close})
		got, want := showResult(&resp.Results[0]), "("+showValue(c.got)+", \""+c.kind+"\")"
		if !strings.Contains(got, want) {
			t.Errorf("%.80s gave %.120s", showValue(c.sent), got)
		}
		// By name, the prefix left out or not.
		for _, name := range []string{"a", ":a"} {
			resp := s.pipeline("", StreamReq{Type: Execute, Stmt: Stmt{SQL: "SELECT :a, typeof(:a)", Named: []NamedArg{{name, c.sent}}}},
				StreamReq{Type: Close})
			if got := showResult(&resp.Results[0]); !strings.Contains(got, want) {
				t.Errorf("%.80s, named %q, gave %.120s", showValue(c.sent), name, got)
			}
		}
	}
}

func TestProtoSqldRequests(t *testing.T) {
	s := newProtoServer(t)
	s.expect(`
execute []
execute [] affected 3 rowid 9
execute [id INTEGER|name TEXT|twice] (7, "a", 14) (8, null, 16) (9, "c", 18)
execute [] affected 2
execute [id INTEGER] (-5) affected 1 rowid -5
error SQLITE_CONSTRAINT SQLite error: UNIQUE constraint failed: t.id
error SQL_MANY_STATEMENTS SQL string contains more than one statement
error SQL_NO_STATEMENT SQL string does not contain any statement
error ARGS_INVALID Arguments do not match SQL parameters: value for parameter 2 not found
error ARGS_BOTH_POSITIONAL_AND_NAMED Specifying both positional and named arguments is not supported
`,
		execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"),
		execute("INSERT INTO t VALUES (7, 'a'), (8, NULL), (9, 'c')"),
		execute("SELECT *, 2 * id AS twice FROM t"),
		execute("UPDATE t SET name = 'x' WHERE id > 7"),
		execute("INSERT INTO t VALUES (-5, '') RETURNING id"),
		execute("INSERT INTO t VALUES (7, 'again')"),
		execute("SELECT 1; SELECT 2"),
		execute("  -- nothing"),
		execute("SELECT ?, ?", exec.Value{}),
		StreamReq{Type: Execute, Stmt: Stmt{SQL: "SELECT ?1", Args: []exec.Value{{}}, Named: []NamedArg{{Name: "a"}}}},
	)
	s.expect(`
sequence
execute [count(*)] (6)
error SQLITE_CONSTRAINT SQLite error: UNIQUE constraint failed: t.id
describe [":n" "" "@n" "$n"] [id INTEGER|n] explain false readonly true
describe ["?1"] [] explain false readonly false
describe [] [id|parent|notused|detail] explain true readonly true
error SQLITE_UNKNOWN SQLite error: no such table: nope
`,
		StreamReq{Type: Sequence, SQL: "INSERT INTO t VALUES (20, ''); INSERT INTO t VALUES (21, '')"},
		execute("SELECT count(*) FROM t"),
		StreamReq{Type: Sequence, SQL: "INSERT INTO t VALUES (20, '')"},
		StreamReq{Type: Describe, SQL: "SELECT id, :n AS n FROM t WHERE id IN (?, @n, $n)"},
		StreamReq{Type: Describe, SQL: "DELETE FROM t WHERE id = ?1"},
		StreamReq{Type: Describe, SQL: "EXPLAIN QUERY PLAN SELECT 1"},
		StreamReq{Type: Describe, SQL: "SELECT * FROM nope"},
	)
	for _, id := range []int32{0, 7, math.MaxInt32, -1, math.MinInt32} {
		s.expect(`
store_sql
execute [7] (7)
batch
	0: [7] (7)
sequence
describe [] [7] explain false readonly true
close_sql
`,
			StreamReq{Type: StoreSQL, SQLID: id, SQL: "SELECT 7"},
			StreamReq{Type: Execute, Stmt: Stmt{SQLID: id, HasSQLID: true}},
			StreamReq{Type: BatchRequest, Batch: Batch{Steps: []BatchStep{{Stmt: Stmt{SQLID: id, HasSQLID: true}}}}},
			StreamReq{Type: Sequence, SQLID: id, HasSQLID: true},
			StreamReq{Type: Describe, SQLID: id, HasSQLID: true},
			StreamReq{Type: CloseSQL, SQLID: id},
		)
	}
	s.expect(`
get_autocommit true
execute []
get_autocommit false
`,
		StreamReq{Type: GetAutocommit}, execute("BEGIN"), StreamReq{Type: GetAutocommit})
}

func TestProtoSqldStream(t *testing.T) {
	s := newProtoServer(t)
	resp := s.pipeline("", execute("CREATE TABLE t (x)"), execute("BEGIN"), execute("INSERT INTO t VALUES (1)"))
	if resp.Baton == "" {
		t.Fatal("no baton")
	}
	resp = s.pipeline(resp.Baton, execute("SELECT x FROM t"), StreamReq{Type: GetAutocommit})
	if got := showResult(&resp.Results[0]); !strings.HasPrefix(got, "execute [x] (1)") || resp.Results[1].IsAutocommit {
		t.Errorf("the same stream shows %s, autocommit %v", got, resp.Results[1].IsAutocommit)
	}
	if resp = s.pipeline(resp.Baton, StreamReq{Type: Close}); resp.Baton != "" {
		t.Errorf("a closed stream has the baton %s", resp.Baton)
	}
	s.expect("\nexecute [x]\n", execute("SELECT x FROM t"))
}

func TestProtoSqldCountsAndIndex(t *testing.T) {
	s := newProtoServer(t)
	resp := s.pipeline("",
		execute("CREATE TABLE t (x)"),
		execute("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000) INSERT INTO t SELECT x FROM n"),
		execute("SELECT max(x) FROM t"), StreamReq{Type: Close})
	if r := resp.Results[1].Stmt; r.RowsWritten != 5000 || r.RowsAffected != 5000 || r.LastInsertID != 5000 {
		t.Error("the INSERT: ", showStmtResult(r))
	}
	r := resp.Results[2].Stmt
	if r.RowsRead != 5000 || r.RowsWritten != 0 || r.ServerTime <= 0 || r.ReplicationIndex == 0 {
		t.Error("the SELECT: ", showStmtResult(r))
	}
	// The index is accepted wherever a request may carry it.
	batch := Batch{Steps: []BatchStep{{Stmt: Stmt{SQL: "SELECT 1"}}}, ReplicationIndex: r.ReplicationIndex}
	s.expect("\nexecute [1] (1)\nbatch\n\t0: [1] (1)\n",
		StreamReq{Type: Execute, Stmt: Stmt{SQL: "SELECT 1", ReplicationIndex: r.ReplicationIndex}},
		StreamReq{Type: BatchRequest, Batch: batch})
	for _, e := range s.cursor(&batch) {
		if i, ok := strings.CutPrefix(e, "index "); ok && i != fmt.Sprint(r.ReplicationIndex) {
			t.Errorf("the cursor is at %s, the statement was at %d", i, r.ReplicationIndex)
		}
	}
}

func step(sql string, cond *Cond) BatchStep {
	return BatchStep{Stmt: Stmt{SQL: sql, WantRows: true}, Cond: cond}
}

// nested are n conditions of one type around is_autocommit.
func nested(n int, typ CondType) *Cond {
	c := &Cond{Type: CondIsAutocommit}
	for range n {
		c = &Cond{Type: typ, Conds: []*Cond{c}}
	}
	return c
}

func TestProtoSqldConditions(t *testing.T) {
	s := newProtoServer(t)
	ok := func(i uint32) *Cond { return &Cond{Type: CondOK, Step: i} }
	failed := func(i uint32) *Cond { return &Cond{Type: CondError, Step: i} }
	not := func(c *Cond) *Cond { return &Cond{Type: CondNot, Conds: []*Cond{c}} }
	and := func(c ...*Cond) *Cond { return &Cond{Type: CondAnd, Conds: c} }
	or := func(c ...*Cond) *Cond { return &Cond{Type: CondOr, Conds: c} }
	auto := &Cond{Type: CondIsAutocommit}
	s.expect(`
batch
	0: [1] (1)
	1: SQLITE_UNKNOWN SQLite error: no such table: nope
	2: [2] (2)
	3: skipped
	4: [4] (4)
	5: skipped
	6: [6] (6)
	7: skipped
	8: [8] (8)
	9: skipped
	10: [10] (10)
	11: skipped
	12: []
	13: skipped
	14: [14] (14)
`,
		StreamReq{Type: BatchRequest, Batch: Batch{Steps: []BatchStep{
			step("SELECT 1", nil),
			step("SELECT * FROM nope", nil),
			step("SELECT 2", ok(0)),
			step("SELECT 3", ok(1)),
			step("SELECT 4", failed(1)),
			step("SELECT 5", failed(0)),
			step("SELECT 6", and(ok(0), failed(1), not(ok(3)))),
			step("SELECT 7", and(ok(0), ok(1))),
			step("SELECT 8", or(ok(1), ok(0))),
			step("SELECT 9", or()),
			step("SELECT 10", and()),
			step("SELECT 11", not(auto)),
			step("BEGIN", auto),
			step("SELECT 13", auto),
			step("SELECT 14", not(auto)),
			// The map leaves out what nothing follows.
			step("SELECT 15", auto),
		}}},
	)
	for typ, most := range map[CondType]int{CondNot: maxCondDepth - 1, CondAnd: (maxCondDepth - 1) / 2, CondOr: (maxCondDepth - 1) / 2} {
		batch := Batch{Steps: []BatchStep{step("SELECT 1", nested(most, typ)), step("SELECT 2", nil)}}
		resp := s.pipeline("", StreamReq{Type: BatchRequest, Batch: batch}, StreamReq{Type: Close})
		if resp.Results[0].Batch == nil {
			t.Errorf("the server refuses %d conditions of type %d in each other", most, typ)
		}
		batch.Steps[0].Cond = nested(most+1, typ)
		if _, err := AppendCursorReq(nil, Protobuf, &CursorReq{Batch: batch}); !errors.Is(err, errCondDepth) {
			t.Errorf("%d conditions of type %d in each other: %v", most+1, typ, err)
		}
	}
}

// cursor runs a batch and shows the entries.
func (s *protoServer) cursor(batch *Batch) (entries []string) {
	s.Helper()
	body, err := AppendCursorReq(nil, Protobuf, &CursorReq{Batch: *batch})
	if err != nil {
		s.Fatal(err)
	}
	status, answer := s.post("/v3-protobuf/cursor", body)
	if status != 200 {
		s.Fatalf("status %d: %s", status, answer)
	}
	r := bufio.NewReader(bytes.NewReader(answer))
	msg, err := NextMessage(Protobuf, r, nil, 16<<20)
	if err != nil {
		s.Fatal(err)
	}
	var head CursorResp
	if err := DecodeCursorResp(Protobuf, msg, &head); err != nil || head.Baton == "" {
		s.Fatalf("%+v, %v", head, err)
	}
	s.pipeline(head.Baton, StreamReq{Type: Close})
	var table exec.Table
	for {
		if msg, err = NextMessage(Protobuf, r, msg, 16<<20); err == io.EOF {
			return entries
		} else if err != nil {
			s.Fatal(err)
		}
		var e CursorEntry
		if err := DecodeCursorEntry(Protobuf, msg, &e, &table); err != nil {
			s.Fatalf("%v in %x", err, msg)
		}
		if e.Type == StepBegin {
			table.Reset(len(e.Cols))
		}
		entries = append(entries, showEntry(&e, &table))
	}
}

func TestProtoSqldCursor(t *testing.T) {
	s := newProtoServer(t)
	s.pipeline("", execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"), StreamReq{Type: Close})
	big := bytes.Repeat([]byte{7}, 4<<20)
	got := s.cursor(&Batch{Steps: []BatchStep{
		{Stmt: Stmt{SQL: "INSERT INTO t VALUES (-3, ?), (4, 'four')", Args: []exec.Value{{Kind: exec.Blob, Blob: big}}}},
		{Stmt: Stmt{SQL: "SELECT id, v, NULL FROM t"}, Cond: &Cond{Type: CondOK, Step: 0}},
		{Stmt: Stmt{SQL: "SELECT 1"}, Cond: &Cond{Type: CondError, Step: 0}},
		{Stmt: Stmt{SQL: "INSERT INTO t VALUES (4, 0)"}},
		{Stmt: Stmt{SQL: "SELECT abs(n) FROM (SELECT 1 AS n UNION ALL SELECT -9223372036854775807 - 1)"}},
	}})
	want := []string{
		"begin 0 []",
		"end affected 2 rowid 4",
		"begin 1 [id INTEGER|v|NULL]",
		"row (-3, " + showValue(exec.Value{Kind: exec.Blob, Blob: big}) + ", null)",
		`row (4, "four", null)`,
		"end affected 0 rowid 0",
		"begin 3 []",
		"error 3 SQLITE_CONSTRAINT SQLite error: UNIQUE constraint failed: t.id",
		"begin 4 [abs(n)]",
		"row (1)",
		"error 4 SQLITE_UNKNOWN SQLite error: integer overflow",
		"index",
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %.100s", want[i])
		case i >= len(want):
			t.Errorf("too much: %.100s", got[i])
		case got[i] != want[i] && (want[i] != "index" || !strings.HasPrefix(got[i], "index ")):
			t.Errorf("entry %d is %.100s, want %.100s", i, got[i], want[i])
		}
	}
}

// What the server's half of the codec assumes of sqld.
func TestProtoSqldRefusals(t *testing.T) {
	s := newProtoServer(t)
	s.pipeline("", execute("CREATE TABLE t (x)"), StreamReq{Type: Close})
	insert, err := AppendPipelineReq(nil, Protobuf, &PipelineReq{Requests: []StreamReq{execute("INSERT INTO t VALUES (1)")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, hex, want string }{
		{"a request of unknown type", "1202 4a00", "StreamRequest type not recognized"},
		{"a request without a type", "1200", "StreamRequest type not recognized"},
		{"a value without a type", "1210 120e 0a0c 0a08 73656c656374203f 1a00", "Value type not recognized"},
		{"sql and sql_id", "1210 120e 0a0c 0a08 73656c6563742031 1001", "Either `sql` or `sql_id` are required, but not both"},
		{"neither sql nor sql_id", "1204 1202 0a00", "Either `sql` or `sql_id` are required"},
		{"no statement", "1202 1200", "Either `sql` or `sql_id` are required"},
		{"a condition without a type", "1214 1a12 0a10 0a0e 0a00 120a 0a08 73656c6563742031", "BatchCond type not recognized"},
	} {
		status, answer := s.post("/v3-protobuf/pipeline", append(bytes.Clone(insert), unhex(t, c.hex)...))
		if status != 400 || string(answer) != c.want {
			t.Errorf("%s: status %d, %s", c.name, status, answer)
		}
	}
	s.expect("\nexecute [count(*)] (7)\n", execute("SELECT count(*) FROM t"))

	for _, c := range []struct{ name, hex, want string }{
		{"cut off", "1205 1203", "buffer underflow"},
		{"field number 0", "0200", "invalid tag value: 0"},
		{"invalid UTF-8", "1207 1205 0a03 0a01 ff", "data is not UTF-8 encoded"},
		{"wrong wire type", "1001", "invalid wire type"},
	} {
		status, answer := s.post("/v3-protobuf/pipeline", append(bytes.Clone(insert), unhex(t, c.hex)...))
		if status != 400 || !strings.Contains(string(answer), c.want) {
			t.Errorf("%s: status %d, %s", c.name, status, answer)
		}
		var req PipelineReq
		if err := DecodePipelineReq(Protobuf, unhex(t, c.hex), &req); err == nil {
			t.Errorf("%s: our own decoder takes it", c.name)
		}
	}
	s.expect("\nexecute [count(*)] (7)\n", execute("SELECT count(*) FROM t"))
}
