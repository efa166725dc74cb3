package tursoopt

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/shadow"
)

// What a base speaks.
const (
	dialectUnknown uint32 = iota
	dialectSQLite
	dialectOther // Config.CacheTables says what there is
)

// baseCache is what a cache needs above a base that is not the native one.
type baseCache struct {
	rc       *readCache
	dialect  atomic.Uint32
	declared *shadow.Declared
	named    knownSchema // of declared tables, which never changes
	unfit    atomic.Bool // nothing is kept: see fit
	// file: SQLite runs in this process. libsql: the base is libsql-client-go.
	file, libsql bool
	beside       baseBeside
}

func newBaseCache(rc *readCache) *baseCache {
	cfg := rc.connector.cfg
	b := &baseCache{rc: rc, file: cfg.isFile(), libsql: isLibsql(rc.connector.base), declared: shadow.NewDeclared(cfg.CacheTables)}
	b.beside.rc = rc
	if b.file || b.libsql {
		b.dialect.Store(dialectSQLite)
	}
	return b
}

// isLibsql tells whether a connector is libsql-client-go's of a server, also one that
// Wrap was given.
func isLibsql(base driver.Connector) bool {
	t := reflect.TypeOf(base)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "github.com/tursodatabase/libsql-client-go/libsql" && t.Name() != "fileConnector"
}

// current is what is known of the schema; nil if that is nothing, or too old.
func (b *baseCache) current() *knownSchema {
	if b.dialect.Load() == dialectOther {
		return &b.named
	}
	return b.known(b.rc.connector.cfg.cacheLease())
}

func (b *baseCache) known(within time.Duration) *knownSchema {
	k := b.rc.schema.known.Load()
	if k == nil || k.moves != b.rc.cache.Moves() || !b.rc.clock().Younger(k.asked, within) {
		return nil
	}
	return k
}

// moved is called when own DDL has run, or may have.
func (b *baseCache) moved() {
	if b.dialect.Load() == dialectOther {
		return // what has run is a write of everything, and names stay what they are
	}
	b.rc.cache.Moved()
}

var errCacheDialect = errors.New("turso-opt: cache: the base is not SQLite, whose schema says what a statement touches: " +
	"name the tables whose results may be kept in Config.CacheTables, or leave the cache off")

// acquaint finds out what the base speaks, on its first connection. Its error is for who
// has asked for a cache that there cannot be.
func (b *baseCache) acquaint(ctx context.Context, c *baseConn) error {
	if b.dialect.Load() != dialectUnknown {
		return nil
	}
	if _, err := c.askSchema(ctx, "SELECT sqlite_version()"); err == nil {
		b.dialect.Store(dialectSQLite)
		return nil
	}
	if _, err := c.askSchema(ctx, "SELECT 1"); err != nil {
		return nil // it does not work at all, and whoever uses it will see why
	}
	if len(b.rc.connector.cfg.CacheTables) == 0 {
		return errCacheDialect
	}
	b.dialect.Store(dialectOther)
	return nil
}

// Questions to an SQLite.
const (
	askVersion = "SELECT schema_version FROM pragma_schema_version"
	// askFitness gives the database's file, how many databases are attached and temporary
	// objects there are, and whether uncommitted changes of others are read.
	askFitness = "SELECT (SELECT file FROM pragma_database_list WHERE name = 'main')," +
		" (SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')) + (SELECT count(*) FROM sqlite_temp_master)," +
		" (SELECT read_uncommitted FROM pragma_read_uncommitted)"
)

// learn has the schema looked at on a connection, or its version if it was looked at for
// more than half a lease, unless another does so. If it cannot be read, nothing is kept.
func (b *baseCache) learn(ctx context.Context, c *baseConn) {
	w := &b.rc.schema
	if b.dialect.Load() == dialectOther || b.unfit.Load() || b.known(b.rc.connector.cfg.cacheLease()/2) != nil ||
		!w.loading.CompareAndSwap(false, true) {
		return
	}
	defer w.loading.Store(false)
	if w.early() {
		return
	}
	if err := b.load(ctx, c); err != nil {
		b.rc.unlearned(err)
	}
}

