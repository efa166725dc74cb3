package tursoopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/lane"
	"github.com/turso-opt/turso-opt/internal/limit"
	"github.com/turso-opt/turso-opt/internal/sqltext"
	"github.com/turso-opt/turso-opt/internal/stream"
)

var (
	_ driver.Connector = (*Connector)(nil)
	_ io.Closer        = (*Connector)(nil)
)

// A Connector is one database as its Config describes it, and what all its
// connections share: the transport, the server's streams and the statement
// cache. It is safe for concurrent use, sends nothing before the first statement
// and starts nothing before the first Connect, and must be closed; sql.DB.Close does that for the
// Connector of its sql.DB.
type Connector struct {
	cfg    *Config
	log    *slog.Logger
	driver *Driver
	closed atomic.Bool
	sizer  atomic.Pointer[PoolSizer]
	base   driver.Connector // the base of Wrap and of other bases; nil for native

	// What follows is the native base's.
	client *hranahttp.Client
	budget *limit.Budget // nil with Retry off
	reruns limit.Budget  // of RunTx
	pool   *stream.Pool
	lanes  *lane.Lanes
	exec   exec.Executor // the layers, the topmost first
	layers []string
	stmts  *sqltext.Cache // with compression or a cache on other bases too

	compression *compression // nil without CompressColumns
	reads       *readCache   // nil without a cache
}

