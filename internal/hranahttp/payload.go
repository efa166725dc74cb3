package hranahttp

import (
	"errors"
	"io"
	"sync/atomic"
)

// A payload is the body of a request whose caller may leave before it is
// answered. It knows whether the body may still be taken back: it is an
// http1.Gate, and net/http, which has none, asks it by reading.
type payload struct {
	data  []byte
	state atomic.Uint32
}

const (
	unsent    uint32 = iota
	sending          // at least some of it may have left
	revoked          // taken back by its caller before that
	abandoned        // its caller has left after that
	ended            // the outcome is known, and its caller still there
)

var errRevoked = errors.New("the request was taken back")

// Open begins to send.
func (p *payload) Open() bool { return p.state.CompareAndSwap(unsent, sending) }

// Reopen notes that no server has the request after all. It may then be sent
// again, but not for a caller who has left.
func (p *payload) Reopen() bool { return p.state.CompareAndSwap(sending, unsent) }

// started tells whether some of it may have left.
func (p *payload) started() bool {
	s := p.state.Load()
	return s == sending || s == abandoned
}

// finish is called when the outcome is known. It reports whether the caller is
// there to be told.
func (p *payload) finish() bool {
	return p.state.CompareAndSwap(sending, ended) || p.state.CompareAndSwap(unsent, ended)
}

// leave is called when the caller's context has ended. It returns what the
// payload is from then on: revoked, abandoned or ended.
func (p *payload) leave() uint32 {
	for {
		switch {
		case p.state.CompareAndSwap(unsent, revoked):
			return revoked
		case p.state.CompareAndSwap(sending, abandoned):
			return abandoned
		case p.state.Load() == ended:
			return ended
		}
	}
}

// reader is a http.Request's GetBody.
func (p *payload) reader() (io.ReadCloser, error) { return &payloadReader{p: p}, nil }

// A payloadReader gives the payload to net/http. One that has read nothing proves
// that the server has no complete request: net/http takes the body when it has a
// connection to write it to. Several readers mean that net/http has sent the
// request again, on another connection, because the first can not have got it;
// once it has been started it counts as sent all the same.
type payloadReader struct {
	p   *payload
	off int
}

func (r *payloadReader) Read(b []byte) (int, error) {
	if r.off == 0 && !r.p.Open() && r.p.state.Load() != sending {
		return 0, errRevoked
	}
	n := copy(b, r.p.data[r.off:])
	if r.off += n; n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *payloadReader) Close() error { return nil }