func (b *baseCache) load(ctx context.Context, c *baseConn) error {
	rc := b.rc
	if err := b.acquaint(ctx, c); err != nil || b.dialect.Load() != dialectSQLite {
		return err
	}
	k := knownSchema{moves: rc.cache.Moves(), asked: rc.clock()}
	if old := rc.schema.known.Load(); old != nil && old.moves == k.moves {
		rows, err := c.askSchema(ctx, askVersion)
		switch {
		case err != nil:
			return err
		case len(rows) != 1 || len(rows[0]) != 1:
			return errSchema
		case rows[0][0].Int == old.version:
			k.version = old.version
			rc.schema.known.Store(&k)
			return nil
		}
	}
	if !b.libsql { // whose server refuses what would make it unfit
		if fit, err := b.fit(ctx, c); err != nil || !fit {
			return err
		}
	}
	rows, err := c.askSchema(ctx, askSchema)
	if err != nil {
		return err
	}
	return rc.learned(&exec.Result{Rows: tableOf(rows)}, k)
}

// fit tells whether results of the base's connections are those of one database, the same
// on each: hooks of a connector may attach others or make temporary tables, and a
// database in memory may be one for each connection.
func (b *baseCache) fit(ctx context.Context, c *baseConn) (bool, error) {
	rows, err := c.askSchema(ctx, askFitness)
	if err != nil {
		return false, err
	}
	if len(rows) != 1 || len(rows[0]) != 3 {
		return false, errSchema
	}
	why := ""
	switch r := rows[0]; {
	case r[0].Text == "":
		why = "the database is in memory, and may be another on each connection"
	case r[1].Int > 0:
		why = "the base's connections begin with attached databases or temporary objects"
	case r[2].Int > 0:
		why = "the base's connections read what is not committed"
	default:
		return true, nil
	}
	if !b.unfit.Swap(true) {
		b.rc.connector.log.Warn("turso-opt: nothing is cached: " + why)
	}
	return false, nil
}

// tellsTime tells whether an argument may stand for the time at which it is bound.
func (b *baseCache) tellsTime(k *cache.Key) bool {
	if b.dialect.Load() != dialectOther {
		return false // SQLite has functions for that, and what calls them is not kept
	}
	for i := range k.Args {
		if k.Args[i].Kind == exec.Text && shadow.TellsTime(k.Args[i].Text) {
			return true
		}
	}
	return false
}

// tableOf is rows as a native answer has them.
func tableOf(rows [][]exec.Value) (t exec.Table) {
	for i, row := range rows {
		if i == 0 {
			t.Reset(len(row))
		}
		for _, v := range row {
			switch v.Kind {
			case exec.Integer:
				t.AppendInt(v.Int)
			case exec.Text:
				t.AppendBytes(exec.Text, bytesOf(v.Text))
			default:
				t.AppendNull()
			}
		}
		t.EndRow()
	}
	return t
}

// over tells whether nothing of a write that has failed with err can happen any more. It can
// if the write is on its way: only an answer of the database shows that it is not.
func (b *baseCache) over(ctx context.Context, err error) bool {
	var state interface{ SQLState() string }
	switch {
	case b.file:
		return true // SQLite has worked on the caller's goroutine, or was waited for
	case ctx.Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return false
	case b.libsql:
		return answeredLibsql(err.Error())
	case errors.As(err, &state):
		return true // the databases that have such codes put them into answers
	}
	return answeredType(err)
}

// answeredLibsql tells whether libsql-client-go's error is a statement's: it keeps no
// codes.
func answeredLibsql(text string) bool {
	text = strings.TrimPrefix(text, "failed to execute SQL:\n")
	for _, begins := range [...]string{"SQLite error: ", "SQL input error: ", "SQL string could not be parsed: ", "unable to execute "} {
		if strings.HasPrefix(text, begins) {
			return true
		}
	}
	return false
}

// answeredType tells whether an error is of a type that holds answers: SQLite's in one of its
// drivers, whose SQLite runs in the process, and MySQL's.
func answeredType(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		t := reflect.TypeOf(err)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case t.Name() == "Error" && strings.Contains(t.PkgPath(), "sqlite"), t.Name() == "MySQLError":
			return true
		}
	}
	return false
}
