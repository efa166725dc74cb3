package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// A calmBase is a driver whose statements do nothing for a while. Inside a bubble
// of synctest it costs no time.
type calmBase struct {
	dial, work time.Duration
	broken     atomic.Bool // statements find their connection dead
	opened     atomic.Int64
	open       atomic.Int64
}

func (b *calmBase) Connect(ctx context.Context) (driver.Conn, error) {
	if !pause(ctx, b.dial) {
		return nil, ctx.Err()
	}
	b.opened.Add(1)
	b.open.Add(1)
	return &calmConn{base: b}, nil
}

func (b *calmBase) Driver() driver.Driver { return nil }

type calmConn struct{ base *calmBase }

func (c *calmConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not needed") }
func (c *calmConn) Begin() (driver.Tx, error)           { return c, nil }
func (c *calmConn) Commit() error                       { return nil }
func (c *calmConn) Rollback() error                     { return nil }
func (c *calmConn) Close() error                        { c.base.open.Add(-1); return nil }
func (c *calmConn) ResetSession(context.Context) error  { return nil }
func (c *calmConn) IsValid() bool                       { return true }
func (c *calmConn) ExecContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Result, error) {
	if c.base.broken.Load() {
		return nil, driver.ErrBadConn
	}
	if !pause(ctx, c.base.work) {
		return nil, ctx.Err()
	}
	return driver.ResultNoRows, nil
}

func pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// A tuned DB and its controller.
type tuned struct {
	*testing.T
	*sql.DB
	base  *calmBase
	sizer *tursoopt.PoolSizer
}

// bubble runs body with a DB over base in a bubble, where time passes only while
// everybody waits.
func bubble(t *testing.T, base *calmBase, cfg tursoopt.Config, body func(tuned)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := tursoopt.Wrap(base, &cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		p, err := tursoopt.TunePool(db, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			if n := sizerGoroutines(); n != 0 {
				t.Errorf("%d goroutines after Close", n)
			}
		}()
		body(tuned{t, db, base, p})
	})
}

// sizerGoroutines is how many goroutines controllers have.
func sizerGoroutines() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "(*PoolSizer).run(")
}

// come starts a statement every so often for a while, whatever becomes of the
// others, and waits for all.
func (d tuned) come(every, during time.Duration) {
	var all sync.WaitGroup
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(every) {
		all.Go(d.use)
	}
	all.Wait()
}

func (d tuned) use() {
	if _, err := d.Exec("work"); err != nil {
		d.Error(err)
	}
}

// hold takes n connections and uses them until release.
func (d tuned) hold(n int) (release func()) {
	var held []*sql.Tx
	for range n {
		tx, err := d.Begin()
		if err != nil {
			d.Fatal(err)
		}
		held = append(held, tx)
	}
	return func() {
		for _, tx := range held {
			if err := tx.Commit(); err != nil {
				d.Error(err)
			}
		}
	}
}

// All connections are held, by callers who each need another one, and nobody
// gives one back before all have it. database/sql gives a larger limit to those
// who come, not to those who wait.
func TestPoolGrowsForThoseWhoWait(t *testing.T) {
	for _, dial := range []time.Duration{0, 30 * time.Millisecond} {
		bubble(t, &calmBase{dial: dial}, tursoopt.Config{}, func(d tuned) {
			const callers, each = 20, 2
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			start := time.Now()
			var all sync.WaitGroup
			var have atomic.Int64
			everybody := make(chan struct{})
			for range callers {
				all.Go(func() {
					for range each {
						c, err := d.Conn(ctx)
						if err != nil {
							d.Error(err)
							return
						}
						defer c.Close()
						if _, err := c.ExecContext(ctx, "work"); err != nil {
							d.Error(err)
						}
						if have.Add(1) == callers*each {
							close(everybody)
						}
						time.Sleep(time.Millisecond)
					}
					select {
					case <-everybody:
					case <-ctx.Done():
					}
				})
			}
			all.Wait()
			// Most of them in a few looks, an eighth of an interval apart, and the last
			// when what was given to those who came later has been missed for a while.
			took := time.Since(start)
			d.Logf("%v", took)
			if took > 2*time.Second {
				d.Errorf("it took %v", took)
			}
		})
	}
}

