package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// parse reads an answer from bytes, without a network.
func parse(raw []byte) (*Response, error) {
	c := &conn{pool: NewPool(context.Background(), nil), to: &Target{}, born: time.Now(), br: bufio.NewReaderSize(bytes.NewReader(raw), readBuffer)}
	c.nc, _ = net.Pipe()
	c.sock = (&Sockets{}).Track(c.nc)
	r := &Response{conn: c}
	return r, r.readHead()
}

func TestFraming(t *testing.T) {
	for name, c := range map[string]struct {
		raw    string
		status int
		length int64
		body   string
		keep   bool
	}{
		"length":            {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, "hello", true},
		"no reason":         {"HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello", 200, 5, "hello", true},
		"bare line feeds":   {"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, 5, "hello", true},
		"length said twice": {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, 5, "hello", true},
		"empty":             {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, 0, "", true},
		"no content":        {"HTTP/1.1 204 No Content\r\n\r\n", 204, 0, "", true},
		"not modified":      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, 0, "", true},
		"close":             {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\nhello", 200, 5, "hello", false},
		"close among others": {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: foo, close\r\n\r\nhello",
			200, 5, "hello", false},
		"more than said": {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", 200, 5, "hello", false},
		"until close":    {"HTTP/1.1 200 OK\r\n\r\nhello", 200, -1, "hello", false},
		"1.0":            {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, "hello", false},
		"1.0 kept alive": {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", 200, 5, "hello", true},
		"chunks":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, -1, "hello", true},
		"chunks with all that is allowed": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n003;a=b\r\nhel\r\n2 \r\nlo\r\n0;x\r\nTrailer: t\r\n\r\n",
			200, -1, "hello", true},
		"no chunks":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, -1, "", true},
		"chunks and length": {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, -1, "hello", false},
		"interim": {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nhello",
			400, 5, "hello", true},
		"long field": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 3*readBuffer) + "\r\nContent-Length: 5\r\n\r\nhello", 200, 5, "hello", true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parse([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			conn := r.conn
			body, err := io.ReadAll(iotest.OneByteReader(r))
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != c.status || r.Length != c.length || string(body) != c.body {
				t.Errorf("%d, length %d, %q", r.Status, r.Length, body)
			}
			r.Close()
			if kept := len(conn.to.idle) == 1; kept != c.keep {
				t.Errorf("connection kept: %v", kept)
			}
			conn.pool.Close()
		})
	}
}

func TestMalformedAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"nothing":            {"", errNoAnswer},
		"not http":           {"SSH-2.0-OpenSSH\r\n", errNotHTTP},
		"http/2":             {"HTTP/2 200 OK\r\n\r\n", errNotHTTP},
		"short status":       {"HTTP/1.1 20\r\n\r\n", errNotHTTP},
		"long status":        {"HTTP/1.1 2000\r\n\r\n", errNotHTTP},
		"negative status":    {"HTTP/1.1 -20 OK\r\n\r\n", errNotHTTP},
		"low status":         {"HTTP/1.1 099 OK\r\n\r\n", errNotHTTP},
		"tls alert":          {"\x15\x03\x01\x00\x02\x02\x46", ErrTLS},
		"tls alert and feed": {"\x15\x03\x01\x00\x02\x02\n", ErrTLS},
		"cut in the head":    {"HTTP/1.1 200 OK\r\nContent-Le", io.ErrUnexpectedEOF},
		"no colon":           {"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", errHeader},
		"folded":             {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", errHeader},
		"space before colon": {"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", errHeader},
		"length twice":       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", errLength},
		"negative length":    {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", errLength},
		"huge length":        {"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", errLength},
		"empty length":       {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", errLength},
		"gzip transfer":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", errEncoding},
		"chunked twice":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errEncoding},
		"chunked 1.0":        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", errEncoding},
		"switches":           {"HTTP/1.1 101 Switching Protocols\r\n\r\n", errSwitch},
		"only interim":       {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+1), errInterim},
		"endless head":       {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead/6+1), errHeadLong},
		"endless line":       {"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", maxHead+1), errHeadLong},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parse([]byte(c.raw))
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			r.Close()
		})
	}
}

