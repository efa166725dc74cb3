package tursoopt

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/shadow"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// Defaults of the cache's fields in Config.
const (
	// DefaultCacheLease bounds how long another writer's change may go unseen.
	DefaultCacheLease = time.Second
	// DefaultCacheTTL bounds the life of a cached result whatever the lease.
	DefaultCacheTTL = 10 * time.Minute
	// MinCache is the smallest Config.Cache, in bytes.
	MinCache = 64 << 10
)

// lostFor is how long a write whose outcome is unknown keeps its tables out of the
// cache if the server cannot be asked about it: a lost write may wait there for
// another's lock.
const lostFor = time.Minute

// clockForTests is the clock of leases, for tests; nil is the machine's.
var clockForTests atomic.Pointer[cache.Clock]

// lostForTests is lostFor for tests, which know when a lost write is over; 0 is
// lostFor.
var lostForTests atomic.Int64

// readOptions are what a context says about reads.
type readOptions struct {
	set cache.Options
}

type readOptionsKey struct{}

func withReadOptions(ctx context.Context, change func(*cache.Options)) context.Context {
	o, _ := ctx.Value(readOptionsKey{}).(*readOptions)
	next := &readOptions{}
	if o != nil {
		next.set = o.set
	}
	change(&next.set)
	return context.WithValue(ctx, readOptionsKey{}, next)
}

// WithFresh has reads ask the database, whatever is cached. What they bring is
// cached for others.
func WithFresh(ctx context.Context) context.Context {
	return withReadOptions(ctx, func(o *cache.Options) { o.Fresh = true })
}

// WithMaxStale has reads take a cached result that was asked for at most d ago, in
// place of Config.CacheLease, which may be shorter or longer; Config.CacheTTL bounds
// both. What this Connector has written itself is never missing from it.
func WithMaxStale(ctx context.Context, d time.Duration) context.Context {
	return withReadOptions(ctx, func(o *cache.Options) { o.Bounded, o.MaxStale = true, max(d, 0) })
}

// WithNoStore keeps what reads bring out of the cache.
func WithNoStore(ctx context.Context) context.Context {
	return withReadOptions(ctx, func(o *cache.Options) { o.NoStore = true })
}

func cacheOptions(ctx context.Context) cache.Options {
	if o, ok := ctx.Value(readOptionsKey{}).(*readOptions); ok {
		return o.set
	}
	return cache.Options{}
}

// Invalidate drops what is cached of tables, or everything if none is named. It is
// for what others have written, when the program learns of it before the lease
// ends. Without a cache it does nothing.
func (c *Connector) Invalidate(tables ...string) {
	if c.reads != nil {
		c.reads.cache.Invalidate(tables...)
	}
}

// A readCache answers reads that need no request. It knows what statements touch
// from a copy of the schema; see cachewatch.go, and base_cache.go for bases.
type readCache struct {
	connector *Connector
	cache     *cache.Cache
	clock     cache.Clock
	shadow    *shadow.Shadow
	schema    schemaWatch
	replica   atomic.Bool // the server is one
	ttl       tableTTL
	base      *baseCache // nil on the native base
}

func newReadCache(c *Connector) *readCache {
	cfg := c.cfg
	clock := cache.SystemClock()
	if f := clockForTests.Load(); f != nil {
		clock = *f
	}
	rc := &readCache{connector: c, clock: clock, shadow: shadow.New(), ttl: newTableTTL(cfg)}
	lost := lostFor
	if d := lostForTests.Load(); d > 0 {
		lost = time.Duration(d)
	}
	var results *cache.Store
	if cfg.Shared != nil {
		results = cfg.Shared.results
	}
	rc.cache = cache.New(cache.Config{Store: results, Bytes: cfg.Cache, Lease: cfg.cacheLease(), TTL: cfg.cacheTTL(),
		Revalidate: cfg.StaleWhileRevalidate, Patience: lost, Clock: clock, Renew: rc.refresh})
	return rc
}

func (rc *readCache) close() {
	if shared := rc.connector.cfg.Shared; shared != nil {
		shared.schemas.remove(rc)
	}
	rc.cache.Close()
	_ = rc.shadow.Close() // a database in memory
}

// cacheable tells whether a call may have a cached result, as far as its text
// tells.
func (c *call) cacheable() bool {
	return len(c.stmts) == 1 && c.stmts[0].WantRows && keepable(c.text)
}