// Both limits move together: connections are neither opened beyond the one nor
// closed because of the other.
func TestPoolMovesBothLimits(t *testing.T) {
	base := &calmBase{work: 50 * time.Millisecond}
	bubble(t, base, tursoopt.Config{PoolCooldown: time.Minute}, func(d tuned) {
		for range 3 {
			d.come(2*time.Millisecond, 5*time.Second) // 25 at a time
			s, p := d.Stats(), d.sizer.Stats()
			if s.MaxOpenConnections != p.Size || p.Size < 25 {
				d.Errorf("the limit is %d, the size %d", s.MaxOpenConnections, p.Size)
			}
			if s.MaxIdleClosed != 0 || s.Idle != s.OpenConnections {
				d.Errorf("idle connections were closed: %+v", s)
			}
		}
		if n := base.opened.Load(); n > 60 {
			d.Errorf("%d connections were opened for 25 at a time", n)
		}
		time.Sleep(10 * time.Minute)
		if s, p := d.Stats(), d.sizer.Stats(); s.MaxOpenConnections != tursoopt.DefaultPoolMin || s.OpenConnections > tursoopt.DefaultPoolMin || p.Shrunk == 0 {
			d.Errorf("after ten minutes without use: %+v, %d shrunk", s, p.Shrunk)
		}
		if n := base.open.Load(); n > tursoopt.DefaultPoolMin {
			d.Errorf("the base has %d connections", n)
		}
	})
}

// A burst finds what it needs before a tenth of it has come.
func TestPoolMeetsABurst(t *testing.T) {
	bubble(t, &calmBase{work: 20 * time.Millisecond}, tursoopt.Config{}, func(d tuned) {
		d.come(20*time.Millisecond, 5*time.Second)
		var slow, all atomic.Int64
		var running sync.WaitGroup
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			running.Go(func() {
				start := time.Now()
				d.use()
				all.Add(1)
				if time.Since(start) > 25*time.Millisecond {
					slow.Add(1)
				}
			})
		}
		running.Wait()
		d.Logf("%d of %d waited for more than 5 ms", slow.Load(), all.Load())
		if slow.Load() > all.Load()/100 {
			d.Errorf("%d of %d waited", slow.Load(), all.Load())
		}
	})
}

// Every change is remembered with its reason, the last 256 of them.
func TestPoolDecisions(t *testing.T) {
	bubble(t, &calmBase{work: 20 * time.Millisecond}, tursoopt.Config{PoolCooldown: 100 * time.Millisecond}, func(d tuned) {
		for range 40 {
			d.come(time.Millisecond, 500*time.Millisecond)
			time.Sleep(5 * time.Second)
			s := d.sizer.Stats()
			size := tursoopt.DefaultPoolMin
			if len(s.Decisions) == 256 {
				size = s.Decisions[0].From
			}
			var at time.Time
			for _, x := range s.Decisions {
				if x.From != size || x.To == x.From || x.Reason == "" || x.Time.Before(at) || x.Time.IsZero() {
					d.Fatalf("%+v after a size of %d at %v", x, size, at)
				}
				size, at = x.To, x.Time
			}
			if size != s.Size || d.Stats().MaxOpenConnections != size {
				d.Fatalf("the last decision is for %d, the size %d", size, s.Size)
			}
			if all := s.Grown + s.Shrunk + s.Capped; len(s.Decisions) != int(min(all, 256)) {
				d.Fatalf("%d decisions, %d are remembered", all, len(s.Decisions))
			}
		}
		s := d.sizer.Stats()
		if whole, _ := tursoopt.StatsOf(d.DB); !reflect.DeepEqual(whole.Pool, s) || !s.Managed {
			d.Errorf("StatsOf says %+v,\nthe controller %+v", whole.Pool, s)
		}
		if s.Grown+s.Shrunk <= 256 || s.Grown == 0 || s.Shrunk == 0 || s.Capped != 0 {
			d.Errorf("%d grown, %d shrunk, %d capped", s.Grown, s.Shrunk, s.Capped)
		}
		if !strings.Contains(s.Decisions[255].Reason, "uses/s") {
			d.Errorf("the reason is %q", s.Decisions[255].Reason)
		}
		s.Decisions[0].To = -1
		if d.sizer.Stats().Decisions[0].To == -1 {
			d.Error("the caller of Stats has the controller's own decisions")
		}
	})
}

