// Package ui is how the command speaks to a person: units, tables and progress.
package ui

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Unit is what a figure counts, and so how it is written.
type Unit string

// The units of figures.
const (
	Factor  Unit = "x"     // how many times
	Seconds Unit = "s"     // written in ns, us, ms or s
	Bytes   Unit = "bytes" // written in B, kB or MB, of 1,000
	Memory  Unit = "mem"   // written in B, KiB or MiB
	Count   Unit = "count" // of anything
	Rate    Unit = "1/s"
)

// Format writes a value in its unit; "-" if there is none.
func (u Unit) Format(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	switch u {
	case Factor:
		return significant(v) + "x"
	case Seconds:
		return Duration(time.Duration(v * float64(time.Second)))
	case Bytes:
		return scaled(v, 1000, "B", "kB", "MB", "GB")
	case Memory:
		return scaled(v, 1024, "B", "KiB", "MiB", "GiB")
	case Rate:
		return significant(v) + "/s"
	}
	return significant(v)
}

// Duration writes d in three significant digits.
func Duration(d time.Duration) string {
	v := float64(d)
	switch abs := math.Abs(v); {
	case abs < 1e3:
		return strconv.FormatInt(int64(d), 10) + " ns"
	case abs < 1e6:
		return significant(v/1e3) + " us"
	case abs < 1e9:
		return significant(v/1e6) + " ms"
	}
	return significant(v/1e9) + " s"
}

func scaled(v, base float64, names ...string) string {
	i := 0
	for ; math.Abs(v) >= base && i < len(names)-1; i++ {
		v /= base
	}
	if i == 0 && v == math.Trunc(v) {
		return fmt.Sprintf("%.0f %s", v, names[i])
	}
	return significant(v) + " " + names[i]
}

// significant writes three significant digits, more for whole thousands, and
// never an exponent.
func significant(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 1000:
		return Thousands(int64(math.Round(v)))
	case abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 0.1 || abs == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

// Thousands writes 12345 as 12,345.
func Thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
