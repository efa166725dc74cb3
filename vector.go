package tursoopt

import (
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

var (
	_ driver.Valuer = Vector32(nil)
	_ sql.Scanner   = (*Vector32)(nil)
)

// A Vector32 is a vector of libSQL's type FLOAT32 (F32_BLOB), as an argument and
// to scan into. A nil Vector32 is NULL.
//
// It is stored as libSQL does: the elements behind each other, four bytes each
// in little-endian order. See "Vector datatype" in Turso's documentation.
type Vector32 []float32

// Value is the vector as a blob.
func (v Vector32) Value() (driver.Value, error) {
	if v == nil {
		return nil, nil
	}
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b, nil
}

// Scan reads a blob, or the text that vector_extract gives, such as "[1,2.5]".
func (v *Vector32) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*v = nil
		return nil
	case []byte:
		if len(src)%4 != 0 {
			return fmt.Errorf("turso-opt: a blob of %d bytes is no vector of 32-bit floats", len(src))
		}
		out := make(Vector32, len(src)/4)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
		*v = out
		return nil
	case string:
		return v.parse(src)
	}
	return fmt.Errorf("turso-opt: a %T is no vector", src)
}

func (v *Vector32) parse(s string) error {
	in, ok := strings.CutPrefix(strings.TrimSpace(s), "[")
	if ok {
		in, ok = strings.CutSuffix(in, "]")
	}
	if !ok {
		return fmt.Errorf("turso-opt: a vector's text is in brackets")
	}
	out := Vector32{}
	for i, field := range strings.Split(in, ",") {
		if strings.TrimSpace(in) == "" {
			break
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(field), 32)
		if err != nil {
			return fmt.Errorf("turso-opt: element %d of the vector is no number", i)
		}
		out = append(out, float32(x))
	}
	*v = out
	return nil
}