func TestPoolStop(t *testing.T) {
	bubble(t, &calmBase{work: 20 * time.Millisecond}, tursoopt.Config{}, func(d tuned) {
		if _, err := tursoopt.TunePool(d.DB, nil); err == nil {
			d.Error("a second controller is allowed")
		}
		d.come(time.Millisecond, time.Second)
		d.sizer.Stop()
		if n := sizerGoroutines(); n != 0 {
			d.Errorf("%d goroutines after Stop", n)
		}
		size := d.sizer.Stats().Size
		if s, _ := tursoopt.StatsOf(d.DB); s.Pool.Managed || d.sizer.Stats().Managed || size < 20 {
			d.Errorf("stopped: %+v, size %d", s.Pool, size)
		}
		d.come(time.Millisecond, time.Second)
		time.Sleep(time.Minute)
		if n := d.Stats().MaxOpenConnections; n != size {
			d.Errorf("the limit was %d when the controller stopped, and is %d", size, n)
		}
		d.sizer.Stop()

		// A new one begins with what is in use.
		release := d.hold(10)
		p, err := tursoopt.TunePool(d.DB, &tursoopt.Config{PoolMin: 3, PoolMax: 30})
		if err != nil {
			d.Fatal(err)
		}
		if n := d.Stats().MaxOpenConnections; n < 10 || n > 20 {
			d.Errorf("with 10 in use the limit is %d", n)
		}
		release()
		time.Sleep(time.Minute)
		d.come(time.Millisecond, 3*time.Second)
		time.Sleep(time.Minute)
		if s, _ := tursoopt.StatsOf(d.DB); !s.Pool.Managed || s.Pool.Size != 3 || p.Stats().Size != 3 {
			d.Errorf("the new one: %+v", s.Pool)
		}
		d.sizer.Stop() // the old one's
		if s, _ := tursoopt.StatsOf(d.DB); !s.Pool.Managed {
			d.Error("stopping the old one has ended the new one")
		}
	})
}

// The controller has a goroutine while the DB is in use, and only then.
func TestPoolRests(t *testing.T) {
	bubble(t, &calmBase{work: 20 * time.Millisecond}, tursoopt.Config{}, func(d tuned) {
		for range 3 {
			if n := sizerGoroutines(); n != 0 {
				d.Fatalf("%d goroutines before the first use", n)
			}
			d.come(time.Millisecond, time.Second)
			if n := sizerGoroutines(); n != 1 {
				d.Fatalf("%d goroutines in use", n)
			}
			release := d.hold(1)
			time.Sleep(time.Hour)
			if n := sizerGoroutines(); n != 1 {
				d.Fatalf("%d goroutines while a connection is held", n)
			}
			release()
			time.Sleep(20 * time.Second)
			if s := d.sizer.Stats(); s.Size != tursoopt.DefaultPoolMin {
				d.Errorf("after 20 s without use the size is %d", s.Size)
			}
		}
	})
	bubble(t, &calmBase{work: 20 * time.Millisecond}, tursoopt.Config{PoolMin: 1}, func(d tuned) {
		d.come(time.Millisecond, time.Second)
		time.Sleep(time.Minute)
		if n := sizerGoroutines(); n != 0 || d.sizer.Stats().Size != 1 {
			d.Errorf("%d goroutines, size %d", n, d.sizer.Stats().Size)
		}
	})
}

// What is counted is what connections are used for, and nothing else.
func TestPoolCountsUses(t *testing.T) {
	base := &calmBase{work: 10 * time.Millisecond}
	bubble(t, base, tursoopt.Config{}, func(d tuned) {
		ctx := context.Background()
		c, err := d.Conn(ctx)
		if err != nil {
			d.Fatal(err)
		}
		time.Sleep(time.Hour)
		if s := tursoopt.PoolSeenOf(d.DB); s.Begun != 0 {
			d.Errorf("a connection that nobody has used yet is counted: %+v", s)
		}
		for range 3 {
			if _, err := c.ExecContext(ctx, "work"); err != nil {
				d.Fatal(err)
			}
		}
		if s := tursoopt.PoolSeenOf(d.DB); s.Begun != 1 || s.InUse != 1 || s.Finished != 0 {
			d.Errorf("three statements on one connection: %+v", s)
		}
		if err := c.Close(); err != nil {
			d.Fatal(err)
		}
		release := d.hold(1)
		release()
		if s := tursoopt.PoolSeenOf(d.DB); s.Begun != 2 || s.InUse != 0 || s.Finished != 2 {
			d.Errorf("given back: %+v", s)
		}
		base.broken.Store(true)
		if _, err := d.Exec("work"); err == nil {
			d.Error("the base is broken")
		}
		if s := tursoopt.PoolSeenOf(d.DB); s.InUse != 0 || s.Begun != s.Finished || s.Begun < 3 {
			d.Errorf("broken connections: %+v", s)
		}
	})
}

