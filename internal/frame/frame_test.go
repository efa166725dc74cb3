package frame

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func compressed(t testing.TB, k Kind, value []byte) []byte {
	t.Helper()
	f, ok := Compress(k, value)
	if !ok {
		t.Fatalf("%d bytes do not get smaller", len(value))
	}
	return f
}

var document = bytes.Repeat([]byte(`{"name":"value","list":[1,2,3]}`), 40)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "piece")
		value := bytes.Repeat(piece, rapid.IntRange(1, 400).Draw(t, "times"))
		value = append(value, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "tail")...)
		k := rapid.SampledFrom([]Kind{Text, Blob}).Draw(t, "kind")
		before := bytes.Clone(value)
		frame, ok := Compress(k, value)
		if ok && len(frame) >= len(value) {
			t.Fatalf("%d bytes became %d", len(value), len(frame))
		}
		if !ok {
			var err error
			if frame, err = Escape(k, value); err != nil {
				t.Fatal(err)
			}
		}
		if !Is(frame) {
			t.Fatal("a frame does not begin like one")
		}
		kind, got, err := Decode(frame)
		if err != nil || kind != k || !bytes.Equal(got, before) || !bytes.Equal(value, before) {
			t.Fatalf("kind %d, %d bytes, %v", kind, len(got), err)
		}
	})
}

func TestWhatDoesNotGetSmallerIsNotCompressed(t *testing.T) {
	random := make([]byte, 4096)
	for i, x := 0, uint64(88172645463325252); i < len(random); i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		random[i] = byte(x)
	}
	for _, value := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{0}, HeaderSize), random, make([]byte, MaxLength+1)} {
		if f, ok := Compress(Blob, value); ok {
			t.Errorf("%d bytes became %d", len(value), len(f))
		}
	}
}

// What the issue that asked for it wants of documents.
func TestGain(t *testing.T) {
	doc := func(n int) []byte {
		var b bytes.Buffer
		b.WriteByte('[')
		for i := 0; b.Len() < n; i++ {
			b.WriteString(`{"id":` + hex.EncodeToString([]byte{byte(i * 7), byte(i >> 3)}) + `,"name":"customer","active":true,"city":"Berlin"},`)
		}
		return b.Bytes()[:n]
	}
	for n, want := range map[int]float64{1 << 10: 0.35, 16 << 10: 0.60} {
		value := doc(n)
		if gain := 1 - float64(len(compressed(t, Text, value)))/float64(n); gain < want {
			t.Errorf("%d bytes of JSON get %.0f %% smaller, want %.0f", n, gain*100, want*100)
		}
	}
}

// A value may itself be a frame, over and over.
func TestEscapeNests(t *testing.T) {
	inner := compressed(t, Text, document)
	value := inner
	for range 3 {
		var err error
		if value, err = Escape(Blob, value); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		k, v, err := Decode(value)
		if err != nil || k != Blob {
			t.Fatal(k, err)
		}
		value = v
	}
	if !bytes.Equal(value, inner) {
		t.Error("it is another")
	}
}

