package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// linearWays are all the ways that operations of the checked histories go.
var linearWays = []string{
	"row", "second table", "view", "table", "child", "bulk read", "literal", "text for a key", "prepared read", "held read", "made view",
	"update", "row update", "upsert", "replacement", "returning", "prepared", "held connection", "cascade", "batch", "independent batch",
	"transaction", "deferred transaction", "pipelined transaction", "script of a transaction", "script", "transaction of texts", "bulk insert",
}

func (l *linear) prepare() {
	for into, query := range map[**sql.Stmt]string{&l.readX: "SELECT v FROM x WHERE id = ?", &l.updateY: "UPDATE y SET v = ? WHERE id = ?"} {
		s, err := l.db.Prepare(query)
		if err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(func() { _ = s.Close() })
		*into = s
	}
}

// read reads an id in one of several ways, which depend on rows and on tables, of
// one and of several.
func (l *linear) read(ctx context.Context, r *rand.Rand, op *linearOp) error {
	op.kind = "read"
	switch r.IntN(60) {
	case 0, 1:
		ctx = tursoopt.WithFresh(ctx)
	case 2, 3, 4:
		ctx = tursoopt.WithMaxStale(ctx, time.Hour)
	case 5:
		ctx = tursoopt.WithNoStore(ctx)
	}
	one := func(way, query string, arg any, into ...any) error {
		op.way = way
		return l.db.QueryRowContext(ctx, query, arg).Scan(into...)
	}
	switch r.IntN(15) {
	default:
		op.x = true
		return one("row", "SELECT v FROM x WHERE id = ?", op.id, &op.got.x)
	case 4, 5:
		op.y = true
		return one("second table", "SELECT v FROM y WHERE id = ?", op.id, &op.got.y)
	case 6:
		op.x, op.y = true, true
		return one("view", "SELECT xv, yv FROM xy WHERE id = ?", op.id, &op.got.x, &op.got.y)
	case 7:
		op.x = true // of the whole table, for SQLite as for the cache
		return one("table", "SELECT max(CASE WHEN id = ? THEN v END) FROM x", op.id, &op.got.x)
	case 8:
		op.kid = true
		return one("child", "SELECT count(*) FROM child WHERE id = ?", op.id, &op.got.child)
	case 9:
		op.z = true
		return one("bulk read", "SELECT coalesce(max(v), 0) FROM z WHERE k = ?", op.id, &op.got.z)
	case 10:
		op.y = true
		return one("literal", fmt.Sprintf("SELECT v FROM y WHERE id = %d AND id = ?", op.id), op.id, &op.got.y)
	case 11:
		op.y = true
		return one("text for a key", "SELECT v FROM y WHERE id = ?", fmt.Sprint(op.id), &op.got.y)
	case 14:
		op.made = true
		return one("made view", "SELECT v FROM made WHERE id = ?", op.id, &op.got.made)
	case 12:
		op.x, op.way = true, "prepared read"
		return l.readX.QueryRowContext(ctx, op.id).Scan(&op.got.x)
	case 13:
		op.x, op.y, op.way = true, true, "held read"
		return l.hold(ctx, func(c *sql.Conn) error {
			if err := c.QueryRowContext(ctx, "SELECT 1").Scan(new(int)); err != nil {
				return err
			}
			return c.QueryRowContext(ctx, "SELECT xv, yv FROM xy WHERE id = ?", op.id).Scan(&op.got.x, &op.got.y)
		})
	}
}

