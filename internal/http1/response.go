package http1

import (
	"bytes"
	"io"
	"time"
)

// A Response is an answer whose head has been read. It is read by one goroutine,
// which calls Close when it needs nothing more of it, Get included: only then is
// the connection free for somebody else.
type Response struct {
	Status int
	// Length is that of the body, -1 where it shows only at its end.
	Length int64
	// Sent is when the request had left.
	Sent time.Time

	conn    *conn
	reused  bool
	stop    func() bool // ends the watch over the context; nil if there is none
	framing framing
	old     bool  // HTTP/1.0
	keep    bool  // the connection may be used again
	crlf    bool  // the end of the last chunk has not been read yet
	remain  int64 // of the body, or of the chunk
	err     error // how the body ended
}

// Reused tells since when there is the connection that the answer came on, and
// whether it was there before the request needed it.
func (r *Response) Reused() (born time.Time, reused bool) { return r.conn.born, r.reused }

// Read gives the body. With its last bytes comes io.EOF; a body that is cut off
// ends with io.ErrUnexpectedEOF.
func (r *Response) Read(p []byte) (n int, err error) {
	switch {
	case r.err != nil:
		return 0, r.err
	case len(p) == 0:
		return 0, nil
	case r.framing == byChunks:
		n, err = r.readChunks(p)
	case r.framing == byClose:
		n, err = r.conn.br.Read(p)
	case r.remain == 0:
		err = io.EOF
	default:
		n, err = r.readSome(p)
		if err == nil && r.remain == 0 {
			err = io.EOF
		}
	}
	r.err = err
	return n, err
}

// readSome reads at most what remains.
func (r *Response) readSome(p []byte) (int, error) {
	if int64(len(p)) > r.remain {
		p = p[:r.remain]
	}
	n, err := r.conn.br.Read(p)
	r.remain -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readChunks fills p from as many chunks as have arrived, and waits only while p
// is empty: a server that sends each row as a chunk does not make its reader
// come back for each.
func (r *Response) readChunks(p []byte) (n int, err error) {
	for n < len(p) {
		if r.remain == 0 {
			if n > 0 && !r.chunkArrived() {
				return n, nil
			}
			if err := r.nextChunk(); err != nil {
				return n, err
			}
		} else if n > 0 && r.conn.br.Buffered() == 0 {
			return n, nil
		}
		m, err := r.readSome(p[n:])
		n += m
		r.crlf = r.remain == 0
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// chunkArrived tells whether the head of the next chunk can be read without
// waiting.
func (r *Response) chunkArrived() bool {
	b, _ := r.conn.br.Peek(r.conn.br.Buffered())
	if r.crlf {
		b = b[min(2, len(b)):]
	}
	return bytes.IndexByte(b, '\n') >= 0
}

// nextChunk reads up to the data of the next chunk; io.EOF at the end of the
// body.
func (r *Response) nextChunk() error {
	c := r.conn
	if r.crlf {
		if end, err := c.readChunkLine(); err != nil {
			return err
		} else if len(end) > 0 {
			return errChunk
		}
		r.crlf = false
	}
	line, err := c.readChunkLine()
	if err != nil {
		return err
	}
	size, _, _ := bytes.Cut(line, []byte{';'}) // extensions mean nothing to us
	n, ok := hexadecimal(bytes.TrimRight(size, " \t"))
	if !ok {
		return errChunk
	}
	if n > 0 {
		r.remain = n
		return nil
	}
	for total := 0; ; {
		line, err := c.readChunkLine()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return io.EOF
		}
		if total += len(line); total > maxHead {
			return errHeadLong
		}
	}
}

// readChunkLine reads a short line of the framing.
func (c *conn) readChunkLine() ([]byte, error) {
	line, err := c.br.ReadSlice('\n')
	switch err {
	case nil:
		// A line feed alone is where parsers have come to disagree about what is data.
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok {
			return nil, errChunk
		}
		return line, nil
	case io.EOF:
		return nil, io.ErrUnexpectedEOF
	case errBufferFull:
		return nil, errChunk
	}
	return nil, err
}

func hexadecimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	for _, ch := range b {
		switch {
		case ch >= '0' && ch <= '9':
			ch -= '0'
		case ch >= 'a' && ch <= 'f':
			ch -= 'a' - 10
		case ch >= 'A' && ch <= 'F':
			ch -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | int64(ch)
	}
	return n, true
}

// Close ends the answer. If its body has been read to its end the connection is
// kept, otherwise it is closed. A second Close does nothing.
func (r *Response) Close() error {
	c := r.conn
	if c == nil {
		return nil
	}
	r.conn = nil
	watched := r.stop == nil || r.stop()
	whole := r.err == io.EOF || r.err == nil && r.framing == byLength && r.remain == 0
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	if whole && watched && r.keep && c.br.Buffered() == 0 {
		c.pool.put(c)
		return nil
	}
	c.close()
	return nil
}