// Each option does what it says.
func TestPoolOptions(t *testing.T) {
	// What a load does to the pool: 10 connections are in use all the time, of which
	// the law makes 18, or fewer if nobody waits. Nobody waits for any of 12.
	steady := func(t *testing.T, cfg tursoopt.Config) (s tursoopt.PoolStats) {
		bubble(t, &calmBase{work: 50 * time.Millisecond}, cfg, func(d tuned) {
			d.come(5*time.Millisecond, 10*time.Second)
			s = d.sizer.Stats()
		})
		return s
	}
	t.Run("PoolMin", func(t *testing.T) {
		for _, least := range []int{12, 40} {
			bubble(t, &calmBase{}, tursoopt.Config{PoolMin: least}, func(d tuned) {
				if n := d.Stats().MaxOpenConnections; n != least {
					d.Errorf("it begins with %d", n)
				}
				d.use()
				time.Sleep(time.Hour)
				if n := d.Stats().MaxOpenConnections; n != least {
					d.Errorf("it ends with %d", n)
				}
			})
		}
	})
	t.Run("PoolMax", func(t *testing.T) {
		for _, most := range []int{1, 5, 9} {
			if s := steady(t, tursoopt.Config{PoolMax: most}); s.Size != most {
				t.Errorf("at most %d: the size is %d: %+v", most, s.Size, s.Decisions)
			}
		}
	})
	t.Run("PoolUp", func(t *testing.T) {
		for _, c := range []struct {
			up          float64
			least, most int
		}{{0.8, 13, 19}, {0.95, 12, 12}} {
			if s := steady(t, tursoopt.Config{PoolMin: 12, PoolUp: c.up}); s.Size < c.least || s.Size > c.most {
				t.Errorf("from %v on: the size is %d", c.up, s.Size)
			}
		}
	})
	t.Run("PoolDown", func(t *testing.T) {
		for _, c := range []struct {
			down  float64
			least int
			most  int
		}{{0.8, 18, 20}, {0.1, 40, 100}} {
			bubble(t, &calmBase{work: 50 * time.Millisecond}, tursoopt.Config{PoolDown: c.down}, func(d tuned) {
				d.come(time.Millisecond, 5*time.Second)
				d.come(5*time.Millisecond, time.Minute)
				if n := d.sizer.Stats().Size; n < c.least || n > c.most {
					d.Errorf("up to %v: the size is %d", c.down, n)
				}
			})
		}
	})
	t.Run("PoolCooldown", func(t *testing.T) {
		for _, cooldown := range []time.Duration{0, 500 * time.Millisecond, 20 * time.Second} {
			bubble(t, &calmBase{work: 50 * time.Millisecond}, tursoopt.Config{PoolCooldown: cooldown}, func(d tuned) {
				d.come(time.Millisecond, 300*time.Millisecond)
				d.come(50*time.Millisecond, time.Minute)
				want := cooldown
				if want == 0 {
					want = tursoopt.DefaultPoolCooldown
				}
				var grown time.Time
				for _, x := range d.sizer.Stats().Decisions {
					if x.To > x.From {
						grown = x.Time
						continue
					}
					// What was needed at the burst's end may still count in the first period.
					if took := x.Time.Sub(grown); took < want || took > 2*want+5*time.Second {
						d.Errorf("with %v it shrinks %v after it has grown", want, took)
					}
					return
				}
				d.Error("it does not shrink")
			})
		}
	})
	t.Run("PoolInterval", func(t *testing.T) {
		for _, interval := range []time.Duration{0, 4 * time.Second} {
			bubble(t, &calmBase{work: 50 * time.Millisecond}, tursoopt.Config{PoolInterval: interval}, func(d tuned) {
				start := time.Now()
				d.come(5*time.Millisecond, 10*time.Second)
				want := interval
				if want == 0 {
					want = tursoopt.DefaultPoolInterval
				}
				first := d.sizer.Stats().Decisions[0].Time.Sub(start)
				if first < want/8 || first > want/2 {
					d.Errorf("with an interval of %v it grows after %v", want, first)
				}
			})
		}
	})
}

