package tursoopt

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

// Defaults of the Config fields whose zero value stands for them.
const (
	// DefaultStmtCache is the number of SQL texts a Connector remembers.
	DefaultStmtCache = 512
	// MaxLanes is the largest Config.Lanes: sqld holds 128 streams for all its
	// clients together.
	MaxLanes = 64
	// DefaultConnectTimeout bounds dialling and the TLS handshake.
	DefaultConnectTimeout = 10 * time.Second
	// DefaultTimeout bounds calls that have no context of their own.
	DefaultTimeout = 60 * time.Second
)

// Values of Config.Base.
const (
	// BaseNative is the driver's own client, the default.
	BaseNative = "native"
	// BaseLibsql is the wrapped libsql-client-go; ws and wss URLs always use it.
	BaseLibsql = "libsql-client-go"
)

// Values of Config.Encoding.
const (
	// EncodingAuto takes the best encoding that the server has; the default.
	EncodingAuto = "auto"
	// EncodingJSON never tries protobuf.
	EncodingJSON = "json"
	// EncodingProtobuf insists on protobuf.
	EncodingProtobuf = "protobuf"
)

// Values of Config.Compress.
const (
	// CompressAuto asks for compressed answers where that has been measured to be
	// faster; the default.
	CompressAuto = "auto"
	// CompressOff never asks for one.
	CompressOff = "off"
)

// Values of Config.CompressAlgorithm, and what CompressedWith takes.
const (
	// AlgorithmLZ4 takes hardly any time to decompress; the default.
	AlgorithmLZ4 = "lz4"
	// AlgorithmZstd makes values smaller by a quarter more, and takes some 4 ns for
	// each byte of a value to decompress.
	AlgorithmZstd = "zstd"
)

// TxLock is the lock that BEGIN takes.
type TxLock uint8

const (
	// TxDefault is TxDeferred, or in TxOptions the lock of the Config.
	TxDefault TxLock = iota
	// TxDeferred takes no lock before the first statement.
	TxDeferred
	// TxImmediate takes the write lock at once.
	TxImmediate
	// TxExclusive is as TxImmediate; outside WAL mode it keeps readers out too.
	TxExclusive
)

// String is the lock's name in a DSN.
func (l TxLock) String() string {
	switch l {
	case TxDefault:
		return "default"
	case TxDeferred:
		return "deferred"
	case TxImmediate:
		return "immediate"
	case TxExclusive:
		return "exclusive"
	}
	return "invalid"
}

