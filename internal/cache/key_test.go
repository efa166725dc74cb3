package cache

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// encode is a key as bytes that tell it from every other: what equal has to agree
// with.
func encode(k *Key) string {
	b := binary.AppendUvarint(nil, uint64(len(k.SQL)))
	b = append(b, k.SQL...)
	for _, v := range k.Args {
		b = append(b, byte(v.Kind))
		switch v.Kind {
		case exec.Integer:
			b = binary.BigEndian.AppendUint64(b, uint64(v.Int))
		case exec.Float:
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float))
		case exec.Text:
			b = binary.AppendUvarint(b, uint64(len(v.Text)))
			b = append(b, v.Text...)
		case exec.Blob:
			b = binary.AppendUvarint(b, uint64(len(v.Blob)))
			b = append(b, v.Blob...)
		}
	}
	return string(b)
}

// keyOf makes a key of bytes: a length and a text, then for each argument a type,
// a length and a payload.
func keyOf(b []byte) Key {
	next := func(n int) []byte {
		n = min(n, len(b))
		p := b[:n]
		b = b[n:]
		return p
	}
	length := func() int {
		if p := next(1); len(p) == 1 {
			return int(p[0] & 15)
		}
		return 0
	}
	k := Key{SQL: string(next(length()))}
	for len(b) > 0 {
		v := exec.Value{Kind: exec.Kind(next(1)[0] % 5)}
		p := next(length())
		var n [8]byte
		copy(n[:], p)
		switch v.Kind {
		case exec.Integer:
			v.Int = int64(binary.LittleEndian.Uint64(n[:]))
		case exec.Float:
			v.Float = math.Float64frombits(binary.LittleEndian.Uint64(n[:]))
		case exec.Text:
			v.Text = string(p)
		case exec.Blob:
			v.Blob = p
		}
		k.Args = append(k.Args, v)
	}
	return k
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x01s\x01\x011"), []byte("\x01s\x03\x011")) // 1 and '1'
	f.Add([]byte("\x01s\x03\x011"), []byte("\x01s\x04\x011")) // '1' and x'31'
	f.Add([]byte("\x01s\x01\x00"), []byte("\x01s\x02\x00"))   // 0 and 0.0
	f.Add([]byte("\x01s\x03\x01a\x03\x01b"), []byte("\x01s\x03\x02ab\x03\x00"))
	f.Add([]byte("\x02sa"), []byte("\x01s\x03\x01a"))
	f.Add([]byte("\x00\x00\x00"), []byte("\x00\x00\x00\x00\x00")) // one NULL and two
	seed := maphash.MakeSeed()
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, b := keyOf(x), keyOf(y)
		if same := encode(&a) == encode(&b); same != a.equal(&b) || same != b.equal(&a) {
			t.Fatalf("%q and %q: equal is %v", x, y, !same)
		} else if same && a.hash(seed) != b.hash(seed) {
			t.Fatalf("%q and %q: one key and two hashes", x, y)
		}
		c := a.clone()
		if !c.equal(&a) || c.hash(seed) != a.hash(seed) {
			t.Fatalf("%q: a clone is another key", x)
		}
	})
}

func TestKeysTellTypesApart(t *testing.T) {
	values := []exec.Value{
		{}, {Kind: exec.Integer}, {Kind: exec.Integer, Int: 1}, {Kind: exec.Float}, {Kind: exec.Float, Float: 1},
		{Kind: exec.Float, Float: math.Copysign(0, -1)}, {Kind: exec.Text}, {Kind: exec.Text, Text: "1"}, {Kind: exec.Text, Text: "1.0"},
		{Kind: exec.Blob}, {Kind: exec.Blob, Blob: []byte("1")},
	}
	seed := maphash.MakeSeed()
	for i := range values {
		for j := range values {
			a, b := Key{"s", values[i : i+1]}, Key{"s", values[j : j+1]}
			if a.equal(&b) != (i == j) {
				t.Errorf("%+v and %+v: equal is %v", values[i], values[j], i != j)
			}
			if i != j && a.hash(seed) == b.hash(seed) {
				t.Errorf("%+v and %+v have one hash", values[i], values[j])
			}
		}
	}
}

func TestClonedKeyIsItsOwn(t *testing.T) {
	blob := []byte("abc")
	k := Key{SQL: "s", Args: []exec.Value{{Kind: exec.Blob, Blob: blob}}}
	c := k.clone()
	blob[0] = 'x'
	if string(c.Args[0].Blob) != "abc" {
		t.Error("the caller's buffer is the key's")
	}
}
