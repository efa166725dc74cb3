package hranahttp

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/wire"
)

// Expect is what is known of an answer before it is asked for. The zero value
// knows nothing.
type Expect struct {
	// Size is how many bytes it will probably have.
	Size int64
	// Note is that of the text which most of these belong to, nil if there is none.
	Note *exec.Note
	// Times is how many answers to that text are in it.
	Times int
	// Steady: what the answer takes says something of the path. A write's does not,
	// since it may wait for other writers.
	Steady bool
	// Leash, if it is not nil, lets somebody else give the request up while its
	// answer is waited for.
	Leash *Leash
}

func (e *Expect) text() (t wire.Text) {
	if e.Note != nil {
		t.Ratio, t.Cost = e.Note.Packs()
	}
	return t
}

// packing decides which answers are asked for compressed, and counts what came of
// it.
type packing struct {
	off     bool
	broken  atomic.Bool
	law     wire.Law
	skipped [wire.Reasons]atomic.Uint64
	answers [2][wire.Codings]traffic
	sent    atomic.Uint64
}

// traffic are the answers in one encoding and one coding.
type traffic struct {
	answers, received, raw atomic.Uint64
	took                   atomic.Int64
}

// Packing is what has become of the bodies of requests and answers.
type Packing struct {
	// Sent is the length of all bodies sent: sqld takes none that is compressed.
	Sent uint64
	// Answers are by encoding and coding, those that have not come left out.
	Answers []Traffic
	// Skipped counts answers that were asked for plain, by the reason.
	Skipped map[string]uint64
}

// Traffic is a part of Packing.
type Traffic struct {
	Encoding hrana.Encoding
	Coding   wire.Coding
	// Answers is how many there were, Received their length as they came and Raw
	// what that has become; Took is what making it so has taken.
	Answers, Received, Raw uint64
	Took                   time.Duration
}

// Packing returns what has been counted so far.
func (c *Client) Packing() Packing {
	p := Packing{Sent: c.packing.sent.Load(), Skipped: map[string]uint64{}}
	for enc := range c.packing.answers {
		for coding := range c.packing.answers[enc] {
			t := &c.packing.answers[enc][coding]
			if n := t.answers.Load(); n > 0 {
				p.Answers = append(p.Answers, Traffic{hrana.Encoding(enc), wire.Coding(coding), n, t.received.Load(), t.raw.Load(), time.Duration(t.took.Load())})
			}
		}
	}
	for r := range c.packing.skipped {
		if n := c.packing.skipped[r].Load(); n > 0 {
			p.Skipped[wire.Reason(r).String()] = n
		}
	}
	return p
}

// choose tells whether to ask for a compressed answer.
func (p *packing) choose(e *Expect, stream bool) bool {
	var r wire.Reason
	switch {
	case p.off:
		r = wire.Off
	case p.broken.Load():
		r = wire.Broken
	case stream:
		r = p.law.ChooseStream(e.text())
	default:
		r = p.law.Choose(int(e.Size), e.text())
	}
	if r == wire.None {
		return true
	}
	p.skipped[r].Add(1)
	return false
}

// undo gives what a body says, however it is coded.
func undo(body io.ReadCloser, header []byte) (plain io.ReadCloser, err error) {
	coding, err := wire.CodingOf(header)
	if err != nil || coding == wire.Plain {
		return body, err
	}
	return wire.NewReader(coding, body), nil
}

// unpack makes an answer's body what it says.
func (c *Client) unpack(a answer, header []byte) (answer, *exec.Error) {
	body, err := undo(a.body, header)
	if err != nil {
		a.body.Close()
		return answer{}, c.notHrana("", err)
	}
	if r, ok := body.(*wire.Reader); ok {
		a.coding, _ = wire.CodingOf(header)
		a.body, a.packed, a.length = r, r, -1
	}
	return a, nil
}

// unpackLimit is how long a compressed answer may become: what sqld may send for
// so many requests, which is 10 MB for each and what the encoding adds. In JSON a
// byte of text may take six.
func (c *Client) unpackLimit(l Level, requests int) int64 {
	each := int64(24 << 20)
	if l.Encoding() == hrana.JSON {
		each = 64 << 20
	}
	return min(c.limit, each*int64(max(requests, 1)))
}

// received counts an answer that is there, raw bytes long, and learns from it.
func (c *Client) received(q *call, a *answer, raw []byte, results []hrana.StreamResult) {
	took := time.Since(a.sent)
	s := wire.Sample{Raw: len(raw), Wire: len(raw), Head: a.head.Sub(a.sent), Took: took}
	if a.packed != nil {
		s.Packed, s.Wire = true, int(a.packed.Received())
	}
	c.packing.count(q.level, a, len(raw))
	if c.packing.off || !q.expect.Steady {
		return
	}
	s.Server = serverTime(results)
	text := q.expect.text()
	learnt := c.packing.law.Observe(s, text)
	if learnt == text && text.Ratio == 0 && a.packed == nil && q.expect.Note != nil && c.packing.law.Worth(len(raw)) {
		learnt = wire.Estimate(raw)
	}
	if n := q.expect.Note; n != nil {
		n.LearnBody(int64(len(raw) / q.expect.Times))
		if learnt != text {
			n.SetPacks(learnt.Ratio, learnt.Cost)
		}
	}
}

func (p *packing) count(l Level, a *answer, raw int) {
	t := &p.answers[l.Encoding()][a.coding]
	t.answers.Add(1)
	t.raw.Add(uint64(raw))
	if a.packed == nil {
		t.received.Add(uint64(raw))
		return
	}
	t.received.Add(uint64(a.packed.Received()))
	t.took.Add(int64(a.packed.Took()))
}

// unreadable is what an answer says that could not be read to its end.
func (c *Client) unreadable(q *call, a *answer, err error) (damaged bool) {
	switch {
	case a.packed == nil:
	case wire.IsDamaged(err):
		c.packing.broken.Store(true) // whatever stands between does not mend by itself
		return true
	case errors.Is(err, errTooLong) && q.expect.Note != nil:
		q.expect.Note.SetPacks(1, 1e6) // it shall come as it is
	}
	return false
}