// A Config says which database a Connector talks to, and how. The zero value of
// every field but URL means its default. It must not be changed while in use;
// Clone it instead.
type Config struct {
	// URL is scheme://[user:password@]host[:port][/path] without a query. The
	// schemes are libsql, turso, https, http, wss, ws and file; ":memory:" is a
	// URL too.
	URL string
	// AuthToken is sent as a bearer token. A file: database ignores it.
	AuthToken string
	// TLS chooses between https and http for libsql and turso URLs, where nil
	// means on; off needs a port in the URL. It cannot contradict other schemes.
	TLS *bool
	// RemoteEncryptionKey is handed to the server with every request.
	RemoteEncryptionKey string
	// Proxy is a URL whose scheme and host replace those of URL; the Host header
	// stays that of URL.
	Proxy string
	// Base is BaseNative or BaseLibsql.
	Base string
	// Encoding is EncodingAuto, EncodingJSON or EncodingProtobuf.
	Encoding string
	// StmtCache is the number of SQL texts remembered: zero means
	// DefaultStmtCache, negative turns the cache off (0 in a DSN).
	StmtCache int
	// Coalesce lets autocommit reads of several callers share a request; nil means
	// on. See docs/semantics.md for what sharing means.
	Coalesce *bool
	// GroupCommit lets autocommit writes of several callers share a request and
	// its transaction. Off by default: a failure between the server's commit and
	// its answer leaves the outcome of all of them unknown at once.
	GroupCommit bool
	// Lanes is the number of requests of reads in flight: zero has it adapt to
	// what the server can do.
	Lanes int
	// Retry has the driver send again what certainly was not executed or only
	// reads; nil means on. See docs/semantics.md for what is sent again and when.
	Retry *bool
	// Cache is how many bytes of results of reads are kept, from MinCache; zero means
	// none. Reads that need no request are never older than what this Connector has
	// written, and not older than CacheLease where others write. Other bases have it
	// too, but for databases in memory; see docs/semantics.md.
	Cache int64
	// CacheLease bounds the age of what is served, counted from when it was asked
	// for: zero means DefaultCacheLease.
	CacheLease time.Duration
	// CacheTTL bounds it once more, also where a call asks for another lease by
	// WithMaxStale: zero means DefaultCacheTTL.
	CacheTTL time.Duration
	// CacheTableTTL is CacheTTL for results that are read from a table, by its name;
	// of several tables the shortest counts, and 0 is for tables whose results are
	// never kept. Names are those of tables, also where a view reads them, and the
	// case of ASCII letters does not matter.
	CacheTableTTL map[string]time.Duration
	// CacheTables are the tables, and views, of which a base of Wrap that is not
	// SQLite may have results kept, which it needs for a cache: their names, and for
	// each the further ones that a write to it changes, by a trigger, by a foreign key's
	// action, or because they are views of it. A base that is SQLite tells its schema.
	CacheTables map[string][]string
	// StaleWhileRevalidate is for how long after its lease a result is still served
	// while it is fetched again; zero means not at all. Bases other than the native one
	// are asked on connections beside those of the pool, four at most.
	StaleWhileRevalidate time.Duration
	// TxLock is the lock of a BEGIN that does not name one.
	TxLock TxLock
	// ConnectTimeout bounds dialling and the TLS handshake: zero means
	// DefaultConnectTimeout, negative no limit (0 in a DSN).
	ConnectTimeout time.Duration
	// Timeout bounds what has no context, such as Commit and Close: zero means
	// DefaultTimeout, negative no limit (0 in a DSN).
	Timeout time.Duration
	// KeepAlive is the interval of pings on idle connections, from MinKeepAlive:
	// zero has it learnt, negative turns pings off (auto and 0 in a DSN).
	KeepAlive time.Duration
	// StaleAfter is for how long an idle connection is trusted that no ping has
	// proven: zero means DefaultStaleAfter, negative no limit (0 in a DSN).
	StaleAfter time.Duration
	// PingTimeout bounds the answer to a ping, and is after how long a request that
	// is not answered is looked after: zero means DefaultPingTimeout.
	PingTimeout time.Duration
	// KeepAliveIdleStop is how long after the last statement pings go on: zero
	// means DefaultKeepAliveIdleStop, negative forever (0 in a DSN).
	KeepAliveIdleStop time.Duration
	// WarmConns is how many connections are pinged and kept ready: zero means
	// DefaultWarmConns, negative none, and no pings (0 in a DSN).
	WarmConns int
	// ParseTime turns text in DATE, DATETIME and TIMESTAMP columns into
	// time.Time; nil means on.
	ParseTime *bool
	// Compress is CompressAuto or CompressOff, and about answers on their way.
	Compress string
	// CompressColumns are columns, as "table.column", whose text and blobs are
	// stored as compressed frames. See docs/compression.md.
	CompressColumns []string
	// CompressAlgorithm is AlgorithmLZ4 or AlgorithmZstd, and what values of
	// CompressColumns are compressed by; empty means AlgorithmLZ4. Frames of both are
	// read, whatever it is.
	CompressAlgorithm string
	// CompressMin is the length in bytes from which a value of CompressColumns is
	// compressed: zero means DefaultCompressMin, negative any length (0 in a DSN).
	CompressMin int
	// CompressGuard refuses statements that would see a frame in place of a value
	// of CompressColumns; nil means on.
	CompressGuard *bool
	// PoolMin and PoolMax bound the size of the pool that OpenDB's controller or
	// TunePool adjusts: zero means DefaultPoolMin and DefaultPoolMax.
	PoolMin, PoolMax int
	// FileOptions is the query of a file: or :memory: DSN that the SQLite driver
	// gets as it is.
	FileOptions string

	// What follows has no DSN parameter.

	// TLSConfig replaces the default TLS configuration.
	TLSConfig *tls.Config
	// DialContext replaces the dialler, for instance to reach a unix socket. Where
	// it gives a *net.TCPConn, the driver sets that one's keep-alive options.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Header is added to every request.
	Header http.Header
	// TokenSource gives the token: it is asked before the first request, and again
	// when the server has refused what it gave (401). It excludes AuthToken. Its
	// error's text, which may quote a secret, is shown in no error of the driver's;
	// errors.As finds it.
	TokenSource func(context.Context) (string, error)
	// PoolInterval is how often the pool controller looks; zero means
	// DefaultPoolInterval.
	PoolInterval time.Duration
	// PoolUp is the utilisation from which the pool may grow, PoolDown the one
	// up to which it may shrink, more than 0 and at most 1; zero means
	// DefaultPoolUp and DefaultPoolDown.
	PoolUp, PoolDown float64
	// PoolCooldown is how long less must have been needed before the pool shrinks;
	// zero means DefaultPoolCooldown.
	PoolCooldown time.Duration
	// Shared is what the Connector shares with others; nil means nothing. What a
	// SharedConfig says of connections must be the same here, or not given.
	Shared *Shared
	// Tracer is told of statements and, if it has more methods, of what they take; nil
	// means nobody is.
	Tracer Tracer
	// Logger gets the driver's few messages; nil means none are written.
	Logger *slog.Logger
}

// Clone is a copy that shares nothing that either may change; functions, the
// logger and their state are shared.
func (c *Config) Clone() *Config {
	d := *c
	if c.TLS != nil {
		v := *c.TLS
		d.TLS = &v
	}
	if c.Coalesce != nil {
		v := *c.Coalesce
		d.Coalesce = &v
	}
	if c.Retry != nil {
		v := *c.Retry
		d.Retry = &v
	}
	if c.ParseTime != nil {
		v := *c.ParseTime
		d.ParseTime = &v
	}
	if c.CompressGuard != nil {
		v := *c.CompressGuard
		d.CompressGuard = &v
	}
	d.CacheTableTTL = maps.Clone(c.CacheTableTTL)
	d.CacheTables = maps.Clone(c.CacheTables)
	for name, more := range d.CacheTables {
		d.CacheTables[name] = slices.Clone(more)
	}
	d.CompressColumns = slices.Clone(c.CompressColumns)
	if c.TLSConfig != nil {
		d.TLSConfig = c.TLSConfig.Clone()
	}
	d.Header = c.Header.Clone()
	return &d
}

func (c *Config) stmtCache() int {
	if c.StmtCache == 0 {
		return DefaultStmtCache
	}
	return max(c.StmtCache, 0)
}

// connectTimeout is 0 where there is no limit.
func (c *Config) connectTimeout() time.Duration {
	if c.ConnectTimeout == 0 {
		return DefaultConnectTimeout
	}
	return max(c.ConnectTimeout, 0)
}

// timeout is 0 where there is no limit.
func (c *Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return DefaultTimeout
	}
	return max(c.Timeout, 0)
}

func (c *Config) coalesce() bool { return c.Coalesce == nil || *c.Coalesce }

func (c *Config) parseTime() bool { return c.ParseTime == nil || *c.ParseTime }
