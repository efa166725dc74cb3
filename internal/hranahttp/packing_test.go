package hranahttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/wire"
)

// coded answers as h does, in a content coding if one is asked for.
func coded(coding string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), coding) {
			h.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.Header().Set("Content-Encoding", coding)
		w.WriteHeader(rec.Code)
		w.Write(encoded(coding, rec.Body.Bytes()))
	})
}

func encoded(coding string, body []byte) []byte {
	if coding == "zstd" {
		z, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		return z.EncodeAll(body, nil)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(body)
	z.Close()
	return b.Bytes()
}

// slowPath has the client believe that its path takes 800 ns for a byte.
func slowPath(c *Client) {
	c.packing.law.ObserveEmpty(time.Millisecond)
	for range 8 {
		c.packing.law.Observe(wire.Sample{Raw: 100_000, Wire: 100_000, Head: time.Millisecond, Took: 81 * time.Millisecond}, wire.Text{})
	}
}

// large is what a text has brought that compresses well.
func large() Expect {
	n := new(exec.Note)
	n.SetPacks(0.1, 0)
	return Expect{Size: 100_000, Note: n, Times: 1, Steady: true}
}

func traffic1(t *testing.T, c *Client, coding wire.Coding) Traffic {
	t.Helper()
	for _, a := range c.Packing().Answers {
		if a.Coding == coding {
			return a
		}
	}
	t.Fatalf("no answer in %v: %+v", coding, c.Packing())
	return Traffic{}
}

var wide = query("SELECT hex(zeroblob(?))", exec.Value{Kind: exec.Integer, Int: 20_000})

// wideAnswer is 40,000 zeros.
func wideAnswer(t *testing.T, reply *Reply, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(reply.Results[0].Stmt.Rows.Bytes(0, 0)); len(got) != 40_000 || strings.Trim(got, "0") != "" {
		t.Fatalf("%d bytes", len(got))
	}
}

func TestPackedAnswers(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		for _, coding := range []wire.Coding{wire.Gzip, wire.Zstd} {
			h := before(t, hranatest.NewServer(t, hranatest.Options{}))
			if coding == wire.Zstd {
				h = coded("zstd", plainOnly(h))
			}
			c := m.client(t, h, func(cfg *Config) { cfg.Encoding = OnlyProtobuf }) // without asking what the server has
			slowPath(c)
			expect := large()
			reply, err := c.Pipeline(t.Context(), c.Home(), V3JSON, wide, expect)
			wideAnswer(t, reply, err)
			reply, err = c.PipelineDetached(t.Context(), reply.Endpoint, V3Protobuf, &hrana.PipelineReq{Baton: reply.Baton, Requests: wide.Requests}, expect, func(*Reply, error) {})
			wideAnswer(t, reply, err)
			n := c.Packing()
			if len(n.Answers) != 2 || n.Sent == 0 || len(n.Skipped) != 0 {
				t.Fatalf("%v: %+v", coding, n)
			}
			for _, a := range n.Answers {
				if a.Coding != coding || a.Answers != 1 || a.Received == 0 || a.Received > 1000 || a.Raw < 40_000 || a.Took <= 0 {
					t.Errorf("%v: %+v", coding, a)
				}
			}
			if ratio, cost := expect.Note.Packs(); ratio > 0.06 || cost == 0 || expect.Note.Body.Load() < 40_000 {
				t.Errorf("%v: learnt a ratio of %v, a cost of %v, %d bytes", coding, ratio, cost, expect.Note.Body.Load())
			}
			if got := c.Counters(); got.Dials != 1 || got.Failed != 0 {
				t.Errorf("%v: %+v", coding, got)
			}
		}
	})
}

// plainOnly asks h for a plain answer, whatever it was asked for.
func plainOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Del("Accept-Encoding")
		h.ServeHTTP(w, r)
	})
}

