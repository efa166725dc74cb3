package sqld

import "syscall"

// dieWithParent has the kernel kill the server when the program that started
// it ends, however it ends: a test binary that panics or is killed by its
// timeout runs no cleanup.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
