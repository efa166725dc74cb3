package hrana

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The protobuf half of the codec is written by hand over protowire, so that
// cells go from the wire into an exec.Table, and from there to the wire, without
// a message object in between. The schema is in the last chapter of
// docs/HRANA_3_SPEC.md of tursodatabase/libsql; what sqld sends beyond it
// (replication indexes, rows_read and the like) is in libsql-hrana/src of the
// same repository. Functions are named after the schema's messages.
//
// Two departures from what a generated decoder does: of a message field that
// occurs twice the last one counts and they are not merged, and a oneof whose
// member is unknown is an error where a member is needed. A value of a type that
// does not exist yet must not be read as NULL.

var errProtoText = errors.New("text is not valid UTF-8")

// protoFields walks over the fields of one message. The first error ends the
// walk; it is in err and names the cause.
type protoFields struct {
	rest []byte
	num  protowire.Number
	typ  protowire.Type
	n    uint64 // what a varint or a fixed64 field holds
	b    []byte // what a length-delimited field holds, not copied
	err  error
}

// next reads the next field. It skips what no field of the protocol uses, that
// is groups and fixed32, but reports it, as it does fields of unknown numbers.
func (f *protoFields) next() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		f.err = tagError(f.rest)
		return false
	}
	f.rest, f.num, f.typ = f.rest[n:], num, typ
	switch typ {
	case protowire.BytesType:
		f.b, n = protowire.ConsumeBytes(f.rest)
	case protowire.VarintType:
		f.n, n = protowire.ConsumeVarint(f.rest)
	case protowire.Fixed64Type:
		f.n, n = protowire.ConsumeFixed64(f.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, f.rest)
	}
	if n < 0 {
		f.err = fmt.Errorf("field %d of wire type %d is cut off or malformed", num, typ)
		return false
	}
	f.rest = f.rest[n:]
	return true
}

// tagError does not wrap protowire's errors: one of them is
// io.ErrUnexpectedEOF, which says of a transfer that it was cut off, and a
// decoder is given whole messages.
func tagError(b []byte) error {
	x, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return errors.New("a field's tag is cut off or malformed")
	}
	return fmt.Errorf("%d is not a field number", x>>3)
}

// count is how many fields of a number lie ahead. It leaves the walk where it
// is, but for an error.
func (f *protoFields) count(num protowire.Number) (n int) {
	for ahead := *f; ; {
		if !ahead.next() {
			f.err = ahead.err
			return n
		}
		if ahead.num == num {
			n++
		}
	}
}

// only walks to the end and gives the last message field of a number.
func (f *protoFields) only(num protowire.Number) (b []byte) {
	for f.next() {
		if f.num == num {
			b = f.message()
		}
	}
	return b
}

func (f *protoFields) fail(err error) {
	if f.err == nil && err != nil {
		f.err = err
	}
}

func (f *protoFields) is(want protowire.Type) bool {
	if f.typ != want {
		f.fail(fmt.Errorf("field %d has wire type %d instead of %d", f.num, f.typ, want))
	}
	return f.typ == want
}

// message is a length-delimited field's content.
func (f *protoFields) message() []byte {
	if !f.is(protowire.BytesType) {
		return nil
	}
	return f.b
}

// text is a copy of a string field.
func (f *protoFields) text() string {
	b := f.message()
	if !utf8.Valid(b) {
		f.fail(fmt.Errorf("field %d: %w", f.num, errProtoText))
	}
	return string(b)
}

func (f *protoFields) uint64() uint64 {
	if !f.is(protowire.VarintType) {
		return 0
	}
	return f.n
}

func (f *protoFields) sint64() int64 { return protowire.DecodeZigZag(f.uint64()) }
func (f *protoFields) int32() int32  { return int32(f.uint64()) }
func (f *protoFields) bool() bool    { return f.uint64() != 0 }

// uint32 refuses what a generated decoder would cut to 32 bits: all that these
// fields hold are numbers of steps, and a wrong one would give one step's
// outcome to another.
func (f *protoFields) uint32() uint32 {
	n := f.uint64()
	if n > math.MaxUint32 {
		f.fail(fmt.Errorf("field %d exceeds 32 bits", f.num))
	}
	return uint32(n)
}

// uint63 is an unsigned field that is kept as an int64.
func (f *protoFields) uint63() int64 {
	n := f.uint64()
	if n > math.MaxInt64 {
		f.fail(fmt.Errorf("field %d exceeds 63 bits", f.num))
	}
	return int64(n)
}

func (f *protoFields) double() float64 {
	if !f.is(protowire.Fixed64Type) {
		return 0
	}
	return math.Float64frombits(f.n)
}

// inMessage says in which message an error was met.
func inMessage(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// protoWriter appends fields. The first error is kept; what is appended after
// it is of no use.
type protoWriter struct {
	b   []byte
	err error
}

func (w *protoWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// end gives what an encoder returns: dst grown, or dst and the error.
func (w *protoWriter) end(dst []byte, name string) ([]byte, error) {
	if w.err != nil {
		return dst, fmt.Errorf("protobuf %s: %w", name, w.err)
	}
	return w.b, nil
}

func (w *protoWriter) uint64(num protowire.Number, v uint64) {
	w.b = protowire.AppendVarint(protowire.AppendTag(w.b, num, protowire.VarintType), v)
}

// int32 sign-extends, as the encoding wants it.
func (w *protoWriter) int32(num protowire.Number, v int32) { w.uint64(num, uint64(v)) }

func (w *protoWriter) double(num protowire.Number, v float64) {
	w.b = protowire.AppendFixed64(protowire.AppendTag(w.b, num, protowire.Fixed64Type), math.Float64bits(v))
}

func (w *protoWriter) text(num protowire.Number, s string) {
	if !utf8.ValidString(s) {
		w.fail(errProtoText)
	}
	w.b = protowire.AppendString(protowire.AppendTag(w.b, num, protowire.BytesType), s)
}

// someText leaves the empty text out, for optional fields and for those whose
// default it is.
func (w *protoWriter) someText(num protowire.Number, s string) {
	if s != "" {
		w.text(num, s)
	}
}

// someUint64 leaves zero out, likewise.
func (w *protoWriter) someUint64(num protowire.Number, v uint64) {
	if v != 0 {
		w.uint64(num, v)
	}
}

// someSint64 leaves zero out, likewise.
func (w *protoWriter) someSint64(num protowire.Number, v int64) {
	w.someUint64(num, protowire.EncodeZigZag(v))
}

// begin opens a message field. Its length is not known yet: one byte is left
// for it, which is enough for most.
func (w *protoWriter) begin(num protowire.Number) (body int) {
	w.b = append(protowire.AppendTag(w.b, num, protowire.BytesType), 0)
	return len(w.b)
}

// close writes the length of the message that was opened at body, and moves the
// message if one byte is too few.
func (w *protoWriter) close(body int) {
	n := len(w.b) - body
	if n < 0x80 {
		w.b[body-1] = byte(n)
		return
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	var room [10]byte
	w.b = append(w.b, room[:more]...)
	copy(w.b[body+more:], w.b[body:body+n])
	protowire.AppendVarint(w.b[:body-1], uint64(n))
}
