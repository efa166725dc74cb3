package tursoopt

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/shadow"
	"github.com/turso-opt/turso-opt/internal/sqltext"
	"github.com/turso-opt/turso-opt/internal/stream"
)

var _ stream.Watch = (*readCache)(nil)

// A schemaWatch is what is known of the database's schema.
type schemaWatch struct {
	// known is what the shadow has; nil before the first time.
	known atomic.Pointer[knownSchema]
	// last is the version that it had last, and used when it was last asked, by the
	// clock of the Shared.
	last    atomic.Int64
	used    atomic.Uint64
	loading atomic.Bool
	mu      sync.Mutex
	nextTry time.Time
}

// knownSchema is the version that the shadow has, and the cache's count of moves
// before it was asked for: it is true for as long as that has not changed, and on a
// base not for longer than a lease from when it was asked for.
type knownSchema struct {
	version int64
	moves   uint64
	asked   cache.Instant
}

// current is what is known of the schema, nil if that is not what it is now, or if a
// replica has told it.
func (rc *readCache) current() *knownSchema {
	if rc.base != nil {
		return rc.base.current()
	}
	k := rc.schema.known.Load()
	if k == nil || k.moves != rc.cache.Moves() || rc.replica.Load() {
		return nil
	}
	if shared := rc.connector.cfg.Shared; shared != nil {
		shared.schemas.use(rc)
	}
	return k
}

// analyze is what a text touches.
func (rc *readCache) analyze(sql string) *shadow.Access {
	if rc.base != nil && rc.base.dialect.Load() == dialectOther {
		return rc.base.declared.Analyze(sql)
	}
	return rc.shadow.Analyze(sql)
}

// depends gives what a read depends on, and the version of the schema of which that
// is true. ok is false if it must not be cached, or nobody knows yet.
func (rc *readCache) depends(st *exec.Stmt) (reads cache.Reads, version int64, ok bool) {
	k := rc.current()
	if k == nil {
		rc.learn()
		return reads, 0, false
	}
	a := rc.analyze(st.SQL)
	if a.Unknown || !a.Pure || a.Version != k.version {
		return reads, 0, false
	}
	if reads.TTL, ok = rc.ttl.of(a.Reads); !ok {
		return reads, 0, false
	}
	reads.Tables, reads.Label = a.Reads, sqltext.Redact(st.SQL)
	if key, ok := rowOf(a.Key, st); ok {
		reads.Deps = cache.ReadsRow(a.Key.Table, key)
	} else {
		reads.Deps = cache.ReadsTables(a.Reads)
	}
	return reads, k.version, true
}

// rowOf is the value of a key, if it is one that no other value is equal to.
func rowOf(k *shadow.Key, st *exec.Stmt) (value int64, ok bool) {
	switch {
	case k == nil:
		return 0, false
	case k.Param == 0:
		return k.Value, true
	case k.Param > len(st.Args) || st.Args[k.Param-1].Kind != exec.Integer:
		return 0, false
	}
	return st.Args[k.Param-1].Int, true
}

// Add tells what statements touch.
func (rc *readCache) Add(set stream.WriteSet, stmts []exec.Stmt, odd bool) stream.WriteSet {
	t, _ := set.(*cache.Touched)
	if t == nil {
		t = new(cache.Touched)
	}
	for i := range stmts {
		rc.add(t, &stmts[i], odd)
	}
	if t.Empty() {
		return nil
	}
	return t
}

func (rc *readCache) add(t *cache.Touched, st *exec.Stmt, odd bool) {
	k := rc.current()
	if k == nil {
		t.Everything()
		return
	}
	switch a := rc.analyze(st.SQL); {
	case odd, a.Unknown, a.DDL, a.Version != k.version:
		t.Everything()
	default:
		switch key, ok := rowOf(a.Key, st); {
		case len(a.Writes) == 0:
			t.Mixed()
		case ok && a.Alone:
			t.Alone(k.moves, a.Key.Table, key)
			return
		case ok:
			t.Row(k.moves, a.Key.Table, key)
			return
		}
		for _, table := range a.Writes {
			t.Table(k.moves, table)
		}
	}
}

// Begin begins a write.
func (rc *readCache) Begin(set stream.WriteSet, whole bool) stream.Write {
	if whole {
		return rc.cache.BeginWhole(set.(*cache.Touched))
	}
	return rc.cache.Begin(set.(*cache.Touched))
}

// Answered tells the cache what an answer may show of writes that nobody has seen.
func (rc *readCache) Answered(w stream.Write, stmts []exec.Stmt, odd bool) {
	own, _ := w.(*cache.Write)
	if !rc.cache.Hidden(own) {
		return
	}
	shown := cache.Deps{}
	for i := range stmts {
		if st := &stmts[i]; !st.Fill {
			if shown = rc.shown(shown, st, odd); shown == nil {
				break
			}
		}
	}
	rc.cache.Show(shown, own)
}

// shown adds what the answer of a statement may show; nil is everything.
func (rc *readCache) shown(d cache.Deps, st *exec.Stmt, odd bool) cache.Deps {
	k := rc.current()
	if k == nil || odd {
		return nil
	}
	a := rc.analyze(st.SQL)
	if a.Unknown || a.DDL || !a.Complete || a.Version != k.version {
		return nil
	}
	if key, ok := rowOf(a.Key, st); ok && (a.Pure || a.Alone) {
		return d.Row(a.Key.Table, key)
	}
	return d.Tables(a.Reads).Tables(a.Writes)
}

