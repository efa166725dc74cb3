package tursoopt

import (
	"context"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/lane"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// enterGate asks to write. In a transaction the right lasts until its end, since
// nobody else can write before.
func (s *session) enterGate(ctx context.Context) *exec.Error {
	if s.pass != nil {
		return nil
	}
	pass, err := s.lanes.Gate().Enter(ctx)
	if err != nil {
		return err
	}
	s.pass, s.entering = pass, true
	return nil
}

func (s *session) leaveGate() {
	if s.pass != nil {
		s.pass.Leave()
		s.pass = nil
	}
}

// leaveUnlessOpen gives the right to write back after a request, unless a
// transaction keeps it.
func (s *session) leaveUnlessOpen() {
	if s.tx != txOpen {
		s.leaveGate()
	}
}

// send runs a plan on the session's own stream. The right to write is kept for as
// long as the server may be at it: beyond a context that ends, too.
func (s *session) send(ctx context.Context, class exec.Class, p *stream.Plan) (*stream.Outcome, error) {
	if s.pass != nil {
		p.Late = s.pass.Leave
	}
	var began time.Time
	o, err := s.patiently(ctx, class, func(ctx context.Context) (*stream.Outcome, error) {
		began = time.Now()
		return s.stream().Run(ctx, class, p)
	})
	switch {
	case s.pass == nil:
	case err == nil && s.entering:
		s.pass.Observe(time.Since(began), o.ServerTime())
	case stream.Abandoned(ctx, err):
		s.pass = nil // Late gives it back
	}
	s.entering = false
	return o, err
}

// patiently runs f, and again after a while if the server has no stream free. What
// the stream may hold is lost when that happens, so it is not for a session that
// has something on it.
func (s *session) patiently(ctx context.Context, class exec.Class, f func(context.Context) (*stream.Outcome, error)) (o *stream.Outcome, err error) {
	run := func(ctx context.Context) error {
		o, err = f(ctx)
		return err
	}
	if s.tx == txOpen || s.settings {
		err = s.lanes.Once(func() error { return run(ctx) })
	} else {
		err = s.lanes.Patiently(ctx, class, s.pass, run)
	}
	return o, err
}

// endStream gives the session's stream up, and the right to write when the server
// knows that.
func (s *session) endStream() {
	var leave func()
	if s.pass != nil {
		leave, s.pass = s.pass.Leave, nil
	}
	s.own.EndThen(leave)
	s.own = nil
}

// run runs a call on the session's own stream.
func (s *session) run(ctx context.Context, c *call) ([]exec.StmtResult, *exec.Error) {
	locks := s.tx == txPending && s.begin != "BEGIN"
	if !locks && (c.class() != exec.Write || !writes(c.text)) {
		return s.runNow(ctx, c)
	}
	inside, reads := s.pass != nil, s.tx == txOpen
	if err := s.enterGate(ctx); err != nil {
		return nil, err
	}
	defer s.leaveUnlessOpen()
	var results []exec.StmtResult
	var err *exec.Error
	s.lanes.WhileLocked(ctx, func(ctx context.Context) (locked bool) {
		results, err = s.runNow(ctx, c)
		if locks && lane.Locked(err) {
			return true // its BEGIN, after which nothing has run
		}
		// A transaction that has read may not be able to write any more, however
		// long it waits.
		return err == nil && !reads && len(c.stmts) == 1 && lane.Locked(results[0].Err)
	})
	if err == nil && !inside && lane.Locked(results[0].Err) {
		s.leaveGate() // it has no lock
	}
	return results, err
}
