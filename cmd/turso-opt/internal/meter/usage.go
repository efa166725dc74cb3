// Package meter reads what this process has used: processor time and memory.
package meter

import (
	"runtime"
	"time"
)

// Usage is what the process has used since it began.
type Usage struct {
	// CPU is user and system time together, on all processors. HasCPU is false
	// where the platform does not tell.
	CPU    time.Duration
	HasCPU bool
	// Allocs counts heap objects, AllocBytes their sizes, freed ones included.
	Allocs, AllocBytes uint64
}

// Now reads what has been used so far. It stops the program for an instant, so
// it is for the ends of a measurement.
func Now() Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := Usage{Allocs: m.Mallocs, AllocBytes: m.TotalAlloc}
	u.CPU, u.HasCPU = cpu()
	return u
}

// Sub is what has been used since an earlier reading.
func (u Usage) Sub(earlier Usage) Usage {
	u.CPU -= earlier.CPU
	u.HasCPU = u.HasCPU && earlier.HasCPU
	u.Allocs -= earlier.Allocs
	u.AllocBytes -= earlier.AllocBytes
	return u
}
