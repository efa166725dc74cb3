package otelsql_test

import (
	"context"
	"sync"
	"testing"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// spansOf is a Tracer that keeps in whose spans statements and requests are.
type spansOf struct {
	mu         sync.Mutex
	statements map[string]api.SpanID
	requests   []api.SpanID
}

func (s *spansOf) StatementStart(ctx context.Context, e tursoopt.StatementStart) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statements[e.SQL] = api.SpanContextFromContext(ctx).SpanID()
	return ctx
}

func (s *spansOf) StatementEnd(context.Context, tursoopt.StatementEnd) {}

func (s *spansOf) RequestStart(ctx context.Context, _ tursoopt.RequestStart) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, api.SpanContextFromContext(ctx).SpanID())
	return ctx
}

func (s *spansOf) RequestEnd(context.Context, tursoopt.RequestEnd) {}

// The driver's own Tracer is told inside otelsql's spans: of statements, of requests,
// and of the end of a transaction in the span that it was begun in.
func TestTracerInsideSpans(t *testing.T) {
	server := hranatest.NewServer(t, hranatest.Options{})
	cfg, err := tursoopt.ParseDSN(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	told := &spansOf{statements: map[string]api.SpanID{}}
	cfg.Tracer = told
	connector, err := tursoopt.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	db := otelsql.OpenDB(connector, otelsql.WithTracerProvider(provider))
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, span := provider.Tracer("test").Start(t.Context(), "test")
	exec(ctx, t, db, "CREATE TABLE t (a)")
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	exec(ctx, t, tx, "INSERT INTO t VALUES (1)")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	span.End()
	named := map[api.SpanID]string{}
	for _, s := range spans.Ended() {
		named[s.SpanContext().SpanID()] = s.Name()
	}
	told.mu.Lock()
	defer told.mu.Unlock()
	for sql, want := range map[string]string{
		"CREATE TABLE t (a)": "sql.conn.exec", "INSERT INTO t VALUES (?)": "sql.conn.exec", "COMMIT": "sql.conn.begin_tx",
	} {
		if got := named[told.statements[sql]]; got != want {
			t.Errorf("%s is in the span %q, want %q", sql, got, want)
		}
	}
	inside := 0
	for _, id := range told.requests {
		if named[id] != "" {
			inside++
		}
	}
	if inside < 3 {
		t.Errorf("%d of %d requests are in spans", inside, len(told.requests))
	}
}
