package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// A bindCase is a text that gives two columns, with arguments.
type bindCase struct {
	query string
	args  []any
	want  [2]any
	// alone: only this driver takes it. See docs/semantics.md.
	alone bool
}

func named(name string, v any) any { return sql.Named(name, v) }

var bindCases = []bindCase{
	{query: "SELECT ?, ?", args: []any{1, "b"}, want: [2]any{int64(1), "b"}},
	{query: "SELECT ?2, ?1", args: []any{1, 2}, want: [2]any{int64(2), int64(1)}},
	{query: "SELECT ?1, ?1", args: []any{1}, want: [2]any{int64(1), int64(1)}},
	{query: "SELECT ?, ?1", args: []any{1}, want: [2]any{int64(1), int64(1)}},
	{query: "SELECT ?1, ?", args: []any{1, 2}, want: [2]any{int64(1), int64(2)}},
	{query: "SELECT ?01, ?1", args: []any{1}, want: [2]any{int64(1), int64(1)}},
	{query: "SELECT ?2, ?2", args: []any{1, 2}, want: [2]any{int64(2), int64(2)}, alone: true},
	{query: "SELECT ?3, ?", args: []any{1, 2, 3, 4}, want: [2]any{int64(3), int64(4)}, alone: true},
	{query: "SELECT :a, :b", args: []any{named("b", 2), named("a", 1)}, want: [2]any{int64(1), int64(2)}},
	{query: "SELECT :a, :a", args: []any{named("a", 1)}, want: [2]any{int64(1), int64(1)}},
	{query: "SELECT @a, $b", args: []any{named("a", 1), named("b", 2)}, want: [2]any{int64(1), int64(2)}},
	{query: "SELECT :a, @a", args: []any{named("a", 1)}, want: [2]any{int64(1), int64(1)}},
	{query: "SELECT :a, :A", args: []any{named("a", 1), named("A", 2)}, want: [2]any{int64(1), int64(2)}},
	{query: "SELECT :größe, :a_1$", args: []any{named("größe", 1), named("a_1$", 2)}, want: [2]any{int64(1), int64(2)}, alone: true},
	{query: "SELECT :a, :b", args: []any{1, 2}, want: [2]any{int64(1), int64(2)}, alone: true},
	{query: "SELECT :a, ?2", args: []any{named("a", 1), 2}, want: [2]any{int64(1), int64(2)}, alone: true},
	{query: "SELECT ?1, :b", args: []any{1, named("b", 2)}, want: [2]any{int64(1), int64(2)}, alone: true},
	{query: "SELECT #a, 2", args: []any{named("a", 1)}, want: [2]any{int64(1), int64(2)}, alone: true},
	{query: "SELECT '?, :a', \"x\" /* ? */ FROM (SELECT ? AS x) -- :b", args: []any{1}, want: [2]any{"?, :a", int64(1)}},
	{query: "  /* first */ SELECT ?, 2 ; ", args: []any{1}, want: [2]any{int64(1), int64(2)}},
	{query: "SELECT ?, ?;;", args: []any{nil, []byte("x")}, want: [2]any{nil, []byte("x")}},
}

func TestBind(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		for _, c := range bindCases {
			if c.alone && !e.native {
				continue
			}
			var got [2]any
			if err := db.QueryRowContext(ctx, c.query, c.args...).Scan(&got[0], &got[1]); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s with %v gives %v, %v", c.query, c.args, got, err)
			}
			s, err := db.PrepareContext(ctx, c.query)
			if err != nil {
				t.Errorf("%s: %v", c.query, err)
				continue
			}
			got = [2]any{}
			if err := s.QueryRowContext(ctx, c.args...).Scan(&got[0], &got[1]); e.upstream() && err != nil {
				// It counts parameters otherwise when it prepares.
			} else if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s, prepared, with %v gives %v, %v", c.query, c.args, got, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func manyArgs(n int) []any {
	args := make([]any, n)
	for i := range args {
		args[i] = "secret"
	}
	return args
}

