package sqlx_test

import (
	"testing"

	"github.com/jmoiron/sqlx"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/compat/internal/target"
)

// sqlx's own types take batches and bulk inserts, and begin transactions.
func TestBatches(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		if tg.Driver != tursoopt.DriverName {
			return // it has none
		}
		ctx := t.Context()
		db := sqlx.NewDb(tg.Open(t), tg.Driver)
		db.MustExec("CREATE TABLE t (s TEXT UNIQUE)")
		rows := func(yield func([]any, error) bool) { yield([]any{"in bulk"}, nil) }
		both := func(on interface {
			tursoopt.Queryer
			tursoopt.Execer
		}) {
			t.Helper()
			b := &tursoopt.Batch{}
			b.Queue("INSERT INTO t VALUES (?)", "in a batch")
			b.Queue("SELECT s FROM t")
			res, err := tursoopt.SendBatch(ctx, on, b)
			if err != nil {
				t.Fatal(err)
			}
			var s string
			_, err = res.Exec()
			if err2 := res.QueryRow().Scan(&s); err != nil || err2 != nil || s != "in a batch" {
				t.Errorf("%q, %v, %v", s, err, err2)
			}
			if err := res.Close(); err != nil {
				t.Error(err)
			}
			if n, err := tursoopt.BulkInsert(ctx, on, "t", []string{"s"}, rows); n != 1 || err != nil {
				t.Errorf("%d rows in bulk, %v", n, err)
			}
		}
		tx := db.MustBegin()
		both(tx)
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
		conn, err := db.Connx(ctx)
		if err != nil {
			t.Fatal(err)
		}
		both(conn)
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		db.MustExec("DELETE FROM t")
		both(db)
		piped, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Pipelined: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := piped.Exec("INSERT INTO t VALUES ('piped')"); err != nil {
			t.Error(err)
		}
		if err := piped.Commit(); err != nil {
			t.Error(err)
		}
		var n int
		if err := db.Get(&n, "SELECT count(*) FROM t"); err != nil || n != 3 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}
