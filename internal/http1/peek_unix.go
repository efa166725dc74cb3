//go:build unix

package http1

import (
	"io"
	"syscall"
)

const canPeek = true

// peekFD reads what has arrived on a descriptor, which the runtime has made
// non-blocking. n is 0 if nothing has.
func peekFD(fd uintptr, p []byte) (n int, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
