package lane

import (
	"context"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// write runs a write that shares nothing, when the gate lets it in. It holds its
// place for as long as the server may be at it, also after its caller has left.
func (l *Lanes) write(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	if err := l.gate.Enter(ctx); err != nil {
		return nil, ended(ctx, false)
	}
	leave := l.gate.Leave
	if ctx.Done() != nil {
		leave = sync.OnceFunc(leave)
		own := *req
		own.Late = leave
		req = &own
	}
	began := l.now()
	resp, err := l.once(ctx, req)
	if abandoned(ctx, err) {
		return nil, err
	}
	leave()
	if err == nil {
		l.gate.Observe(l.now().Sub(began), serverTime(resp))
	}
	return resp, err
}

// abandoned tells whether the exchange goes on without its caller.
func abandoned(ctx context.Context, err error) bool {
	e, ok := err.(*exec.Error)
	return ok && ctx.Err() != nil && e.Proof == exec.OutcomeUnknown && e.Source == exec.FromTransport && e.StreamLost
}

func serverTime(resp *exec.Response) (sum time.Duration) {
	for i := range resp.Results {
		if r := resp.Results[i].Result; r != nil {
			sum += r.ServerTime
		}
	}
	return sum
}
