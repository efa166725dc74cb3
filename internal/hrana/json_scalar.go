package hrana

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// appendText appends the text of a string that str has read.
func appendText(dst, raw []byte, escaped bool) []byte {
	for escaped {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			break
		}
		c, n, _ := unescape(raw[i:])
		dst = utf8.AppendRune(append(dst, raw[:i]...), c)
		raw = raw[i+n:]
	}
	return append(dst, raw...)
}

// plainText reads a string without its escapes. Where it has none, which is the
// rule for names, it is part of the input.
func (r *jsonReader) plainText() []byte {
	raw, escaped := r.str()
	if escaped {
		return appendText(nil, raw, true)
	}
	return raw
}

// text reads a string, or null as an empty one.
func (r *jsonReader) text() string {
	if r.null() {
		return ""
	}
	return string(r.plainText())
}

// number reads a number and gives its text.
func (r *jsonReader) number() []byte {
	r.peek()
	data, start := r.data, r.pos
	i := start
	digits := func() bool {
		from := i
		for i < len(data) && '0' <= data[i] && data[i] <= '9' {
			i++
		}
		return i > from
	}
	at := func(c byte) bool { return i < len(data) && data[i] == c }
	if at('-') {
		i++
	}
	ok := true
	if at('0') {
		i++ // nothing but a fraction may follow it
	} else {
		ok = digits()
	}
	if ok && at('.') {
		i++
		ok = digits()
	}
	if ok && (at('e') || at('E')) {
		i++
		if at('+') || at('-') {
			i++
		}
		ok = digits()
	}
	if !ok {
		r.expected("a number")
		return nil
	}
	r.pos = i
	return data[start:i]
}

// digits reads an integer, which servers write as a number or, because
// JavaScript would round it, as a string; nil for null.
func (r *jsonReader) digits() []byte {
	switch r.peek() {
	case 'n':
		r.literal("null")
		return nil
	case '"':
		return r.plainText()
	}
	return r.number()
}

// integer reads an integer, or null as 0.
func (r *jsonReader) integer() int64 {
	b := r.digits()
	if b == nil {
		return 0
	}
	v, ok := parseInt(b)
	if !ok {
		r.fail("an integer of 64 bits was expected")
	}
	return v
}

// unsigned reads an integer that is not negative, or null as 0.
func (r *jsonReader) unsigned() uint64 {
	b := r.digits()
	if b == nil {
		return 0
	}
	v, ok := parseUint(b)
	if !ok {
		r.fail("an unsigned integer of 64 bits was expected")
	}
	return v
}

// small reads an integer that fits into T.
func small[T int32 | uint32](r *jsonReader) T {
	v := r.integer()
	if int64(T(v)) != v {
		r.fail("an integer of 32 bits was expected")
	}
	return T(v)
}

// float reads a number, or null as 0.
func (r *jsonReader) float() float64 {
	if r.null() {
		return 0
	}
	v, ok := parseFloat(r.number())
	if !ok {
		r.fail("a number is out of range")
	}
	return v
}

func parseInt(b []byte) (v int64, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	u, ok := parseUint(b)
	switch {
	case !ok:
		return 0, false
	case negative:
		return -int64(u), u <= -math.MinInt64
	}
	return int64(u), u <= math.MaxInt64
}

func parseUint(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		if c -= '0'; c > 9 || v > math.MaxUint64/10 || v == math.MaxUint64/10 && c > math.MaxUint64%10 {
			return 0, false
		}
		v = v*10 + uint64(c)
	}
	return v, len(b) > 0
}

// parseFloat reads a JSON number, which has been checked to be one.
func parseFloat(b []byte) (v float64, ok bool) {
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil
}

// skip passes over one value of any kind.
func (r *jsonReader) skip() {
	switch r.peek() {
	case '{':
		for _, ok := r.object(); ok; _, ok = r.next() {
			r.skip()
		}
	case '[':
		for ok := r.array(); ok; ok = r.element() {
			r.skip()
		}
	case '"':
		r.str()
	case 't', 'f':
		r.bool()
	case 'n':
		r.null()
	default:
		r.number()
	}
}

// later passes over a value that can only be read when more is known, and gives
// its place for revisit.
func (r *jsonReader) later() (place int) {
	r.peek()
	place = r.pos
	r.skip()
	return place
}

// revisit reads a value that later has passed over, by read.
func (r *jsonReader) revisit(place int, read func()) {
	if r.err != nil {
		return
	}
	resume := r.pos
	r.pos = place
	read()
	if r.err == nil {
		r.pos = resume
	}
}
