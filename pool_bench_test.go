package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A realLoad is transactions of three reads that come whatever becomes of the
// others, and the path they take.
type realLoad struct {
	name string
	rate func(at time.Duration) float64 // a second
	rtt  func(at time.Duration) time.Duration
}

const realLength = 12 * time.Second

func twentyMs(time.Duration) time.Duration { return 20 * time.Millisecond }

var realLoads = []realLoad{
	{"burst", func(at time.Duration) float64 {
		if at >= realLength/3 && at < realLength*2/3 {
			return 150
		}
		return 10
	}, twentyMs},
	{"sine", func(at time.Duration) float64 { return 65 - 55*math.Cos(2*math.Pi*at.Seconds()/6) }, twentyMs},
	{"rtt-step", func(time.Duration) float64 { return 60 }, func(at time.Duration) time.Duration {
		if at < realLength/3 {
			return 5 * time.Millisecond
		}
		return 60 * time.Millisecond
	}},
	{"overload", func(at time.Duration) float64 {
		if at >= realLength/3 && at < realLength/2 {
			return 600
		}
		return 20
	}, twentyMs},
}

// Pools of fixed sizes and an adaptive one under loads that vary, on a real
// server behind a network. One run says little on a busy machine; the figures to
// compare are those of one benchmark.
//
//	go test -run xxx -bench PoolLoads -benchtime 1x
func BenchmarkPoolLoads(b *testing.B) {
	for _, base := range []string{tursoopt.BaseNative, tursoopt.BaseLibsql} {
		for _, load := range realLoads {
			for _, size := range []int{5, 20, 100, 0} {
				name := fmt.Sprintf("%s/%s/fixed-%d", base, load.name, size)
				if size == 0 {
					name = fmt.Sprintf("%s/%s/adaptive", base, load.name)
				}
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						runLoad(b, load, base, size)
					}
				})
			}
		}
	}
}

func runLoad(b *testing.B, load realLoad, base string, size int) {
	server := sqld.ForTest(b, sqld.Options{})
	net, err := netem.Start(server.URL()[len("http://"):], netem.Conditions{RTT: load.rtt(0)})
	if err != nil {
		b.Fatal(err)
	}
	defer net.Close()
	c, err := tursoopt.NewConnector(&tursoopt.Config{URL: net.URL(), Base: base})
	if err != nil {
		b.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	mustExec(b, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
	mustExec(b, db, "INSERT INTO t SELECT value, 'row ' || value FROM generate_series(1, 1000)")
	if size > 0 {
		db.SetMaxOpenConns(size)
		db.SetMaxIdleConns(size)
	} else if _, err := tursoopt.TunePool(db, nil); err != nil {
		b.Fatal(err)
	}

	var mu sync.Mutex
	var took []time.Duration
	var failed atomic.Int64
	var running sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), 2*realLength)
	defer cancel()
	chance := rand.New(rand.NewPCG(1, 1))
	var open float64
	looks := 0.0
	start := time.Now()
	next, look := start, start
	for at := time.Duration(0); at < realLength; at = time.Since(start) {
		net.Set(netem.Conditions{RTT: load.rtt(at)})
		if now := time.Now(); now.After(look) {
			look = look.Add(20 * time.Millisecond)
			open += float64(db.Stats().OpenConnections)
			looks++
		}
		if wait := time.Until(next); wait > 0 {
			time.Sleep(min(wait, 5*time.Millisecond))
			continue
		}
		came := next
		next = next.Add(time.Duration(chance.ExpFloat64() / load.rate(at) * float64(time.Second)))
		id := 1 + chance.IntN(990)
		running.Go(func() {
			if threeReads(ctx, db, id) != nil {
				failed.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(came))
		})
	}
	running.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(len(took))/time.Since(start).Seconds(), "tx/s")
	b.ReportMetric(open/looks, "conns")
	b.ReportMetric(float64(failed.Load()), "failed")
	b.ReportMetric(0, "ns/op")
}

func threeReads(ctx context.Context, db *sql.DB, id int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for i := range 3 {
		var v string
		if err := tx.QueryRowContext(ctx, "SELECT v FROM t WHERE id = ?", id+i).Scan(&v); err != nil {
			return err
		}
	}
	return tx.Commit()
}
