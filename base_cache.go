package tursoopt

import (
	"context"
	"database/sql/driver"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// The cache above a base that is not the native one.
//
// It is the same cache with the same protocol (internal/cache), told the same things
// through the same functions as by streams: what a write touches before it is sent (Add),
// that it begins (Begin), and what has become of it (Done, Lose). A baseWatch tells
// them for one connection. What differs is how things become known.
//
// Invariants:
//
//  1. A write that may commit is begun before the base is asked, and ended before its
//     caller learns of it. Those of a transaction begin with its COMMIT; where it is
//     not certain that a transaction is open (after any error in it), each begins by
//     itself, as if it committed alone, and once more at the end.
//  2. A result is served and kept only on a connection that holds nothing of its own: no
//     transaction, no temporary object, no attached database, no setting that changes
//     answers. It is kept only if no other rows are open on the connection either, which
//     may hold an old snapshot.
//  3. A result is kept with epochs from before its query, and is read to its end first. What
//     is too large for that is given to its reader as it comes, and not kept.
//  4. The copy of the schema is younger than a lease, or it counts as unknown: nothing is
//     kept then, and writes count as writing everything. Own DDL makes it unknown before
//     anybody gets to know that it has run.
//
// What the base cannot do, and what follows:
//
//   - Its answers do not show the schema's version, and to ask for it takes a round trip.
//     So it is asked for once in half a lease, by a read that will be kept, before it.
//     Others' DDL is therefore bounded as others' writes are: for a lease after it,
//     an own write that it leads elsewhere (a trigger, a view, a cascade) may be
//     missing from answers, and no answer is older than a lease whatever has happened.
//   - Its errors do not prove anything by themselves. One that does not show that the
//     database has answered (see baseCache.over) leaves the outcome unknown, and there is
//     nobody to ask: the write's tables are out of the cache for lostFor.
//   - It has no stream that a session owns. A connection's state is known from the texts that
//     have run on it, and what comes from elsewhere is not seen: see Base for what is done
//     about those who take the driver's own connection, and baseCache.fit for hooks that
//     set up connections.
//
// Round trips: none for a hit, and none more for a miss or a write, but the schema's
// version in half a lease, and the schema itself (two queries) when it has changed; where
// the dialect is not known, one query more on the first connection. What is fetched again
// after its lease is on connections of its own, as any other read: see baseBeside.
type baseWatch struct {
	rc   *readCache
	conn *baseConn
	tx   baseTxState
	// touched is what the transaction may have changed, nil outside.
	touched stream.WriteSet
	ddl     bool // the transaction may have changed the schema
	// odd: the connection holds something under which statements may mean something else
	// than elsewhere.
	odd  bool
	rows int // rows that are open
	// writing are those of them that write, and late the writes that have ended meanwhile:
	// SQLite commits them all when the last one ends.
	writing int
	late    []*cache.Write
	// refused: the text that runs now has not come to the base.
	refused bool
	// raw is a write of everything while somebody has the driver's own connection.
	raw *cache.Write
}

// A baseRun is a text on its way to the base.
type baseRun struct {
	watch *baseWatch
	text  *sqltext.Text
	write *cache.Write // nil if nothing can be committed by it
	ddl   bool
}

// begin tells what a text may do, before the base is asked.
func (w *baseWatch) begin(text *sqltext.Text, args []driver.NamedValue) baseRun {
	w.endRaw()
	w.refused = false
	r := baseRun{watch: w, text: text}
	other := w.rc.base.dialect.Load() == dialectOther
	if text.ReadOnly && !other {
		return r
	}
	stmts, odd := w.writes(text, args, other)
	if len(stmts) > 0 {
		w.odd = w.odd || odd
		w.touched = w.rc.Add(w.touched, stmts, w.odd)
	}
	for i := range text.Stmts {
		switch text.Stmts[i].Kind {
		case sqltext.Create, sqltext.Drop, sqltext.Alter, sqltext.Vacuum, sqltext.Unknown:
			r.ddl = true
		}
	}
	if w.touched != nil && (!w.tx.open() || w.tx.unsure || mayCommit(text, other)) {
		r.write = w.rc.cache.Begin(w.touched.(*cache.Touched))
	}
	return r
}

// writes are the statements of a text that may change something. odd: they leave something
// on the connection.
func (w *baseWatch) writes(text *sqltext.Text, args []driver.NamedValue, other bool) (stmts []exec.Stmt, odd bool) {
	if other {
		a := w.rc.analyze(text.SQL)
		if a.ReadOnly || len(text.Stmts) == 1 && controls(text.Stmts[0].Kind) {
			return nil, false
		}
		return []exec.Stmt{{SQL: text.SQL}}, a.Unknown && !a.DDL
	}
	for i := range text.Stmts {
		st := &text.Stmts[i]
		if st.ReadOnly || controls(st.Kind) || plainPragmas[st.PragmaName()] {
			continue
		}
		odd = odd || st.Stateful
		stmts = append(stmts, exec.Stmt{SQL: st.SQL, Args: plainArgs(text, args)})
	}
	return stmts, odd
}

// mayCommit tells whether a text in a transaction may commit something. Elsewhere than in
// SQLite DDL does, and what begins another transaction.
func mayCommit(text *sqltext.Text, other bool) bool {
	if len(text.Stmts) == 1 {
		switch text.Stmts[0].Kind {
		case sqltext.Rollback, sqltext.RollbackTo:
			return false
		case sqltext.Insert, sqltext.Replace, sqltext.Update, sqltext.Delete, sqltext.Select, sqltext.Savepoint:
			return false
		}
		if other {
			return true
		}
	}
	for i := range text.Stmts {
		if mayEndTx(text.Stmts[i].Kind) {
			return true
		}
	}
	return other
}

// end tells what has become of a text, before its caller learns of it.
func (r *baseRun) end(ctx context.Context, err error) {
	w := r.watch
	if err != nil && w.refused {
		err = driver.ErrSkip // nothing has run
	}
	w.tx.after(r.text, err)
	over := err == nil || err == driver.ErrSkip || w.rc.base.over(ctx, err)
	if r.ddl && err != driver.ErrSkip && (err == nil || !over || len(r.text.Stmts) > 1) {
		w.ddl = true
	}
	if w.ddl && (r.write != nil || !w.tx.open()) {
		w.ddl = w.tx.open() || w.writing > 0
		w.rc.base.moved()
	}
	switch {
	case r.write == nil:
	case err == driver.ErrSkip:
		w.rc.cache.Unsent(r.write)
	case over:
		w.late = append(w.late, r.write)
	default:
		r.write.Lose()
	}
	r.write = nil
	if w.writing == 0 {
		w.endLate()
	}
	if !w.tx.open() {
		w.touched = nil
	}
}

// refuse notes that a text goes no further because of err.
func (w *baseWatch) refuse(err error) error {
	if w != nil {
		w.refused = true
	}
	return err
}

// endLate ends the writes that are over.
func (w *baseWatch) endLate() {
	for _, write := range w.late {
		write.Done()
	}
	clear(w.late)
	w.late = w.late[:0]
}

// exec runs a text that gives no rows.
func (w *baseWatch) exec(ctx context.Context, text *sqltext.Text, args []driver.NamedValue, do func() (driver.Result, error)) (driver.Result, error) {
	r := w.begin(text, args)
	res, err := do()
	r.end(ctx, err)
	return res, err
}

// Texts that stand for what is done by other calls.
var (
	beginText    = sqltext.Parse("BEGIN")
	commitText   = sqltext.Parse("COMMIT")
	rollbackText = sqltext.Parse("ROLLBACK")
)

// control runs what begins or ends a transaction without a text.
func (w *baseWatch) control(text *sqltext.Text, do func() error) error {
	if w == nil {
		return do()
	}
	r := w.begin(text, nil)
	err := do()
	r.end(context.Background(), err)
	return err
}

// reset is called when the connection changes hands. Its driver may have reset it, or not.
func (w *baseWatch) reset() {
	if w == nil {
		return
	}
	if _, ok := w.conn.Conn.(driver.SessionResetter); ok && w.tx.open() {
		w.tx.unsure = true
	}
}

// beginRaw is called when somebody gets the driver's own connection, and may do anything
// with it that nobody sees, until the connection is used for something else.
func (w *baseWatch) beginRaw() {
	if w == nil || w.raw != nil {
		return
	}
	var all cache.Touched
	all.Everything()
	w.odd, w.raw = true, w.rc.cache.Begin(&all)
}

func (w *baseWatch) endRaw() {
	if w == nil || w.raw == nil {
		return
	}
	w.rc.base.moved()
	w.raw.Done()
	w.raw, w.tx.unsure = nil, true
}

// plainPragmas are the settings that change no answer, and nothing that writes touch
// beyond what the copy of the schema takes for granted (foreign keys and recursive
// triggers on).
var plainPragmas = map[string]bool{
	"analysis_limit": true, "auto_vacuum": true, "automatic_index": true, "busy_timeout": true, "cache_size": true, "cache_spill": true,
	"checkpoint_fullfsync": true, "defer_foreign_keys": true, "foreign_keys": true, "fullfsync": true, "hard_heap_limit": true,
	"journal_mode": true, "journal_size_limit": true, "locking_mode": true, "mmap_size": true, "optimize": true, "page_size": true,
	"recursive_triggers": true, "secure_delete": true, "soft_heap_limit": true, "synchronous": true, "temp_store": true, "threads": true,
	"wal_autocheckpoint": true, "wal_checkpoint": true,
}
