package otelsql_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/compat/internal/target"
)

// Batches and bulk inserts go through the spans: on a pool, on a connection and in a
// transaction.
func TestBatches(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB, spans *tracetest.SpanRecorder, tg target.Target) {
		if tg.Driver != tursoopt.DriverName {
			return // it has none
		}
		exec(ctx, t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE)")
		conn, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		both := func(name string, on interface {
			tursoopt.Queryer
			tursoopt.Execer
		}) {
			t.Helper()
			b := &tursoopt.Batch{}
			b.Queue("INSERT INTO t (s) VALUES (?)", name)
			b.Queue("SELECT s FROM t WHERE s = ?", name)
			res, err := tursoopt.SendBatch(ctx, on, b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			var got string
			if _, err := res.Exec(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := res.QueryRow().Scan(&got); err != nil || got != name {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if err := res.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			var rows iter.Seq2[[]any, error] = func(yield func([]any, error) bool) {
				for i := range 10 {
					if !yield([]any{fmt.Sprint(name, i)}, nil) {
						return
					}
				}
			}
			if n, err := tursoopt.BulkInsert(ctx, on, "t", []string{"s"}, rows); n != 10 || err != nil {
				t.Errorf("%s: %d rows, %v", name, n, err)
			}
		}
		both("tx", tx)
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		both("conn", conn)
		both("db", db)
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil || n != 33 {
			t.Errorf("%d rows, %v", n, err)
		}
		if len(calls(spans)) == 0 {
			t.Error("no spans")
		}
	})
}
