package hranahttp

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// pointSelect is SELECT by primary key and its answer, as sqld gives it.
func pointSelect(b testing.TB, enc hrana.Encoding) (*hrana.PipelineReq, []byte) {
	b.Helper()
	req := &hrana.PipelineReq{Baton: "YmF0b24tMDEyMzQ1Njc4OQ:0123456789abcdef", Requests: []hrana.StreamReq{{Type: hrana.Execute,
		Stmt: hrana.Stmt{SQL: "SELECT id, name, email FROM users WHERE id = ?", WantRows: true, Args: []exec.Value{{Kind: exec.Integer, Int: 4711}}}}}}
	res := &exec.Result{Cols: []exec.Column{{Name: "id", Decltype: "INTEGER"}, {Name: "name", Decltype: "TEXT"}, {Name: "email", Decltype: "TEXT"}}, RowsRead: 1}
	res.Rows.Reset(3)
	res.Rows.AppendInt(4711)
	res.Rows.AppendBytes(exec.Text, []byte("Ada Lovelace"))
	res.Rows.AppendBytes(exec.Text, []byte("ada@example.com"))
	res.Rows.EndRow()
	body, err := hrana.AppendPipelineResp(nil, enc, &hrana.PipelineResp{Baton: req.Baton, Results: []hrana.StreamResult{{Type: hrana.Execute, Stmt: res}}})
	if err != nil {
		b.Fatal(err)
	}
	return req, body
}

// trivialServer answers every request on loopback with the same bytes, and as
// little work as can be done.
func trivialServer(b testing.TB, contentType string, body []byte) *url.URL {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var head bytes.Buffer
	(&http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		Header: http.Header{"Content-Type": {contentType}, "Date": {"Mon, 02 Nov 2026 15:04:05 GMT"}, "Vary": {"origin, access-control-request-method"}}}).Write(&head)
	answer := head.Bytes()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				r := bufio.NewReaderSize(conn, 16<<10)
				for skipRequest(r) == nil {
					conn.Write(answer)
				}
			})
		}
	})
	b.Cleanup(func() { l.Close(); wg.Wait() })
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

func skipRequest(r *bufio.Reader) error {
	for n := 0; ; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			for _, ch := range v {
				if ch >= '0' && ch <= '9' {
					n = n*10 + int(ch-'0')
				}
			}
		}
		if len(line) <= 2 {
			_, err := r.Discard(n)
			return err
		}
	}
}

func newBenchClient(b testing.TB, u *url.URL) *Client {
	c := New(Config{URL: u, UserAgent: "turso-opt-go", Encoding: OnlyProtobuf, Token: func(context.Context) (string, error) { return "a-token-of-some-length", nil }})
	b.Cleanup(func() { c.Close() })
	return c
}

// BenchmarkPipeline is one round trip of a point SELECT. Its floor is
// BenchmarkFloorSocket, the same bytes written and read with nothing around;
// what remains is the encoding, the result, and what a cancellable context
// costs.
func BenchmarkPipeline(b *testing.B) {
	for _, level := range []Level{V3JSON, V3Protobuf} {
		req, answer := pointSelect(b, level.Encoding())
		for _, mode := range []string{"background", "cancellable", "detached"} {
			b.Run(level.String()+"/"+mode, func(b *testing.B) {
				c := newBenchClient(b, trivialServer(b, contentType(level.Encoding()), answer))
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if mode == "background" {
					ctx = context.Background()
				}
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if mode == "detached" {
						_, err = c.PipelineDetached(ctx, c.Home(), level, req, Expect{}, func(*Reply, error) {})
					} else {
						_, err = c.Pipeline(ctx, c.Home(), level, req, Expect{})
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkFloorNetHTTP is what a bare http.Transport costs with the same
// bodies: the reason for internal/http1.
func BenchmarkFloorNetHTTP(b *testing.B) {
	req, answer := pointSelect(b, hrana.Protobuf)
	body, err := hrana.AppendPipelineReq(nil, hrana.Protobuf, req)
	if err != nil {
		b.Fatal(err)
	}
	u := trivialServer(b, "application/x-protobuf", answer).JoinPath("v3-protobuf", "pipeline")
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	header := http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"turso-opt-go"}, "Authorization": {"Bearer a-token-of-some-length"}}
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := tr.RoundTrip(&http.Request{Method: http.MethodPost, URL: u, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))})
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buf)
		}
		resp.Body.Close()
	}
}

// BenchmarkFloorSocket is one write and one read on loopback.
func BenchmarkFloorSocket(b *testing.B) {
	req, answer := pointSelect(b, hrana.Protobuf)
	body, err := hrana.AppendPipelineReq(nil, hrana.Protobuf, req)
	if err != nil {
		b.Fatal(err)
	}
	u := trivialServer(b, "application/x-protobuf", answer)
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	var out bytes.Buffer
	hr, _ := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(body))
	hr.Write(&out)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		conn.Write(out.Bytes())
		if _, err := conn.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
