package hranatest

import (
	"net/http"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// cursor answers POST /v3/cursor and its kin. The stream is released before the
// batch is executed, so its next request may come while the cursor still runs;
// it shares the connection with it step by step.
func (s *Server) cursor(w http.ResponseWriter, r *http.Request, body []byte, e endpoint, readOnly bool) error {
	var req hrana.CursorReq
	if err := hrana.DecodeCursorReq(e.encoding, body, &req); err != nil {
		return undecodable(e.encoding, err)
	}
	st, err := s.streams.acquire(r.Context(), req.Baton)
	if err != nil {
		return err
	}
	c := call{Server: s, ctx: r.Context(), stream: st, version: e.version, readOnly: readOnly}
	p, err := c.program(&req.Batch)
	if err != nil {
		s.streams.drop(st)
		if refused, ok := err.(*refusal); ok {
			// Of a pipeline this would be the error of one request.
			return internal("Internal Error: `" + refused.Message + "`")
		}
		return err
	}
	conn := st.conn
	conn.retain()
	defer conn.release()
	out := s.begin(w, r, e)
	head := hrana.CursorResp{Baton: s.streams.release(st), BaseURL: s.baseURL()}
	l := cursorListener{out: out, encoding: e.encoding, profile: s.opts.Profile}
	if l.buf, err = hrana.AppendCursorResp(l.buf, e.encoding, &head); err != nil {
		return internal(err.Error())
	}
	// The baton is good from now on, however long the batch takes.
	if err := l.flush(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return l.finish(c.run(conn, p, &l), s.replicationIndex)
}

// flushAt is how much of a cursor's answer is collected before it is sent.
const flushAt = 16 << 10

// A cursorListener sends what a program does while it does it.
type cursorListener struct {
	out      *body
	encoding hrana.Encoding
	profile  Profile
	buf      []byte
	current  exec.Table // the row that is being sent
	step     uint32
}

var _ listener = (*cursorListener)(nil)

func (l *cursorListener) send(e *hrana.CursorEntry) error {
	buf, err := hrana.AppendCursorEntry(l.buf, l.encoding, e, &l.current, 0)
	if err != nil {
		return internal(err.Error())
	}
	l.buf = buf
	if len(l.buf) >= flushAt {
		return l.write()
	}
	return nil
}

func (l *cursorListener) write() error {
	_, err := l.out.Write(l.buf)
	l.buf = l.buf[:0]
	return err
}

// flush sends what is there, before something that may take long.
func (l *cursorListener) flush() error {
	if err := l.write(); err != nil {
		return err
	}
	l.out.flush()
	return nil
}

func (l *cursorListener) begin(cols []exec.Column) (*exec.Table, error) {
	if l.step > 0 {
		if err := l.flush(); err != nil {
			return nil, err
		}
	}
	l.current.Reset(len(cols))
	return &l.current, l.send(&hrana.CursorEntry{Type: hrana.StepBegin, Step: l.step, Cols: cols})
}

func (l *cursorListener) row(int) error {
	err := l.send(&hrana.CursorEntry{Type: hrana.Row})
	l.current.Reset(l.current.Width())
	return err
}

func (l *cursorListener) done(res *exec.Result, refused *refusal) error {
	step := l.step
	l.step++
	switch {
	case refused != nil:
		return l.send(&hrana.CursorEntry{Type: hrana.StepError, Step: step, Err: l.profile.refusal(refused)})
	case res != nil:
		return l.send(&hrana.CursorEntry{
			Type: hrana.StepEnd, RowsAffected: res.RowsAffected, LastInsertID: res.LastInsertID,
		})
	}
	return nil
}

// finish ends the answer. An error that has no place in it breaks it off: the
// status has been sent long ago.
func (l *cursorListener) finish(err error, index func() uint64) error {
	if refused, ok := err.(*refusal); ok {
		err = l.send(&hrana.CursorEntry{Type: hrana.CursorError, Err: l.profile.refusal(refused)})
	} else if err == nil {
		err = l.send(&hrana.CursorEntry{Type: hrana.ReplicationIndexEntry, ReplicationIndex: index()})
	}
	if err == nil {
		err = l.write()
	}
	if err == nil {
		err = l.out.Close()
	}
	if err != nil {
		// What was said before must still arrive.
		_ = l.flush()
		panic(http.ErrAbortHandler)
	}
	return nil
}
