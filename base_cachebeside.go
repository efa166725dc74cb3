package tursoopt

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

const (
	// besides is how many results are fetched again at once, each on a connection of
	// its own. One for which there is no room is given once more, and fetched when
	// somebody asks for it again. So is one that comes soon (learnAgain) after another
	// could not be fetched.
	besides = 4
	// besideIdle is how long such a connection is kept for the next.
	besideIdle = 10 * time.Second
)

// A baseBeside fetches results of a base again whose lease has ended, for
// Config.StaleWhileRevalidate. Who asks does not wait, and goes on using his connection,
// so that this is done on others, which the program's pool does not know of.
type baseBeside struct {
	rc *readCache

	mu      sync.Mutex
	db      *sql.DB // nil before the first
	ctx     context.Context
	cancel  context.CancelFunc
	under   map[*baseResult]bool // those that are being fetched again
	failed  *cache.Instant       // when that has failed last
	closed  bool
	running sync.WaitGroup
}

// besideConnector gives connections that the pool's controller does not count, and has
// nothing to close.
type besideConnector struct{ c *Connector }

func (b besideConnector) Driver() driver.Driver { return b.c.driver }

func (b besideConnector) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := b.c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	dc.(*baseConn).use.apart = true
	return dc, nil
}

// take tells whether a result is to be fetched again now. If so, run must follow.
func (b *baseBeside) take(old *baseResult) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.under[old] || len(b.under) >= besides || b.failed != nil && b.rc.clock().Younger(*b.failed, learnAgain) {
		return false
	}
	if b.db == nil {
		b.ctx, b.cancel = context.WithCancel(context.Background())
		b.under = map[*baseResult]bool{}
		b.db = sql.OpenDB(besideConnector{b.rc.connector})
		b.db.SetMaxIdleConns(besides)
		b.db.SetConnMaxIdleTime(besideIdle)
	}
	b.under[old] = true
	b.running.Add(1)
	return true
}

// run has a result fetched again that take has given.
func (b *baseBeside) run(old *baseResult, fetch func(context.Context, *baseWatch) error) {
	go func() {
		defer b.running.Done()
		ctx, cancel := bound(b.ctx, b.rc.connector.cfg.timeout())
		defer cancel()
		c, err := b.db.Conn(ctx)
		if err == nil {
			err = errors.Join(c.Raw(func(dc any) error { return fetch(ctx, dc.(*baseConn).watch) }), c.Close())
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if delete(b.under, old); err != nil {
			now := b.rc.clock()
			b.failed = &now
		}
	}()
}

// close ends what is being fetched, and its connections.
func (b *baseBeside) close() {
	b.mu.Lock()
	b.closed = true
	db := b.db
	b.mu.Unlock()
	if db == nil {
		return
	}
	b.cancel()
	b.running.Wait()
	_ = db.Close()
}

// refresh has a result that is given after its lease fetched again, beside.
func (w *baseWatch) refresh(old *baseResult, text *sqltext.Text, args []driver.NamedValue, by askedBy) {
	beside := &w.rc.base.beside
	if !beside.take(old) {
		return
	}
	own := append([]driver.NamedValue(nil), args...)
	for i := range own {
		if b, ok := own[i].Value.([]byte); ok {
			own[i].Value = bytes.Clone(b) // the caller's
		}
	}
	beside.run(old, func(ctx context.Context, w *baseWatch) error { return w.fetch(ctx, text, own, by) })
}

// fetch asks for a result to be kept, and gives it to nobody.
func (w *baseWatch) fetch(ctx context.Context, text *sqltext.Text, args []driver.NamedValue, by askedBy) error {
	rc := w.rc
	rc.base.learn(ctx, w.conn)
	k, ok := baseKey(text, args, by, nil)
	if !ok {
		return nil
	}
	reads, _, ok := rc.depends(&exec.Stmt{SQL: k.SQL, Args: plainArgs(text, args)})
	if !ok {
		return nil
	}
	f, leads := rc.cache.Fly(&k, reads, cache.Options{}, cache.Found{})
	if !leads {
		return nil // somebody asks for the same
	}
	rows, err := w.lead(ctx, f, text.Stmts[0].Note, func() (driver.Rows, error) { return w.conn.askAs(ctx, text.SQL, args, by) })
	if err != nil {
		return err
	}
	return rows.Close()
}

// askAs asks the base as it was asked before.
func (c *baseConn) askAs(ctx context.Context, query string, args []driver.NamedValue, by askedBy) (driver.Rows, error) {
	if by == byText {
		return c.askText(ctx, query, args, true)
	}
	s, err := c.prepareAs(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	return rowsOf(ctx, s, args)
}