// keepable tells whether the result of a text may be kept, as far as it tells.
func keepable(t *sqltext.Text) bool {
	if len(t.Stmts) != 1 {
		return false
	}
	switch st := &t.Stmts[0]; st.Kind {
	case sqltext.Select, sqltext.Values:
		return st.ReadOnly && !st.Stateful && !st.ConnFuncs
	}
	return false
}

// open tells whether a session is one in which a cached result is what the
// database would give.
func (s *session) open() bool { return s.tx == txNone && s.pipe == nil && !s.settings && s.gone == nil }

// read answers a call from the cache, or through it. ok is false if the call has
// to go its own way; own says that it would not share a stream with others, so that
// it is not asked for here.
func (rc *readCache) read(ctx context.Context, cl *call, own bool) (results []exec.StmtResult, ok bool, err error) {
	st := &cl.stmts[0]
	k := cache.Key{SQL: st.SQL, Args: st.Args}
	o := cacheOptions(ctx)
	found := rc.cache.Get(&k, o)
	if found.Result != nil {
		if found.Revalidate {
			rc.refresh(st)
		}
		cl.kept, cl.unasked = true, true
		cl.result[0] = exec.StmtResult{Result: found.Result.(*exec.Result)}
		return cl.result[:], true, nil
	}
	if own || st.Note.Large.Load() {
		return nil, false, nil // of what only one can read there is nothing to share
	}
	reads, version, ok := rc.depends(st)
	if !ok {
		return nil, false, nil
	}
	cl.kept = true
	a, led, err := rc.share(ctx, &k, reads, o, found, func(f *cache.Flight) (err error) {
		cl.result[0], err = rc.lead(ctx, f, st, version)
		return err
	})
	switch {
	case led:
		return cl.result[:], true, err
	case err != nil:
		return nil, true, &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Err: err}
	}
	cl.unasked = true
	cl.result[0].Err = a.Stmt
	cl.result[0].Result, _ = a.Result.(*exec.Result)
	return cl.result[:], true, a.Err
}

// share gives what another brings who asks for the same, or else has lead ask, which
// lands the flight: led says so, and err is lead's then. Otherwise it is the context's.
func (rc *readCache) share(ctx context.Context, k *cache.Key, reads cache.Reads, o cache.Options, found cache.Found,
	lead func(*cache.Flight) error) (a cache.Answer, led bool, err error) {
	for {
		f, leads := rc.cache.Fly(k, reads, o, found)
		if leads {
			return cache.Answer{}, true, lead(f)
		}
		a, again, err := f.Wait(ctx)
		if err != nil || !again {
			return a, false, err
		}
		found = cache.Found{} // the miss has been counted
	}
}

// lead makes a flight's request.
func (rc *readCache) lead(ctx context.Context, f *cache.Flight, st *exec.Stmt, version int64) (exec.StmtResult, error) {
	own := f.Own(st)
	own.Fill = true // Land is what tells the cache
	resp, err := rc.connector.exec.Do(ctx, &exec.Request{Stmts: []exec.Stmt{*own}, Class: exec.Read})
	if err != nil {
		f.Land(cache.Answer{Err: err}, false, ctx.Err() != nil)
		return exec.StmtResult{}, err
	}
	switch r := resp.Results[0]; {
	case r.Result == nil:
		f.Land(cache.Answer{Stmt: r.Err}, false, false)
	case r.Result.Cursor != nil:
		// Only one can read it. The answer does not show the schema's version, so that
		// nobody knows what it comes from, and nothing of it is kept.
		f.Land(cache.Answer{}, false, true)
	default:
		f.Land(cache.Answer{Result: r.Result.Kept()}, r.Result.SchemaVersion == version, false)
	}
	return resp.Results[0], nil
}

// refresh fetches a result again whose lease has ended, or whose row has been written,
// beside; once, if many ask.
func (rc *readCache) refresh(st *exec.Stmt) {
	reads, version, ok := rc.depends(st)
	if !ok {
		return
	}
	k := cache.Key{SQL: st.SQL, Args: st.Args}
	f, leads := rc.cache.Fly(&k, reads, cache.Options{}, cache.Found{})
	if !leads {
		return
	}
	own := f.Own(st) // the caller changes its arguments
	began := rc.connector.pool.Go(func(ctx context.Context) {
		ctx, cancel := bound(ctx, rc.connector.cfg.timeout())
		defer cancel()
		_, _ = rc.lead(ctx, f, own, version) // the next who asks sees for himself
	})
	if !began {
		f.Land(cache.Answer{Err: ErrClosed}, false, true)
	}
}
