package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// slowQuery keeps a server busy for some tenths of a second, without the write lock.
func slowQuery(rows int) string {
	return fmt.Sprintf("SELECT count(*) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c)", rows)
}

// A lost request that has not asked for the write lock yet, or will ask once more, is
// not over when somebody else has had the lock in between.
func TestCacheLostWriteAsksForTheLockLate(t *testing.T) {
	read, write := slowQuery(2_000_000), "UPDATE b SET n = 77"
	for name, lose := range map[string]func(*sql.DB) error{
		"statements that commit by themselves": func(db *sql.DB) error {
			_, err := db.Exec("UPDATE parent SET n = n + 1; " + read + "; " + write)
			return err
		},
		"a transaction that reads first": func(db *sql.DB) error {
			tx, err := tursoopt.BeginTx(context.Background(), db, tursoopt.TxOptions{Pipelined: true})
			if err != nil {
				return err
			}
			for _, q := range []string{read, write} {
				if _, err := tx.Exec(q); err != nil {
					return err
				}
			}
			return tx.Commit()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, mode{native: true, real: true})
			direct := e.open(t)
			tap := e.tapped(t) // on which the exchange with the server goes on
			path := e.behind(t, netem.Conditions{})
			db := e.cached(t)
			mustExec(t, db, cacheSchema)
			const q = "SELECT sum(n) FROM b"
			for want := int64(3); want == 3; {
				warm(t, db, q) // there is a stream that the server knows
				requests, settled := tap.posts(), cacheStats(t, db).Settled
				h := tap.after(t, "n = 77")
				lost := make(chan error, 1)
				go func() { lost <- lose(db) }()
				for !tap.mentions(requests, "n = 77") {
					runtime.Gosched()
				}
				path.Reset()
				if err := <-lost; !tursoopt.OutcomeUnknown(err) {
					t.Fatalf("the lost write's error is %v", err)
				}
				for over := false; !over && cacheStats(t, db).Settled == settled; {
					select {
					case <-h.reached:
						over = true
					default:
						warm(t, db, q)
					}
				}
				warm(t, db, q)
				<-h.reached
				want = queryInt(t, direct, q) // 3 if the server was asked about it before it had it
				if n := queryInt(t, db, q); n != want {
					t.Errorf("%d, and the lost write has made it %d: %+v", n, want, cacheStats(t, db))
				}
				h.release()
			}
		})
	}
}