func (l *linear) write(ctx context.Context, r *rand.Rand, op *linearOp) error {
	op.v = l.next.Add(1)
	if r.IntN(12) == 0 {
		var cancel context.CancelFunc
		most := 4 * time.Millisecond
		if l.e.file {
			most = 100 * time.Microsecond
		}
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.Int64N(int64(most))))
		defer cancel()
	}
	is := func(way, kind string) { op.way, op.kind = way, kind }
	exec := func(way, kind, query string, args ...any) error {
		is(way, kind)
		_, err := l.db.ExecContext(ctx, query, args...)
		return err
	}
	const nothing = "DELETE FROM z WHERE k = -1"
	switch op.v % 17 {
	case 0:
		return exec("update", "both", "UPDATE x SET v = ? WHERE id = ?", op.v, op.id)
	case 1:
		return exec("row update", "y", "UPDATE y SET v = ? WHERE id = ?", op.v, op.id)
	case 2:
		return exec("upsert", "y", "INSERT INTO y VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET v = excluded.v", op.id, op.v)
	case 3:
		return exec("replacement", "y", "REPLACE INTO y VALUES (?, ?)", op.id, op.v)
	case 4:
		is("returning", "y")
		return l.db.QueryRowContext(ctx, "UPDATE y SET v = ? WHERE id = ? RETURNING v", op.v, op.id).Scan(new(int64))
	case 5:
		is("prepared", "y")
		_, err := l.updateY.ExecContext(ctx, op.v, op.id)
		return err
	case 6:
		is("held connection", "both")
		return l.hold(ctx, func(c *sql.Conn) error {
			if _, err := c.ExecContext(ctx, nothing); err != nil {
				return fmt.Errorf("not begun: %v", err)
			}
			_, err := c.ExecContext(ctx, "UPDATE x SET v = ? WHERE id = ?", op.v, op.id)
			return err
		})
	case 7:
		return exec("cascade", "gone", "DELETE FROM parent WHERE id = ?", op.id)
	case 8:
		is("batch", "born")
		return l.batch(ctx, &tursoopt.Batch{}, "INSERT OR IGNORE INTO parent VALUES (?1)", "INSERT OR IGNORE INTO child VALUES (?1, ?1)", op.id)
	case 9:
		is("independent batch", "gone")
		return l.batch(ctx, &tursoopt.Batch{Independent: true}, "DELETE FROM parent WHERE id = ?1", "DELETE FROM z WHERE k = -?1", op.id)
	case 10:
		is("transaction", "both")
		return l.transaction(ctx, tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, op)
	case 11:
		is("deferred transaction", "both")
		return l.transaction(ctx, tursoopt.TxOptions{}, op)
	case 12:
		is("pipelined transaction", "both")
		return l.transaction(ctx, tursoopt.TxOptions{Lock: tursoopt.TxLock(r.IntN(3)), Pipelined: true}, op)
	case 13:
		const script = "BEGIN IMMEDIATE; UPDATE x SET v = ? WHERE id = ?; UPDATE y SET v = ? WHERE id = ?; COMMIT"
		if l.e.file { // whose driver takes no arguments for several statements
			return exec("script of a transaction", "both", literal(script, op.v, op.id, op.v, op.id))
		}
		return exec("script of a transaction", "both", script, op.v, op.id, op.v, op.id)
	case 14:
		const script = nothing + "; UPDATE y SET v = ? WHERE id = ?"
		if l.e.file {
			return exec("script", "y", literal(script, op.v, op.id))
		}
		return exec("script", "y", script, op.v, op.id)
	case 15:
		is("transaction of texts", "both")
		return l.hold(ctx, func(c *sql.Conn) error { return l.texts(ctx, c, op) })
	}
	is("bulk insert", "z")
	_, err := tursoopt.BulkInsert(ctx, l.db, "z", []string{"k", "v"}, func(yield func([]any, error) bool) {
		_ = yield([]any{op.id, op.v}, nil) && yield([]any{-op.id, op.v}, nil)
	})
	return err
}

// literal puts numbers in the places of parameters.
func literal(query string, args ...any) string {
	return fmt.Sprintf(strings.ReplaceAll(query, "?", "%d"), args...)
}

// hold has f use a connection.
func (l *linear) hold(ctx context.Context, f func(*sql.Conn) error) error {
	c, err := l.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("not begun: %v", err)
	}
	defer c.Close()
	return f(c)
}

func (l *linear) texts(ctx context.Context, c *sql.Conn, op *linearOp) error {
	for _, q := range []string{"BEGIN", "UPDATE x SET v = ?1 WHERE id = ?2", "UPDATE y SET v = ?1 WHERE id = ?2", "COMMIT"} {
		var args []any
		if q[0] == 'U' {
			args = []any{op.v, op.id}
		}
		_, err := c.ExecContext(ctx, q, args...)
		if err == nil {
			continue
		}
		if l.e.file { // nothing ends it with the use of the connection
			_, _ = c.ExecContext(context.Background(), "ROLLBACK")
		}
		if q != "COMMIT" {
			return fmt.Errorf("given up: %v", err) // it is rolled back with the connection
		}
		return err
	}
	return nil
}

func (l *linear) batch(ctx context.Context, b *tursoopt.Batch, first, second string, id int64) error {
	b.Queue(first, id)
	b.Queue(second, id)
	res, err := tursoopt.SendBatch(ctx, l.db, b)
	if err != nil {
		return err
	}
	return res.Close()
}

func (l *linear) transaction(ctx context.Context, opts tursoopt.TxOptions, op *linearOp) error {
	tx, err := tursoopt.BeginTx(ctx, l.db, opts)
	if err != nil {
		return fmt.Errorf("not begun: %v", err)
	}
	for _, q := range []string{"UPDATE x SET v = ? WHERE id = ?", "UPDATE y SET v = ? WHERE id = ?"} {
		if _, err := tx.ExecContext(ctx, q, op.v, op.id); err != nil {
			_ = tx.Rollback() // nothing of it is committed
			return fmt.Errorf("rolled back: %v", err)
		}
	}
	return tx.Commit()
}