func TestMalformedBodies(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"cut":              {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", io.ErrUnexpectedEOF},
		"no chunk":         {chunked, io.ErrUnexpectedEOF},
		"cut in a chunk":   {chunked + "6\r\nhello", io.ErrUnexpectedEOF},
		"cut after it":     {chunked + "5\r\nhello", io.ErrUnexpectedEOF},
		"no last chunk":    {chunked + "5\r\nhello\r\n", io.ErrUnexpectedEOF},
		"cut in a trailer": {chunked + "5\r\nhello\r\n0\r\nA: b", io.ErrUnexpectedEOF},
		"no size":          {chunked + "\r\nhello", errChunk},
		"not a size":       {chunked + "x\r\nhello", errChunk},
		"negative":         {chunked + "-5\r\nhello", errChunk},
		"huge size":        {chunked + "fffffffffffffffff\r\n", errChunk},
		"longer than said": {chunked + "4\r\nhello\r\n0\r\n\r\n", errChunk},
		"bare line feed":   {chunked + "5\nhello\r\n0\r\n\r\n", errChunk},
		"endless size":     {chunked + strings.Repeat("0", 2*readBuffer) + "\r\n", errChunk},
		"endless trailers": {chunked + "0\r\n" + strings.Repeat("A: b\r\n", maxHead/4+1), errHeadLong},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parse([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			conn := r.conn
			if body, err := io.ReadAll(r); !errors.Is(err, c.want) {
				t.Errorf("%q and error %v, want %v", body, err, c.want)
			}
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, c.want) {
				t.Errorf("then error %v, want %v", err, c.want)
			}
			r.Close()
			if len(conn.to.idle) != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// A body that is left is not read to its end, and its connection not used again.
func TestBodyIsLeft(t *testing.T) {
	r, err := parse([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	if err != nil {
		t.Fatal(err)
	}
	conn := r.conn
	io.ReadFull(r, make([]byte, 4))
	r.Close()
	if len(conn.to.idle) != 0 {
		t.Error("the connection is kept")
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("it can still be read")
	}
}

func TestGet(t *testing.T) {
	r, err := parse([]byte("HTTP/1.1 200 OK\r\nContent-TYPE: \t text/plain \r\nRetry-After:3\r\nRetry-After:4\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, want := range map[string]string{"content-type": "text/plain", "retry-after": "3", "location": ""} {
		if got := string(r.Get(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Rows that each come in a chunk of their own are read together once they are
// there, but nobody waits for the next when one is there.
func TestChunksAreReadTogether(t *testing.T) {
	pr, pw := io.Pipe()
	c := &conn{br: bufio.NewReaderSize(pr, readBuffer)}
	r := &Response{conn: c, framing: byChunks}
	go pw.Write([]byte("3\r\nabc\r\n3\r\ndef\r\n3\r\nghi\r\n3\r\njk"))
	buf := make([]byte, 100)
	n, err := r.Read(buf)
	if string(buf[:n]) != "abcdefghijk" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	go pw.Write([]byte("l\r\n"))
	if n, err = r.Read(buf); string(buf[:n]) != "l" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	go pw.Write([]byte("0\r\n\r\n"))
	if n, err = r.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("%q, %v", buf[:n], err)
	}
	pr.Close()
}

// FuzzResponse: what net/http and this package both take for an answer, they
// must understand alike; what net/http does not understand may be refused or
// not, but never panics.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n",
		"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\ngone",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"\x15\x03\x01\x00\x02\x02\x46",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours, err := parse(raw)
		if err != nil {
			ours.Close()
			return
		}
		defer ours.Close()
		body, err := io.ReadAll(ours)
		r := bufio.NewReader(bytes.NewReader(raw))
		theirs, theirErr := http.ReadResponse(r, nil)
		for theirErr == nil && theirs.StatusCode < 200 {
			theirs, theirErr = http.ReadResponse(r, nil)
		}
		if theirErr != nil {
			return
		}
		theirBody, theirErr := io.ReadAll(theirs.Body)
		if theirs.StatusCode != ours.Status {
			t.Fatalf("status %d, net/http has %d", ours.Status, theirs.StatusCode)
		}
		if err == nil && theirErr == nil && !bytes.Equal(body, theirBody) {
			t.Fatalf("body %q, net/http has %q", body, theirBody)
		}
		// Trailers mean nothing to us, so they are not looked at.
		if err == nil && theirErr != nil && !strings.Contains(theirErr.Error(), "MIME header") && !strings.Contains(theirErr.Error(), "trailer") {
			t.Fatalf("whole body %q, net/http has error %v", body, theirErr)
		}
	})
}
