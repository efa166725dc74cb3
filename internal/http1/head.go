package http1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// AppendHead appends the request line and the header fields of a request. The
// fields must be valid. Content-Length and the empty line are added by Do.
func AppendHead(dst []byte, method string, u *url.URL, host string, header http.Header) []byte {
	if host == "" {
		host = u.Host
	}
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, u.RequestURI()...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\n"...)
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			dst = append(dst, name...)
			dst = append(dst, ": "...)
			dst = append(dst, value...)
			dst = append(dst, "\r\n"...)
		}
	}
	return dst
}

const (
	// maxHead bounds the head of an answer.
	maxHead = 256 << 10
	// maxInterim bounds the answers of status 1xx before the final one.
	maxInterim = 8
)

// Errors about an answer that is not HTTP/1.x as RFC 9112 has it.
var (
	// ErrTLS: the server speaks TLS where HTTP was expected.
	ErrTLS      = errors.New("the server speaks TLS on this port")
	errNotHTTP  = errors.New("the answer is not HTTP")
	errHeadLong = errors.New("the head of the answer is too long")
	errHeader   = errors.New("malformed header in the answer")
	errLength   = errors.New("malformed Content-Length in the answer")
	errEncoding = errors.New("unknown Transfer-Encoding in the answer")
	errSwitch   = errors.New("the server switches protocols")
	errNoAnswer = errors.New("the connection ended without an answer")
	errInterim  = errors.New("too many interim answers")
	errChunk    = errors.New("malformed chunk in the answer")
)

// framing says how the end of a body is found, RFC 9112 section 6.3.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

// readHead reads the head of the final answer into r.
func (r *Response) readHead() error {
	for range maxInterim {
		if err := r.readOneHead(); err != nil {
			return err
		}
		switch {
		case r.Status == http.StatusSwitchingProtocols:
			return errSwitch
		case r.Status >= 200:
			return nil
		}
	}
	return errInterim
}

func (r *Response) readOneHead() error {
	c := r.conn
	c.head = c.head[:0]
	line, err := c.readHeadLine()
	if err != nil {
		if len(c.head) == 0 && err == io.ErrUnexpectedEOF {
			return errNoAnswer
		}
		if startsTLS(c.head) {
			return ErrTLS
		}
		return err
	}
	if startsTLS(line) {
		return ErrTLS
	}
	if !r.parseStatusLine(line) {
		return errNotHTTP
	}
	var f fields
	for {
		if line, err = c.readHeadLine(); err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		if err := f.add(line); err != nil {
			return err
		}
	}
	return r.frame(&f)
}

// startsTLS recognises an alert record, which is how a TLS server answers what
// is no handshake.
func startsTLS(b []byte) bool { return len(b) >= 3 && b[0] == 21 && b[1] == 3 }

// readHeadLine appends the next line to c.head and returns it without its end.
// It is valid until the next call.
func (c *conn) readHeadLine() ([]byte, error) {
	start := len(c.head)
	for {
		part, err := c.br.ReadSlice('\n')
		c.head = append(c.head, part...)
		switch {
		case len(c.head) > maxHead:
			return nil, errHeadLong
		case err == nil:
			line := c.head[start : len(c.head)-1]
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, errBufferFull):
			return nil, err
		}
	}
}

func (r *Response) parseStatusLine(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1."))
	if !ok || len(rest) < 5 || rest[1] != ' ' || rest[0] != '0' && rest[0] != '1' {
		return false
	}
	if len(rest) > 5 && rest[5] != ' ' {
		return false
	}
	status, ok := decimal(rest[2:5])
	r.Status, r.old = int(status), rest[0] == '0'
	return ok && status >= 100
}

// fields is what the header fields of an answer say about its framing.
type fields struct {
	length                    int64
	hasLength, chunked        bool
	closeAfter, keepAliveSaid bool
}

func (f *fields) add(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\x00\r") {
		return errHeader // among them the folded lines that RFC 9112 has abolished
	}
	value = bytes.Trim(value, " \t")
	switch len(name) {
	case len("Connection"):
		if equalFold(name, "connection") {
			for token := range bytes.SplitSeq(value, []byte{','}) {
				token = bytes.Trim(token, " \t")
				f.closeAfter = f.closeAfter || equalFold(token, "close")
				f.keepAliveSaid = f.keepAliveSaid || equalFold(token, "keep-alive")
			}
		}
	case len("Content-Length"):
		if equalFold(name, "content-length") {
			n, ok := decimal(value)
			if !ok || f.hasLength && n != f.length {
				return errLength
			}
			f.length, f.hasLength = n, true
		}
	case len("Transfer-Encoding"):
		if equalFold(name, "transfer-encoding") {
			if f.chunked || !equalFold(value, "chunked") {
				return errEncoding
			}
			f.chunked = true
		}
	}
	return nil
}

// frame decides how the body ends and whether another answer may follow it.
func (r *Response) frame(f *fields) error {
	r.keep = !f.closeAfter && (!r.old || f.keepAliveSaid)
	switch {
	case r.Status < 200, r.Status == http.StatusNoContent, r.Status == http.StatusNotModified:
		r.framing, r.remain, r.Length = byLength, 0, 0
	case f.chunked:
		if r.old {
			return errEncoding
		}
		// A length beside it is an attempt at smuggling, or a proxy's mistake: it
		// does not count, and nothing more is asked on this connection.
		r.keep = r.keep && !f.hasLength
		r.framing, r.remain, r.Length = byChunks, 0, -1
	case f.hasLength:
		r.framing, r.remain, r.Length = byLength, f.length, f.length
	default:
		r.framing, r.remain, r.Length, r.keep = byClose, 0, -1, false
	}
	return nil
}

// Get is the value of a header field, of the first one if there are several. It
// is valid until Close and must not be written. name is in lower case.
func (r *Response) Get(name string) []byte {
	head := r.conn.head
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte{'\n'})
		if len(line) > len(name) && line[len(name)] == ':' && equalFold(line[:len(name)], name) {
			return bytes.Trim(line[len(name)+1:], " \t\r")
		}
	}
	return nil
}

// equalFold compares ASCII; lower is in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, ch := range b {
		if ch >= 'A' && ch <= 'Z' {
			ch += 'a' - 'A'
		}
		if ch != lower[i] {
			return false
		}
	}
	return true
}

// decimal reads a number of digits only.
func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, ch := range b {
		if ch < '0' || ch > '9' {
			return 0, false
		}
		n = n*10 + int64(ch-'0')
	}
	return n, true
}

func appendLength(dst []byte, n int) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, "\r\n"...)
}
