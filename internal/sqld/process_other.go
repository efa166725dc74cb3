//go:build !linux

package sqld

import "syscall"

// dieWithParent has no means here: a program that is killed leaves its server
// behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
