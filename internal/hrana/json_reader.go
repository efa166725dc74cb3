package hrana

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// A jsonReader reads one JSON text from front to back, without a tree and
// without allocating. Its first error sticks and moves it to the end, where
// every method gives a zero value and ends its caller's loop, so callers look at
// err only where they would otherwise keep what they must not.
//
// It is strict where data could be mistaken (RFC 8259 in full: escapes, UTF-8,
// lone surrogates, control characters) and lenient where servers may grow:
// callers skip the fields they do not know.
type jsonReader struct {
	data  []byte
	pos   int
	depth int
	err   error

	rowsEnd int // see rowsLeft
}

// maxJSONDepth is the depth at which sqld's own parser stops, and far more than
// any message has.
const maxJSONDepth = 128

// fail keeps the first error. What it says must not quote values: errors are
// logged. The names of types are not values.
func (r *jsonReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("hrana: JSON at byte %d of %d: %s", r.pos, len(r.data), fmt.Sprintf(format, args...))
	}
	r.pos = len(r.data)
}

func (r *jsonReader) expected(what string) {
	if r.pos < len(r.data) {
		r.fail("%s was expected", what)
	} else {
		r.fail("it ends where %s was expected", what)
	}
}

// peek is the next byte that is not white space, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.pos < len(r.data) {
		c := r.data[r.pos]
		if c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
		r.pos++
	}
	return 0
}

// end is called after the last value.
func (r *jsonReader) end() error {
	if r.peek(); r.pos < len(r.data) {
		r.fail("there is more after the end")
	}
	return r.err
}

func (r *jsonReader) open(c byte, what string) bool {
	if r.peek() != c {
		r.expected(what)
		return false
	}
	if r.depth++; r.depth > maxJSONDepth {
		r.fail("it is nested more than %d deep", maxJSONDepth)
		return false
	}
	r.pos++
	return true
}

// object begins to read an object and gives its first name; ok is false if
// there is none. The value must be read or skipped before next is called.
func (r *jsonReader) object() (name []byte, ok bool) {
	if !r.open('{', "an object") {
		return nil, false
	}
	if r.peek() == '}' {
		r.pos++
		r.depth--
		return nil, false
	}
	return r.name()
}

// next gives the next name of the object that is being read.
func (r *jsonReader) next() (name []byte, ok bool) {
	switch r.peek() {
	case ',':
		r.pos++
		return r.name()
	case '}':
		r.pos++
		r.depth--
		return nil, false
	}
	r.expected("a comma or the end of an object")
	return nil, false
}

func (r *jsonReader) name() ([]byte, bool) {
	name := r.plainText()
	if r.peek() != ':' {
		r.expected("a colon")
		return nil, false
	}
	r.pos++
	return name, true
}

// array begins to read an array and tells whether it has an element, which must
// be read or skipped before element is called.
func (r *jsonReader) array() bool {
	if !r.open('[', "an array") {
		return false
	}
	if r.peek() == ']' {
		r.pos++
		r.depth--
		return false
	}
	return true
}

// element tells whether the array that is being read has another element.
func (r *jsonReader) element() bool {
	switch r.peek() {
	case ',':
		r.pos++
		return true
	case ']':
		r.pos++
		r.depth--
		return false
	}
	r.expected("a comma or the end of an array")
	return false
}

// literal reads word, whose first byte has been seen.
func (r *jsonReader) literal(word string) bool {
	if end := r.pos + len(word); end <= len(r.data) && string(r.data[r.pos:end]) == word {
		r.pos = end
		return true
	}
	r.expected(word)
	return false
}

// null reads a null, if one is next.
func (r *jsonReader) null() bool {
	return r.peek() == 'n' && r.literal("null")
}

func (r *jsonReader) bool() bool {
	switch r.peek() {
	case 't':
		return r.literal("true")
	case 'f':
		r.literal("false")
		return false
	}
	r.expected("true or false")
	return false
}

// str reads a string and gives what is between its quotes, checked in full but
// with its escapes still in it, if escaped.
func (r *jsonReader) str() (raw []byte, escaped bool) {
	if r.peek() != '"' {
		r.expected("a string")
		return nil, false
	}
	data, start := r.data, r.pos+1
	for i := start; ; {
		i += plainLen(data[i:])
		if i == len(data) {
			r.pos = i
			r.fail("it ends inside a string")
			return nil, false
		}
		n, why := 0, ""
		switch c := data[i]; {
		case c == '"':
			r.pos = i + 1
			return data[start:i], escaped
		case c == '\\':
			escaped = true
			_, n, why = unescape(data[i:])
		case c < ' ':
			why = "a control character in a string"
		default:
			if _, n = utf8.DecodeRune(data[i:]); n == 1 {
				why = "text that is not valid UTF-8"
			}
		}
		if why != "" {
			r.pos = i
			r.fail("%s", why)
			return nil, false
		}
		i += n
	}
}

// plainLen is the number of bytes at the start of b that mean themselves in a
// JSON string and are ASCII.
func plainLen(b []byte) int {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		// A byte's high bit is set by the byte itself where it is not ASCII, and by
		// a subtraction that borrows where it is below a space, a quote or a
		// backslash. A borrow may mark the bytes above it too, never one below.
		w := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := w^'"'*ones, w^'\\'*ones
		if m := (w | (w - ' '*ones) | (quote - ones) | (backslash - ones)) & high; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// unescape reads the escape at the start of b: the character, the length, and
// why it is none.
func unescape(b []byte) (c rune, n int, why string) {
	if len(b) < 2 {
		return 0, 0, "an escape that is cut off"
	}
	if c := shortEscapes[b[1]]; c != 0 {
		return rune(c), 2, ""
	}
	if b[1] != 'u' {
		return 0, 0, "an unknown escape"
	}
	hi, ok := hex4(b)
	switch {
	case !ok:
		return 0, 0, "an escape without four hexadecimal digits"
	case hi < 0xd800 || hi > 0xdfff:
		return hi, 6, ""
	}
	lo, ok := hex4(b[6:])
	if !ok || hi > 0xdbff || lo < 0xdc00 || lo > 0xdfff {
		return 0, 0, "half of a surrogate pair"
	}
	return 0x10000 + (hi-0xd800)<<10 + (lo - 0xdc00), 12, ""
}

// shortEscapes are the characters that a backslash and one letter stand for.
var shortEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// hex4 reads \uXXXX at the start of b.
func hex4(b []byte) (c rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, x := range b[2:6] {
		switch {
		case '0' <= x && x <= '9':
			x -= '0'
		case 'a' <= x|0x20 && x|0x20 <= 'f':
			x = (x | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		c = c<<4 | rune(x)
	}
	return c, true
}
