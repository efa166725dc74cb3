package tursoopt

import (
	"strings"
	"time"
)

// parseTime reads the forms in which SQLite's date functions, libsql-client-go
// and time.Time.String write a time: a date, then after a blank or a T hours and
// minutes, seconds, a fraction, and a zone (Z, +hh:mm, +hhmm, with or without a
// blank before it, a zone's name after it). Without a zone it is UTC, as SQLite
// has it. A year may be negative, as SQLite's are. What is not a time in whole is
// none.
func parseTime(s string) (t time.Time, ok bool) {
	p := timeParser{s: s}
	bc := strings.HasPrefix(p.s, "-")
	if bc {
		p.s = p.s[1:]
	}
	year, ok1 := p.digits(4)
	if bc {
		year = -year
	}
	month, ok2 := p.after('-', 2)
	day, ok3 := p.after('-', 2)
	if !ok1 || !ok2 || !ok3 {
		return t, false
	}
	var hour, minute, sec, nsec int
	loc := time.UTC
	if p.s != "" {
		if p.s[0] != ' ' && p.s[0] != 'T' {
			return t, false
		}
		p.s = p.s[1:]
		var ok1, ok2 bool
		hour, ok1 = p.digits(2)
		minute, ok2 = p.after(':', 2)
		if !ok1 || !ok2 {
			return t, false
		}
		if strings.HasPrefix(p.s, ":") {
			if sec, ok = p.after(':', 2); !ok {
				return t, false
			}
			if nsec, ok = p.fraction(); !ok {
				return t, false
			}
		}
		if loc, ok = p.zone(); !ok {
			return t, false
		}
	}
	t = time.Date(year, time.Month(month), day, hour, minute, sec, nsec, loc)
	// time.Date normalises the 31st of June; a text that says it is no time.
	if p.s != "" || hour > 23 || minute > 59 || sec > 59 || t.Day() != day || int(t.Month()) != month {
		return time.Time{}, false
	}
	return t, true
}

// A timeParser takes a text apart from the front.
type timeParser struct{ s string }

func (p *timeParser) digits(n int) (v int, ok bool) {
	if len(p.s) < n {
		return 0, false
	}
	for i := range n {
		c := p.s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	p.s = p.s[n:]
	return v, true
}

func (p *timeParser) after(sep byte, n int) (v int, ok bool) {
	if p.s == "" || p.s[0] != sep {
		return 0, false
	}
	p.s = p.s[1:]
	return p.digits(n)
}

// fraction reads ".123", of which nine digits count.
func (p *timeParser) fraction() (nsec int, ok bool) {
	if !strings.HasPrefix(p.s, ".") {
		return 0, true
	}
	p.s = p.s[1:]
	scale := int(time.Second)
	n := 0
	for n < len(p.s) && p.s[n] >= '0' && p.s[n] <= '9' {
		if scale > 1 {
			scale /= 10
			nsec += int(p.s[n]-'0') * scale
		}
		n++
	}
	p.s = p.s[n:]
	return nsec, n > 0
}

func (p *timeParser) zone() (loc *time.Location, ok bool) {
	z := strings.TrimPrefix(p.s, " ")
	switch {
	case p.s == "":
		return time.UTC, true
	case z == "Z", z == "z", z == "UTC":
		p.s = ""
		return time.UTC, true
	case z == "" || z[0] != '+' && z[0] != '-':
		return nil, false
	}
	sign := 1
	if z[0] == '-' {
		sign = -1
	}
	q := timeParser{s: z[1:]}
	hours, ok1 := q.digits(2)
	q.s = strings.TrimPrefix(q.s, ":")
	minutes, ok2 := q.digits(2)
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return nil, false
	}
	// time.Time.String adds the zone's name, and a monotonic reading.
	if q.s != "" {
		name, reading, read := strings.Cut(q.s, " m=")
		if name == "" || name[0] != ' ' || !isZoneName(name[1:]) || read && !isReading(reading) {
			return nil, false
		}
	}
	p.s = ""
	if hours == 0 && minutes == 0 {
		return time.UTC, true
	}
	return time.FixedZone("", sign*(hours*60+minutes)*60), true
}

// isZoneName tells whether s is as zones are abbreviated: "CET", "+03".
func isZoneName(s string) bool {
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 6
}

// isReading tells whether s is as time.Time.String writes a monotonic clock:
// "+12.000345678".
func isReading(s string) bool {
	if s == "" || s[0] != '+' && s[0] != '-' {
		return false
	}
	p := timeParser{s: s[1:]}
	seconds := strings.TrimLeft(p.s, "0123456789")
	if len(seconds) == len(p.s) {
		return false
	}
	p.s = seconds
	_, ok := p.fraction()
	return ok && p.s == ""
}
