package frame

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func compressed(t testing.TB, a Algorithm, k Kind, value []byte) []byte {
	t.Helper()
	f, ok := Compress(a, k, value)
	if !ok {
		t.Fatalf("%d bytes do not get smaller by %s", len(value), a)
	}
	if h, err := ReadHeader(f); err != nil || h.Algorithm != a {
		t.Fatalf("%d bytes are compressed by %s, want %s; %v", len(value), h.Algorithm, a, err)
	}
	return f
}

var both = []Algorithm{LZ4, Zstd}

var document = bytes.Repeat([]byte(`{"name":"value","list":[1,2,3]}`), 40)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "piece")
		value := bytes.Repeat(piece, rapid.IntRange(1, 400).Draw(t, "times"))
		value = append(value, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "tail")...)
		k := rapid.SampledFrom([]Kind{Text, Blob}).Draw(t, "kind")
		before := bytes.Clone(value)
		frame, ok := Compress(rapid.SampledFrom(both).Draw(t, "algorithm"), k, value)
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
		for _, a := range both {
			if f, ok := Compress(a, Blob, value); ok {
				t.Errorf("%s: %d bytes became %d", a, len(value), len(f))
			}
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
		f := compressed(t, LZ4, Text, value)
		if gain := 1 - float64(len(f))/float64(n); gain < want {
			t.Errorf("%d bytes of JSON get %.0f %% smaller, want %.0f", n, gain*100, want*100)
		}
		if z := compressed(t, Zstd, Text, value); len(z) > len(f)*9/10 {
			t.Errorf("%d bytes of JSON become %d by LZ4, and %d by Zstandard", n, len(f), len(z))
		}
	}
}

// What Zstandard makes shorter than a reader may believe is compressed by LZ4.
func TestTooShortForZstd(t *testing.T) {
	value := make([]byte, 1<<20)
	f, ok := Compress(Zstd, Blob, value)
	if h, err := ReadHeader(f); !ok || err != nil || h.Algorithm != LZ4 {
		t.Fatalf("%d bytes by %s, %v", len(f), h.Algorithm, err)
	}
	if _, v, err := Decode(f); err != nil || !bytes.Equal(v, value) {
		t.Fatal(err)
	}
}

// A value may itself be a frame, over and over.
func TestEscapeNests(t *testing.T) {
	inner := compressed(t, Zstd, Text, document)
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
	stored, err := Escape(Blob, []byte(Magic+"abc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range both {
		good := compressed(t, a, Text, document)
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
			"none":             {[]byte("plain"), "no frame"},
			"magic alone":      {[]byte(Magic), "cut off in its header"},
			"short header":     {good[:HeaderSize-1], "cut off in its header"},
			"no payload":       {good[:HeaderSize], "claims"},
			"cut off":          {good[:len(good)-1], "damaged"},
			"one more":         {append(bytes.Clone(good), 0), "damaged"},
			"version 0":        {set(atVersion, 0), "damaged"},
			"newer version":    {set(atVersion, 2), "version 2"},
			"newer algorithm":  {set(atAlgorithm, Algorithms), "algorithm 3, which this software does not know"},
			"other algorithm":  {set(atAlgorithm, byte(LZ4+Zstd-a)), "damaged"},
			"not compressed":   {set(atAlgorithm, byte(Stored)), "its header says"},
			"kind":             {set(atKind, 3), "no kind 3"},
			"other kind":       {set(atKind, byte(Blob)), "checksum"},
			"zero":             {set(atZero, 1), "damaged"},
			"bomb":             {length(1<<32 - 1), "more than its"},
			"smaller bomb":     {length(MaxLength), "more than its"},
			"too short":        {length(uint32(len(document) - 1)), "damaged"},
			"too long":         {length(uint32(len(document) + 1)), "damaged"},
			"checksum":         {set(atChecksum, good[atChecksum]^1), "checksum"},
			"stored, cut off":  {stored[:len(stored)-1], "its header says"},
			"stored, too long": {append(bytes.Clone(stored), 1), "its header says"},
		} {
			_, v, err := Decode(c.frame)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || v != nil {
				t.Errorf("%s, %s: %v", a, name, err)
			} else if e.Newer != strings.HasPrefix(name, "newer") {
				t.Errorf("%s, %s: Newer is %v", a, name, e.Newer)
			}
		}
	}
	if _, _, err := Decode([]byte(Magic + "\x02")); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a newer version with a header of its own: %v", err)
	}
}

