package hranatest

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// A Fault is a way to answer a request badly. DropBefore and those made by
// Status do it before anything is executed; the others execute the request and
// then spoil its answer.
type Fault struct {
	kind       faultKind
	status     int
	retryAfter time.Duration
}

type faultKind uint8

const (
	noFault faultKind = iota
	dropBefore
	dropAfter
	truncate
	garbage
	wrongShape
	status
)

var (
	// DropBefore closes the connection without executing the request.
	DropBefore = Fault{kind: dropBefore}
	// DropAfter executes the request and closes the connection without an
	// answer.
	DropAfter = Fault{kind: dropAfter}
	// Truncate announces the whole answer, sends half of it and closes the
	// connection.
	Truncate = Fault{kind: truncate}
	// Garbage answers 200 with bytes that are neither JSON nor protobuf.
	Garbage = Fault{kind: garbage}
	// WrongShape answers 200 with a message that is well formed in the encoding,
	// but not what was asked for: it has no results.
	WrongShape = Fault{kind: wrongShape}
)

// Status answers with the given HTTP status, without executing the request. If
// retryAfter is not zero, it is in the header of that name, in whole seconds.
func Status(code int, retryAfter time.Duration) Fault {
	return Fault{kind: status, status: code, retryAfter: retryAfter}
}

// faults are the switches. Only requests for a pipeline or a cursor are faulty.
type faults struct {
	mu    sync.Mutex
	queue []queued
	delay time.Duration
}

type queued struct {
	fault Fault
	left  int // below zero: for ever
}

// next is what the next request suffers.
func (f *faults) next() (Fault, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return Fault{}, f.delay
	}
	q := &f.queue[0]
	fault := q.fault
	if q.left > 0 {
		if q.left--; q.left == 0 {
			f.queue = f.queue[1:]
		}
	}
	return fault, f.delay
}

// Inject makes the next n pipeline and cursor requests faulty, after those that
// earlier calls have asked for; n < 0 means all from then on, until Behave.
func (s *Server) Inject(n int, f Fault) {
	if n == 0 || f.kind == noFault {
		return
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = append(s.faults.queue, queued{fault: f, left: n})
}

// Delay makes every pipeline and cursor request wait before it is looked at.
func (s *Server) Delay(d time.Duration) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.delay = d
}

// Behave ends what Inject and Delay began.
func (s *Server) Behave() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue, s.faults.delay = nil, 0
}

// ExpireStreams expires at once every stream that no request is using, as ten
// idle seconds would, and reports how many there were.
func (s *Server) ExpireStreams() int { return s.streams.expireAll() }

// ForgetStreams closes all streams and makes all batons invalid, as a restart
// does. The data stay.
func (s *Server) ForgetStreams() { s.streams.forget() }

// TakeTransaction rolls back the transaction that has written and not ended, as
// another writer does that has waited for it too long: its stream's next
// request fails with TRANSACTION_TIMEOUT, and those after it autocommit. It
// reports whether there was one.
func (s *Server) TakeTransaction() bool { return s.engine.gate.takeNow() }

// before does what a fault does before the request is executed, and reports
// whether that was all.
func (s *Server) before(w http.ResponseWriter, r *http.Request, f Fault) bool {
	switch f.kind {
	case dropBefore:
		panic(http.ErrAbortHandler)
	case status:
		if f.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((f.retryAfter+time.Second-1)/time.Second)))
		}
		s.write(w, r, f.status, "application/json", []byte(`{"error":"`+http.StatusText(f.status)+`"}`))
		return true
	}
	return false
}

// spoil replaces the answer to an executed request.
func (s *Server) spoil(w http.ResponseWriter, a *answer, f Fault, e endpoint) {
	h := w.Header()
	for name, values := range a.head {
		h[name] = values
	}
	switch f.kind {
	case dropAfter:
		panic(http.ErrAbortHandler)
	case truncate:
		h.Set("Content-Length", strconv.Itoa(a.body.Len()))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body.Bytes()[:a.body.Len()/2])
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	text := []byte("\xff<html>this is not Hrana</html>\x00")
	if f.kind == wrongShape {
		// An empty message in protobuf, a message without results in JSON.
		text = nil
		if e.encoding == hrana.JSON {
			text = []byte(`{"rows":[],"status":"ok"}`)
		}
	}
	h.Del("Content-Encoding")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text)
}
