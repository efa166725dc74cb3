package netem

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An alarm waits to within some 50 us. The runtime's own timers are up to 1 ms
// late when the process is idle, as epoll counts in milliseconds, which would
// be a tenth of a 20 ms round trip; a timerfd wakes epoll when it is due.
type alarm struct {
	file *os.File
	raw  syscall.RawConn
	buf  [8]byte
	spec unix.ItimerSpec
	err  error
	set  func(fd uintptr) // made once, so that waiting allocates nothing
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "timerfd")}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		a.file.Close()
		return nil, err
	}
	a.set = func(fd uintptr) { a.err = unix.TimerfdSettime(int(fd), 0, &a.spec, nil) }
	return a, nil
}

// until waits for t. It reports false if the alarm was stopped.
func (a *alarm) until(t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return true
	}
	a.spec.Value = unix.NsecToTimespec(int64(d))
	if err := a.raw.Control(a.set); err != nil || a.err != nil {
		return false
	}
	_, err := a.file.Read(a.buf[:])
	return err == nil
}

func (a *alarm) stop() { a.file.Close() }
