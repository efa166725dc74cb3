package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// The tables of the checked histories. A write to x is also one to y, by a trigger;
// the end of a parent is also that of its child, by a cascade. All of an id is one
// object, so that histories are checked id by id.
const linearSchema = `
CREATE TABLE x (id INTEGER PRIMARY KEY, v INTEGER NOT NULL);
CREATE TABLE y (id INTEGER PRIMARY KEY, v INTEGER NOT NULL);
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent(id) ON DELETE CASCADE);
CREATE VIEW xy AS SELECT x.id AS id, x.v AS xv, y.v AS yv FROM x JOIN y ON x.id = y.id;
CREATE TRIGGER copies AFTER UPDATE ON x BEGIN UPDATE y SET v = new.v WHERE id = new.id; END;
`

// linearState is what there is of one id.
type linearState struct {
	x, y  int64
	child bool
}

// A linearOp is what a client did. want says which of what a read gives it asked
// for.
type linearOp struct {
	id        int64
	kind      string
	v         int64
	got       linearState
	x, y, kid bool
}

var linearModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int64][]porcupine.Operation{}
		for _, op := range history {
			id := op.Input.(*linearOp).id
			parts[id] = append(parts[id], op)
		}
		var all [][]porcupine.Operation
		for _, p := range parts {
			all = append(all, p)
		}
		return all
	},
	Init: func() any { return linearState{} },
	Step: func(state, input, _ any) (bool, any) {
		s, op := state.(linearState), input.(*linearOp)
		switch op.kind {
		case "x", "both":
			s.x, s.y = op.v, op.v
		case "y":
			s.y = op.v
		case "born":
			s.child = true
		case "gone":
			s.child = false
		case "read":
			return (!op.x || op.got.x == s.x) && (!op.y || op.got.y == s.y) && (!op.kid || op.got.child == s.child), s
		}
		return true, s
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", *input.(*linearOp)) },
}

// A linear is a history in the making.
type linear struct {
	t     *testing.T
	db    *sql.DB
	ids   int64
	start time.Time
	next  atomic.Int64 // values written, each once

	mu      sync.Mutex
	history []porcupine.Operation
	failed  map[string]int
}

// note adds an operation to the history. A write of which nobody knows may have
// happened at any time since, or may yet; a read that failed says nothing.
func (l *linear) note(client int, op *linearOp, called int64, err error) {
	returned := int64(time.Since(l.start))
	switch {
	case err == nil:
	case op.kind != "read" && tursoopt.OutcomeUnknown(err):
		returned = math.MaxInt64
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed[op.kind]++
		if returned != math.MaxInt64 {
			return
		}
	}
	l.history = append(l.history, porcupine.Operation{ClientId: client, Input: op, Call: called, Output: 0, Return: returned})
}

// read reads an id in one of several ways, which depend on rows and on tables, of
// one and of several.
func (l *linear) read(ctx context.Context, r *rand.Rand, op *linearOp) error {
	op.kind = "read"
	if r.IntN(20) == 0 {
		ctx = tursoopt.WithFresh(ctx)
	}
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
		op.x = true // of the whole table, for SQLite as for the cache
		return l.db.QueryRowContext(ctx, "SELECT max(CASE WHEN id = ? THEN v END) FROM x", op.id).Scan(&op.got.x)
	}
	op.kid = true
	return l.db.QueryRowContext(ctx, "SELECT count(*) FROM child WHERE id = ?", op.id).Scan(&op.got.child)
}

func (l *linear) write(ctx context.Context, r *rand.Rand, op *linearOp) error {
	op.v = l.next.Add(1)
	exec := func(kind, query string, args ...any) error {
		op.kind = kind
		_, err := l.db.ExecContext(ctx, query, args...)
		return err
	}
	switch r.IntN(8) {
	case 0:
		return exec("x", "UPDATE x SET v = ? WHERE id = ?", op.v, op.id)
	case 1, 2:
		return exec("y", "UPDATE y SET v = ? WHERE id = ?", op.v, op.id)
	case 3:
		return exec("gone", "DELETE FROM parent WHERE id = ?", op.id)
	case 4:
		op.kind = "born"
		return l.batch(ctx, [][2]any{{"INSERT OR IGNORE INTO parent VALUES (?)", []any{op.id}},
			{"INSERT OR IGNORE INTO child VALUES (?, ?)", []any{op.id, op.id}}})
	case 5:
		op.kind = "both"
		return l.transaction(ctx, tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, op)
	case 6:
		op.kind = "both"
		return l.transaction(ctx, tursoopt.TxOptions{Lock: tursoopt.TxImmediate, Pipelined: true}, op)
	}
	return exec("both", "BEGIN IMMEDIATE; UPDATE x SET v = ? WHERE id = ?; UPDATE y SET v = ? WHERE id = ?; COMMIT", op.v, op.id, op.v, op.id)
}

