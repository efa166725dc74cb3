package netem

import (
	"bytes"
	"strconv"
)

// maxHead is where a request head is taken for something else.
const maxHead = 64 << 10

type parseState uint8

const (
	inHead parseState = iota
	inBody
	inChunkSize
	inChunk   // its data and the line end behind it
	inTrailer // lines up to an empty one
	opaque    // not HTTP/1.x, or not any more
)

// A requestCounter follows the client's side of an HTTP/1.x connection as it
// passes, in pieces of any size, and counts the heads. It keeps the head or the
// line it is in and never a body.
type requestCounter struct {
	state parseState
	line  []byte // the head, or the line, so far
	left  int64  // of the body or chunk

	// inspect, if it is not nil, is called with each request's target and body. A
	// body that is longer than maxInspected is not kept, and nobody is told of it.
	inspect func(target string, body []byte)
	target  string
	body    []byte
}

// maxInspected bounds the bodies that are kept for who looks at them.
const maxInspected = 4 << 20

// keep keeps a part of a body.
func (c *requestCounter) keep(b []byte) {
	if c.inspect == nil {
		return
	}
	if len(c.body)+len(b) > maxInspected {
		c.inspect, c.body = nil, nil
		return
	}
	c.body = append(c.body, b...)
}

// whole hands over the body that has ended.
func (c *requestCounter) whole() {
	if c.inspect != nil {
		c.inspect(c.target, c.body)
	}
	c.body = c.body[:0]
}

// feed takes the next bytes and reports how many heads ended in them.
func (c *requestCounter) feed(b []byte) (heads int) {
	for len(b) > 0 && c.state != opaque {
		switch c.state {
		case inBody, inChunk:
			n := min(int64(len(b)), c.left)
			c.keep(b[:n])
			b, c.left = b[n:], c.left-n
			switch {
			case c.left > 0:
			case c.state == inBody:
				c.state = inHead
				c.whole()
			default:
				c.state = inChunkSize
				c.body = c.body[:max(len(c.body)-len("\r\n"), 0)]
			}
		default:
			line, rest, whole := bytes.Cut(b, []byte("\n"))
			c.line = append(c.line, line...)
			if len(c.line) > maxHead {
				c.state = opaque
				break
			}
			b = rest
			if !whole {
				if c.state == inHead && !couldBeHead(c.line) {
					c.state = opaque
				}
				break
			}
			c.line = append(c.line, '\n')
			if c.endLine() {
				heads++
			}
		}
	}
	return heads
}

// endLine looks at c.line, which ends in a line feed, and reports whether a head
// ends with it.
func (c *requestCounter) endLine() bool {
	switch c.state {
	case inHead:
		if !couldBeHead(c.line) {
			c.state = opaque
			return false
		}
		if blank(c.line) {
			// RFC 9112, 2.2: empty lines before a request are to be ignored.
			c.line = c.line[:0]
			return false
		}
		if !bytes.HasSuffix(c.line, []byte("\n\r\n")) && !bytes.HasSuffix(c.line, []byte("\n\n")) {
			return false
		}
		ok := c.endHead()
		c.line = c.line[:0]
		return ok
	case inChunkSize:
		size, _, _ := bytes.Cut(c.line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 62)
		c.line = c.line[:0]
		switch {
		case err != nil || n < 0:
			c.state = opaque
		case n == 0:
			c.state = inTrailer
		default:
			c.state, c.left = inChunk, n+2
		}
	case inTrailer:
		if blank(c.line) {
			c.state = inHead
			c.whole()
		}
		c.line = c.line[:0]
	}
	return false
}

// endHead reads where the request ends, and reports whether it is one.
func (c *requestCounter) endHead() bool {
	first, fields, _ := bytes.Cut(c.line, []byte("\n"))
	first = bytes.TrimRight(first, "\r")
	method, rest, _ := bytes.Cut(first, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	if len(target) == 0 || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		c.state = opaque
		return false
	}
	if c.inspect != nil {
		c.target = string(target)
	}
	var length int64
	var chunked bool
	// What follows CONNECT or a granted upgrade is not HTTP; an upgrade that the
	// server refuses costs us the count of later requests, which is the safe side.
	leaves := string(method) == "CONNECT"
	for field := range bytes.SplitSeq(fields, []byte("\n")) {
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil || n < 0 {
				c.state = opaque
				return true
			}
			length = n
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = chunked || bytes.EqualFold(lastListed(value), []byte("chunked"))
		case bytes.EqualFold(name, []byte("Upgrade")):
			leaves = true
		}
	}
	switch {
	case leaves:
		c.state = opaque
	case chunked:
		c.state = inChunkSize
	case length > 0:
		c.state, c.left = inBody, length
	}
	return true
}

func lastListed(value []byte) []byte {
	return bytes.TrimSpace(value[bytes.LastIndexByte(value, ',')+1:])
}

func blank(line []byte) bool { return len(bytes.TrimRight(line, "\r\n")) == 0 }

// couldBeHead tells whether b may begin a request: a method in capitals and a
// blank. TLS and the binary protocols fail at their first byte; HTTP/2's preface
// looks like a request and fails at its version.
func couldBeHead(b []byte) bool {
	if blank(b) {
		return true
	}
	for i, ch := range b[:min(len(b), 32)] {
		if ch == ' ' {
			return i > 0
		}
		if ch < 'A' || ch > 'Z' {
			return false
		}
	}
	return len(b) < 32
}
