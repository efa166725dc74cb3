package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A baseLinear is a history of the clients of a base, whose errors do not tell what has
// become of a write.
type baseLinear struct {
	db    *sql.DB
	start time.Time
	next  atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
	failed  int
}

func (l *baseLinear) read(ctx context.Context, r *rand.Rand, op *linearOp) error {
	op.kind = "read"
	switch r.IntN(6) {
	case 0, 1:
		op.x = true
		return l.db.QueryRowContext(ctx, "SELECT v FROM x WHERE id = ?", op.id).Scan(&op.got.x)
	case 2:
		op.y = true
		return l.db.QueryRowContext(ctx, "SELECT v FROM y WHERE id = ?", op.id).Scan(&op.got.y)
	case 3:
		op.x, op.y = true, true
		return l.db.QueryRowContext(ctx, "SELECT xv, yv FROM xy WHERE id = ?", op.id).Scan(&op.got.x, &op.got.y)
	case 4:
		op.x = true
		return l.db.QueryRowContext(ctx, "SELECT max(CASE WHEN id = ? THEN v END) FROM x", op.id).Scan(&op.got.x)
	}
	op.kid = true
	return l.db.QueryRowContext(ctx, "SELECT count(*) FROM child WHERE id = ?", op.id).Scan(&op.got.child)
}

func (l *baseLinear) write(ctx context.Context, r *rand.Rand, op *linearOp) error {
	op.v = l.next.Add(1)
	exec := func(kind, query string, args ...any) error {
		op.kind = kind
		_, err := l.db.ExecContext(ctx, query, args...)
		return err
	}
	switch r.IntN(6) {
	case 0:
		return exec("both", "UPDATE x SET v = ? WHERE id = ?", op.v, op.id)
	case 1:
		return exec("y", "UPDATE y SET v = ? WHERE id = ?", op.v, op.id)
	case 2:
		return exec("gone", "DELETE FROM parent WHERE id = ?", op.id)
	case 3:
		op.kind = "born"
		b := &tursoopt.Batch{}
		b.Queue("INSERT OR IGNORE INTO parent VALUES (?)", op.id)
		b.Queue("INSERT OR IGNORE INTO child VALUES (?, ?)", op.id, op.id)
		res, err := tursoopt.SendBatch(ctx, l.db, b)
		if err != nil {
			return err
		}
		return res.Close()
	case 4:
		return exec("both", fmt.Sprintf("BEGIN IMMEDIATE; UPDATE x SET v = %d WHERE id = %d; UPDATE y SET v = %d WHERE id = %d; COMMIT", op.v, op.id, op.v, op.id))
	}
	op.kind = "y"
	tx, err := tursoopt.BeginTx(ctx, l.db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE y SET v = ? WHERE id = ?", op.v, op.id); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// client does operations until there are enough.
func (l *baseLinear) client(n int, left *atomic.Int64) {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	for left.Add(-1) >= 0 {
		op, act := &linearOp{id: r.Int64N(24)}, l.read
		if r.IntN(100) == 0 {
			act = l.write
		}
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if r.IntN(20) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(50))*time.Microsecond)
		}
		called := int64(time.Since(l.start))
		err := act(ctx, r, op)
		returned := int64(time.Since(l.start))
		cancel()
		l.mu.Lock()
		if err != nil {
			returned = math.MaxInt64 // it may have happened, at any time since
			l.failed++
		}
		if err == nil || op.kind != "read" {
			l.history = append(l.history, porcupine.Operation{ClientId: n, Input: op, Call: called, Output: 0, Return: returned})
		}
		l.mu.Unlock()
	}
}

// A file's SQLite is the base that is quickest: most goes wrong there where something does.
// Its own DDL is part of it, and contexts that end; others' DDL is bounded by the lease.
func TestBaseCacheIsLinearizable(t *testing.T) {
	const ops = 8_000
	e := newEnv(t, cachedBases[1])
	l := &baseLinear{db: e.cached(t), start: time.Now()}
	l.db.SetMaxOpenConns(8)
	l.db.SetMaxIdleConns(8)
	mustExec(t, l.db, linearSchema)
	for id := range 24 {
		mustExec(t, l.db, "INSERT INTO x VALUES (?, 0)", id)
		mustExec(t, l.db, "INSERT INTO y VALUES (?, 0)", id)
	}
	if err := tursoopt.LearnSchema(t.Context(), l.db); err != nil {
		t.Fatal(err)
	}
	var left atomic.Int64
	left.Store(ops)
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() { l.client(n, &left) })
	}
	for n := int64(1); n < 20; n++ { // each when another part has been done
		for ops-left.Load() < n*ops/20 {
			time.Sleep(time.Millisecond)
		}
		mustExec(t, l.db, "BEGIN IMMEDIATE; DROP TRIGGER copies; CREATE TRIGGER copies AFTER UPDATE ON x BEGIN UPDATE y SET v = new.v WHERE id = new.id; END; COMMIT")
	}
	clients.Wait()
	s := cacheStats(t, l.db)
	t.Logf("%d operations in %v; %d failed; %+v", len(l.history), time.Since(l.start).Round(time.Millisecond), l.failed, s.CacheTally)
	if s.Hits < ops/4 || s.SchemaChanges < 19 || l.failed == 0 {
		t.Errorf("too little has happened: %+v", s)
	}
	if res, _ := porcupine.CheckOperationsVerbose(linearModel, l.history, time.Minute); res != porcupine.Ok {
		t.Errorf("the history is %s", res)
	}
}