func (l *linear) batch(ctx context.Context, items [][2]any) error {
	b := &tursoopt.Batch{}
	for _, it := range items {
		b.Queue(it[0].(string), it[1].([]any)...)
	}
	res, err := tursoopt.SendBatch(ctx, l.db, b)
	if err != nil {
		return err
	}
	return res.Close()
}

func (l *linear) transaction(ctx context.Context, opts tursoopt.TxOptions, op *linearOp) error {
	tx, err := tursoopt.BeginTx(ctx, l.db, opts)
	if err != nil {
		return err
	}
	for _, q := range []string{"UPDATE x SET v = ? WHERE id = ?", "UPDATE y SET v = ? WHERE id = ?"} {
		if _, err := tx.ExecContext(ctx, q, op.v, op.id); err != nil {
			_ = tx.Rollback() // nothing of it is committed
			return fmt.Errorf("rolled back: %v", err)
		}
	}
	return tx.Commit()
}

// Histories of readers and writers through one Connector, with its own DDL and
// others', and with connections that break, are those of a database without a
// cache: linearizable.
func TestCacheIsLinearizable(t *testing.T) {
	ops := int64(50_000) // in each mode
	if testing.Short() {
		ops = 10_000
	}
	modes := []mode{
		{name: "sqld", native: true, real: true},
		{name: "embedded sqld, group commit", native: true, params: "group_commit=on"},
	}
	// A write whose connection was cut before it had a stream is over within this.
	tursoopt.LostFor(time.Second)
	defer tursoopt.LostFor(0)
	inModes(t, modes, func(t *testing.T, e *env) {
		other := e.open(t) // whose path does not break
		p := e.behind(t, netem.Conditions{})
		l := &linear{t: t, db: e.cached(t), ids: 24, start: time.Now(), failed: map[string]int{}}
		l.db.SetMaxOpenConns(32)
		l.db.SetMaxIdleConns(32)
		mustExec(t, l.db, linearSchema)
		for id := range l.ids {
			mustExec(t, l.db, "INSERT INTO x VALUES (?, 0); INSERT INTO y VALUES (?, 0)", id, id)
		}
		if err := tursoopt.LearnSchema(context.Background(), l.db); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var left atomic.Int64
		left.Store(ops)
		var clients, trouble sync.WaitGroup
		for n := range 8 {
			clients.Go(func() {
				r := rand.New(rand.NewPCG(uint64(n), 3))
				for left.Add(-1) >= 0 {
					op, called := &linearOp{id: r.Int64N(l.ids)}, int64(0)
					act := l.read
					if r.IntN(100) == 0 {
						act = l.write
					}
					called = int64(time.Since(l.start))
					err := act(ctx, r, op)
					l.note(n, op, called, err)
				}
			})
		}
		trouble.Go(func() { l.trouble(ctx, other, &left, ops, func() { p.Reset() }) })
		clients.Wait()
		cancel()
		trouble.Wait()
		s := cacheStats(t, l.db)
		t.Logf("%d operations in %v; failed %v; %+v", len(l.history), time.Since(l.start).Round(time.Millisecond), l.failed, s)
		if s.Hits < uint64(ops)/4 {
			t.Errorf("only %d hits: the cache was not part of it", s.Hits)
		}
		res, info := porcupine.CheckOperationsVerbose(linearModel, l.history, time.Minute)
		if res != porcupine.Ok {
			_ = info
			t.Errorf("the history is %s", res)
		}
	})
}

// trouble changes the schema, as its own and as others' client, and breaks
// connections, each a few times for each part of the operations.
func (l *linear) trouble(ctx context.Context, other *sql.DB, left *atomic.Int64, ops int64, cut func()) {
	const again = "DROP TRIGGER copies; CREATE TRIGGER copies AFTER UPDATE ON x BEGIN UPDATE y SET v = new.v WHERE id = new.id; END"
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n, part := 0, ops/40; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if int64(n+1)*part > ops-left.Load() {
			continue
		}
		n++
		var err error
		switch n % 4 {
		case 0:
			_, err = l.db.ExecContext(ctx, fmt.Sprintf("CREATE TABLE own%d (a)", n))
		case 1:
			_, err = other.ExecContext(ctx, "BEGIN IMMEDIATE; "+again+"; COMMIT")
		default:
			cut()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			l.t.Logf("DDL: %v", err)
		}
	}
}
