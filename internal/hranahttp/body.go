package hranahttp

import (
	"errors"
	"io"
	"sync"
)

// A buffer is a pooled body.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 4<<10)} }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

// keepBuffer is the largest buffer that goes back to the pool, so that one large
// answer does not stay in memory for good.
const keepBuffer = 1 << 20

func (b *buffer) free() {
	if cap(b.b) <= keepBuffer {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

var errTooLong = errors.New("the answer is longer than the driver accepts")

// believed is how much memory a Content-Length is worth before any of the body
// has come.
const believed = 1 << 20

// readFrom reads a body of the given length, -1 if that is not known, of at most
// limit bytes.
func (b *buffer) readFrom(r io.Reader, length, limit int64) error {
	if length > limit {
		return errTooLong
	}
	// One more than needed, so that the end is seen without growing.
	if n := int(min(length, believed)) + 1; n > cap(b.b) {
		b.b = make([]byte, 0, n)
	}
	buf := b.b[:0]
	defer func() { b.b = buf }()
	for {
		if len(buf) == cap(buf) {
			// Doubled, but not beyond what has been announced.
			n := 2 * cap(buf)
			if l := int(length) + 1; length >= 0 && l > len(buf) {
				n = min(n, l)
			}
			buf = append(make([]byte, 0, n), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return errTooLong
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// errorBody is how much of an error's body is read: enough for any message, and
// the connection can be used again.
const errorBody = 64 << 10

func readError(body io.ReadCloser) []byte {
	defer body.Close()
	b, _ := io.ReadAll(io.LimitReader(body, errorBody)) // what came before a failure is all there is to report
	return b
}
