package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func packed(t testing.TB, c Coding, value []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if c == Zstd {
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(value); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A body notes that it was closed.
type body struct {
	io.Reader
	closed int
}

func (b *body) Close() error { b.closed++; return nil }

var value = []byte(strings.Repeat(`{"type":"text","value":"person 7"},`, 3000))

func TestReader(t *testing.T) {
	for c := Gzip; c < Codings; c++ {
		for range 3 { // from the pool, too
			b := &body{Reader: iotest.OneByteReader(bytes.NewReader(packed(t, c, value)))}
			r := NewReader(c, b)
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, value) {
				t.Fatalf("%v: %d bytes, %v", c, len(got), err)
			}
			if n := int(r.Received()); n != len(packed(t, c, value)) || r.Took() <= 0 {
				t.Errorf("%v: %d received in %v", c, n, r.Took())
			}
			first, second := r.Close(), r.Close()
			if first != nil || second != nil || b.closed != 1 {
				t.Errorf("%v: the body was closed %d times", c, b.closed)
			}
			if _, err := r.Read(make([]byte, 1)); err == nil {
				t.Errorf("%v: it can be read after Close", c)
			}
		}
	}
}

// What is damaged is told from what did not arrive.
func TestReaderErrors(t *testing.T) {
	broken := errors.New("the connection broke")
	for c := Gzip; c < Codings; c++ {
		whole := packed(t, c, value)
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 0x55
		for name, from := range map[string]io.Reader{
			"empty": strings.NewReader(""), "no such thing": strings.NewReader("<html>no</html>"), "flipped": bytes.NewReader(flipped),
			"cut off": bytes.NewReader(whole[:len(whole)/2]), "more behind": io.MultiReader(bytes.NewReader(whole), strings.NewReader("more")),
			"broken": io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), iotest.ErrReader(broken)), "broken at once": iotest.ErrReader(broken),
		} {
			r := NewReader(c, &body{Reader: from})
			got, err := io.ReadAll(r)
			r.Close()
			want := !strings.HasPrefix(name, "broken")
			if err == nil || IsDamaged(err) != want || errors.Is(err, broken) == want {
				t.Errorf("%v, %s: %d bytes, %v", c, name, len(got), err)
			}
		}
		// None of them has spoiled the pool.
		r := NewReader(c, &body{Reader: bytes.NewReader(whole)})
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%v afterwards: %d bytes, %v", c, len(got), err)
		}
		r.Close()
	}
}

func TestReaderAllocations(t *testing.T) {
	data := packed(t, Gzip, value)
	buf := make([]byte, len(value)+1)
	if n := testing.AllocsPerRun(100, func() {
		r := NewReader(Gzip, &body{Reader: bytes.NewReader(data)})
		if _, err := io.ReadFull(r, buf); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
		r.Close()
	}); n > 12 {
		t.Errorf("%v allocations", n)
	}
}

func TestCodingOf(t *testing.T) {
	for header, want := range map[string]Coding{"": Plain, "identity": Plain, "gzip": Gzip, "x-gzip": Gzip, "zstd": Zstd} {
		if c, err := CodingOf([]byte(header)); err != nil || c != want {
			t.Errorf("%q: %v, %v", header, c, err)
		}
	}
	for _, header := range []string{"br", "gzip, br", "deflate"} {
		if _, err := CodingOf([]byte(header)); !errors.Is(err, ErrCoding) {
			t.Errorf("%q: %v", header, err)
		}
	}
}

func TestEstimate(t *testing.T) {
	for name, c := range map[string]struct {
		answer    []byte
		low, high float32
	}{
		"short": {value[:100], 0, 0}, "rows": {value, 0.001, 0.2},
	} {
		if e := Estimate(c.answer); e.Ratio < c.low || e.Ratio > c.high || e.Cost != 0 {
			t.Errorf("%s: %v", name, e)
		}
	}
	noise := make([]byte, 20_000)
	state := uint32(1)
	for i := range noise {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	if e := Estimate(noise); e.Ratio < 0.95 {
		t.Errorf("noise: %v", e)
	}
}

// Nothing that arrives makes a Reader panic, or give more than its reader asks for.
func FuzzReader(f *testing.F) {
	for c := Gzip; c < Codings; c++ {
		f.Add(byte(c), packed(f, c, value))
		f.Add(byte(c), packed(f, c, nil))
		f.Add(byte(c), packed(f, c, bytes.Repeat([]byte{0}, 1<<20)))
	}
	f.Fuzz(func(t *testing.T, c byte, data []byte) {
		r := NewReader(Gzip+Coding(c)%(Codings-Gzip), &body{Reader: bytes.NewReader(data)})
		defer r.Close()
		_, err := io.Copy(io.Discard, io.LimitReader(r, 4<<20))
		if err != nil && !IsDamaged(err) {
			t.Errorf("an error that is not of the data: %v", err)
		}
	})
}
