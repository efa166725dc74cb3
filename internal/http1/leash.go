package http1

import (
	"errors"
	"sync"
)

// A Leash is a request in the hands of somebody who is not its caller. Who pulls it
// closes the connection on which the request waits for its answer. It serves one
// request at a time; the zero value is ready for the first.
type Leash struct {
	mu     sync.Mutex
	cut    func() // nil while the request is on no connection, or is being answered
	pulled bool
}

// ErrPulled is what a request fails with whose Leash was pulled before it was on a
// connection.
var ErrPulled = errors.New("the request was given up")

// Pull gives the request up. One whose answer has begun to come is not.
func (l *Leash) Pull() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pulled = true
	if l.cut != nil {
		l.cut()
	}
}

// Reset makes the Leash ready for another request.
func (l *Leash) Reset() {
	l.mu.Lock()
	l.cut, l.pulled = nil, false
	l.mu.Unlock()
}

// Hold notes how the connection is cut that the request is about to use; false if
// it has been given up.
func (l *Leash) Hold(cut func()) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.pulled {
		l.cut = cut
	}
	return !l.pulled
}

// Let ends what Hold has begun: the connection is somebody else's now, or closed.
func (l *Leash) Let() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.cut = nil
	l.mu.Unlock()
}