// Every single bit counts.
func TestEveryFlippedBitIsFound(t *testing.T) {
	for _, a := range both {
		good := compressed(t, a, Text, document)
		for i := len(Magic) * 8; i < len(good)*8; i++ {
			f := bytes.Clone(good)
			f[i/8] ^= 1 << (i % 8)
			if _, v, err := Decode(f); err == nil && !bytes.Equal(v, document) {
				t.Fatalf("%s: bit %d of byte %d is not missed", a, i%8, i/8)
			}
		}
	}
}

// A claim costs what it can be worth, not what it says: that of the frame, and that
// of the Zstandard frame in it.
func TestBombsCostNothing(t *testing.T) {
	zstandard := func(length uint32, inner []byte) []byte {
		f := append(make([]byte, HeaderSize), inner...)
		header(f, Zstd, Blob, make([]byte, length))
		return f
	}
	blocks := bytes.Repeat([]byte{2, 0, 0x10, 0}, 100) // 128 KiB of zeros, 100 times
	bombs := map[string][]byte{
		"length told":   zstandard(10000, append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0xc8, 0}, blocks...)),
		"length untold": zstandard(10000, append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58}, blocks...)),
	}
	for _, a := range both {
		bombs[a.String()] = compressed(t, a, Text, document)
		binary.LittleEndian.PutUint32(bombs[a.String()][atLength:], 1<<31)
	}
	for name, bomb := range bombs {
		if _, _, err := Decode(bomb); err == nil {
			t.Errorf("%s: it is taken", name)
		}
		if n := bytesFor(func() { _, _, _ = Decode(bomb) }); n > 12<<10 {
			t.Errorf("%s: %d bytes for a refusal", name, n)
		}
	}
	// Blocks that go beyond what the payload says are found at the first one.
	liar := zstandard(10000, append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x10, 0x26}, blocks...))
	if _, _, err := Decode(liar); err == nil {
		t.Error("a payload that is longer than it says is taken")
	}
	if n := bytesFor(func() { _, _, _ = Decode(liar) }); n > 256<<10 {
		t.Errorf("%d bytes for a payload that is longer than it says", n)
	}
}

// bytesFor is what f allocates, once it has run.
func bytesFor(f func()) uint64 {
	f()
	least := uint64(math.MaxUint64)
	for range 5 { // whoever else allocates does so in between
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// The examples in docs/compression.md are frames, and say what the page says.
func TestDocumentedExamples(t *testing.T) {
	page, err := os.ReadFile("../../docs/compression.md")
	if err != nil {
		t.Fatal(err)
	}
	var of []Algorithm
	for _, m := range regexp.MustCompile("(?s)```hex\n(.*?)```").FindAllSubmatch(page, -1) {
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
			continue
		}
		h, _ := ReadHeader(f)
		if again := compressed(t, h.Algorithm, Text, v); !bytes.Equal(again, f) {
			t.Errorf("written now it is\n%x", again)
		}
		of = append(of, h.Algorithm)
	}
	if !slices.Equal(of, both) {
		t.Errorf("the examples are of %v", of)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte(Magic))
	f.Add(compressed(f, LZ4, Text, document))
	f.Add(compressed(f, Zstd, Text, document))
	f.Add(compressed(f, LZ4, Blob, make([]byte, 10000)))
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
		for _, a := range both {
			frame, ok := Compress(a, Blob, b)
			if !ok {
				if frame, err = Escape(Blob, b); err != nil {
					t.Fatal(err)
				}
			}
			if _, v, err := Decode(frame); err != nil || !bytes.Equal(v, before) {
				t.Fatalf("%s: %v", a, err)
			}
		}
	})
}

func BenchmarkDecode4KB(b *testing.B) {
	for _, a := range both {
		f := compressed(b, a, Text, bytes.Repeat(document, 4)[:4096])
		b.Run(a.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(4096)
			for b.Loop() {
				if _, _, err := Decode(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompress4KB(b *testing.B) {
	v := bytes.Repeat(document, 4)[:4096]
	for _, a := range both {
		b.Run(a.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(4096)
			for b.Loop() {
				compressed(b, a, Text, v)
			}
		})
	}
}
