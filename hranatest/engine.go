package hranatest

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/mvcc"
)

// An engine owns the database and its connections. In memory the database has
// snapshots as a file with a write-ahead log has them: readers and the writer
// never wait for each other.
type engine struct {
	name     string // what SQLite opens
	memory   string // the database's name in its VFS; "" for a file
	maxValue int
	lifetime context.Context
	gate     gate
	// index is the replication index: it counts the transactions that wrote.
	index      atomic.Uint64
	statements atomic.Int64

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

// maxIdle connections are kept for the next streams. Each holds some hundred
// KiB; opening one takes about ten times as long as running a statement.
const maxIdle = 32

// foreignBusy is how long a statement waits for another process that uses the
// same file. Connections of this process wait at the gate and never here.
const foreignBusy = 5 * time.Second

func newEngine(ctx context.Context, o Options) (*engine, error) {
	e := &engine{
		maxValue: o.MaxValue,
		lifetime: ctx,
		gate:     gate{limit: o.TxTimeout, closing: ctx.Done()},
	}
	query := url.Values{}
	u := url.URL{Scheme: "file", OmitHost: true}
	if o.Path == "" {
		e.memory = fmt.Sprintf("hranatest-%016x", randomUint64())
		u.Path = "/" + e.memory
		query.Set("vfs", "mvcc")
		mvcc.Create(e.memory, mvcc.Snapshot{})
	} else {
		path, err := filepath.Abs(o.Path)
		if err != nil {
			return nil, err
		}
		u.Path = filepath.ToSlash(path)
		if u.Path[0] != '/' {
			u.Path = "/" + u.Path // C:/...
		}
	}
	u.RawQuery = query.Encode()
	e.name = u.String()
	// The first connection says whether the file can be used at all.
	c, err := e.open()
	if err != nil {
		return nil, fmt.Errorf("hranatest: open %s: %w", o.Path, err)
	}
	if c.pages() > 0 {
		e.index.Store(1) // somebody has written to it
	}
	e.put(c)
	return e, nil
}

// get is a connection that looks as if it were just opened.
func (e *engine) get() (*conn, error) {
	e.mu.Lock()
	if n := len(e.idle); n > 0 {
		c := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		// One that was just opened reads the schema as it is now.
		if err := c.db.Exec("SELECT 1 FROM sqlite_schema LIMIT 0"); err != nil {
			_ = c.db.Close()
			return e.open()
		}
		return c, nil
	}
	e.mu.Unlock()
	return e.open()
}

// put takes a connection back that nobody uses any more.
func (e *engine) put(c *conn) {
	c.mu.Lock()
	reusable := c.reset()
	// Before anybody can take a transaction away that is no more.
	e.gate.leave(c)
	c.mu.Unlock()
	if reusable {
		e.mu.Lock()
		if !e.closed && len(e.idle) < maxIdle {
			e.idle = append(e.idle, c)
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
	}
	_ = c.db.Close()
}

func (e *engine) open() (*conn, error) {
	db, err := sqlite3.Open(e.name)
	if err != nil {
		return nil, err
	}
	c := &conn{engine: e, db: db}
	if err := c.configure(); err != nil {
		_ = db.Close()
		return nil, err
	}
	return c, nil
}

// journal is how a file is journalled: with the log if this platform has the
// shared memory for it.
func (e *engine) journal() string {
	if vfs.SupportsSharedMemory {
		return "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
	}
	return "PRAGMA journal_mode=DELETE"
}

func (e *engine) close() {
	e.mu.Lock()
	idle := e.idle
	e.idle, e.closed = nil, true
	e.mu.Unlock()
	for _, c := range idle {
		_ = c.db.Close()
	}
	if e.memory != "" {
		mvcc.Delete(e.memory)
	}
}
