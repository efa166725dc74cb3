package hranatest

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// A vector is one of libSQL's, of 4 or 8 bytes for each number. As a blob it is
// the numbers in little endian; those of 8 bytes are followed by a byte 2.
type vector struct {
	values []float64
	wide   bool
}

// vectorFunctions are libSQL's functions of vectors, as far as they need no
// index.
func vectorFunctions(db *sqlite3.Conn) error {
	const flags = sqlite3.INNOCUOUS | sqlite3.DETERMINISTIC
	make := func(wide bool) sqlite3.ScalarFunction {
		return withVectors(func(ctx sqlite3.Context, v ...vector) error {
			v[0].wide = wide
			ctx.ResultBlob(v[0].blob())
			return nil
		})
	}
	for _, f := range []struct {
		name string
		args int
		fn   sqlite3.ScalarFunction
	}{
		{"vector", 1, make(false)},
		{"vector32", 1, make(false)},
		{"vector64", 1, make(true)},
		{"vector_extract", 1, withVectors(func(ctx sqlite3.Context, v ...vector) error {
			ctx.ResultText(v[0].text())
			return nil
		})},
		{"vector_distance_cos", 2, withVectors(distance(cosine))},
		{"vector_distance_l2", 2, withVectors(distance(euclidean))},
	} {
		if err := db.CreateFunction(f.name, f.args, flags, f.fn); err != nil {
			return err
		}
	}
	return nil
}

// withVectors is a function that takes vectors, as text or as blobs.
func withVectors(fn func(ctx sqlite3.Context, v ...vector) error) sqlite3.ScalarFunction {
	return func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		v := make([]vector, len(arg))
		var err error
		for i := range arg {
			if v[i], err = vectorOf(arg[i]); err != nil {
				break
			}
		}
		if err == nil {
			err = fn(ctx, v...)
		}
		if err != nil {
			ctx.ResultError(err)
		}
	}
}

func vectorOf(value sqlite3.Value) (vector, error) {
	switch value.Type() {
	case sqlite3.TEXT:
		return parseVector(value.Text())
	case sqlite3.BLOB:
		return decodeVector(value.RawBlob())
	}
	return vector{}, fmt.Errorf("vector: unexpected value type: got %s, expected TEXT or BLOB", value.Type())
}

func parseVector(text string) (vector, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "[") {
		return vector{}, fmt.Errorf("vector: must start with '['")
	}
	text, ok := strings.CutSuffix(text[1:], "]")
	if !ok {
		return vector{}, fmt.Errorf("vector: must end with ']'")
	}
	if strings.TrimSpace(text) == "" {
		return vector{}, nil
	}
	var v vector
	for i, each := range strings.Split(text, ",") {
		each = strings.TrimSpace(each)
		f, err := strconv.ParseFloat(each, 64)
		if err != nil {
			return vector{}, fmt.Errorf("vector: invalid float at position %d: '%s'", i, each)
		}
		v.values = append(v.values, f)
	}
	return v, nil
}

func decodeVector(blob []byte) (vector, error) {
	if len(blob)%2 == 0 {
		if len(blob)%4 != 0 {
			return vector{}, fmt.Errorf("vector: invalid binary size: %d", len(blob))
		}
		v := vector{values: make([]float64, len(blob)/4)}
		for i := range v.values {
			v.values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(blob[4*i:])))
		}
		return v, nil
	}
	if kind := blob[len(blob)-1]; kind != 2 || len(blob)%8 != 1 {
		return vector{}, fmt.Errorf("vector: unexpected binary type: %d", kind)
	}
	v := vector{values: make([]float64, len(blob)/8), wide: true}
	for i := range v.values {
		v.values[i] = math.Float64frombits(binary.LittleEndian.Uint64(blob[8*i:]))
	}
	return v, nil
}

func (v vector) blob() []byte {
	b := make([]byte, 0, 8*len(v.values)+1)
	for _, f := range v.values {
		if v.wide {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
		}
	}
	if v.wide {
		b = append(b, 2)
	}
	return b
}

// text has six digits, as C's %g.
func (v vector) text() string {
	parts := make([]string, len(v.values))
	for i, f := range v.values {
		parts[i] = strconv.FormatFloat(f, 'g', 6, 64)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func (v vector) kind() int {
	if v.wide {
		return 2
	}
	return 1
}

func distance(measure func(a, b []float64) float64) func(ctx sqlite3.Context, v ...vector) error {
	return func(ctx sqlite3.Context, v ...vector) error {
		if v[0].wide != v[1].wide {
			return fmt.Errorf("vector_distance: vectors must have the same type: %d != %d", v[0].kind(), v[1].kind())
		}
		if len(v[0].values) != len(v[1].values) {
			return fmt.Errorf("vector_distance: vectors must have the same length: %d != %d", len(v[0].values), len(v[1].values))
		}
		// It has the precision of 4 bytes whatever the vectors have; NaN is NULL.
		ctx.ResultFloat(float64(float32(measure(v[0].values, v[1].values))))
		return nil
	}
}

func cosine(a, b []float64) float64 {
	var dot, aa, bb float64
	for i := range a {
		dot += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	return 1 - dot/math.Sqrt(aa*bb)
}

func euclidean(a, b []float64) float64 {
	var sum float64
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}
