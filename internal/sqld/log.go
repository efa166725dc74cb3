package sqld

import "sync"

// logLimit bounds what a server's log may hold in memory, in bytes: its end
// says why it died.
const logLimit = 1 << 20

// tailLog keeps the end of what was written to it.
type tailLog struct {
	mu  sync.Mutex
	buf []byte
}

func (l *tailLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	// Cut only when twice the limit is reached, so that each byte moves once.
	if len(l.buf) > 2*logLimit {
		l.buf = append(l.buf[:0], l.buf[len(l.buf)-logLimit:]...)
	}
	return len(p), nil
}

func (l *tailLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

// tail is the last n bytes at most.
func (l *tailLog) tail(n int) string {
	s := l.String()
	return s[max(0, len(s)-n):]
}