func TestPoolConfigValidation(t *testing.T) {
	c, err := tursoopt.Wrap(&calmBase{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	for _, x := range []struct {
		cfg  tursoopt.Config
		says string
	}{
		{tursoopt.Config{PoolMin: -1}, "pool_min"},
		{tursoopt.Config{PoolMax: -1}, "pool_m"},
		{tursoopt.Config{PoolMin: 5, PoolMax: 4}, "pool_max"},
		{tursoopt.Config{PoolUp: 1.1}, "PoolUp"},
		{tursoopt.Config{PoolUp: -0.1}, "PoolUp"},
		{tursoopt.Config{PoolUp: math.NaN()}, "PoolUp"},
		{tursoopt.Config{PoolDown: 1.1}, "PoolDown"},
		{tursoopt.Config{PoolDown: -0.1}, "PoolDown"},
		{tursoopt.Config{PoolDown: math.NaN()}, "PoolDown"},
		{tursoopt.Config{PoolUp: 0.5, PoolDown: 0.6}, "PoolDown"},
		{tursoopt.Config{PoolCooldown: -1}, "PoolCooldown"},
		{tursoopt.Config{PoolInterval: -1}, "PoolInterval"},
		{tursoopt.Config{PoolInterval: time.Microsecond}, "PoolInterval"},
	} {
		if _, err := tursoopt.TunePool(db, &x.cfg); err == nil || !strings.Contains(err.Error(), x.says) || !strings.HasPrefix(err.Error(), "turso-opt: ") {
			t.Errorf("TunePool, %s: %v", x.says, err)
		}
		x.cfg.URL = "libsql://h"
		if _, err := tursoopt.NewConnector(&x.cfg); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("NewConnector, %s: %v", x.says, err)
		}
	}
	// What was refused has left nothing behind, and odd bounds alone are none that
	// contradict themselves.
	for _, cfg := range []tursoopt.Config{{PoolMax: 1}, {PoolMin: 500}, {PoolUp: 0.5}, {PoolDown: 0.9}, {}} {
		p, err := tursoopt.TunePool(db, &cfg)
		if err != nil {
			t.Fatalf("%+v: %v", cfg, err)
		}
		p.Stop()
	}
}

// A controller is there where somebody could give it the DB.
func TestPoolManaged(t *testing.T) {
	e := newEnv(t, nativeModes[3])
	db := e.open(t)
	if s, ok := tursoopt.StatsOf(db); !ok || s.Pool.Managed || s.Pool.Size != 0 || len(s.Pool.Decisions) != 0 {
		t.Errorf("after sql.Open: %+v", s.Pool)
	}
	if n := db.Stats().MaxOpenConnections; n != 0 {
		t.Errorf("after sql.Open the limit is %d", n)
	}
	p, err := tursoopt.TunePool(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := tursoopt.StatsOf(db); !s.Pool.Managed || s.Pool.Size != tursoopt.DefaultPoolMin {
		t.Errorf("after TunePool: %+v", s.Pool)
	}
	p.Stop()

	own := e.openConfig(t, func(c *tursoopt.Config) { c.PoolMin, c.PoolMax = 3, 30 })
	if s, _ := tursoopt.StatsOf(own); !s.Pool.Managed || s.Pool.Size != 3 || own.Stats().MaxOpenConnections != 3 {
		t.Errorf("after OpenDB: %+v", s.Pool)
	}
	if _, err := tursoopt.TunePool(own, nil); err == nil {
		t.Error("a second controller is allowed")
	}

	foreign := sql.OpenDB(&calmBase{})
	defer foreign.Close()
	if _, err := tursoopt.TunePool(foreign, nil); err == nil {
		t.Error("a DB of another driver is taken")
	}
	file, err := sql.Open("sqlite3", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := tursoopt.TunePool(file, &tursoopt.Config{}); err == nil {
		t.Error("a DB of another driver is taken")
	}

	closed, err := sql.Open("turso-opt", e.dsn())
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := tursoopt.TunePool(closed, nil); !errors.Is(err, tursoopt.ErrClosed) {
		t.Errorf("a closed DB: %v", err)
	}
}

// Every base has its uses counted, and a load of real statements gets the
// connections that it needs.
func TestPoolOnEveryBase(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.openConfig(t, func(c *tursoopt.Config) { c.PoolInterval = 10 * time.Millisecond })
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
		const callers, rounds = 16, 4
		var all sync.WaitGroup
		var inside atomic.Int64
		everybody := make(chan struct{})
		for range callers {
			all.Go(func() {
				for range rounds {
					tx, err := tursoopt.BeginTx(context.Background(), db, tursoopt.TxOptions{ReadOnly: e.native})
					if err != nil {
						t.Error(err)
						return
					}
					var n int
					if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
						t.Error(err)
					}
					// All have a transaction at the same time, which two connections are not
					// enough for.
					if inside.Add(1) == callers {
						close(everybody)
					}
					<-everybody
					if err := tx.Rollback(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		s, _ := tursoopt.StatsOf(db)
		seen := tursoopt.PoolSeenOf(db)
		if s.Pool.Grown == 0 || s.Pool.Size < callers || db.Stats().MaxOpenConnections < callers {
			t.Errorf("%d callers: %+v", callers, s.Pool)
		}
		if seen.Begun < callers*rounds || seen.InUse != 0 || seen.Begun != seen.Finished {
			t.Errorf("%d uses: %+v", callers*rounds, seen)
		}
		if told := seen.Answered >= callers*rounds; told != e.native {
			t.Errorf("the server's time is known of %d statements", seen.Answered)
		}
	})
}

// A server at its limit gets fewer connections.
func TestPoolHeedsRefusals(t *testing.T) {
	for _, base := range []string{tursoopt.BaseNative, tursoopt.BaseLibsql} {
		t.Run(base, func(t *testing.T) {
			e := newEnv(t, nativeModes[3])
			db := e.openConfig(t, func(c *tursoopt.Config) {
				c.Base, c.PoolMin, c.PoolInterval = base, 4, 10*time.Millisecond
			})
			var held []*sql.Tx
			for range 20 {
				tx := begin(t, db, tursoopt.TxOptions{})
				held = append(held, tx)
				var n int
				if err := tx.QueryRow("SELECT 1").Scan(&n); err != nil {
					t.Fatal(err)
				}
			}
			s, _ := tursoopt.StatsOf(db)
			if s.Pool.Size < 20 || s.Pool.Capped != 0 {
				t.Fatalf("with 20 in use: %+v", s.Pool)
			}
			e.embedded.Inject(-1, hranatest.Status(429, 0))
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			if _, err := held[0].ExecContext(ctx, "SELECT 1"); err == nil {
				t.Error("the server refuses, and nobody is told")
			}
			e.embedded.Behave()
			waitFor(t, func() bool {
				s, _ = tursoopt.StatsOf(db)
				return s.Pool.Capped > 0
			})
			last := s.Pool.Decisions[len(s.Pool.Decisions)-1]
			for _, x := range s.Pool.Decisions {
				if strings.Contains(x.Reason, "refused") {
					last = x
				}
			}
			if last.To >= 20 || !strings.Contains(last.Reason, "refused") {
				t.Errorf("%+v", last)
			}
			for _, tx := range held {
				_ = tx.Rollback()
			}
		})
	}
}

// waitFor waits for what happens beside the test.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happens")
		}
	}
}

// Everything at once, for the race detector.
func TestPoolConcurrently(t *testing.T) {
	c, err := tursoopt.Wrap(&calmBase{work: 100 * time.Microsecond}, &tursoopt.Config{PoolInterval: time.Millisecond, PoolCooldown: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	var all sync.WaitGroup
	closed := make(chan struct{})
	for i := range 24 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-closed:
					return
				default:
				}
				switch {
				case i == 0:
					if p, err := tursoopt.TunePool(db, nil); err == nil {
						time.Sleep(time.Millisecond)
						_ = p.Stats()
						p.Stop()
					}
				case i == 1:
					_, _ = tursoopt.StatsOf(db)
				default:
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+n%5)*200*time.Microsecond)
					_, _ = db.ExecContext(ctx, "work")
					cancel()
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	close(closed)
	all.Wait()
	if n := sizerGoroutines(); n != 0 {
		t.Errorf("%d goroutines after Close", n)
	}
}

// The cost of a use with a controller, over one without: the calls of a driver
// that does nothing take all of the rest.
func BenchmarkPoolUse(b *testing.B) {
	for _, managed := range []bool{false, true} {
		name := "alone"
		if managed {
			name = "managed"
		}
		b.Run(name, func(b *testing.B) {
			c, err := tursoopt.Wrap(&calmBase{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			db := sql.OpenDB(c)
			defer db.Close()
			if managed {
				if _, err := tursoopt.TunePool(db, nil); err != nil {
					b.Fatal(err)
				}
			}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := db.ExecContext(ctx, "work"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
