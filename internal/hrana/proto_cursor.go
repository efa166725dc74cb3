package hrana

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func appendProtoCursorReq(dst []byte, req *CursorReq) ([]byte, error) {
	w := protoWriter{b: dst}
	w.someText(1, req.Baton)
	w.batch(2, &req.Batch)
	return w.end(dst, "CursorReqBody")
}

// firstRead is how much of a message is read before memory is made for the
// rest: a length alone is no reason to allocate it.
const firstRead = 64 << 10

func nextProtoMessage(r *bufio.Reader, buf []byte, limit int) ([]byte, error) {
	size, err := messageLength(r)
	if err != nil {
		return nil, err
	}
	if limit < 0 || size > uint64(limit) {
		return nil, fmt.Errorf("protobuf: a message of %d bytes, above the limit of %d", size, limit)
	}
	buf = buf[:0]
	for n := int(size); len(buf) < n; {
		from := len(buf)
		to := min(n, max(cap(buf), 2*from, firstRead))
		buf = slices.Grow(buf, to-from)[:to]
		if _, err := io.ReadFull(r, buf[from:]); err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// messageLength reads the varint before a message.
func messageLength(r *bufio.Reader) (uint64, error) {
	var size uint64
	for shift := 0; shift < 64; shift += 7 {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && shift > 0:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case c < 0x80 && shift == 63 && c > 1:
			return math.MaxUint64, nil
		}
		size |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return size, nil
		}
	}
	return 0, errors.New("protobuf: the length before a message exceeds 64 bits")
}

func decodeProtoCursorResp(msg []byte, resp *CursorResp) error {
	*resp = CursorResp{}
	f := protoFields{rest: msg}
	for f.next() {
		switch f.num {
		case 1:
			resp.Baton = f.text()
		case 2:
			resp.BaseURL = f.text()
		}
	}
	return inMessage("protobuf CursorRespBody", f.err)
}

func decodeProtoCursorEntry(msg []byte, e *CursorEntry, t *exec.Table) error {
	e.Type = 0
	f := protoFields{rest: msg}
	for f.next() {
		body := protoFields{}
		switch f.num {
		case 1, 2, 3, 4, 5, 6:
			body.rest = f.message()
			e.Type = EntryType(f.num)
		}
		_ = body
	}
	return inMessage("protobuf CursorEntry", f.err)
}
