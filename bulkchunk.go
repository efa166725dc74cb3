package tursoopt

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A chunk is rows that wait to be inserted: as values, and, for as long as none
// of them is a blob, as a JSON text too.
type chunk struct {
	width  int
	rows   int
	bytes  int
	values []any
	text   []byte
	// blobs: JSON cannot hold the chunk.
	blobs bool
}

func (c *chunk) reset(width int) {
	c.width, c.rows, c.bytes, c.blobs = width, 0, 0, false
	clear(c.values)
	c.values, c.text = c.values[:0], append(c.text[:0], '[')
}

// full tells whether another row should go into another chunk.
func (c *chunk) full(rows int) bool { return c.rows >= rows || c.bytes >= bulkBytes }

// add takes a row, and copies what it keeps of it.
func (c *chunk) add(row []any) error {
	if len(row) != c.width {
		return fmt.Errorf("it has %d values for %d columns", len(row), c.width)
	}
	sep := byte('[')
	if c.rows > 0 {
		c.text = append(c.text, ',')
	}
	for i, v := range row {
		nv := driver.NamedValue{Ordinal: i + 1, Value: v}
		if err := checkNamedValue(&nv); err != nil {
			return err
		}
		if b, ok := nv.Value.([]byte); ok {
			nv.Value = append([]byte{}, b...)
		}
		c.values = append(c.values, nv.Value)
		c.text = append(c.text, sep)
		c.value(nv.Value)
		sep = ','
	}
	c.text = append(c.text, ']')
	c.rows++
	return nil
}

// value appends a value to the text.
func (c *chunk) value(v driver.Value) {
	before := len(c.text)
	switch x := v.(type) {
	case nil:
		c.text = append(c.text, "null"...)
	case int64:
		c.text = strconv.AppendInt(c.text, x, 10)
	case float64:
		c.text = appendReal(c.text, x)
	case string:
		if strings.IndexByte(x, 0) >= 0 {
			c.blobs = true // a text in JSON ends at its NUL
		}
		c.text = appendText(c.text, x)
	case []byte:
		c.blobs = true
		c.bytes += len(x)
	case framedBlob:
		c.blobs = true
		c.bytes += len(x)
	}
	c.bytes += len(c.text) - before
}

// json is the whole text.
func (c *chunk) json() string { return string(c.text) + "]" }

// appendReal writes a number that SQLite reads back as the same REAL: "1" would
// be an integer.
func appendReal(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, "null"...)
	case math.IsInf(x, 1):
		return append(dst, "9e999"...)
	case math.IsInf(x, -1):
		return append(dst, "-9e999"...)
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, x, 'g', -1, 64)
	for _, b := range dst[from:] {
		if b == '.' || b == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// appendText writes a JSON string. The text is valid UTF-8.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"', c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			_, n := utf8.DecodeRuneInString(s[i:])
			dst = append(dst, s[i:i+n]...)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}
