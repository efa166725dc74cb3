package tursoopt

import (
	"context"
	"errors"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// layerTrace is what the layers below tell t; nil if nobody listens.
func layerTrace(t Tracer) *hranahttp.Trace {
	r, requests := t.(RequestTracer)
	retry, retries := t.(RetryTracer)
	if !requests && !retries {
		return nil
	}
	h := &hranahttp.Trace{}
	if requests {
		h.Request = func(ctx context.Context, a hranahttp.Asked) func(hranahttp.Answer) {
			e := RequestStart{Callers: a.Callers, Statements: a.Statements, Sent: a.Sent, Retries: attemptsOf(ctx)}
			ctx = r.RequestStart(ctx, e)
			began := time.Now()
			return func(a hranahttp.Answer) {
				r.RequestEnd(ctx, RequestEnd{RequestStart: e, Took: time.Since(began), Server: a.Server, Received: a.Received, Err: tracedError(a.Err)})
			}
		}
	}
	h.Retry = func(ctx context.Context, cause error, waited time.Duration) context.Context {
		n := attemptsOf(ctx) + 1
		if retries {
			retry.Retry(ctx, tracedError(cause), n, waited)
		}
		return context.WithValue(ctx, attemptsKey{}, n)
	}
	return h
}

// retryTrace is what the lanes tell, nil if nobody listens.
func retryTrace(h *hranahttp.Trace) func(context.Context, error, time.Duration) context.Context {
	if h == nil {
		return nil
	}
	return h.Retry
}

// attemptsKey is the context key of how many attempts there were.
type attemptsKey struct{}

func attemptsOf(ctx context.Context) int {
	n, _ := ctx.Value(attemptsKey{}).(int)
	return n
}

// dialTrace is what the transport tells t, which may be nil.
func dialTrace(t DialTracer) func(ctx context.Context, addr string) func(error) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, addr string) func(error) {
		began := time.Now()
		return func(err error) { t.DialEnd(ctx, addr, time.Since(began), err) }
	}
}

// tracedError is an error as callers see it.
func tracedError(err error) error {
	if e := asExec(err); e != nil {
		return newError(e, "", -1)
	}
	return err
}

// runTraced is run with a Tracer.
func (c *conn) runTraced(ctx context.Context, cl *call) ([]exec.StmtResult, error) {
	t := c.trace(ctx, cl.text.SQL)
	results, err := c.runUntraced(t.context(ctx), cl)
	t.cached = cl.unasked
	t.ended(results, err)
	return results, err
}

// A tracing is a request's statements, of which a Tracer has been told that they have
// begun. It is nil where there is no Tracer.
type tracing struct {
	conn       *conn
	began      time.Time
	cached     bool
	statements []tracedStatement
}

type tracedStatement struct {
	ctx context.Context // of its own
	sql string
	// scripts have a result for each of their statements.
	script bool
}

// context is that of a text's requests.
func (t *tracing) context(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	return t.statements[0].ctx
}

// trace begins the tracing of a text.
func (c *conn) trace(ctx context.Context, sql string) *tracing {
	if c.connector.cfg.Tracer == nil {
		return nil
	}
	t := &tracing{conn: c, began: time.Now()}
	t.begin(ctx, sql)
	t.statements[0].script = true
	return t
}

// traceEach begins the tracing of statements that travel together. of is the context
// that statement i was asked for in; nil is ctx for all of them.
func (c *conn) traceEach(ctx context.Context, cl *call, of func(i int) context.Context) *tracing {
	if c.connector.cfg.Tracer == nil {
		return nil
	}
	t := &tracing{conn: c, began: time.Now()}
	for i := range cl.text.Stmts {
		own := ctx
		if of != nil {
			own = of(i)
		}
		t.begin(own, cl.text.Stmts[i].SQL)
	}
	return t
}

func (t *tracing) begin(ctx context.Context, sql string) {
	s := tracedStatement{sql: sqltext.Redact(sql)}
	s.ctx = t.conn.connector.cfg.Tracer.StatementStart(ctx, StatementStart{SQL: s.sql, Tx: t.conn.session.inTx()})
	t.statements = append(t.statements, s)
}

var errNotRun = errors.New("turso-opt: not run, because a statement before it has failed")

// ended tells what has become of the statements; err is that of those without a
// result.
func (t *tracing) ended(results []exec.StmtResult, err error) {
	if t == nil {
		return
	}
	took := time.Since(t.began)
	for i := range t.statements {
		s := &t.statements[i]
		end := StatementEnd{SQL: s.sql, Took: took, Cached: t.cached}
		own := results
		if !s.script {
			own = results[min(i, len(results)):min(i+1, len(results))]
		}
		for j := range own {
			t.add(s, &end, &own[j], j)
		}
		if len(own) == 0 {
			end.Err = err
		}
		t.conn.connector.cfg.Tracer.StatementEnd(s.ctx, end)
	}
}

func (t *tracing) add(s *tracedStatement, end *StatementEnd, r *exec.StmtResult, i int) {
	switch {
	case r.Result != nil:
		if !end.Cached {
			end.Server += r.Result.ServerTime
		}
		end.RowsAffected += r.Result.RowsAffected
		end.Rows += int64(r.Result.Rows.Len())
	case end.Err != nil:
	case r.Err != nil:
		end.Err = told(s.ctx, r.Err, s.sql, i)
	default:
		end.Err = errNotRun
	}
}

// tracePiped begins the tracing of what was put off, and of a query behind it, each in
// the context that it was asked for in.
func (c *conn) tracePiped(ctx context.Context, cl *call, late []*lateResult) *tracing {
	if c.connector.cfg.Tracer == nil {
		return nil
	}
	return c.traceEach(ctx, cl, func(i int) context.Context {
		if i < len(late) {
			return late[i].ctx
		}
		return ctx
	})
}
