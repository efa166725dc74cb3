package hrana

import (
	"bytes"
	"encoding/base64"
	"math"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A jsonValue is an SQLite value as it was read, still in the input.
type jsonValue struct {
	kind    exec.Kind
	escaped bool
	// raw is the number's text, the text with its escapes if escaped, or the
	// base64; nil for a float that was null.
	raw []byte
}

// value reads an SQLite value. Servers write it as in the specification's
// examples, so that shape is recognised by its first bytes; anything else takes
// twice as long.
func (r *jsonReader) value() jsonValue {
	r.peek()
	start := r.pos
	if v, ok := r.compactValue(); ok || r.err != nil {
		return v
	}
	r.pos = start
	return r.anyValue()
}

func (r *jsonReader) compactValue() (v jsonValue, ok bool) {
	const at = len(`{"type":"`)
	d := r.data[r.pos:]
	if len(d) <= at {
		return v, false
	}
	prefix := ""
	switch d[at] {
	case 'n':
		prefix = `{"type":"null"`
	case 'i':
		v.kind, prefix = exec.Integer, `{"type":"integer","value":"`
	case 'f':
		v.kind, prefix = exec.Float, `{"type":"float","value":`
	case 't':
		v.kind, prefix = exec.Text, `{"type":"text","value":"`
	case 'b':
		v.kind, prefix = exec.Blob, `{"type":"blob","base64":"`
	}
	if prefix == "" || len(d) < len(prefix) || string(d[:len(prefix)]) != prefix {
		return v, false
	}
	r.pos += len(prefix)
	switch v.kind {
	case exec.Null:
	case exec.Float:
		if !r.null() {
			v.raw = r.number()
		}
	default:
		r.pos-- // the quote
		if v.raw, v.escaped = r.str(); v.escaped && v.kind != exec.Text {
			return v, false
		}
	}
	if r.pos < len(r.data) && r.data[r.pos] == '}' {
		r.pos++
		return v, true
	}
	return v, false
}

// anyValue reads a value whatever its white space, the order of its fields and
// what else it has.
func (r *jsonReader) anyValue() jsonValue {
	var v jsonValue
	known := false
	value, base64 := -1, -1
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "type":
			v.kind, known = r.kind(), true
		case "value":
			value = r.later()
		case "base64":
			base64 = r.later()
		default:
			r.skip()
		}
	}
	place := value
	switch {
	case !known:
		r.fail("a value without a type")
		return v
	case v.kind == exec.Null:
		return v
	case v.kind == exec.Blob:
		place = base64
	}
	if place < 0 {
		r.fail("a value of type %s without the value", v.kind)
		return v
	}
	r.revisit(place, func() {
		switch v.kind {
		case exec.Integer:
			if v.raw = r.digits(); v.raw == nil {
				r.expected("an integer")
			}
		case exec.Float:
			if !r.null() {
				v.raw = r.number()
			}
		case exec.Text:
			v.raw, v.escaped = r.str()
		case exec.Blob:
			v.raw = r.plainText()
		}
	})
	return v
}

func (r *jsonReader) kind() exec.Kind {
	switch name := r.plainText(); string(name) {
	case "null":
		return exec.Null
	case "integer":
		return exec.Integer
	case "float":
		return exec.Float
	case "text":
		return exec.Text
	case "blob":
		return exec.Blob
	default:
		r.unknown("a value", name)
	}
	return exec.Null
}

// unknown fails because of a type that is not known.
func (r *jsonReader) unknown(what string, name []byte) {
	if len(name) > 40 {
		name = name[:40]
	}
	r.fail("%s of the unknown type %q", what, name)
}

// cell appends a value to t.
func (r *jsonReader) cell(t *exec.Table) {
	switch v := r.value(); v.kind {
	case exec.Null:
		t.AppendNull()
	case exec.Integer:
		t.AppendInt(r.valueInt(v))
	case exec.Float:
		// sqld writes null for both infinities, which SQLite has, and never has a
		// NaN to write, which SQLite has not. So NaN says exactly what is known: a
		// value that is there, and is not a finite number.
		f := math.NaN()
		if v.raw != nil {
			f = r.valueFloat(v)
		}
		t.AppendFloat(f)
	case exec.Text:
		t.EndBytes(exec.Text, appendText(r.arena(t), v.raw, v.escaped))
	case exec.Blob:
		t.EndBytes(exec.Blob, r.appendBlob(r.arena(t), v.raw))
	}
}

func (r *jsonReader) valueInt(v jsonValue) int64 {
	i, ok := parseInt(v.raw)
	if !ok {
		r.fail("an integer value is not an integer of 64 bits")
	}
	return i
}

func (r *jsonReader) valueFloat(v jsonValue) float64 {
	f, ok := parseFloat(v.raw)
	if !ok {
		r.fail("a float value is out of range")
	}
	return f
}

// appendBlob decodes base64, which sqld writes without padding and others with.
// Strict, because a blob that is not what the server meant must not be returned.
func (r *jsonReader) appendBlob(dst, raw []byte) []byte {
	enc := rawBase64
	if bytes.HasSuffix(raw, []byte{'='}) {
		enc = paddedBase64
	}
	// The decoder overlooks line breaks. They can only be here as escapes.
	if bytes.ContainsAny(raw, "\r\n") {
		r.fail("a blob is not valid base64")
		return dst
	}
	out, err := enc.AppendDecode(dst, raw)
	if err != nil {
		r.fail("a blob is not valid base64")
		return dst
	}
	return out
}

var (
	rawBase64    = base64.RawStdEncoding.Strict()
	paddedBase64 = base64.StdEncoding.Strict()
)
