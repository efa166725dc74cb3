package tursoopt

import (
	"context"
	"log/slog"
	"time"
)

// TraceLog is a Tracer that writes what it is told to a log, at level: failures and
// retries one level (4) above it.
func TraceLog(log *slog.Logger, level slog.Level) Tracer { return &logTracer{log, level} }

type logTracer struct {
	log   *slog.Logger
	level slog.Level
}

var (
	_ RequestTracer = (*logTracer)(nil)
	_ RetryTracer   = (*logTracer)(nil)
	_ DialTracer    = (*logTracer)(nil)
)

func (l *logTracer) StatementStart(ctx context.Context, _ StatementStart) context.Context { return ctx }

func (l *logTracer) StatementEnd(ctx context.Context, e StatementEnd) {
	l.write(ctx, "statement", e.Err, slog.String("sql", e.SQL), slog.Duration("took", e.Took), slog.Duration("server", e.Server),
		slog.Int64("rows", e.Rows), slog.Int64("affected", e.RowsAffected), slog.Bool("cached", e.Cached))
}

func (l *logTracer) RequestStart(ctx context.Context, _ RequestStart) context.Context { return ctx }

func (l *logTracer) RequestEnd(ctx context.Context, e RequestEnd) {
	l.write(ctx, "request", e.Err, slog.Int("callers", e.Callers), slog.Int("statements", e.Statements), slog.Int("retries", e.Retries),
		slog.Duration("took", e.Took), slog.Duration("server", e.Server), slog.Int("sent", e.Sent), slog.Int("received", e.Received))
}

func (l *logTracer) Retry(ctx context.Context, cause error, attempts int, waited time.Duration) {
	l.write(ctx, "retry", cause, slog.Int("attempts", attempts), slog.Duration("waited", waited))
}

func (l *logTracer) DialEnd(ctx context.Context, addr string, took time.Duration, err error) {
	l.write(ctx, "dial", err, slog.String("addr", addr), slog.Duration("took", took))
}

func (l *logTracer) write(ctx context.Context, what string, err error, attrs ...slog.Attr) {
	level := l.level
	if err != nil {
		level += 4
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	l.log.LogAttrs(ctx, level, "turso-opt: "+what, attrs...)
}
