package hranahttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// maxEntry bounds one entry of a cursor, which is one row: sqld's limit of 5 MB
// for a value leaves room for several.
const maxEntry = 64 << 20

// A Cursor is the answer to a cursor request while it arrives. It is not safe
// for concurrent use, except that nothing; one reader owns it.
type Cursor struct {
	Baton    string
	Endpoint *Endpoint

	c      *Client
	resp   *http.Response
	r      *bufio.Reader
	enc    hrana.Encoding
	buf    []byte
	ctx    context.Context
	cancel context.CancelFunc
	ended  bool
}

// Cursor sends a batch whose results stream back. level must be V3. Its error is
// as Pipeline's. The cursor is ended by io.EOF, by an error or by Close; until
// then it holds a connection.
func (c *Client) Cursor(ctx context.Context, ep *Endpoint, level Level, req *hrana.CursorReq) (*Cursor, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	enc := level.Encoding()
	data, err := hrana.AppendCursorReq(nil, enc, req)
	if err != nil {
		c.running.Done()
		return nil, encodeError(err)
	}
	run, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.life, cancel)
	cur := &Cursor{c: c, enc: enc, ctx: ctx, cancel: func() { stop(); cancel() }}
	cur.resp, err = c.send(run, ep.cursor[level], ep.host, enc, &payload{data: data}, req.Baton != "")
	if err != nil {
		cur.cancel()
		c.running.Done()
		return nil, err
	}
	cur.r = bufio.NewReaderSize(cur.resp.Body, 64<<10)
	var head hrana.CursorResp
	msg, err := hrana.NextMessage(enc, cur.r, nil, maxEntry)
	if err == nil {
		err = hrana.DecodeCursorResp(enc, msg, &head)
	}
	if err != nil {
		err = cur.broken(err)
		cur.Close()
		return nil, err
	}
	cur.buf = msg
	cur.Baton, cur.Endpoint = head.Baton, c.follow(ep, head.BaseURL)
	return cur, nil
}

// Next decodes the next entry into e; the cells of a row are appended to t. It
// returns io.EOF at the end.
func (cur *Cursor) Next(e *hrana.CursorEntry, t *exec.Table) error {
	msg, err := hrana.NextMessage(cur.enc, cur.r, cur.buf[:0], maxEntry)
	if err == io.EOF {
		cur.Close()
		return io.EOF
	}
	if err == nil {
		cur.buf = msg
		err = hrana.DecodeCursorEntry(cur.enc, msg, e, t)
	}
	if err != nil {
		err = cur.broken(err)
		cur.Close()
		return err
	}
	return nil
}

// Buffered tells whether more has already arrived, so that Next will probably
// not wait.
func (cur *Cursor) Buffered() bool { return cur.r.Buffered() > 0 }

// Close stops the transfer. Over HTTP/1.1 that closes the connection.
func (cur *Cursor) Close() error {
	if cur.ended {
		return nil
	}
	cur.ended = true
	cur.cancel()
	err := cur.resp.Body.Close()
	cur.c.running.Done()
	return err
}

func (cur *Cursor) broken(err error) *exec.Error {
	cur.c.counters.failed.Add(1)
	var netErr interface{ Timeout() bool }
	switch {
	case cur.ctx.Err() != nil:
		return contextError(cur.ctx, true)
	case cur.c.life.Err() != nil:
		return errClosed
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.As(err, &netErr):
		return transportError(err, true)
	}
	return protocolError(cur.resp, err)
}