// Seen compares a version with the one that is known. That it is another says that
// the schema has changed; that there is none, that it may have.
func (rc *readCache) Seen(version int64) {
	if k := rc.current(); k != nil && k.version != version {
		rc.cache.Moved()
	}
}

// Replica ends the cache's work: what a replica answers may be from before what the
// same program has read or written elsewhere, and its schema is not the one that
// writes meet. Without a cache it is asked for what the program has seen.
func (rc *readCache) Replica() {
	rc.replica.Store(true)
	rc.cache.Moved()
	rc.connector.log.Info("turso-opt: the server is a replica: nothing is cached")
}

// askSchema reads the schema and its version at one moment.
const askSchema = "SELECT v.schema_version, s.type, s.name, s.tbl_name, s.sql" +
	" FROM pragma_schema_version AS v LEFT JOIN sqlite_schema AS s ORDER BY s.rowid"

// learnAgain is how long the schema is not asked for after that has failed.
const learnAgain = 500 * time.Millisecond

// learn has the schema looked at, beside. Until that has happened nothing is
// cached, and writes count as writing everything.
func (rc *readCache) learn() {
	w := &rc.schema
	if rc.base != nil || rc.replica.Load() || !w.loading.CompareAndSwap(false, true) {
		return
	}
	began := !w.early() && rc.connector.pool.Go(func(ctx context.Context) {
		defer w.loading.Store(false)
		ctx, cancel := bound(ctx, rc.connector.cfg.timeout())
		defer cancel()
		if err := rc.load(ctx); err != nil {
			rc.unlearned(err)
		}
	})
	if !began {
		w.loading.Store(false)
	}
}

// early tells whether asking has failed just now.
func (w *schemaWatch) early() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.nextTry)
}

// unlearned notes that the schema could not be read.
func (rc *readCache) unlearned(err error) {
	rc.connector.log.Debug("turso-opt: nothing is cached: the schema could not be read", "error", err)
	w := &rc.schema
	w.mu.Lock()
	w.nextTry = time.Now().Add(learnAgain)
	w.mu.Unlock()
}

// load gives the schema to the shadow.
func (rc *readCache) load(ctx context.Context) error {
	if err := rc.connector.pool.LearnRole(ctx); err != nil {
		return err
	}
	moves := rc.cache.Moves()
	resp, err := rc.connector.pool.Do(ctx, &exec.Request{Class: exec.Read,
		Stmts: []exec.Stmt{{SQL: askSchema, WantRows: true, Note: new(exec.Note)}}})
	if err != nil {
		return err
	}
	r := resp.Results[0]
	if r.Err != nil {
		return r.Err
	}
	return rc.learned(r.Result, knownSchema{moves: moves})
}

// learned gives the answer to askSchema to the shadow. k has the moves and the time
// from before it was asked.
func (rc *readCache) learned(r *exec.Result, k knownSchema) error {
	schema, err := readSchema(r)
	if err != nil {
		return err
	}
	if err := rc.shadow.Load(schema); err != nil {
		return err
	}
	k.version = schema.Version
	if last := rc.schema.last.Swap(schema.Version); last != 0 && last != schema.Version && rc.cache.Moves() == k.moves {
		// It has changed while there was no copy, and nobody looked.
		rc.cache.Moved()
		k.moves++
	}
	rc.schema.known.Store(&k)
	if shared := rc.connector.cfg.Shared; shared != nil {
		shared.schemas.add(rc)
	}
	return nil
}

// unload frees the copy of the schema, until it is needed again. Writes count as
// writing everything meanwhile.
func (rc *readCache) unload() {
	rc.schema.known.Store(nil)
	rc.shadow.Unload()
}

var errSchema = errors.New("turso-opt: the server's answer is not a schema")

// readSchema reads the rows of askSchema. Foreign keys count as enforced, which is
// the server's default: if they are not, writes touch less than is thought.
func readSchema(r *exec.Result) (shadow.Schema, error) {
	s := shadow.Schema{ForeignKeys: true}
	var t *exec.Table
	if r.Cursor != nil {
		t = new(exec.Table)
		defer r.Cursor.Close()
	} else {
		t = &r.Rows
	}
	rows := 0
	for {
		if r.Cursor != nil {
			if err := r.Cursor.Next(t); err == io.EOF {
				break
			} else if err != nil {
				return s, err
			}
		}
		for i := range t.Len() {
			if t.Width() != 5 || t.Kind(i, 0) != exec.Integer {
				return s, errSchema
			}
			rows++
			s.Version = t.Int(i, 0)
			if t.Kind(i, 1) != exec.Text {
				continue // an empty schema
			}
			o := shadow.Object{Type: string(t.Bytes(i, 1)), Name: string(t.Bytes(i, 2)), Table: string(t.Bytes(i, 3))}
			if t.Kind(i, 4) == exec.Text {
				o.SQL = string(t.Bytes(i, 4))
			}
			s.Objects = append(s.Objects, o)
		}
		if r.Cursor == nil {
			break
		}
	}
	if rows == 0 {
		return s, errSchema
	}
	return s, nil
}
