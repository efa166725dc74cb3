package hrana

import (
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// ErrInfinity is why a request that holds an infinite float cannot be written
// in JSON, which has no infinity and of which sqld accepts no substitute: "null",
// 9e999 and strings are all refused. In an SQL text 9e999 is one.
var ErrInfinity = errors.New("the JSON encoding of Hrana has no infinity")

var errNotUTF8 = errors.New("text is not valid UTF-8")

// A jsonWriter appends JSON. Its first error sticks.
type jsonWriter struct {
	b   []byte
	err error
}

func (w *jsonWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// end gives what an encoder returns: dst grown, or dst and the error.
func (w *jsonWriter) end(dst []byte) ([]byte, error) {
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

// raw appends what is JSON already.
func (w *jsonWriter) raw(s string) { w.b = append(w.b, s...) }

func (w *jsonWriter) int(v int64)   { w.b = strconv.AppendInt(w.b, v, 10) }
func (w *jsonWriter) uint(v uint64) { w.b = strconv.AppendUint(w.b, v, 10) }

func (w *jsonWriter) bool(v bool) { w.b = strconv.AppendBool(w.b, v) }

// float appends a finite number with a fraction or an exponent, as sqld does,
// so that nobody takes it for an integer.
func (w *jsonWriter) float(v float64) {
	start := len(w.b)
	w.b = strconv.AppendFloat(w.b, v, 'g', -1, 64)
	for _, c := range w.b[start:] {
		if c == '.' || c == 'e' {
			return
		}
	}
	w.raw(".0")
}

// separate appends a comma between the elements of a list.
func (w *jsonWriter) separate(i int) {
	if i > 0 {
		w.b = append(w.b, ',')
	}
}

// text appends a string.
func (w *jsonWriter) text(s string) { w.bytes(unsafe.Slice(unsafe.StringData(s), len(s))) }

// bytes appends a string whose text is s.
func (w *jsonWriter) bytes(s []byte) {
	b := append(w.b, '"')
	start := 0 // of what is not yet appended
	for i := 0; ; {
		if i += plainLen(s[i:]); i == len(s) {
			break
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			_, n := utf8.DecodeRune(s[i:])
			if n == 1 {
				w.fail(errNotUTF8)
				return
			}
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		i++
		start = i
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	b = append(b, s[start:]...)
	w.b = append(b, '"')
}

// optional appends a string, or null for an empty one.
func (w *jsonWriter) optional(s string) {
	if s == "" {
		w.raw("null")
		return
	}
	w.text(s)
}

// value appends an SQLite value of a request.
func (w *jsonWriter) value(v *exec.Value) {
	switch v.Kind {
	case exec.Integer:
		w.integerValue(v.Int)
	case exec.Float:
		if math.IsInf(v.Float, 0) {
			w.fail(ErrInfinity)
			return
		}
		if math.IsNaN(v.Float) {
			// SQLite binds a NaN as NULL, and JSON has none.
			w.raw(`{"type":"null"}`)
			return
		}
		w.floatValue(v.Float)
	case exec.Text:
		w.raw(`{"type":"text","value":`)
		w.text(v.Text)
		w.raw("}")
	case exec.Blob:
		w.blobValue(v.Blob)
	default:
		w.raw(`{"type":"null"}`)
	}
}

// cell appends an SQLite value of an answer, as sqld does.
func (w *jsonWriter) cell(t *exec.Table, row, col int) {
	switch t.Kind(row, col) {
	case exec.Integer:
		w.integerValue(t.Int(row, col))
	case exec.Float:
		if f := t.Float(row, col); math.IsInf(f, 0) || math.IsNaN(f) {
			w.raw(`{"type":"float","value":null}`)
		} else {
			w.floatValue(f)
		}
	case exec.Text:
		w.raw(`{"type":"text","value":`)
		w.bytes(t.Bytes(row, col))
		w.raw("}")
	case exec.Blob:
		w.blobValue(t.Bytes(row, col))
	default:
		w.raw(`{"type":"null"}`)
	}
}

func (w *jsonWriter) integerValue(v int64) {
	w.raw(`{"type":"integer","value":"`)
	w.int(v)
	w.raw(`"}`)
}

func (w *jsonWriter) floatValue(v float64) {
	w.raw(`{"type":"float","value":`)
	w.float(v)
	w.raw("}")
}

func (w *jsonWriter) blobValue(v []byte) {
	w.raw(`{"type":"blob","base64":"`)
	w.b = rawBase64.AppendEncode(w.b, v)
	w.raw(`"}`)
}