// What nobody has asked for compressed comes plain, and the reason is counted.
func TestPlainAnswers(t *testing.T) {
	f := &fake{}
	c := newTestClient(t, startServer(t, coded("gzip", f)).URL, nil)
	known := large()
	ask := func(e Expect) {
		t.Helper()
		if _, err := c.Pipeline(t.Context(), c.Home(), V3JSON, query("SELECT 1"), e); err != nil {
			t.Fatal(err)
		}
	}
	ask(known)
	slowPath(c)
	ask(Expect{Size: 100})
	ask(Expect{Size: 100_000})
	incompressible := large()
	incompressible.Note.SetPacks(1, 0)
	ask(incompressible)
	off := newTestClient(t, startServer(t, coded("gzip", f)).URL, func(cfg *Config) { cfg.Plain = true })
	slowPath(off)
	if _, err := off.Pipeline(t.Context(), off.Home(), V3JSON, query("SELECT 1"), known); err != nil {
		t.Fatal(err)
	}
	cur, err := off.Cursor(t.Context(), off.Home(), V3JSON, selectAll(), known)
	if err != nil {
		t.Fatal(err)
	}
	cur.Close()
	for _, r := range f.requests() {
		if a := r.header.Get("Accept-Encoding"); a != "" {
			t.Errorf("asked for %q", a)
		}
	}
	want := map[wire.Reason]uint64{wire.Unmeasured: 2, wire.Small: 1, wire.NoGain: 1}
	for r, n := range want {
		if got := c.Packing().Skipped[r.String()]; got != n {
			t.Errorf("%v: skipped %d times, want %d", r, got, n)
		}
	}
	if got := off.Packing().Skipped[wire.Off.String()]; got != 2 {
		t.Errorf("off: %+v", off.Packing())
	}
}

// A client that knows nothing asks for nothing, finds out that its path is slow,
// and goes on in the other way.
func TestPackingIsLearnt(t *testing.T) {
	h := before(t, hranatest.NewServer(t, hranatest.Options{}))
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		rec.Body = new(bytes.Buffer)
		h.ServeHTTP(flusher{rec}, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		for body := rec.Body.Bytes(); len(body) > 0; { // 4 us for a byte
			n := min(len(body), 4<<10)
			w.Write(body[:n])
			w.(http.Flusher).Flush()
			body = body[n:]
			time.Sleep(time.Duration(n) * 4 * time.Microsecond)
		}
	})
	c := newTestClient(t, startServer(t, slow).URL, nil)
	e := Expect{Note: new(exec.Note), Times: 1, Steady: true}
	for range 4 {
		e.Size = e.Note.Body.Load()
		reply, err := c.Pipeline(t.Context(), c.Home(), V3JSON, wide, e)
		wideAnswer(t, reply, err)
	}
	if plain, packed := traffic1(t, c, wire.Plain), traffic1(t, c, wire.Gzip); plain.Answers != 1 || packed.Answers != 3 {
		t.Errorf("%+v", c.Packing())
	}
}

type flusher struct{ *httptest.ResponseRecorder }

func (flusher) Flush() {}

func TestPackedCursor(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		for _, coding := range []string{"gzip", "zstd"} {
			c := m.client(t, coded(coding, &fake{rows: 10_000}), nil)
			slowPath(c)
			for range 2 {
				cur, err := c.Cursor(t.Context(), c.Home(), V3Protobuf, selectAll(), large())
				if err != nil {
					t.Fatal(err)
				}
				if n, err := drain(cur); n != 10_000 || err != io.EOF {
					t.Fatalf("%s: %d rows, %v", coding, n, err)
				}
			}
			cur, err := c.Cursor(t.Context(), c.Home(), V3Protobuf, selectAll(), large())
			if err != nil {
				t.Fatal(err)
			}
			if err := cur.Close(); err != nil {
				t.Error(err)
			}
			var kind wire.Coding = wire.Gzip
			if coding == "zstd" {
				kind = wire.Zstd
			}
			if a := traffic1(t, c, kind); a.Answers != 3 || a.Raw < 10*a.Received || a.Received == 0 || a.Took <= 0 {
				t.Errorf("%s: %+v", coding, a)
			}
		}
	})
}

