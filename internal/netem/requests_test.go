package netem

import (
	"strings"
	"testing"
)

var streams = []struct {
	name, bytes string
	heads       int
}{
	{"none", "", 0},
	{"one", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1},
	{"incomplete", "GET / HTTP/1.1\r\nHost: x\r\n", 0},
	{"pipelined", strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3), 3},
	{"no fields", "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", 2},
	{"bare line feeds", "GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\nHost: x\n\n", 2},
	{"blank lines between", "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 2},
	{"length", "POST / HTTP/1.1\r\ncontent-length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 2},
	{"empty body", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 2},
	{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n12;x=y\r\nGET / HTTP/1.1\r\n\r\n\r\n1\r\n\n\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 2},
	{"upgrade", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 1},
	{"connect", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 1},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
	{"TLS", "\x16\x03\x01\x02\x00GET / HTTP/1.1\r\nA: b\r\n\r\n", 0},
	{"not HTTP", "hello\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 0},
	{"endless head", "GET / HTTP/1.1\r\nA: " + strings.Repeat("b", maxHead) + "\r\n\r\n", 0},
	{"bad length", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 1},
	{"bad chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 1},
}

func TestRequestCounter(t *testing.T) {
	for _, tt := range streams {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 1 << 20} {
				if got := count(tt.bytes, size); got != tt.heads {
					t.Errorf("in pieces of %d: %d heads, want %d", size, got, tt.heads)
				}
			}
		})
	}
}

// FuzzRequestCounter holds that the count does not depend on how the bytes were
// cut, and that what is kept is bounded.
func FuzzRequestCounter(f *testing.F) {
	for _, tt := range streams {
		f.Add(tt.bytes, 3)
	}
	f.Fuzz(func(t *testing.T, s string, size int) {
		if whole, cut := count(s, len(s)+1), count(s, 1+(size&0xff)); whole != cut {
			t.Errorf("%d heads in one piece, %d in pieces", whole, cut)
		}
		var c requestCounter
		c.feed([]byte(s))
		if len(c.line) > maxHead+len(s) || c.state != opaque && len(c.line) > maxHead+1 {
			t.Errorf("keeps %d bytes", len(c.line))
		}
	})
}

// What is inspected does not depend on how the bytes were cut either, nor on how a
// body says where it ends.
func TestInspect(t *testing.T) {
	stream := "POST /v2/pipeline HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: x\r\n\r\n" +
		"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n" +
		"POST /c HTTP/1.1\r\nContent-Length: 1\r\n\r\nz"
	for _, size := range []int{1, 2, 3, 7, 1 << 20} {
		var seen []string
		c := requestCounter{inspect: func(target string, body []byte) { seen = append(seen, target+"="+string(body)) }}
		for s := stream; len(s) > 0; {
			n := min(size, len(s))
			c.feed([]byte(s[:n]))
			s = s[n:]
		}
		if got := strings.Join(seen, " "); got != "/v2/pipeline=hello /b=abcde /c=z" {
			t.Errorf("in pieces of %d: %s", size, got)
		}
	}
	called := false
	c := requestCounter{inspect: func(string, []byte) { called = true }}
	c.feed([]byte("POST / HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n" + strings.Repeat("x", 5_000_000) + "GET / HTTP/1.1\r\nA: b\r\n\r\n"))
	if called || len(c.body) > 0 {
		t.Errorf("%d bytes of a long body are kept", len(c.body))
	}
}

func count(s string, size int) (heads int) {
	var c requestCounter
	for len(s) > 0 {
		n := min(size, len(s))
		heads += c.feed([]byte(s[:n]))
		s = s[n:]
	}
	return heads
}
