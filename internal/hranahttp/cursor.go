package hranahttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/wire"
)

// maxEntry bounds one entry of a cursor, which is one row: sqld's limit of 5 MB
// for a value leaves room for several.
const maxEntry = 64 << 20

// A Cursor is the answer to a cursor request while it arrives. One reader owns
// it; only the end of its context or of the Client comes from elsewhere.
type Cursor struct {
	Baton    string
	Endpoint *Endpoint

	c       *Client
	ctx     context.Context
	level   Level
	enc     hrana.Encoding
	answer  answer
	r       *bufio.Reader
	buf     []byte
	raw     int   // bytes read, decompressed
	err     error // how it ended
	readErr error // of the connection
	release func()
}

// A cursorBody notes the errors of the connection, to tell them from those of
// what came over it.
type cursorBody Cursor

func (b *cursorBody) Read(p []byte) (int, error) {
	n, err := b.answer.body.Read(p)
	b.raw += n
	switch {
	case err == nil, err == io.EOF:
	case wire.IsDamaged(err):
		b.c.packing.broken.Store(true)
	default:
		b.readErr = err
	}
	return n, err
}

// readers are as large as what is read from the connection at once.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// Cursor sends a batch whose results stream back. level must be V3. Its error is
// as Pipeline's. The cursor is ended by io.EOF, by an error or by Close; until
// then it holds a connection. When ctx ends, also later, it is cut off.
func (c *Client) Cursor(ctx context.Context, ep *Endpoint, level Level, req *hrana.CursorReq, expect Expect) (*Cursor, error) {
	if ctx.Err() != nil {
		return nil, contextError(ctx, false)
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	enc := level.Encoding()
	data, err := hrana.AppendCursorReq(nil, enc, req)
	if err != nil {
		c.running.Done()
		return nil, encodeError(err)
	}
	ctx, left := c.within(ctx)
	q := &call{ep: ep, level: level, method: cursor, hasBaton: req.Baton != "", body: data, expect: expect, packed: c.packing.choose(&expect, true)}
	c.packing.sent.Add(uint64(len(data)))
	answered := c.requested(ctx, q)
	a, failed := c.send(ctx, q)
	if failed != nil {
		answered(Answer{Err: failed})
		left()
		c.running.Done()
		return nil, failed
	}
	cur := &Cursor{c: c, ctx: ctx, level: level, enc: enc, answer: a, r: readers.Get().(*bufio.Reader)}
	cur.r.Reset((*cursorBody)(cur))
	// Rows that nobody reads and nobody closes must not hold up Close for ever.
	done := sync.OnceFunc(c.running.Done)
	stop := context.AfterFunc(c.life, done)
	cur.release = func() { stop(); left(); done() }
	var head hrana.CursorResp
	msg, err := hrana.NextMessage(enc, cur.r, nil, maxEntry)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = hrana.DecodeCursorResp(enc, msg, &head)
	}
	if err != nil {
		err = cur.fail(err)
		answered(Answer{Err: err})
		return nil, err
	}
	answered(Answer{Received: len(msg)})
	cur.buf = msg
	cur.Baton, cur.Endpoint = head.Baton, c.follow(ep, head.BaseURL)
	return cur, nil
}

// Next decodes the next entry into e; the cells of a row are appended to t. It
// returns io.EOF at the end.
func (cur *Cursor) Next(e *hrana.CursorEntry, t *exec.Table) error {
	if cur.err != nil {
		return cur.err
	}
	msg, err := hrana.NextMessage(cur.enc, cur.r, cur.buf[:0], maxEntry)
	if err == io.EOF {
		cur.end(io.EOF)
		return io.EOF
	}
	if err == nil {
		cur.buf = msg
		err = hrana.DecodeCursorEntry(cur.enc, msg, e, t)
	}
	if err != nil {
		return cur.fail(err)
	}
	return nil
}

// Buffered tells whether more has already arrived, so that Next will probably
// not wait.
func (cur *Cursor) Buffered() bool { return cur.r != nil && cur.r.Buffered() > 0 }

// Close stops the transfer. Over HTTP/1.1 that closes the connection.
func (cur *Cursor) Close() error {
	cur.end(io.EOF)
	return nil
}

func (cur *Cursor) end(err error) {
	if cur.err != nil {
		return
	}
	cur.err = err
	cur.c.packing.count(cur.level, &cur.answer, cur.raw)
	cur.answer.body.Close()
	cur.r.Reset(nil)
	readers.Put(cur.r)
	cur.r, cur.buf = nil, nil
	cur.release()
}

// fail ends the cursor with an error of reading or of decoding.
func (cur *Cursor) fail(err error) error {
	cur.c.counters.failed.Add(1)
	var e *exec.Error
	switch {
	case cur.readErr != nil:
		e = cur.c.broken(cur.ctx, cur.readErr, true)
	case errors.Is(err, io.ErrUnexpectedEOF):
		e = cur.c.broken(cur.ctx, err, true)
	default:
		e = cur.c.notHrana(cur.answer.foreign, err)
	}
	cur.end(e)
	return e
}