// NewConnector makes the Connector of cfg, which it copies. The error names the
// field that is wrong.
func NewConnector(cfg *Config) (*Connector, error) {
	if cfg == nil {
		return nil, errors.New("turso-opt: the Config is nil")
	}
	cfg = cfg.Clone()
	if cfg.Shared != nil {
		if err := errors.Join(cfg.Shared.err, cfg.Shared.apply(cfg)); err != nil {
			return nil, err
		}
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newConnector(cfg)
}

// OpenDB is sql.OpenDB for a Config, with a controller that adjusts the size of
// the pool; see TunePool.
func OpenDB(cfg *Config) (*sql.DB, error) {
	c, err := NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	if _, err := TunePool(db, nil); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Wrap makes a Connector whose connections are those of base. Of cfg, which may
// be nil, only what does not describe a database counts: TxLock, Timeout for
// transactions with a lock, the pool's, the compression's and the cache's fields and Logger. The
// Connector's Close closes base if it can be closed.
func Wrap(base driver.Connector, cfg *Config) (*Connector, error) {
	if base == nil {
		return nil, errors.New("turso-opt: Wrap: the base is nil")
	}
	if cfg == nil {
		cfg = &Config{}
	}
	if cfg.TxLock > TxExclusive {
		return nil, errTxLock
	}
	if err := cfg.validateCompression(); err != nil {
		return nil, err
	}
	if err := cfg.validateWrappedCache(); err != nil {
		return nil, err
	}
	return newBase(cfg.Clone(), base, "the wrapped driver"), nil
}

// newConnector takes a valid Config of its own.
func newConnector(cfg *Config) (*Connector, error) {
	if cfg.isFile() {
		if cfg.Shared != nil {
			return nil, errSharedBase
		}
		return fileConnector(cfg)
	}
	u, host, err := cfg.remote()
	if err != nil {
		return nil, err
	}
	if cfg.Base == BaseLibsql || u.Scheme == "ws" || u.Scheme == "wss" {
		if cfg.Shared != nil {
			return nil, errSharedBase
		}
		base, err := libsqlConnector(cfg)
		if err != nil {
			return nil, err
		}
		return newBase(cfg, base, BaseLibsql), nil
	}
	c := &Connector{cfg: cfg, log: logger(cfg), compression: newCompression(cfg)}
	c.driver = &Driver{connector: c}
	traced := layerTrace(cfg.Tracer)
	dials, _ := cfg.Tracer.(DialTracer)
	hc := hranahttp.Config{
		URL: u, Host: host, Header: cfg.Header, EncryptionKey: cfg.RemoteEncryptionKey,
		TransportConfig: hranahttp.TransportConfig{
			TLS: cfg.TLSConfig, Dial: cfg.DialContext, ConnectTimeout: cfg.connectTimeout(), KeepAlive: cfg.keepAlive(), Dialling: dialTrace(dials),
		},
		Plain: cfg.Compress == CompressOff, LateTimeout: cfg.timeout(), Circuit: cfg.retries(), UserAgent: userAgent, Logger: c.log, Trace: traced,
	}
	var texts *sqltext.Cache
	if cfg.Shared != nil {
		hc.Transport, texts = cfg.Shared.transport, cfg.Shared.stmts
	}
	switch {
	case cfg.TokenSource != nil:
		hc.Token = cfg.TokenSource
	case cfg.AuthToken != "":
		hc.Token = func(context.Context) (string, error) { return cfg.AuthToken, nil }
	}
	switch cfg.Encoding {
	case EncodingJSON:
		hc.Encoding = hranahttp.OnlyJSON
	case EncodingProtobuf:
		hc.Encoding = hranahttp.OnlyProtobuf
	}
	c.client = hranahttp.New(hc)
	c.budget = cfg.retryBudget()
	c.pool = stream.NewPool(c.client, c.budget, nil)
	c.lanes = lane.New(lane.Config{Streams: c.pool, Coalesce: cfg.coalesce(), GroupCommit: cfg.GroupCommit, Lanes: cfg.Lanes,
		Budget: c.budget, Outage: c.client, Late: time.Duration(lateAfter.Load()), Slow: time.Duration(lateAfter.Load()), Retry: retryTrace(traced)})
	c.exec = c.lanes
	c.layers = []string{lanesName(cfg), "streams", "http"}
	if c.compression != nil {
		c.layers = append([]string{compressionName}, c.layers...)
	}
	c.stmts = sqltext.NewCacheOver(texts, cfg.stmtCache())
	if cfg.Cache > 0 {
		c.reads = newReadCache(c)
		c.pool.Watch(c.reads)
		c.layers = append([]string{"cache"}, c.layers...)
	}
	if cfg.Shared != nil {
		if err := cfg.Shared.join(c); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func newBase(cfg *Config, base driver.Connector, name string) *Connector {
	c := &Connector{cfg: cfg, log: logger(cfg), base: base, layers: []string{name}, compression: newCompression(cfg)}
	c.driver = &Driver{connector: c}
	if c.compression != nil || cfg.Cache > 0 {
		c.stmts = sqltext.NewCache(cfg.stmtCache())
	}
	if c.compression != nil {
		c.layers = []string{compressionName, name}
	}
	if cfg.Cache > 0 {
		c.reads = newReadCache(c)
		c.reads.base = newBaseCache(c.reads)
		c.layers = append([]string{"cache"}, c.layers...)
	}
	return c
}

// compressionName is what Layers calls it.
const compressionName = "compressed columns"

// lateAfter is for tests, in which a request may be held for as long as they like,
// and a machine may be so busy that any statement is slow; 0 is the default of the
// lanes.
var lateAfter atomic.Int64

// userAgent tells a server's operator who is calling.
const userAgent = "turso-opt-go"

func logger(cfg *Config) *slog.Logger {
	if cfg.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return cfg.Logger
}

// lanesName says what the lanes do; they always hold back writes that would
// only wait inside the server.
func lanesName(cfg *Config) string {
	name := "write gate"
	if cfg.GroupCommit {
		name += ", group commit"
	}
	if cfg.coalesce() {
		name += ", coalescing lanes"
	}
	return name
}

// Connect gives a connection. On the native base it sends nothing: a session
// has nothing on the server before its first statement. It has connections made
// ready for that (WarmConns), unless pings are off.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if c.base == nil {
		c.client.Use()
		return newConn(c), nil
	}
	dc, err := c.base.Connect(ctx)
	if err != nil {
		return nil, err
	}
	b := newBaseConn(c, dc)
	if c.reads != nil {
		if err := c.reads.base.acquaint(ctx, b); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// Driver is a *Driver that StatsOf knows this Connector by.
func (c *Connector) Driver() driver.Driver { return c.driver }

// Layers names what a statement passes on its way to the database, the first
// first. What is switched off is not there.
func (c *Connector) Layers() []string {
	return append([]string{"connection"}, c.layers...)
}

// Close refuses new work, gives requests in flight five seconds, then cancels
// them; nothing of the Connector runs when it returns. Calls after the first do
// nothing.
func (c *Connector) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	if p := c.sizer.Load(); p != nil {
		p.Stop()
	}
	if c.base != nil {
		if c.reads != nil {
			c.reads.base.beside.close()
			defer c.reads.close()
		}
		if closer, ok := c.base.(io.Closer); ok {
			return closer.Close()
		}
		return nil
	}
	c.pool.Close()
	err := c.client.Close()
	c.lanes.Close()
	if c.reads != nil {
		c.reads.close()
	}
	if c.cfg.Shared != nil {
		c.cfg.Shared.leave(c)
	}
	return err
}

// bounded is the context of calls that have none.
func (c *Connector) bounded() (context.Context, context.CancelFunc) {
	return bound(context.Background(), c.cfg.timeout())
}

func bound(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}
