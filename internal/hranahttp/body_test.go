package hranahttp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadBody(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		r      io.Reader
		length int64
		want   int
		err    error
	}{
		"known":             {strings.NewReader(strings.Repeat("x", 100)), 100, 100, nil},
		"unknown":           {strings.NewReader(strings.Repeat("x", 100)), -1, 100, nil},
		"empty":             {strings.NewReader(""), 0, 0, nil},
		"empty, unknown":    {strings.NewReader(""), -1, 0, nil},
		"byte by byte":      {iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 10_000))), 10_000, 10_000, nil},
		"end with data":     {iotest.DataErrReader(strings.NewReader(strings.Repeat("x", 10_000))), -1, 10_000, nil},
		"large":             {strings.NewReader(strings.Repeat("x", 3<<20)), 3 << 20, 3 << 20, nil},
		"large, unknown":    {strings.NewReader(strings.Repeat("x", 3<<20)), -1, 3 << 20, nil},
		"at the limit":      {strings.NewReader(strings.Repeat("x", 4<<20)), -1, 4 << 20, nil},
		"beyond":            {strings.NewReader(strings.Repeat("x", 4<<20+1)), -1, 0, errTooLong},
		"beyond, known":     {strings.NewReader(""), 4<<20 + 1, 0, errTooLong},
		"broken":            {io.MultiReader(strings.NewReader("xxx"), iotest.ErrReader(broken)), 100, 3, broken},
		"more than it says": {strings.NewReader(strings.Repeat("x", 200)), 100, 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuffer()
			defer b.free()
			err := b.readFrom(c.r, c.length, 4<<20)
			if !errors.Is(err, c.err) || err == nil && (len(b.b) != c.want || bytes.Count(b.b, []byte("x")) != c.want) {
				t.Errorf("%d bytes, %v", len(b.b), err)
			}
		})
	}
}

// A length is no reason to take memory before anything has come.
func TestLengthIsNotBelieved(t *testing.T) {
	b := &buffer{}
	if err := b.readFrom(iotest.ErrReader(io.ErrUnexpectedEOF), 100<<20, maxResponse); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	if cap(b.b) > 2<<20 {
		t.Errorf("%d bytes were taken for an answer that never came", cap(b.b))
	}
	// And one that is true costs no more than itself.
	b = &buffer{}
	const n = 10 << 20
	if err := b.readFrom(strings.NewReader(strings.Repeat("x", n)), n, maxResponse); err != nil {
		t.Error(err)
	}
	if cap(b.b) > n+n/8 {
		t.Errorf("%d bytes were taken for %d", cap(b.b), n)
	}
}

func TestLargeBuffersAreNotKept(t *testing.T) {
	b := &buffer{b: make([]byte, 0, keepBuffer+1)}
	b.free()
	for range 100 {
		if got := newBuffer(); got == b {
			t.Fatal("a large buffer was kept")
		}
	}
}

func TestReadErrorIsBounded(t *testing.T) {
	closed := false
	body := &closeReader{strings.NewReader(strings.Repeat("x", 10*errorBody)), &closed}
	if got := readError(body); len(got) != errorBody || !closed {
		t.Errorf("%d bytes, closed %v", len(got), closed)
	}
}

type closeReader struct {
	io.Reader
	closed *bool
}

func (r *closeReader) Close() error { *r.closed = true; return nil }