func TestDamage(t *testing.T) {
	good := compressed(t, Text, document)
	stored, err := Escape(Blob, []byte(Magic+"abc"))
	if err != nil {
		t.Fatal(err)
	}
	set := func(at int, b ...byte) []byte {
		f := bytes.Clone(good)
		copy(f[at:], b)
		return f
	}
	length := func(n uint32) []byte { return set(atLength, binary.LittleEndian.AppendUint32(nil, n)...) }
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"none":           {[]byte("plain"), "no frame"},
		"magic alone":    {[]byte(Magic), "cut off in its header"},
		"short header":   {good[:HeaderSize-1], "cut off in its header"},
		"no payload":     {good[:HeaderSize], "claims"},
		"cut off":        {good[:len(good)-1], "damaged"},
		"one more":       {append(bytes.Clone(good), 0), "damaged"},
		"version 0":      {set(atVersion, 0), "damaged"},
		"version 2":      {set(atVersion, 2), "version 2"},
		"algorithm":      {set(atAlgorithm, 9), "no algorithm 9"},
		"kind":           {set(atKind, 3), "no kind 3"},
		"other kind":     {set(atKind, byte(Blob)), "checksum"},
		"zero":           {set(atZero, 1), "damaged"},
		"bomb":           {length(1<<32 - 1), "more than its"},
		"smaller bomb":   {length(MaxLength), "more than its"},
		"length":         {length(uint32(len(document) - 1)), "damaged"},
		"checksum":       {set(atChecksum, good[atChecksum]^1), "checksum"},
		"stored, short":  {stored[:len(stored)-1], "its header says"},
		"stored, longer": {append(bytes.Clone(stored), 1), "its header says"},
	} {
		_, v, err := Decode(c.frame)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || v != nil {
			t.Errorf("%s: %v", name, err)
		} else if e.Newer != (name == "version 2") {
			t.Errorf("%s: Newer is %v", name, e.Newer)
		}
	}
	if _, _, err := Decode([]byte(Magic + "\x02")); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a newer version with a header of its own: %v", err)
	}
}

// Every single bit counts.
func TestEveryFlippedBitIsFound(t *testing.T) {
	good := compressed(t, Text, document)
	for i := len(Magic) * 8; i < len(good)*8; i++ {
		f := bytes.Clone(good)
		f[i/8] ^= 1 << (i % 8)
		if _, v, err := Decode(f); err == nil && !bytes.Equal(v, document) {
			t.Fatalf("bit %d of byte %d is not missed", i%8, i/8)
		}
	}
}

// A claim costs what it can be worth, not what it says.
func TestBombsCostNothing(t *testing.T) {
	bomb := compressed(t, Blob, make([]byte, 1<<20))
	binary.LittleEndian.PutUint32(bomb[atLength:], 1<<31)
	if n := testing.AllocsPerRun(10, func() { _, _, _ = Decode(bomb) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			_, _, _ = Decode(bomb)
		}
	})
	if r.AllocedBytesPerOp() > 4096 {
		t.Errorf("%d bytes for a refusal", r.AllocedBytesPerOp())
	}
}

// The example in docs/compression.md is a frame, and says what the page says.
func TestDocumentedExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/compression.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```hex\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("the page has no example")
	}
	var digits strings.Builder
	for line := range strings.Lines(string(m[1])) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	f, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	k, v, err := Decode(f)
	if want := strings.Repeat("turso ", 10); err != nil || k != Text || string(v) != want {
		t.Errorf("kind %d, %q, %v", k, v, err)
	}
	if again := compressed(t, Text, v); !bytes.Equal(again, f) {
		t.Errorf("written now it is\n%x", again)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte(Magic))
	f.Add(compressed(f, Text, document))
	f.Add(compressed(f, Blob, make([]byte, 10000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		k, v, err := Decode(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the frame was changed")
		}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
		} else {
			if len(v) > max(len(b)*maxRatio, 1) {
				t.Fatalf("%d bytes of %d", len(v), len(b))
			}
			again, err := Escape(k, v)
			if err != nil {
				t.Fatal(err)
			}
			if k2, v2, err := Decode(again); err != nil || k2 != k || !bytes.Equal(v, v2) {
				t.Fatal(err)
			}
		}
		// Whatever it is, as a value it comes back.
		frame, ok := Compress(Blob, b)
		if !ok {
			if frame, err = Escape(Blob, b); err != nil {
				t.Fatal(err)
			}
		}
		if _, v, err := Decode(frame); err != nil || !bytes.Equal(v, before) {
			t.Fatal(err)
		}
	})
}

func BenchmarkDecode4KB(b *testing.B) {
	f := compressed(b, Text, bytes.Repeat(document, 4)[:4096])
	b.ReportAllocs()
	b.SetBytes(4096)
	for b.Loop() {
		if _, _, err := Decode(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompress4KB(b *testing.B) {
	v := bytes.Repeat(document, 4)[:4096]
	b.ReportAllocs()
	b.SetBytes(4096)
	for b.Loop() {
		compressed(b, Text, v)
	}
}
