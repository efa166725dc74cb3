package hranatest

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"
	"github.com/ncruces/go-sqlite3/ext/rtree"
)

// A conn is a connection to the database: what a stream is to its client.
type conn struct {
	engine *engine
	// users are the stream and the cursors that still run on it.
	users atomic.Int32

	// mu is held while a statement runs, and by the writer that takes the
	// transaction away.
	mu sync.Mutex
	db *sqlite3.Conn
	// taken: the open transaction was taken away and the client has not been
	// told.
	taken bool
	// wrote: a transaction that wrote has been committed.
	wrote bool
	// set: a PRAGMA has set something, so that the connection is not as new.
	set bool
	// total is what total_changes() was when the stream began.
	total int64
}

// maxFunctionArgs is the limit of the SQLite in sqld.
const maxFunctionArgs = 127

func (c *conn) configure() error {
	db := c.db
	if c.engine.memory == "" {
		if err := db.BusyTimeout(foreignBusy); err != nil {
			return err
		}
		if err := db.Exec(c.engine.journal()); err != nil {
			return err
		}
	}
	// It has no effect on a file that has been written to.
	if err := db.Exec("PRAGMA page_size=4096"); err != nil {
		return err
	}
	// sqld's build trusts views and triggers with every function.
	for option, on := range map[sqlite3.DBConfig]bool{
		sqlite3.DBCONFIG_ENABLE_FKEY:    true,
		sqlite3.DBCONFIG_TRUSTED_SCHEMA: true,
	} {
		if _, err := db.Config(option, on); err != nil {
			return err
		}
	}
	db.Limit(sqlite3.LIMIT_LENGTH, c.engine.maxValue)
	db.Limit(sqlite3.LIMIT_FUNCTION_ARG, maxFunctionArgs)
	db.CommitHook(func() bool {
		c.wrote = true
		return true
	})
	for _, extension := range []func(*sqlite3.Conn) error{vectorFunctions, fts5.Register, rtree.Register} {
		if err := extension(db); err != nil {
			return err
		}
	}
	// Connections are used again; these must not tell of their past.
	for name, fn := range map[string]sqlite3.ScalarFunction{
		"total_changes": func(ctx sqlite3.Context, _ ...sqlite3.Value) {
			ctx.ResultInt64(db.TotalChanges() - c.total)
		},
		"changes": func(ctx sqlite3.Context, _ ...sqlite3.Value) {
			ctx.ResultInt64(c.changes())
		},
	} {
		if err := db.CreateFunction(name, 0, sqlite3.INNOCUOUS, fn); err != nil {
			return err
		}
	}
	return nil
}

// changes is SQLite's changes(), as on a connection that began with the stream:
// if nothing was changed in total, the last statement changed nothing either.
func (c *conn) changes() int64 {
	if c.db.TotalChanges() == c.total {
		return 0
	}
	return c.db.Changes()
}

// rollback ends the open transaction, even on a connection that is interrupted.
func (c *conn) rollback() {
	if c.db.GetAutocommit() {
		return
	}
	old := c.db.SetInterrupt(context.Background())
	_ = c.db.Exec("ROLLBACK")
	c.db.SetInterrupt(old)
}

// reset makes the connection look new, and reports whether it does.
func (c *conn) reset() bool {
	c.db.SetInterrupt(context.Background())
	c.rollback()
	c.db.SetLastInsertRowID(0)
	c.total = c.db.TotalChanges()
	c.taken, c.wrote = false, false
	return !c.set && c.db.GetAutocommit()
}

// retain and release count the conn's users; the last one gives it back.
func (c *conn) retain() { c.users.Add(1) }

func (c *conn) release() {
	if c.users.Add(-1) == 0 {
		c.engine.put(c)
	}
}

// settle is called after every statement, with the mutex held: a conn whose
// transaction is over leaves the gate.
func (c *conn) settle() {
	if c.db.TxnState("main") != sqlite3.TXN_WRITE {
		if c.wrote {
			c.wrote = false
			c.engine.index.Add(1)
		}
		c.engine.gate.leave(c)
	}
}

// lost reports whether the client is yet to be told that its transaction was
// taken away.
func (c *conn) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken
}

// pages is the size of the database; 0 means that nobody has written to it.
func (c *conn) pages() int64 {
	stmt, _, err := c.db.Prepare("PRAGMA page_count")
	if err != nil {
		return 0
	}
	defer stmt.Close()
	stmt.Step()
	return stmt.ColumnInt64(0)
}
