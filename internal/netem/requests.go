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
}

// feed takes the next bytes and reports how many heads ended in them.
func (c *requestCounter) feed(b []byte) (heads int) {
	for len(b) > 0 && c.state != opaque {
		switch c.state {
		case inBody, inChunk:
			n := min(int64(len(b)), c.left)
			b, c.left = b[n:], c.left-n
			if c.left == 0 {
				if c.state == inBody {
					c.state = inHead
				} else {
					c.state = inChunkSize
				}
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
