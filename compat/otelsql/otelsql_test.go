// Package otelsql_test puts OpenTelemetry's spans around the driver, with
// their trace written into each statement as a comment.
package otelsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/turso-opt/turso-opt/compat/internal/target"
)

// each runs body with an instrumented pool and the spans that it makes; ctx is
// inside a span, or there would be no trace to write into statements.
func each(t *testing.T, body func(ctx context.Context, t *testing.T, db *sql.DB, spans *tracetest.SpanRecorder, tg target.Target)) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		spans := tracetest.NewSpanRecorder()
		provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
		db, err := otelsql.Open(tg.Driver, tg.DSN,
			otelsql.WithTracerProvider(provider),
			otelsql.WithSQLCommenter(true),
			otelsql.WithTextMapPropagator(propagation.TraceContext{}),
			otelsql.WithSpanOptions(otelsql.SpanOptions{Ping: true, OmitConnResetSession: true}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		ctx, span := provider.Tracer("test").Start(t.Context(), "test")
		defer span.End()
		body(ctx, t, db, spans, tg)
	})
}

func exec(ctx context.Context, t *testing.T, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, query string, args ...any) sql.Result {
	t.Helper()
	res, err := db.ExecContext(ctx, query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return res
}

// calls are the spans that have ended, without those of connections being
// opened: how many of them there are is the pool's affair.
func calls(spans *tracetest.SpanRecorder) (names []string) {
	for _, s := range spans.Ended() {
		name := strings.TrimPrefix(s.Name(), "sql.")
		if s.Status().Code == codes.Error {
			name += "!"
		}
		if name != "connector.connect" {
			names = append(names, name)
		}
	}
	return names
}

func TestSpans(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB, spans *tracetest.SpanRecorder, tg target.Target) {
		if err := db.PingContext(ctx); err != nil {
			t.Fatal(err)
		}
		exec(ctx, t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE)")
		if _, err := db.ExecContext(ctx, "INSERT INTO t (s) VALUES (?), (?)", "a", "a"); err == nil {
			t.Error("a unique column took one value twice")
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n); n != 0 || err != nil {
			t.Errorf("n = %d, %v", n, err)
		}
		stmt, err := db.PrepareContext(ctx, "INSERT INTO t (s) VALUES (?)")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stmt.ExecContext(ctx, "b"); err != nil {
			t.Fatal(err)
		}
		if err := stmt.Close(); err != nil {
			t.Fatal(err)
		}
		for _, commit := range []bool{true, false} {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			exec(ctx, t, tx, "INSERT INTO t (s) VALUES (?)", fmt.Sprint(commit))
			end := tx.Rollback
			if commit {
				end = tx.Commit
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
		}
		// No call falls back to another one, which would show as two spans.
		want := []string{
			"conn.ping", "conn.exec", "conn.exec!", "conn.query", "rows", "conn.prepare", "stmt.exec",
			"conn.begin_tx", "conn.exec", "tx.commit", "conn.begin_tx", "conn.exec", "tx.rollback",
		}
		if tg.Driver == "libsql" {
			want = want[1:] // it has nothing to ping with
		}
		if got := calls(spans); !reflect.DeepEqual(got, want) {
			t.Errorf("the spans are %q, want %q", got, want)
		}
	})
}

// Each run of a statement has a text of its own now; what follows from the text
// must not change.
func TestComments(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB, _ *tracetest.SpanRecorder, _ target.Target) {
		exec(ctx, t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); CREATE INDEX i ON t (s)")
		for i, query := range []string{
			"INSERT INTO t (s) VALUES (?)",
			"INSERT INTO t (s) VALUES (?);",
			"INSERT INTO t (s) VALUES (?) -- a comment of its own\n",
		} {
			res := exec(ctx, t, db, query, "x")
			if id, err := res.LastInsertId(); id != int64(i+1) || err != nil {
				t.Errorf("%q gives the id %d, %v", query, id, err)
			}
			if n, err := res.RowsAffected(); n != 1 || err != nil {
				t.Errorf("%q affects %d rows, %v", query, n, err)
			}
		}
		for _, query := range []string{"SELECT count(*), max(s) FROM t WHERE s = :s", "SELECT count(*), max(s) FROM t WHERE s = @s;"} {
			for range 2 {
				var n int
				var s string
				if err := db.QueryRowContext(ctx, query, sql.Named("s", "x")).Scan(&n, &s); n != 3 || s != "x" || err != nil {
					t.Errorf("%q gives %d, %q, %v", query, n, s, err)
				}
			}
		}
		stmt, err := db.PrepareContext(ctx, "SELECT s || ? FROM t WHERE id = ?")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		var s string
		if err := stmt.QueryRowContext(ctx, "y", 1).Scan(&s); s != "xy" || err != nil {
			t.Errorf("the prepared query gives %q, %v", s, err)
		}
		if _, err := stmt.QueryContext(ctx, "y"); err == nil {
			t.Error("one argument for two parameters is no error")
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		exec(ctx, t, tx, "DELETE FROM t WHERE id = 1; DELETE FROM t WHERE id = 2")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n); n != 1 || err != nil {
			t.Errorf("%d rows are left, %v", n, err)
		}
	})
}

// The wrapper hides nothing that the driver can do.
func TestWrapping(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB, _ *tracetest.SpanRecorder, tg target.Target) {
		plain := tg.Open(t)
		exec(ctx, t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, score REAL, at DATETIME)")
		exec(ctx, t, db, "INSERT INTO t VALUES (1, 'x', 0.5, '2024-02-29 12:00:00')")
		types := func(db *sql.DB) (all []string) {
			t.Helper()
			rows, err := db.QueryContext(ctx, "SELECT * FROM t; SELECT id AS second FROM t")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for more := true; more; more = rows.NextResultSet() {
				columns, err := rows.ColumnTypes()
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range columns {
					all = append(all, c.Name()+" "+c.DatabaseTypeName())
				}
				for rows.Next() {
					values := make([]any, len(columns))
					for i := range values {
						values[i] = new(any)
					}
					if err := rows.Scan(values...); err != nil {
						t.Fatal(err)
					}
					for _, v := range values {
						all = append(all, fmt.Sprintf("%T %[1]v", *v.(*any)))
					}
				}
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			return all
		}
		got, want := types(db), types(plain)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the result sets are %q, without the wrapper %q", got, want)
		}
		// Two statements were run, and the declared types of the first are known.
		if all := strings.Join(got, "|"); !strings.Contains(all, "second ") || !tg.Baseline && !strings.Contains(all, "name VARCHAR") {
			t.Errorf("the result sets are %q", got)
		}

		raw := func(db *sql.DB) (name string) {
			t.Helper()
			conn, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.Raw(func(c any) error {
				if wrapper, ok := c.(interface{ Raw() driver.Conn }); ok {
					c = wrapper.Raw()
				}
				name = fmt.Sprintf("%T", c)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return name
		}
		if got, want := raw(db), raw(plain); got != want {
			t.Errorf("the connection inside is a %s, want a %s", got, want)
		}
	})
}
