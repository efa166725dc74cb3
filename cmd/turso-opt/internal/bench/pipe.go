package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/hrana"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// statements makes a worker's statements, one after the other.
type statements func(w World, worker int) func() hrana.Stmt

// A pipe is what could be had of the server and of net/http if a driver cost
// nothing: requests made beforehand, with as many statements in each as another
// side has sent, whose answers are read and thrown away. It uses what makes the
// server quickest: protobuf, batches, a stream that is kept.
type pipe struct {
	transport *http.Transport
	template  *http.Request
	next      func(worker int) func() hrana.Stmt
	// each is how many statements there are to a request.
	each float64
	// inFlight is how many requests at a time have proved quickest.
	inFlight int
	// callers is how many there would be who ask for the statements.
	callers int
}

func newPipe(ctx context.Context, cfg *tursoopt.Config, callers int, next func(worker int) func() hrana.Stmt) (*pipe, error) {
	ep, err := target.EndpointOf(cfg)
	if err != nil {
		return nil, err
	}
	req, err := ep.Request(ctx, http.MethodPost, "v3-protobuf/pipeline", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	return &pipe{transport: &http.Transport{MaxIdleConnsPerHost: 2 * maxInFlight, DisableCompression: true}, template: req, next: next, callers: callers, inFlight: 1}, nil
}

// note tells what the pipe did last.
func (p *pipe) note() string {
	return fmt.Sprintf("the raw pipe sent %.1f statements per request, %d requests at a time", p.each, p.atOnce())
}

func (p *pipe) close() { p.transport.CloseIdleConnections() }

// follow has the pipe put as many statements into a request as s did.
func (p *pipe) follow(s Sample) error {
	if s.Tapped == 0 || s.Ops == 0 {
		return errors.New("requests of ours could not be counted")
	}
	p.each = max(float64(s.Ops)/float64(s.Tapped), 1)
	return nil
}

// maxInFlight is how many requests of a pipe are tried at a time: more than
// there are processors to work on them do not help.
const maxInFlight = 8

// widest is how many requests may be on their way: no more than it takes for all
// callers to have a statement in one.
func (p *pipe) widest() int {
	return max(min(int(math.Ceil(float64(p.callers)/p.each)), maxInFlight), 1)
}

// atOnce is how many requests there are at a time.
func (p *pipe) atOnce() int { return min(p.inFlight, p.widest()) }

// tune finds how many requests at a time are quickest.
func (p *pipe) tune(ctx context.Context, trial time.Duration) error {
	best, most := 0.0, 1
	for n := 1; n <= p.widest(); n++ {
		s, err := Load{Goroutines: n, Time: trial}.Run(ctx, nil, p.work)
		if err != nil {
			return err
		}
		if v := Throughput.Of(s); v > best {
			best, most = v, n
		}
	}
	p.inFlight = most
	return nil
}

// bodies is how many different requests a worker makes beforehand.
const bodies = 32

// work is a Work in which each call is a request.
func (p *pipe) work(ctx context.Context, _ *sql.DB, worker int) (Task, error) {
	next := p.next(worker)
	l := &pipeline{pipe: p}
	for i := range bodies {
		n := portion(p.each, i)
		steps := make([]hrana.BatchStep, n)
		for j := range steps {
			steps[j].Stmt = next()
		}
		batch := hrana.StreamReq{Type: hrana.BatchRequest, Batch: hrana.Batch{Steps: steps}}
		body, err := hrana.AppendPipelineReq(nil, hrana.Protobuf, &hrana.PipelineReq{Requests: []hrana.StreamReq{batch}})
		if err != nil {
			return Task{}, err
		}
		l.bodies, l.sizes = append(l.bodies, body), append(l.sizes, n)
	}
	// The first answer is not thrown away, nor is the last: a request that is
	// answered with errors is quick, and worth nothing.
	if err := l.send(ctx); err != nil {
		return Task{}, err
	}
	if err := l.check(); err != nil {
		return Task{}, err
	}
	l.did = 0
	return Task{
		Do:  l.send,
		Did: func() int { return l.did },
		Done: func() error {
			if l.lost {
				return nil // the failure is known
			}
			return errors.Join(l.check(), l.end(context.WithoutCancel(ctx)))
		},
	}, nil
}

// portion is the size of the i-th of parts that are each on average.
func portion(each float64, i int) int {
	return int(math.Floor(each*float64(i+1))) - int(math.Floor(each*float64(i)))
}

// A pipeline is a worker's stream.
type pipeline struct {
	*pipe
	bodies [][]byte
	sizes  []int
	turn   int
	last   int // statements of the last request
	did    int // statements of all
	baton  string
	lost   bool // the last request has failed
	out    []byte
	answer bytes.Buffer
}

func (l *pipeline) send(ctx context.Context) error {
	i := l.turn % bodies
	l.turn++
	if err := l.post(ctx, l.bodies[i]); err != nil {
		return err
	}
	l.last = l.sizes[i]
	l.did += l.last
	return nil
}

// post sends requests on the stream: in protobuf, messages one after the other
// are one message.
func (l *pipeline) post(ctx context.Context, requests []byte) (err error) {
	defer func() { l.lost = err != nil }()
	if l.out, err = hrana.AppendPipelineReq(l.out[:0], hrana.Protobuf, &hrana.PipelineReq{Baton: l.baton}); err != nil {
		return err
	}
	l.out = append(l.out, requests...)
	req := l.template.WithContext(ctx)
	req.ContentLength = int64(len(l.out))
	req.Body = io.NopCloser(bytes.NewReader(l.out))
	resp, err := l.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("the raw pipe: no answer: %w", err)
	}
	defer resp.Body.Close()
	l.answer.Reset()
	if _, err := l.answer.ReadFrom(resp.Body); err != nil {
		return fmt.Errorf("the raw pipe: half an answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the raw pipe: the server answers %d", resp.StatusCode)
	}
	l.baton = batonOf(l.answer.Bytes())
	return nil
}

// batonOf is the first field of an answer, empty if that is not a baton.
func batonOf(answer []byte) string {
	const field = 1<<3 | 2 // number 1, with a length
	if len(answer) == 0 || answer[0] != field {
		return ""
	}
	size, n := binary.Uvarint(answer[1:])
	if n <= 0 || size > uint64(len(answer)-1-n) {
		return ""
	}
	return string(answer[1+n:][:size])
}

// check tells whether each statement of the last request has had one row.
func (l *pipeline) check() error {
	var resp hrana.PipelineResp
	if err := hrana.DecodePipelineResp(hrana.Protobuf, l.answer.Bytes(), &resp); err != nil {
		return err
	}
	rows := 0
	if len(resp.Results) == 1 && resp.Results[0].Batch != nil {
		for _, step := range resp.Results[0].Batch.Steps {
			if step != nil {
				rows += step.Rows.Len()
			}
		}
	}
	if rows != l.last || resp.Baton != l.baton {
		return fmt.Errorf("the raw pipe: %d rows for %d statements", rows, l.last)
	}
	return nil
}

// end closes the stream.
func (l *pipeline) end(ctx context.Context) error {
	if l.baton == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := hrana.AppendPipelineReq(nil, hrana.Protobuf, &hrana.PipelineReq{Requests: []hrana.StreamReq{{Type: hrana.Close}}})
	if err != nil {
		return err
	}
	return l.post(ctx, body)
}
