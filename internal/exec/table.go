package exec

import (
	"math"
	"unsafe"
)

// A Table stores rows the way they are decoded: one cell of 16 bytes for each
// value, and all text and blobs behind each other in one arena. A decoder
// appends cells in row order; nothing is allocated for a value on its own.
//
// A Table that is shared is never written again, so any number of goroutines
// may read it.
type Table struct {
	width int
	rows  int // counted here, since a row may have no columns
	cells []cell
	arena []byte
}

type cell struct {
	bits uint64 // the integer, the float's bits, or the offset in the arena
	len  uint32
	kind Kind
}

// Reset empties the table, keeps its memory and sets the number of columns.
func (t *Table) Reset(width int) {
	t.width, t.rows = width, 0
	t.cells, t.arena = t.cells[:0], t.arena[:0]
}

// Grow makes room for cells and payload bytes, as far as they are known before.
func (t *Table) Grow(cells, payload int) {
	if n := len(t.cells) + cells; n > cap(t.cells) {
		t.cells = append(make([]cell, 0, n), t.cells...)
	}
	if n := len(t.arena) + payload; n > cap(t.arena) {
		t.arena = append(make([]byte, 0, n), t.arena...)
	}
}

// Width is the number of columns.
func (t *Table) Width() int { return t.width }

// Len is the number of rows that are complete.
func (t *Table) Len() int { return t.rows }

// EndRow completes a row. It reports whether the row has exactly Width cells;
// a row that has not is a protocol error and the table must be thrown away.
func (t *Table) EndRow() bool {
	t.rows++
	return len(t.cells) == t.rows*t.width
}

func (t *Table) AppendNull()       { t.cells = append(t.cells, cell{}) }
func (t *Table) AppendInt(v int64) { t.cells = append(t.cells, cell{bits: uint64(v), kind: Integer}) }
func (t *Table) AppendFloat(v float64) {
	t.cells = append(t.cells, cell{bits: math.Float64bits(v), kind: Float})
}

// AppendBytes adds a text or blob cell with a copy of b.
func (t *Table) AppendBytes(k Kind, b []byte) {
	t.EndBytes(k, append(t.BeginBytes(), b...))
}

// BeginBytes returns the arena to append a text or blob to, for decoders that
// unescape on the way; EndBytes takes it back, grown, and adds the cell.
func (t *Table) BeginBytes() []byte { return t.arena }

// EndBytes completes what BeginBytes began: everything appended to the arena
// since then is the value.
func (t *Table) EndBytes(k Kind, arena []byte) {
	off := len(t.arena)
	t.arena = arena
	t.cells = append(t.cells, cell{bits: uint64(off), len: uint32(len(arena) - off), kind: k})
}

// Kind is the storage class of a cell.
func (t *Table) Kind(row, col int) Kind { return t.cells[row*t.width+col].kind }

// Int is the value of an Integer cell.
func (t *Table) Int(row, col int) int64 { return int64(t.cells[row*t.width+col].bits) }

// Float is the value of a Float cell.
func (t *Table) Float(row, col int) float64 {
	return math.Float64frombits(t.cells[row*t.width+col].bits)
}

// Bytes is the payload of a Text or Blob cell. It is the table's own memory and
// must not be written; its capacity ends with it.
func (t *Table) Bytes(row, col int) []byte {
	c := t.cells[row*t.width+col]
	end := c.bits + uint64(c.len)
	return t.arena[c.bits:end:end]
}

// String is the payload of a Text cell without a copy: it shares, and keeps
// alive, the memory of the whole table, and is valid only while the table is
// not Reset.
func (t *Table) String(row, col int) string {
	b := t.Bytes(row, col)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Value is a cell as a Value; a Blob shares the table's memory.
func (t *Table) Value(row, col int) Value {
	switch k := t.Kind(row, col); k {
	case Integer:
		return Value{Kind: k, Int: t.Int(row, col)}
	case Float:
		return Value{Kind: k, Float: t.Float(row, col)}
	case Text:
		return Value{Kind: k, Text: string(t.Bytes(row, col))}
	case Blob:
		return Value{Kind: k, Blob: t.Bytes(row, col)}
	}
	return Value{}
}

// AppendValue adds a cell of any kind.
func (t *Table) AppendValue(v Value) {
	switch v.Kind {
	case Integer:
		t.AppendInt(v.Int)
	case Float:
		t.AppendFloat(v.Float)
	case Text:
		t.EndBytes(Text, append(t.BeginBytes(), v.Text...))
	case Blob:
		t.AppendBytes(Blob, v.Blob)
	default:
		t.AppendNull()
	}
}

// Box gives the cells as interfaces, as Result.Boxed has them. Their strings are
// the table's own memory, which must not be written again.
func (t *Table) Box() []any {
	boxed := make([]any, len(t.cells))
	for i := range boxed {
		switch row, col := i/t.width, i%t.width; t.cells[i].kind {
		case Integer:
			boxed[i] = t.Int(row, col)
		case Float:
			boxed[i] = t.Float(row, col)
		case Text:
			boxed[i] = t.String(row, col)
		}
	}
	return boxed
}

// Used is the memory that the rows take, in bytes.
func (t *Table) Used() int {
	return len(t.cells)*int(unsafe.Sizeof(cell{})) + len(t.arena)
}

// Size is the memory held, in bytes.
func (t *Table) Size() int {
	return cap(t.cells)*int(unsafe.Sizeof(cell{})) + cap(t.arena)
}