// What does not fit is found here: nothing is sent, also not of a script whose
// first statements would fit.
func TestBindErrors(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		for _, c := range []struct {
			query string
			args  []any
			says  string
		}{
			{"SELECT ?, ?", nil, "2 parameters"},
			{"SELECT ?, ?", []any{"secret"}, "2 parameters"},
			{"SELECT ?, ?", []any{"secret", 2, 3}, "3 arguments"},
			{"SELECT ?1, ?1", []any{1, "secret"}, "2 arguments"},
			{"SELECT ?5", []any{1}, "5 parameters"},
			{"SELECT 1", []any{"secret"}, "no parameters"},
			{"SELECT 1", []any{named("a", "secret")}, "called a"},
			{"SELECT :a, :b", []any{named("a", "secret")}, ":b"},
			{"SELECT :a", []any{named("b", "secret")}, ":a"},
			{"SELECT :a", []any{named("a", "secret"), named("b", 2)}, "called b"},
			{"SELECT :a", []any{named("A", 1)}, ":a"},
			{"SELECT :a", []any{named("a", "secret"), named("a", 2)}, ":a"},
			{"SELECT :a", []any{"secret", named("a", 2)}, ":a"},
			{"SELECT :a, ?", []any{named("a", 1)}, "parameter 2"},
			{"SELECT ?1", []any{named("1a", 1)}, "name"},
			{"SELECT ?", []any{named("a", 1)}, "parameter 1"},
			{"", []any{"secret"}, "takes 0 arguments"},
			{"-- ?", []any{named("a", "secret")}, "called a"},
			{"SELECT 1; SELECT ?", nil, "statement 2"},
			{"SELECT ?; SELECT ?", []any{"secret"}, "statement 2"},
			{"SELECT ?; SELECT 2", []any{1, "secret"}, "1 arguments"},
			{"SELECT :a; SELECT :b", []any{named("a", "secret")}, "statement 2"},
			{"SELECT :a; SELECT 2", []any{named("a", 1), named("c", "secret")}, "called c"},
			{"SELECT 1; SELECT 2", []any{"secret"}, "0 arguments"},
			{"SELECT ?0", []any{"secret"}, "from ?1 to ?32766"},
			{"SELECT ?32767", nil, "from ?1 to ?32766"},
			{"SELECT ?1; SELECT ?40000", []any{"secret", 2}, "from ?1 to ?32766"},
			{"SELECT 1 IN (?" + strings.Repeat(", ?", 32766) + ")", manyArgs(32767), "more than 32766 parameters"},
			{"SELECT ?32766, :a", manyArgs(32767), "more than 32766 parameters"},
			{"SELECT 'secret\xff'", nil, "not valid UTF-8"},
			{"SELECT 1; SELECT '\xff', ?", []any{"secret"}, "statement 2: the SQL is not valid UTF-8"},
		} {
			_, err := db.ExecContext(ctx, c.query, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s with %v: %v", c.query, c.args, err)
			}
			if rows, err := db.QueryContext(ctx, c.query, c.args...); err == nil {
				t.Errorf("%s with %v is queried", c.query, c.args)
				_ = rows.Close()
			}
			s, err := db.PrepareContext(ctx, c.query)
			if err != nil {
				t.Errorf("%s: %v", c.query, err)
				continue
			}
			if _, err := s.ExecContext(ctx, c.args...); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s, prepared, with %v: %v", c.query, c.args, err)
			}
		}
		if n := e.sent(t, db); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
		if n := queryInt(t, db, "SELECT ?", 7); n != 7 {
			t.Errorf("afterwards 7 is %d", n)
		}
	})
}

// A plan may be asked for without the arguments of the statement, as
// libsql-client-go allows.
func TestBindExplain(t *testing.T) {
	inModes(t, allModes[:len(allModes)-1], func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
		for _, args := range [][]any{nil, {1, 2}} {
			var detail string
			var skip any
			if err := db.QueryRow("EXPLAIN QUERY PLAN SELECT x FROM t WHERE id = ? AND x = ?", args...).Scan(&skip, &skip, &skip, &detail); err != nil ||
				!strings.Contains(detail, "PRIMARY KEY") {
				t.Errorf("with %v: %q, %v", args, detail, err)
			}
		}
	})
}

