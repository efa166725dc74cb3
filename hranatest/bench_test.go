package hranatest

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// What a request costs, the client's part included: net/http's round trip on
// loopback is the floor, which BenchmarkHealth shows.

type benchClient struct {
	b     *testing.B
	url   string
	baton string
	buf   bytes.Buffer
}

func (c *benchClient) post(requests ...hrana.StreamReq) {
	req := hrana.PipelineReq{Baton: c.baton, Requests: requests}
	body, err := hrana.AppendPipelineReq(nil, hrana.Protobuf, &req)
	if err != nil {
		c.b.Fatal(err)
	}
	resp, err := plain.Post(c.url+"/v3-protobuf/pipeline", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		c.b.Fatal(err)
	}
	defer resp.Body.Close()
	c.buf.Reset()
	if _, err := c.buf.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		c.b.Fatal(resp.StatusCode, err, c.buf.String())
	}
	var answer hrana.PipelineResp
	if err := hrana.DecodePipelineResp(hrana.Protobuf, c.buf.Bytes(), &answer); err != nil {
		c.b.Fatal(err)
	}
	for _, r := range answer.Results {
		if r.Err != nil {
			c.b.Fatal(r.Err)
		}
	}
	c.baton = answer.Baton
}

func sqlReq(sql string) hrana.StreamReq {
	return hrana.StreamReq{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: sql, WantRows: true}}
}

func newBenchClient(b *testing.B, o Options) *benchClient {
	c := &benchClient{b: b, url: NewServer(b, o).URL()}
	c.post(sqlReq("create table t(a integer primary key, b text)"), sqlReq("insert into t values(1, 'x'), (2, 'y')"))
	b.ReportAllocs()
	b.ResetTimer()
	return c
}

func BenchmarkHealth(b *testing.B) {
	url := NewServer(b, Options{}).URL() + "/health"
	for b.Loop() {
		resp, err := plain.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func BenchmarkPointSelect(b *testing.B) {
	c := newBenchClient(b, Options{})
	for b.Loop() {
		c.post(sqlReq("select b from t where a=1"))
	}
}

func BenchmarkPointSelectOnFreshStream(b *testing.B) {
	c := newBenchClient(b, Options{})
	for b.Loop() {
		c.baton = ""
		c.post(sqlReq("select b from t where a=1"), hrana.StreamReq{Type: hrana.Close})
	}
}

func BenchmarkInsert(b *testing.B) {
	for _, where := range []string{"memory", "file"} {
		b.Run(where, func(b *testing.B) {
			o := Options{}
			if where == "file" {
				o.Path = b.TempDir() + "/x.db"
			}
			c := newBenchClient(b, o)
			for b.Loop() {
				c.post(sqlReq("insert into t(b) values('x')"))
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	c := newBenchClient(b, Options{})
	c.post(sqlReq("with recursive n(i) as (select 3 union all select i+1 from n where i < 1000) insert into t select i, 'text number '||i from n"))
	for b.Loop() {
		c.post(sqlReq("select * from t"))
	}
}

// BenchmarkConnSelect is the part of SQLite: no HTTP, no stream.
func BenchmarkConnSelect(b *testing.B) {
	s := NewServer(b, Options{})
	c, err := s.engine.get()
	if err != nil {
		b.Fatal(err)
	}
	c.retain()
	defer c.release()
	p := program{steps: []step{{query: query{command: command{sql: "select 1"}, wantRows: true}}}}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.run(b.Context(), &p, new(collector), true); err != nil {
			b.Fatal(err)
		}
	}
}
