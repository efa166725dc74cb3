package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
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
CREATE TABLE z (k INTEGER NOT NULL, v INTEGER NOT NULL);
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent(id) ON DELETE CASCADE);
CREATE VIEW xy AS SELECT x.id AS id, x.v AS xv, y.v AS yv FROM x JOIN y ON x.id = y.id;
CREATE TRIGGER copies AFTER UPDATE ON x BEGIN UPDATE y SET v = new.v WHERE id = new.id; END;
CREATE TABLE journal (v INTEGER PRIMARY KEY);
CREATE TRIGGER writes AFTER UPDATE ON x BEGIN INSERT INTO journal VALUES (new.v); END;
CREATE VIEW made AS SELECT id, 0 AS v FROM x;
`

// linearState is what there is of one id. made is the same for all: it changes with the
// schema alone.
type linearState struct {
	x, y, z, made int64
	child         bool
}

// A linearOp is what a client did. The flags say which of what a read gives it asked
// for.
type linearOp struct {
	id                 int64
	kind               string // what it does
	way                string // how
	v                  int64
	got                linearState
	x, y, z, made, kid bool
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
		case "both":
			s.x, s.y = op.v, op.v
		case "y":
			s.y = op.v
		case "z":
			s.z = max(s.z, op.v)
		case "made":
			s.made = op.v
		case "born":
			s.child = true
		case "gone":
			s.child = false
		case "read":
			return (!op.x || op.got.x == s.x) && (!op.y || op.got.y == s.y) && (!op.z || op.got.z == s.z) &&
				(!op.made || op.got.made == s.made) && (!op.kid || op.got.child == s.child), s
		}
		return true, s
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", *input.(*linearOp)) },
}

// A linear is a history in the making. It is made in rounds, each with ids of its
// own and at an end before the next begins, so that what is checked at once is short
// and a write of which nobody knows is soon nobody's concern.
type linear struct {
	t     *testing.T
	e     *env
	db    *sql.DB
	other *sql.DB      // whose path does not break
	path  *netem.Proxy // nil where there is none
	start time.Time
	ahead *atomic.Int64 // of the cache's clock
	next  atomic.Int64  // values written, each once

	readX, updateY *sql.Stmt

	// Of a round:
	base, share int64        // its first id; one operation of so many is a write
	noted, want atomic.Int64 // operations so far, and how many there are to be
	busy        atomic.Bool  // there is trouble, in which it must not end
	held        atomic.Bool  // a write waits for the lock, or for a connection

	mu      sync.Mutex
	history []porcupine.Operation

	// Of all:
	total, late    int
	ways           map[string]int
	failed         map[string]int
	unknown        atomic.Int64
	kills, schemas int
}

const (
	linearIDs    = 24 // of a round
	linearRounds = 4  // have had every kind of trouble
)

// unclear tells whether an operation may have happened, or may yet, although it has failed:
// bases other than the native one do not say so of their errors.
func (l *linear) unclear(op *linearOp, err error) bool {
	switch {
	case err == nil || op.kind == "read":
		return false
	case l.e.native:
		return tursoopt.OutcomeUnknown(err)
	}
	return !strings.HasPrefix(err.Error(), "not begun")
}

// note adds an operation to the history. A write of which nobody knows may have
// happened at any time since, or may yet; a read that failed says nothing.
func (l *linear) note(client int, op *linearOp, called int64, err error) {
	returned := int64(time.Since(l.start))
	if l.unclear(op, err) {
		returned = math.MaxInt64
		l.unknown.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed[op.kind]++
		if returned != math.MaxInt64 {
			return
		}
	} else {
		l.ways[op.way]++
	}
	l.noted.Add(1)
	add := func(op *linearOp) {
		l.history = append(l.history, porcupine.Operation{ClientId: client, Input: op, Call: called, Output: 0, Return: returned})
	}
	if op.kind != "made" {
		add(op)
		return
	}
	for id := l.base; id < l.base+linearIDs; id++ {
		own := *op
		own.id = id
		add(&own)
	}
}

// act makes one operation.
func (l *linear) act(ctx context.Context, r *rand.Rand, client int, writes bool) {
	op := &linearOp{id: l.base + r.Int64N(linearIDs)}
	do := l.read
	if writes && r.Int64N(l.share) == 0 && (l.e.native || !l.held.Load()) {
		do = l.write
	}
	called := int64(time.Since(l.start))
	l.note(client, op, called, do(ctx, r, op))
}

const (
	linearWriters = 8
	linearReaders = 2
)

// round makes a round of so many operations at least, and checks them.
func (l *linear) round(n int, ops, rare int64) {
	ctx := context.Background()
	l.base += linearIDs
	l.share = []int64{25, 100, 400, 1000}[n%4] * rare
	l.history, l.start = l.history[:0], time.Now()
	l.noted.Store(0)
	l.want.Store(ops)
	for _, table := range []string{"x", "y"} {
		l.insist("INSERT OR IGNORE INTO "+table+" SELECT value, 0 FROM json_each(?)", l.ids())
	}
	l.makeView(l.insist)
	for tursoopt.LearnSchema(ctx, l.db) != nil {
		_ = l.db.Ping() // a connection has been cut
	}
	l.busy.Store(true)
	var clients sync.WaitGroup
	for client := range linearWriters + linearReaders {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(client), uint64(n)))
			for l.busy.Load() || l.noted.Load() < l.want.Load() {
				if l.held.Load() {
					time.Sleep(time.Millisecond) // enough is read meanwhile
				}
				l.act(ctx, r, client, client < linearWriters)
			}
		})
	}
	l.trouble(ctx, n, ops)
	l.want.Store(l.noted.Load() + ops/4) // what it has led to is looked at for a while
	l.busy.Store(false)
	clients.Wait()
	l.total += len(l.history)
	if res, _ := porcupine.CheckOperationsVerbose(linearModel, l.history, time.Minute); res != porcupine.Ok {
		l.t.Errorf("the history of round %d is %s", n, res)
	}
	// What is lost is over, as far as the next round's ids are concerned, and others' DDL
	// is seen by a base, which asks for the schema's version once in half a lease.
	l.ahead.Add(int64(time.Hour))
}

// insist runs a statement between rounds, which may meet connections that have been cut.
// Of a base nobody knows then whether it has run.
func (l *linear) insist(query string, args ...any) error {
	for {
		_, err := l.db.Exec(query, args...)
		if err == nil {
			return nil
		}
		if l.e.native || l.path == nil || time.Since(l.start) > time.Minute {
			l.t.Fatalf("%s: %v", query, err)
		}
		l.ahead.Add(int64(time.Hour)) // what it would have written is not lost for the round
	}
}

// ids are those of the round, in JSON.
func (l *linear) ids() string {
	var ids []string
	for id := l.base; id < l.base+linearIDs; id++ {
		ids = append(ids, fmt.Sprint(id))
	}
	return "[" + strings.Join(ids, ",") + "]"
}

// linearOps is how many operations are made on each server, and how many of them in
// a round: 10^5 in all for who commits, 10^7 in make soak, however long that takes.
// There writes are rarer by a factor, so that it takes minutes.
func linearOps() (ops, round, rare int64) {
	switch {
	case os.Getenv("TURSO_OPT_SOAK") != "":
		return 5_000_000, 100_000, 10
	case testing.Short():
		return 10_000, 2_000, 1
	}
	return 50_000, 2_500, 1
}

// newLinear makes the tables; open opens the database as it is checked.
func newLinear(t *testing.T, e *env, open func() *sql.DB) *linear {
	l := &linear{t: t, e: e, other: e.open(t), ahead: new(atomic.Int64), ways: map[string]int{}, failed: map[string]int{}}
	if !e.file {
		l.path = e.behind(t, netem.Conditions{})
	}
	began := time.Now()
	tursoopt.CacheClock(func() (wall, mono int64) {
		now := int64(time.Since(began)) + l.ahead.Load()
		return now, now
	})
	l.db = open()
	tursoopt.CacheClock(nil)
	l.db.SetMaxOpenConns(32)
	l.db.SetMaxIdleConns(32)
	mustExec(t, l.db, linearSchema)
	l.prepare()
	return l
}

// rounds makes rounds until there are so many operations, and gives the statistics.
func (l *linear) rounds(ops, round, rare int64) tursoopt.CacheStats {
	l.t.Helper()
	began := time.Now()
	for n := 0; (int64(l.total) < ops || n < linearRounds) && !l.t.Failed(); n++ {
		l.round(n, round, rare)
	}
	s := cacheStats(l.t, l.db)
	l.t.Logf("%d operations in %v; %v; failed %v, unknown %d, late %d, killed %d, schemas %d, %+v", l.total,
		time.Since(began).Round(time.Millisecond), l.ways, l.failed, l.unknown.Load(), l.late, l.kills, l.schemas, s.CacheTally)
	// Of those that are made while a broken transaction still has the lock none is one. The
	// other bases' rounds are shorter, and have more trouble.
	least := uint64(ops) / 4
	if !l.e.native {
		least = uint64(ops) / 20
	}
	if s.Hits < least {
		l.t.Errorf("only %d hits: the cache was not part of it", s.Hits)
	}
	for _, way := range linearWays {
		if l.ways[way] == 0 && ops >= 20_000 {
			l.t.Errorf("there was no %s", way)
		}
	}
	return s
}

// Histories of readers and writers through one Connector, with its own DDL and
// others', with connections that break, servers that are killed and writes that are
// lost and happen later, are those of a database without a cache: linearizable.
func TestCacheIsLinearizable(t *testing.T) {
	modes := []mode{
		{name: "sqld", native: true, real: true},
		{name: "sqld, group commit", native: true, real: true, params: "group_commit=on"},
	}
	ops, round, rare := linearOps()
	total, late := 0, 0
	inModes(t, modes, func(t *testing.T, e *env) {
		l := newLinear(t, e, func() *sql.DB { return e.cached(t) })
		s := l.rounds(ops, round, rare)
		if l.kills == 0 || l.unknown.Load() == 0 || s.Lost == 0 || s.Settled == 0 || s.SchemaChanges < uint64(l.schemas) || l.schemas == 0 {
			t.Errorf("too little trouble: %d kills, %d unknown outcomes, %+v", l.kills, l.unknown.Load(), s)
		}
		total, late = total+l.total, late+l.late
	})
	if want := len(modes) * int(ops); total < want || late == 0 {
		t.Errorf("%d operations, want %d; %d lost writes that happened later", total, want, late)
	}
}
