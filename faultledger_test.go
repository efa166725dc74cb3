package tursoopt_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A ledgerPhase is one fault on one server, while every workload writes.
type ledgerPhase struct {
	fault
	t      *testing.T
	env    *env // without the proxy
	book   *book
	sqld   *sqld.Server      // nil where server is not
	server *hranatest.Server // the embedded one
	proxy  *netem.Proxy
	direct *sql.DB // somebody else
	rand   *rand.Rand
	kills  int
	struck int                 // requests that were to suffer
	aimed  atomic.Pointer[aim] // at a request that has not come yet
	began  time.Time
	// lull is held by writers while they write.
	lull    sync.RWMutex
	ctx     context.Context // ends with the faults
	sockets sockets
	dbs     []*sql.DB
}

// goals are what a phase does not end without.
type goals struct {
	rows, each int           // acknowledged rows, and units of each workload
	lasts      time.Duration // of a soak
}

func newLedgerPhase(t *testing.T, f fault, real bool) *ledgerPhase {
	t.Helper()
	p := &ledgerPhase{fault: f, t: t, book: newBook(len(workloads)), rand: rand.New(rand.NewPCG(1, uint64(len(f.name)))), began: time.Now()}
	e := &env{}
	p.env = e
	if testing.Short() {
		p.strikes = (p.strikes + 7) / 8
	}
	if real {
		p.sqld = sqld.ForTest(t, sqld.Options{Admin: true})
		e.url = p.sqld.URL()
	} else {
		// A transaction whose answers were lost must not block the others for seconds, and
		// its stream goes. Where none is lost the driver has to end its streams.
		o := hranatest.Options{Profile: hranatest.Cloud, TxTimeout: 100 * time.Millisecond, StreamIdle: time.Second, OnRequest: p.seen}
		if f.kept {
			o.StreamIdle = time.Hour
		}
		p.server = hranatest.NewServer(t, o)
		e.url = p.server.URL()
	}
	p.direct = e.open(t)
	for _, text := range bookSchema {
		mustExec(t, p.direct, text)
	}
	var err error
	if p.proxy, err = netem.Start(hostOf(t, e.url), netem.Conditions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Close)
	for _, params := range []string{"group_commit=off", "group_commit=on"} {
		through := &env{url: withParams(p.proxy.URL(), params)}
		p.dbs = append(p.dbs, through.openConfig(t, func(c *tursoopt.Config) {
			c.DialContext = p.sockets.dial
			if !p.kept {
				c.Timeout = p.patience // of a COMMIT, which has no context
			}
		}))
	}
	return p
}

// await waits until n more units than now have one of some endings.
func (p *ledgerPhase) await(n int, of ...ending) {
	sum := func() (s int) {
		for _, o := range of {
			s += p.book.units[o]
		}
		return s
	}
	p.book.mu.Lock()
	n += sum()
	p.book.mu.Unlock()
	p.book.await(p.ctx, func() bool { return sum() >= n })
}

// hit waits until a strike has hit a unit, or so many have passed unharmed that it
// has met none.
func (p *ledgerPhase) hit() {
	b := p.book
	b.mu.Lock()
	before := b.units
	b.mu.Unlock()
	b.await(p.ctx, func() bool {
		return b.units[isFailed] > before[isFailed] || b.units[isUnknown] > before[isUnknown] || b.units[isAcked] >= before[isAcked]+20
	})
}

// kill kills the server and starts it again.
func (p *ledgerPhase) kill() {
	p.sqld.Kill()
	p.kills++
	if err := p.sqld.Restart(); err != nil {
		p.t.Error(err)
	}
}

// calm ends whatever a strike has begun.
func (p *ledgerPhase) calm() {
	p.proxy.Set(netem.Conditions{})
	p.proxy.Truncate(-1)
	if p.server != nil {
		p.server.Behave()
		p.aimed.Store(nil)
	}
}

