package wire

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Accept is what compressed answers are asked for with.
const Accept = "zstd, gzip"

// Coding is how the bytes of an answer travel, beyond what they say.
type Coding uint8

const (
	Plain Coding = iota
	Gzip
	Zstd
	Codings // how many there are
)

func (c Coding) String() string { return [...]string{"plain", "gzip", "zstd"}[c] }

// ErrCoding: an answer has a content coding that nobody has asked for.
var ErrCoding = errors.New("the answer is in a content coding that the driver does not know")

// CodingOf reads a Content-Encoding.
func CodingOf(header []byte) (Coding, error) {
	switch string(header) {
	case "", "identity":
		return Plain, nil
	case "gzip", "x-gzip", "GZIP":
		return Gzip, nil
	case "zstd":
		return Zstd, nil
	}
	return Plain, ErrCoding
}

// maxWindow bounds what a zstd answer makes its reader keep; RFC 9659 has 8 MB as
// what a receiver on the web must take.
const maxWindow = 8 << 20

// A damaged answer is one that arrived and cannot be decompressed.
type damaged struct{ cause error }

func (e *damaged) Error() string { return fmt.Sprintf("decompressing the answer: %v", e.cause) }
func (e *damaged) Unwrap() error { return e.cause }

// IsDamaged tells an answer that cannot be decompressed from one that did not
// arrive.
func IsDamaged(err error) bool {
	var d *damaged
	return errors.As(err, &d)
}

// A Reader decompresses a body while it arrives. How much comes out is for its
// reader to bound; a few kilobytes may become millions.
type Reader struct {
	src  source
	from io.Reader // a gzip.Reader or a zstd.Decoder
	kind Coding
	took time.Duration
	err  error
}

// A source is a compressed body.
type source struct {
	body   io.ReadCloser
	n      int64
	waited time.Duration
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	began := time.Now()
	n, err := s.body.Read(p)
	s.waited += time.Since(began)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

var (
	gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
	unzstds = sync.Pool{New: func() any {
		// Without concurrency it has no goroutine, and may be forgotten.
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			panic(err) // of constant options
		}
		return d
	}}
)

// NewReader reads a body of a coding other than Plain. Closing it closes the body.
func NewReader(c Coding, body io.ReadCloser) *Reader {
	return &Reader{kind: c, src: source{body: body}}
}

func (r *Reader) open() error {
	if r.kind == Zstd {
		d := unzstds.Get().(*zstd.Decoder)
		r.from = d
		return d.Reset(&r.src)
	}
	z := gunzips.Get().(*gzip.Reader)
	r.from = z
	return z.Reset(&r.src)
}

// Read gives what is decompressed. An error that is not io.EOF is the body's, or
// one that IsDamaged recognises.
func (r *Reader) Read(p []byte) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	began, waited := time.Now(), r.src.waited
	if r.from == nil {
		err = r.open()
	}
	if err == nil {
		n, err = r.from.Read(p)
	}
	r.took += time.Since(began) - (r.src.waited - waited)
	if err == io.EOF && r.src.n == 0 {
		err = io.ErrUnexpectedEOF // to zstd nothing is something
	}
	switch {
	case err == nil, err == io.EOF:
	case r.src.err != nil:
		err = r.src.err
	default:
		err = &damaged{err}
	}
	r.err = err
	return n, err
}

// Received is how many bytes of the body have been read.
func (r *Reader) Received() int64 { return r.src.n }

// Took is how long decompressing has taken, without waiting for the body.
func (r *Reader) Took() time.Duration { return r.took }

// Close closes the body. A second Close does nothing.
func (r *Reader) Close() error {
	if r.src.body == nil {
		return nil
	}
	err := r.src.body.Close()
	r.src.body = nil
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	switch f := r.from.(type) {
	case *gzip.Reader:
		if r.err == io.EOF { // one that has failed may hold on to anything
			gunzips.Put(f)
		}
	case *zstd.Decoder:
		if f.Reset(nil) == nil {
			unzstds.Put(f)
		}
	}
	r.from = nil
	return err
}

// An estimator compresses as little as a server would do quickly.
type estimator struct {
	w *flate.Writer
	n counting
}

type counting int

func (c *counting) Write(p []byte) (int, error) {
	*c += counting(len(p))
	return len(p), nil
}

var estimators = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // of a constant level
	}
	return &estimator{w: w}
}}

// sampled is how much of an answer is looked at.
const sampled = 8 << 10

// Estimate is what a plain answer would probably be like compressed, from the
// middle of it.
func Estimate(answer []byte) Text {
	if len(answer) < small {
		return Text{}
	}
	if len(answer) > sampled {
		from := (len(answer) - sampled) / 2
		answer = answer[from : from+sampled]
	}
	e := estimators.Get().(*estimator)
	defer estimators.Put(e)
	e.n = 0
	e.w.Reset(&e.n)
	_, _ = e.w.Write(answer) // counting does not fail
	_ = e.w.Close()
	return Text{Ratio: min(float32(e.n)/float32(len(answer)), 1)}
}
