package hrana

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The tags of the members of Value, each one byte on the wire.
const (
	tagNull    = 1<<3 | byte(protowire.BytesType)
	tagInteger = 2<<3 | byte(protowire.VarintType)
	tagFloat   = 3<<3 | byte(protowire.Fixed64Type)
	tagText    = 4<<3 | byte(protowire.BytesType)
	tagBlob    = 5<<3 | byte(protowire.BytesType)
	// tagCell is that of the one field of Row.
	tagCell = 1<<3 | byte(protowire.BytesType)
)

// errNoType is for a oneof of which no member is known.
var errNoType = errors.New("its type is missing or unknown")

// value appends a Value message as field num.
func (w *protoWriter) value(num protowire.Number, v *exec.Value) {
	body := w.begin(num)
	switch v.Kind {
	case exec.Null:
		w.b = append(w.b, tagNull, 0)
	case exec.Integer:
		w.b = protowire.AppendVarint(append(w.b, tagInteger), protowire.EncodeZigZag(v.Int))
	case exec.Float:
		w.b = protowire.AppendFixed64(append(w.b, tagFloat), math.Float64bits(v.Float))
	case exec.Text:
		w.text(4, v.Text)
	case exec.Blob:
		w.b = protowire.AppendBytes(append(w.b, tagBlob), v.Blob)
	default:
		w.fail(fmt.Errorf("a value of kind %d", v.Kind))
	}
	w.close(body)
}

// row appends the cells of one row as a Row message in field num.
func (w *protoWriter) row(num protowire.Number, t *exec.Table, row int) {
	body := w.begin(num)
	for col := range t.Width() {
		cell := w.begin(1)
		switch t.Kind(row, col) {
		case exec.Integer:
			w.b = protowire.AppendVarint(append(w.b, tagInteger), protowire.EncodeZigZag(t.Int(row, col)))
		case exec.Float:
			w.b = protowire.AppendFixed64(append(w.b, tagFloat), math.Float64bits(t.Float(row, col)))
		case exec.Text:
			w.text(4, t.String(row, col))
		case exec.Blob:
			w.b = protowire.AppendBytes(append(w.b, tagBlob), t.Bytes(row, col))
		default:
			w.b = append(w.b, tagNull, 0)
		}
		w.close(cell)
	}
	w.close(body)
}

// protoValue decodes a Value message. A blob is not copied.
func protoValue(b []byte) (v exec.Value, err error) {
	known := false
	f := protoFields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.message()
			v = exec.Value{}
		case 2:
			v = exec.Value{Kind: exec.Integer, Int: f.sint64()}
		case 3:
			v = exec.Value{Kind: exec.Float, Float: f.double()}
		case 4:
			v = exec.Value{Kind: exec.Text, Text: f.text()}
		case 5:
			v = exec.Value{Kind: exec.Blob, Blob: f.message()}
		default:
			continue
		}
		known = true
	}
	if !known {
		f.fail(errNoType)
	}
	return v, inMessage("Value", f.err)
}

// protoCell appends a Value message to the table as a cell. What encoders write,
// one member and nothing else, is read at once; the rest goes the long way.
func protoCell(t *exec.Table, b []byte) error {
	if len(b) < 2 {
		return protoOddCell(t, b)
	}
	switch body := b[1:]; b[0] {
	case tagInteger:
		if v, n := protowire.ConsumeVarint(body); n == len(body) {
			t.AppendInt(protowire.DecodeZigZag(v))
			return nil
		}
	case tagText:
		if v, n := protowire.ConsumeBytes(body); n == len(body) {
			if !utf8.Valid(v) {
				return errProtoText
			}
			t.AppendBytes(exec.Text, v)
			return nil
		}
	case tagBlob:
		if v, n := protowire.ConsumeBytes(body); n == len(body) {
			t.AppendBytes(exec.Blob, v)
			return nil
		}
	case tagFloat:
		if v, n := protowire.ConsumeFixed64(body); n == len(body) {
			t.AppendFloat(math.Float64frombits(v))
			return nil
		}
	case tagNull:
		if len(body) == 1 && body[0] == 0 {
			t.AppendNull()
			return nil
		}
	}
	return protoOddCell(t, b)
}

func protoOddCell(t *exec.Table, b []byte) error {
	v, err := protoValue(b)
	if err == nil {
		t.AppendValue(v)
	}
	return err
}

// protoRow appends a Row message to the table.
func protoRow(t *exec.Table, b []byte) error {
	for col := 0; len(b) > 0; {
		var cell []byte
		if n := 2; len(b) >= n && b[0] == tagCell && b[1] < 0x80 && len(b)-n >= int(b[1]) {
			n += int(b[1])
			cell, b = b[2:n], b[n:]
		} else {
			f := protoFields{rest: b}
			f.next()
			if f.num == 1 {
				cell = f.message()
			}
			if f.err != nil {
				return inMessage("Row", f.err)
			}
			if b = f.rest; f.num != 1 {
				continue
			}
		}
		if err := protoCell(t, cell); err != nil {
			return fmt.Errorf("column %d: %w", col, err)
		}
		col++
	}
	if !t.EndRow() {
		return fmt.Errorf("row %d does not have the %d columns of its table", t.Len()-1, t.Width())
	}
	return nil
}

// protoRowSize is how many cells a Row message holds and about how many bytes
// of text and blobs, so that room is made once. A message that encoders would
// not write may be misjudged; that costs time only.
func protoRowSize(b []byte) (cells, payload int) {
	for len(b) > 2 && b[0] == tagCell {
		n, more := int(b[1]), 2
		if n >= 0x80 {
			v, size := protowire.ConsumeVarint(b[1:])
			if size < 0 || v > uint64(len(b)) {
				return cells, payload
			}
			n, more = int(v), 1+size
		}
		if n == 0 || n > len(b)-more {
			return cells, payload
		}
		if k := b[more]; k == tagText || k == tagBlob {
			payload += n - 1 - protowire.SizeVarint(uint64(n))
		}
		cells++
		b = b[more+n:]
	}
	return cells, payload
}