// run has all write while things go wrong, until the goals are reached.
func (p *ledgerPhase) run(g goals) {
	var cancel context.CancelFunc
	p.ctx, cancel = context.WithTimeout(context.Background(), g.lasts+5*time.Minute)
	defer cancel()
	var writers sync.WaitGroup
	stop := make(chan struct{})
	for by, wl := range workloads {
		for range wl.writers {
			w := &writer{book: p.book, db: p.dbs[0], grouped: p.dbs[1], by: by, hurries: p.never == nil}
			writers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					p.lull.RLock()
					ctx, cancel := context.WithTimeout(context.Background(), p.patience)
					if wl.run(w, ctx); w.count%8 == 0 {
						p.read(ctx, w)
					}
					cancel()
					p.lull.RUnlock()
					if w.hurt {
						w.hurt = false
						time.Sleep(5 * time.Millisecond) // as a program would
					}
				}
			})
		}
	}
	began := time.Now()
	for strikes := 0; strikes < p.strikes || !p.came() || time.Since(began) < g.lasts; strikes++ {
		p.await(10, isAcked) // each time all must get going again
		if p.ctx.Err() != nil {
			break
		}
		p.strike(p)
		p.calm()
	}
	reached := p.book.await(p.ctx, func() bool { return p.reached(g) })
	cancel()
	close(stop)
	writers.Wait()
	if !reached {
		p.t.Errorf("the goals were out of reach; the workloads have %v", p.book.per)
	}
}

// came tells whether every ending has come about that must.
func (p *ledgerPhase) came() bool {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	for _, e := range []ending{isFailed, isUnknown} {
		if p.book.units[e] == 0 && !slices.Contains(p.never, e) {
			return false
		}
	}
	return true
}

// reached tells whether enough has been acknowledged. It is called with the book
// locked.
func (p *ledgerPhase) reached(g goals) bool {
	for i := range p.book.per {
		if p.book.per[i][isAcked] < g.each {
			return false
		}
	}
	return p.book.rows[isAcked] >= g.rows && p.book.units[isUndone] > 0
}

// read has a read run among the writes, which must not get another's answer.
func (p *ledgerPhase) read(ctx context.Context, w *writer) {
	if p.kept {
		// A read that nobody waits for any more, a slow neighbour's for one, is cut off,
		// and its stream stays until it expires.
		return
	}
	want := w.by<<32 | w.count
	var got int
	if err := p.dbs[w.count&1].QueryRowContext(ctx, "SELECT ? FROM sqlite_schema", want).Scan(&got); err == nil && got != want {
		p.t.Errorf("a read got %d, want %d", got, want)
	}
}

// TestFaultLedger is the proof that no write is lost, doubled or committed in
// silence. Twelve kinds of faults between the driver and a real sqld and twelve of
// a server in the manners of Turso Cloud meet every way of writing. In the end each
// unit that was acknowledged is there once, each that has failed is not, one whose
// outcome is unknown is there once or not, and none is there in part.
//
// A row is a write with an id of its own; the rows of a unit are in together or not
// at all. At least 100,000 rows are acknowledged, and sqld is killed 20 times: at the
// end of each of its phases, and in some of them.
func TestFaultLedger(t *testing.T) {
	t.Parallel()
	// Most phases wait most of the time.
	g, atOnce := goals{rows: 4500, each: 4}, 6
	if testing.Short() {
		g.rows, g.each = 300, 1
	}
	phases := len(networkFaults) + len(serverFaults)
	if os.Getenv("TURSO_OPT_SOAK") != "" {
		g.lasts = stressTime(t) * time.Duration(atOnce) / time.Duration(phases)
	}
	began := time.Now()
	var mu sync.Mutex
	var units, rows tally
	kills, ended := 0, 0
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	phase := func(server string, f fault) {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			t.Run(server+"/"+f.name, func(t *testing.T) {
				began := time.Now()
				p := newLedgerPhase(t, f, server == "sqld")
				p.run(g)
				p.end()
				b := p.book
				t.Logf("%v: units %v; rows %v; %d kills", time.Since(began).Round(time.Millisecond), b.units, b.rows, p.kills)
				for _, e := range f.never {
					if b.units[e] > 0 {
						t.Errorf("%d units are %v", b.units[e], e)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				ended++
				kills += p.kills
				units.add(&b.units)
				rows.add(&b.rows)
			})
		})
	}
	for i := range networkFaults {
		phase("sqld", networkFaults[i])
		phase("cloud", serverFaults[i])
	}
	all.Wait()
	t.Logf("%v: units %v; rows %v; %d kills", time.Since(began).Round(time.Millisecond), units, rows, kills)
	if !testing.Short() && ended == phases && (rows[isAcked] < 100_000 || kills < 20) {
		t.Errorf("%d rows were acknowledged, and there were %d kills", rows[isAcked], kills)
	}
}