// The statements of a script share the arguments as libsql-client-go does it:
// each takes as many as it has ? and distinct ?N, from those that are left, and
// every one all that it names.
func TestBindScripts(t *testing.T) {
	inModes(t, allModes[:len(allModes)-1], func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE s (id INTEGER PRIMARY KEY, a, b)")
		for _, c := range []struct {
			query    string
			args     []any
			want     string
			affected int64
		}{
			{"INSERT INTO s (a, b) VALUES (?, ?); INSERT INTO s (a, b) VALUES (?, ?)", []any{1, 2, 3, 4}, "1,2 3,4", 2},
			{"INSERT INTO s (a, b) VALUES (?1, ?1); INSERT INTO s (a, b) VALUES (?2, ?1)", []any{1, 2, 3}, "1,1 3,2", 2},
			{"INSERT INTO s (a, b) VALUES (?1, ?2); INSERT INTO s (a, b) VALUES (?1, ?2)", []any{1, 2, 3, 4}, "1,2 3,4", 2},
			{"INSERT INTO s (a, b) VALUES (:a, @b); INSERT INTO s (a, b) VALUES ($b, :a)", []any{named("a", 1), named("b", 2)}, "1,2 2,1", 2},
			{"INSERT INTO s (a) VALUES (:a); UPDATE s SET b = :b; DELETE FROM s WHERE a = :c", []any{named("a", 1), named("b", 2), named("c", 9)}, "1,2", 2},
			{"INSERT INTO s (a) VALUES (1), (2), (3);; -- comment; with ?\n ; UPDATE s SET b = ? WHERE a > ?;", []any{9, 1}, "1,NULL 2,9 3,9", 5},
			{"CREATE TRIGGER tr AFTER INSERT ON s BEGIN UPDATE s SET b = 1 WHERE id = new.id; SELECT 2; END; INSERT INTO s (a) VALUES (?); DROP TRIGGER tr", []any{5}, "5,1", -1},
		} {
			mustExec(t, db, "DELETE FROM s")
			res, err := db.ExecContext(ctx, c.query, c.args...)
			if err != nil {
				t.Errorf("%s: %v", c.query, err)
				continue
			}
			var got sql.NullString
			if err := db.QueryRowContext(ctx, "SELECT group_concat(coalesce(a, 'NULL') || ',' || coalesce(b, 'NULL'), ' ') FROM s").Scan(&got); err != nil || got.String != c.want {
				t.Errorf("%s leaves %q, %v", c.query, got.String, err)
			}
			if n, err := res.RowsAffected(); c.affected >= 0 && n != c.affected || err != nil {
				t.Errorf("%s affects %d rows, %v", c.query, n, err)
			}
			last := queryInt(t, db, "SELECT max(id) FROM s")
			if id, err := res.LastInsertId(); id != last || err != nil {
				t.Errorf("%s: the last id is %d, %v, not %d", c.query, id, err, last)
			}
		}
	})
}

// Infinities leave the text, and every other parameter keeps its value, in
// whatever way it is written. The result is the one that the value itself gives,
// which protobuf could carry.
func TestBindInfinities(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		up, down := math.Inf(1), math.Inf(-1)
		for _, c := range []struct {
			query string
			args  []any
			want  string
		}{
			{"SELECT ? > 1e308, ?", []any{up, "x"}, "1 x"},
			{"SELECT ?, ? < -1e308, ?", []any{"x", down, "y"}, "x 1 y"},
			{"SELECT ?2, ?1 > ?3", []any{up, "x", down}, "x 1"},
			{"SELECT :a = :a, :b", []any{named("a", up), named("b", "x")}, "1 x"},
			{"SELECT @b, :a = $a", []any{named("a", down), named("b", "x")}, "x 1"},
			{"SELECT ?1 = ?1, ?1 > ?", []any{up, down}, "1 1"},
			{"SELECT typeof(?), typeof(+?), -? < 0", []any{up, down, up}, "real real 1"},
			{"SELECT 'x' WHERE 1 AND? > 0", []any{up}, "x"},
			{"SELECT count(*) FROM (SELECT ? AS n UNION SELECT ? UNION SELECT ?)", []any{up, up, down}, "2"},
			{"SELECT ?; SELECT ?", []any{"x", up}, "x"},
		} {
			rows, err := db.Query(c.query, c.args...)
			if err != nil {
				t.Errorf("%s: %v", c.query, err)
				continue
			}
			cols, _ := rows.Columns()
			got, dest := make([]any, len(cols)), make([]any, len(cols))
			for i := range dest {
				dest[i] = &got[i]
			}
			if !rows.Next() {
				t.Errorf("%s: %v", c.query, rows.Err())
			} else if err := rows.Scan(dest...); err != nil || strings.TrimSpace(fmt.Sprintln(got...)) != c.want {
				t.Errorf("%s gives %v, %v", c.query, got, err)
			}
			_ = rows.Close()
		}
	})
}
