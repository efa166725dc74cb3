// Package frame is the form in which a compressed value is stored: a blob that
// says of itself what it is, so that old plain values and new compressed ones
// may stand in one column. docs/compression.md describes it for readers in other
// languages.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// Magic is what a frame begins with. No text in UTF-8 does.
const Magic = "\x9dTOfr\xc0\x01z"

// The header behind the magic: version, algorithm, kind, a zero, then the length
// of the value and the checksum, both as 32 bits with the lowest byte first.
const (
	atVersion   = len(Magic)
	atAlgorithm = atVersion + 1
	atKind      = atVersion + 2
	atZero      = atVersion + 3
	atLength    = atVersion + 4
	atChecksum  = atLength + 4

	// HeaderSize is the number of bytes before the payload.
	HeaderSize = atChecksum + 4
)

// Version is that of the frames written here.
const Version = 1

// An Algorithm is how a payload holds the value.
type Algorithm uint8

const (
	// Stored: as it is. It is for values that would be taken for frames.
	Stored Algorithm = 0
	// LZ4: as one LZ4 block, without LZ4's own frame.
	LZ4 Algorithm = 1
	// Zstd: as a Zstandard frame without a dictionary.
	Zstd Algorithm = 2
	// Algorithms is how many there are.
	Algorithms = 3
)

func (a Algorithm) String() string { return [Algorithms]string{"stored", "lz4", "zstd"}[a] }

// A Kind is what the value was.
type Kind uint8

const (
	Text Kind = 1
	Blob Kind = 2
)

// MaxLength is the length of the longest value that is compressed, in bytes. A
// frame that claims a longer one is refused before any memory is taken for it.
const MaxLength = 64 << 20

// maxRatio is how much longer than its payload a value may be. More LZ4 cannot
// make of it, since each byte of a length adds 255 at most. Zstandard can, some
// thousand times more, and so is not used for a value that gets that short: what a
// few bytes may make a reader take is bounded for both alike.
const maxRatio = 255

// An Error is why a frame cannot be read. It quotes nothing of the value.
type Error struct {
	Reason string
	// Newer: the frame was written by a later version of this software, if it is not
	// damaged where it says so.
	Newer bool
}

func (e *Error) Error() string { return "compressed value: " + e.Reason }

func bad(format string, args ...any) error { return &Error{Reason: fmt.Sprintf(format, args...)} }

// Is reports whether b begins like a frame, and so is one or has to be escaped.
func Is(b []byte) bool {
	return len(b) >= len(Magic) && string(b[:len(Magic)]) == Magic
}

// Compress gives value as a frame, compressed by LZ4 or Zstd. A value that Zstd
// makes shorter than may be is compressed by LZ4. ok is false if the frame would not
// be shorter than the value, or the value is longer than MaxLength. The value is
// not kept.
func Compress(a Algorithm, k Kind, value []byte) (frame []byte, ok bool) {
	if len(value) <= HeaderSize || len(value) > MaxLength {
		return nil, false
	}
	if a == Zstd {
		frame = zstdFrame(value)
	}
	if a != Zstd || len(value) > maxRatio*(len(frame)-HeaderSize) {
		a, frame = LZ4, lz4Frame(value)
	}
	if frame == nil || len(frame) >= len(value) {
		return nil, false
	}
	header(frame, a, k, value)
	return frame, true
}

// Escape gives value as a frame that holds it as it is. Only values that begin
// like a frame need it.
func Escape(k Kind, value []byte) ([]byte, error) {
	if uint64(len(value)) > math.MaxUint32 {
		return nil, errors.New("a value of more than 4 GiB cannot be put into a frame")
	}
	frame := make([]byte, HeaderSize+len(value))
	copy(frame[HeaderSize:], value)
	header(frame, Stored, k, value)
	return frame, nil
}

func header(frame []byte, a Algorithm, k Kind, value []byte) {
	copy(frame, Magic)
	frame[atVersion], frame[atAlgorithm], frame[atKind], frame[atZero] = Version, byte(a), byte(k), 0
	binary.LittleEndian.PutUint32(frame[atLength:], uint32(len(value)))
	binary.LittleEndian.PutUint32(frame[atChecksum:], checksum(frame, value))
}

// checksum is over the header before it and the value, so that a damaged kind is
// found as well as a damaged value.
func checksum(frame, value []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(frame[:atChecksum]), crc32.IEEETable, value)
}

// AlgorithmOf is that of a frame which Compress, Escape or Decode has to do with and
// found no fault in.
func AlgorithmOf(frame []byte) Algorithm { return Algorithm(frame[atAlgorithm]) }

// A Header is what a frame says of its value.
type Header struct {
	Algorithm Algorithm
	Kind      Kind
	Length    int
}

// ReadHeader reads what stands before the payload. Its errors are *Errors.
func ReadHeader(frame []byte) (h Header, err error) {
	switch {
	case !Is(frame):
		return h, bad("it is no frame")
	case len(frame) > atVersion && frame[atVersion] > Version:
		return h, &Error{Newer: true, Reason: fmt.Sprintf("the frame is of version %d, and this software knows version %d and before",
			frame[atVersion], Version)}
	case len(frame) < HeaderSize:
		return h, bad("the frame is cut off in its header")
	case frame[atVersion] == 0, frame[atZero] != 0:
		return h, bad("the frame's header is damaged")
	}
	h.Algorithm, h.Kind = Algorithm(frame[atAlgorithm]), Kind(frame[atKind])
	if h.Kind != Text && h.Kind != Blob {
		return h, bad("the frame's header is damaged: there is no kind %d", h.Kind)
	}
	length, payload := uint64(binary.LittleEndian.Uint32(frame[atLength:])), uint64(len(frame)-HeaderSize)
	switch h.Algorithm {
	case Stored:
		if length != payload {
			return h, bad("the frame holds %d bytes, and its header says %d", payload, length)
		}
	case LZ4, Zstd:
		if length > MaxLength || length > payload*maxRatio {
			return h, bad("the frame claims %d bytes, more than its %d can hold", length, payload)
		}
	default:
		return h, &Error{Newer: true, Reason: fmt.Sprintf("the frame is of algorithm %d, which this software does not know: a later version has written it, or it is damaged",
			h.Algorithm)}
	}
	h.Length = int(length)
	return h, nil
}

// Decode gives the value of a frame in memory of its own. It takes no more memory
// than MaxLength, or 255 times the frame, whatever the frame says. Its errors are
// *Errors.
func Decode(frame []byte) (Kind, []byte, error) {
	h, err := ReadHeader(frame)
	if err != nil {
		return 0, nil, err
	}
	value, ok := make([]byte, h.Length), true
	switch payload := frame[HeaderSize:]; h.Algorithm {
	case Stored:
		copy(value, payload)
	case LZ4:
		ok = unLZ4(value, payload)
	case Zstd:
		value, ok = unZstd(value, payload)
	}
	if !ok {
		return 0, nil, bad("the frame's payload is damaged or cut off")
	}
	if binary.LittleEndian.Uint32(frame[atChecksum:]) != checksum(frame, value) {
		return 0, nil, bad("the frame is damaged: its checksum is another")
	}
	return h.Kind, value, nil
}