// What a server says of a failure is read, compressed or not.
func TestPackedErrors(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		c := m.client(t, coded("gzip", &fake{before: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"error":"Timed out while opening database connection"}`)
			return true
		}}), nil)
		slowPath(c)
		_, err := c.Pipeline(t.Context(), c.Home(), V2JSON, query("SELECT 1"), large())
		if e, ok := err.(*exec.Error); !ok || e.Status != http.StatusTooManyRequests || !strings.Contains(e.Message, "Timed out while opening") {
			t.Errorf("%v", err)
		}
	})
}

// A few kilobytes that would become hundreds of megabytes are an error, and are
// never held.
func TestDecompressionBomb(t *testing.T) {
	zeros := make([]byte, 1<<20)
	for _, coding := range []string{"gzip", "zstd"} {
		var b bytes.Buffer
		var w io.WriteCloser = gzip.NewWriter(&b)
		if coding == "zstd" {
			w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		}
		for range 40 {
			w.Write(zeros)
		}
		w.Close()
		c := newTestClient(t, startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType(hrana.Protobuf))
			if r.Header.Get("Accept-Encoding") == "" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Encoding", coding)
			w.Write(b.Bytes())
		})).URL, nil)
		slowPath(c)
		expect := large()
		_, err := c.Pipeline(t.Context(), c.Home(), V3Protobuf, query("SELECT 1"), expect)
		if e, ok := err.(*exec.Error); !ok || !errors.Is(err, errTooLong) || e.Proof == exec.NotExecuted {
			t.Errorf("%s: %v", coding, err)
		}
		if c.packing.choose(&expect, false) {
			t.Errorf("%s: it is asked for again", coding)
		}
		// One entry of a cursor is bounded, too.
		bomb := append([]byte{0x80, 0x80, 0x80, 0x80, 0x08}, zeros...) // a length of 2 GB
		cursors := newTestClient(t, startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			w.Write(encoded(coding, bomb))
		})).URL, nil)
		slowPath(cursors)
		if _, err := cursors.Cursor(t.Context(), cursors.Home(), V3Protobuf, selectAll(), large()); err == nil {
			t.Errorf("%s: a cursor takes it", coding)
		}
	}
	if one, many := (&Client{limit: maxResponse}).unpackLimit(V3Protobuf, 1), (&Client{limit: maxResponse}).unpackLimit(V3JSON, 50); one >= 64<<20 || many != maxResponse {
		t.Errorf("limits of %d and %d", one, many)
	}
}

// An answer that cannot be decompressed fails once; then nothing is asked for any
// more. One in a coding that nobody has asked for is an error that says so.
func TestDamagedAnswers(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{}
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Accept-Encoding") == "" {
				return false
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte("this is no gzip"))
			return true
		}
		c := m.client(t, f, nil)
		slowPath(c)
		_, err := c.Pipeline(t.Context(), c.Home(), V3JSON, query("SELECT 1"), large())
		if e, ok := err.(*exec.Error); !ok || e.Source != exec.FromProtocol || !strings.Contains(err.Error(), "decompressing") {
			t.Errorf("%v", err)
		}
		if _, err := c.Pipeline(t.Context(), c.Home(), V3JSON, query("SELECT 1"), large()); err != nil {
			t.Errorf("then: %v", err)
		}
		if n := c.Packing().Skipped[wire.Broken.String()]; n != 1 {
			t.Errorf("%+v", c.Packing())
		}

		other := m.client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "what")
		}), nil)
		_, err = other.Pipeline(context.Background(), other.Home(), V3JSON, query("SELECT 1"), Expect{})
		if e, ok := err.(*exec.Error); !ok || e.Source != exec.FromProtocol || !errors.Is(err, wire.ErrCoding) {
			t.Errorf("%v", err)
		}
	})
}

// Answers that are cut off are told from damaged ones.
func TestPackedAnswerIsCutOff(t *testing.T) {
	body := encoded("gzip", bytes.Repeat([]byte("0123456789abcdef"), 4000))
	c := newTestClient(t, startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	})).URL, nil)
	slowPath(c)
	_, err := c.Pipeline(t.Context(), c.Home(), V3JSON, query("SELECT 1"), large())
	if e, ok := err.(*exec.Error); !ok || e.Source != exec.FromTransport || c.packing.broken.Load() {
		t.Errorf("%v", err)
	}
}
