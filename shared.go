package tursoopt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// DefaultSharedStmtCache is the number of SQL texts a Shared remembers.
const DefaultSharedStmtCache = 4096

// A SharedConfig says what the Connectors of a Shared have in common. The zero
// value of every field means its default; what is not described here is as in
// Config.
type SharedConfig struct {
	// StmtCache is the number of SQL texts that are kept parsed for all Connectors:
	// zero means DefaultSharedStmtCache, negative that each keeps its own.
	// Config.StmtCache still bounds how many of them a Connector knows.
	StmtCache int
	// Cache is how many bytes of results of reads are kept for all Connectors
	// together, from MinCache: they all have a cache then, which Config.Cache may
	// repeat. Zero means that none has. What says how old a result may be stays with
	// each Config.
	Cache int64
	// Proxy, TLSConfig, DialContext, ConnectTimeout and those that follow are the
	// connections'.
	Proxy             string
	TLSConfig         *tls.Config
	DialContext       func(ctx context.Context, network, addr string) (net.Conn, error)
	ConnectTimeout    time.Duration
	KeepAlive         time.Duration
	StaleAfter        time.Duration
	PingTimeout       time.Duration
	KeepAliveIdleStop time.Duration
	// WarmConns is for each host and port.
	WarmConns int
	// Tracer is told of the connections that are opened; nil means nobody is.
	Tracer DialTracer
}

// A Shared is what the Connectors of one process may share that has a database for
// each tenant: the connections to each host, TLS sessions, SQL texts, timers, and the
// room for results of reads. A
// Connector on it that is idle owns no goroutine, timer or connection, and 10,000
// of them are as quick as one; database/sql itself has a goroutine for each sql.DB
// that is open, and OpenDB's controller another. What is a tenant's own stays with its Connector:
// tokens, the server's streams, what running a text has taught, and every result.
//
// It is safe for concurrent use, starts nothing before the first statement, and
// must be closed.
type Shared struct {
	cfg       SharedConfig
	transport *hranahttp.Transport
	stmts     *sqltext.Cache // nil for none
	results   *cache.Store   // nil for none
	schemas   sharedSchemas
	err       error // in cfg, told by NewConnector

	mu         sync.Mutex
	closed     bool
	connectors map[*Connector]struct{}
}

var errSharedClosed = fmt.Errorf("turso-opt: Shared: %w", ErrClosed)

// NewShared makes a Shared. What is wrong with cfg is told by NewConnector.
func NewShared(cfg SharedConfig) *Shared {
	s := &Shared{cfg: cfg, connectors: map[*Connector]struct{}{}}
	c := Config{
		URL: "http://localhost", Proxy: cfg.Proxy, KeepAlive: cfg.KeepAlive, StaleAfter: cfg.StaleAfter, PingTimeout: cfg.PingTimeout,
		KeepAliveIdleStop: cfg.KeepAliveIdleStop, WarmConns: cfg.WarmConns, ConnectTimeout: cfg.ConnectTimeout,
		Cache: cfg.Cache,
	}
	s.err = c.validate()
	s.transport = hranahttp.NewTransport(hranahttp.TransportConfig{
		TLS: cfg.TLSConfig, Dial: cfg.DialContext, ConnectTimeout: c.connectTimeout(), KeepAlive: c.keepAlive(), Dialling: dialTrace(cfg.Tracer),
	}, cfg.Proxy != "")
	size := cfg.StmtCache
	if size == 0 {
		size = DefaultSharedStmtCache
	}
	if size > 0 {
		s.stmts = sqltext.NewCache(size)
	}
	if cfg.Cache > 0 {
		s.results = cache.NewStore(cfg.Cache)
	}
	return s
}

// apply takes the Shared's part into a Config, which may repeat it and must not
// say anything else.
func (s *Shared) apply(cfg *Config) error {
	own := &s.cfg
	for _, f := range []struct {
		name     string
		mine     *time.Duration
		existing time.Duration
	}{
		{"ConnectTimeout", &cfg.ConnectTimeout, own.ConnectTimeout},
		{"KeepAlive", &cfg.KeepAlive, own.KeepAlive},
		{"StaleAfter", &cfg.StaleAfter, own.StaleAfter},
		{"PingTimeout", &cfg.PingTimeout, own.PingTimeout},
		{"KeepAliveIdleStop", &cfg.KeepAliveIdleStop, own.KeepAliveIdleStop},
	} {
		if *f.mine != 0 && *f.mine != f.existing {
			return sharedField(f.name)
		}
		*f.mine = f.existing
	}
	switch {
	case cfg.TLSConfig != nil:
		return sharedField("TLSConfig")
	case cfg.DialContext != nil:
		return sharedField("DialContext")
	case cfg.WarmConns != 0 && cfg.WarmConns != own.WarmConns:
		return sharedField("WarmConns")
	case cfg.Proxy != "" && cfg.Proxy != own.Proxy:
		return sharedField("Proxy")
	case cfg.Cache != 0 && cfg.Cache != own.Cache:
		return errors.New("turso-opt: Cache: belongs to all Connectors of the Shared, and differs from SharedConfig.Cache")
	}
	cfg.Cache = own.Cache
	cfg.WarmConns, cfg.Proxy = own.WarmConns, own.Proxy
	return nil
}

func sharedField(name string) error {
	return fmt.Errorf("turso-opt: %s: belongs to the connections, which are the Shared's, and differs from SharedConfig.%s", name, name)
}

var errSharedBase = errors.New("turso-opt: Shared: only the native base has connections that can be shared")

// join makes c one of the Connectors, which leave when they are closed.
func (s *Shared) join(c *Connector) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errSharedClosed
	}
	s.connectors[c] = struct{}{}
	return nil
}

func (s *Shared) leave(c *Connector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connectors, c)
}

// Connectors is how many are open.
func (s *Shared) Connectors() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.connectors)
}

// Close closes all Connectors that are still open, in the time that it takes to
// close one, and every connection; NewConnector fails from now on. No goroutine,
// timer or connection is left when it returns. Calls after the first do nothing.
func (s *Shared) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var open []*Connector
	for c := range s.connectors {
		open = append(open, c)
	}
	s.mu.Unlock()
	errs := make([]error, len(open))
	var wg sync.WaitGroup
	for i, c := range open {
		wg.Go(func() { errs[i] = c.Close() })
	}
	wg.Wait()
	s.transport.Close()
	if s.results != nil {
		s.results.Close()
	}
	return errors.Join(errs...)
}
