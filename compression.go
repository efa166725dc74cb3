package tursoopt

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"unsafe"

	"github.com/turso-opt/turso-opt/internal/frame"
)

// DefaultCompressMin is the length in bytes below which a value is not compressed.
const DefaultCompressMin = 1 << 10

var (
	_ driver.Valuer = compressed{}
	_ framer        = compressed{}
	_ framer        = CompressedText("")
	_ framer        = CompressedBlob(nil)
)

// Compressed is v as an argument, stored as an LZ4 frame if it is text or a blob
// of at least DefaultCompressMin bytes and gets shorter; anything else is stored
// as it is, and NULL stays NULL. What has been stored so is read by CompressedText
// and CompressedBlob, or by a Connector with CompressColumns, which compresses
// by itself. The database sees a BLOB: it cannot search or compare it.
func Compressed(v any) driver.Valuer { return compressed{AlgorithmLZ4, v} }

// CompressedWith is Compressed by another algorithm: AlgorithmLZ4 or AlgorithmZstd.
// With any other the statement that v is an argument of fails.
func CompressedWith(algorithm string, v any) driver.Valuer { return compressed{algorithm, v} }

type compressed struct {
	algorithm string
	v         any
}

// Value gives what is stored. Its errors are those of an argument that cannot be
// stored.
func (c compressed) Value() (driver.Value, error) {
	v, err := driver.DefaultParameterConverter.ConvertValue(c.v)
	if err != nil {
		return nil, err
	}
	by, err := algorithm(c.algorithm)
	if err != nil {
		return nil, fmt.Errorf("turso-opt: algorithm %q: %w", c.algorithm, err)
	}
	switch x := v.(type) {
	case string:
		return frameText(by, x)
	case []byte:
		return frameBlob(by, x)
	}
	return v, nil
}

// CompressedText is text that is stored as Compressed stores it, and reads frames
// and plain values alike. For a column that may be NULL there are *CompressedText
// and sql.Null[CompressedText].
type CompressedText string

// Value gives what is stored.
func (t CompressedText) Value() (driver.Value, error) { return frameText(frame.LZ4, string(t)) }

// Scan reads text, or a frame. An error says that the value is NULL or neither,
// or that the frame is damaged.
func (t *CompressedText) Scan(src any) error {
	switch x := src.(type) {
	case string:
		*t = CompressedText(x)
		return nil
	case []byte:
		_, v, err := unframe(x)
		if err == nil {
			*t = CompressedText(v)
		}
		return err
	case nil:
		return errors.New("turso-opt: NULL is no CompressedText; scan into *CompressedText or sql.Null[CompressedText]")
	}
	return fmt.Errorf("turso-opt: a value of type %T is no CompressedText", src)
}

// CompressedBlob is a blob that is stored as Compressed stores it, and reads
// frames and plain values alike. NULL is nil.
type CompressedBlob []byte

// Value gives what is stored.
func (b CompressedBlob) Value() (driver.Value, error) { return frameBlob(frame.LZ4, b) }

// Scan reads a blob, text, NULL, or a frame. An error says that the value is
// neither, or that the frame is damaged.
func (b *CompressedBlob) Scan(src any) error {
	switch x := src.(type) {
	case string:
		*b = CompressedBlob(x)
		return nil
	case []byte:
		_, v, err := unframe(x)
		if err == nil {
			*b = append(CompressedBlob{}, v...)
		}
		return err
	case nil:
		*b = nil
		return nil
	}
	return fmt.Errorf("turso-opt: a value of type %T is no CompressedBlob", src)
}

// unframe gives what a stored blob stands for.
func unframe(b []byte) (frame.Kind, []byte, error) {
	if !frame.Is(b) {
		return frame.Blob, b, nil
	}
	k, v, err := frame.Decode(b)
	if err != nil {
		return 0, nil, fmt.Errorf("turso-opt: %w", err)
	}
	return k, v, nil
}

func frameText(by frame.Algorithm, s string) (driver.Value, error) {
	if len(s) < DefaultCompressMin {
		return s, nil
	}
	if f, ok := frame.Compress(by, frame.Text, bytesOf(s)); ok {
		return f, nil
	}
	return s, nil
}

func frameBlob(by frame.Algorithm, b []byte) (driver.Value, error) {
	switch {
	case b == nil:
		return nil, nil
	case len(b) >= DefaultCompressMin:
		if f, ok := frame.Compress(by, frame.Blob, b); ok {
			return f, nil
		}
	}
	if frame.Is(b) {
		return frame.Escape(frame.Blob, b)
	}
	return bytes.Clone(b), nil
}

// bytesOf is a string's bytes, to be read only.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// A framer is an argument that gives a frame where that is shorter, so that its
// blob is not one that happens to look like a frame.
type framer interface {
	driver.Valuer
	framed()
}

func (compressed) framed()     {}
func (CompressedText) framed() {}
func (CompressedBlob) framed() {}

// framedBlob is a framer's blob: it is stored as it is.
type framedBlob []byte

// stringOf is b as a string; nobody may write to b any more.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
