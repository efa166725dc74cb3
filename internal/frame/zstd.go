package frame

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The level is the one of which an encoder takes 1.4 MB. The next one makes JSON
// shorter by 4 % of what is left, for 5 MB.
const (
	level  = zstd.SpeedDefault
	window = 1 << 20
)

// keep is the longest buffer that is kept for the next value.
const keep = 64 << 10

// Encoders and decoders of one value at a time have no goroutine, and so may be
// forgotten by their pool.
var (
	packers = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithWindowSize(window),
			zstd.WithLowerEncoderMem(true), zstd.WithSingleSegment(true), // so that the length is always told
			zstd.WithEncoderCRC(false)) // the frame has a checksum
		if err != nil {
			panic(err) // of constant options
		}
		return &packer{Encoder: e}
	}}
	unpackers = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxLength),
			zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			panic(err) // of constant options
		}
		return d
	}}
)

// A packer compresses, into memory that it keeps.
type packer struct {
	*zstd.Encoder
	buf []byte
}

// zstdFrame is a frame without its header.
func zstdFrame(value []byte) []byte {
	p := packers.Get().(*packer)
	defer packers.Put(p)
	if p.buf == nil {
		p.buf = make([]byte, HeaderSize, keep)
	}
	frame := p.EncodeAll(value, p.buf)
	if cap(frame) > cap(p.buf) {
		return frame // it has outgrown the buffer
	}
	return append(make([]byte, 0, len(frame)), frame...)
}

// unZstd is what a payload holds, in the memory of value, if it is exactly as long.
// A payload has to say so before anything is done: what it makes instead could be
// much longer.
func unZstd(value, payload []byte) (plain []byte, ok bool) {
	var h zstd.Header
	if err := h.Decode(payload); err != nil || !h.HasFCS || h.FrameContentSize != uint64(len(value)) {
		return nil, false
	}
	d := unpackers.Get().(*zstd.Decoder)
	defer unpackers.Put(d)
	plain, err := d.DecodeAll(payload, value[:0])
	return plain, err == nil && len(plain) == len(value)
}
