package bench

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// An Arrival is a part of a programme of loads: callers come whatever becomes of
// those before them, as in a service, where a Load's goroutines wait for their
// answers. part is how much of it is over, from 0 to 1.
type Arrival struct {
	Name string
	// Rate is how many operations begin in a second.
	Rate func(part float64) float64
	// RTT is that of the network; nil for the scenario's own.
	RTT func(part float64) time.Duration
}

// An ArrivalSample is what became of those who came in one part of a programme.
type ArrivalSample struct {
	Name string
	// Latencies are from when somebody came to the end of the operation, the shortest
	// first. One that has failed counts as one of giveUp.
	Latencies []time.Duration
	Failed    int
	// Elapsed is from the beginning to the end of the last operation.
	Elapsed time.Duration
	// Open is how many connections the pool had on average while they came.
	Open float64
}

// giveUp is after how long an operation is given up.
const giveUp = 15 * time.Second

// programme is how a runner has a side go through its scenario's loads. Everything
// about the callers is the same for all sides.
type programme struct {
	parts  []Arrival
	length time.Duration // of each part
	link   *target.Link  // nil without an emulated network
	rtt    time.Duration

	mu      sync.Mutex
	samples []ArrivalSample
}

// looks is how often the pool is looked at.
const looks = 10 * time.Millisecond

func (p *programme) run(ctx context.Context, db *sql.DB, work Work) (s Sample, err error) {
	task, err := work(ctx, db, 0)
	if err != nil {
		return s, err
	}
	if task.Done != nil {
		defer func() { err = errors.Join(err, task.Done()) }()
	}
	p.samples = make([]ArrivalSample, len(p.parts))
	chance := rand.New(rand.NewPCG(1, 1))
	began := time.Now()
	var all sync.WaitGroup
	for i := range p.parts {
		p.part(ctx, db, task, i, began.Add(time.Duration(i)*p.length), chance, &all)
	}
	all.Wait()
	s.Elapsed = time.Since(began)
	s.Arrivals = p.samples
	for i := range s.Arrivals {
		a := &s.Arrivals[i]
		slices.Sort(a.Latencies)
		s.Latencies = append(s.Latencies, a.Latencies...)
		s.Ops += len(a.Latencies) - a.Failed
	}
	slices.Sort(s.Latencies)
	if s.Ops == 0 && len(s.Latencies) > 0 && ctx.Err() == nil {
		return s, errors.New("every operation of the programme has failed")
	}
	return s, ctx.Err()
}

// part lets callers come for the length of one part. Who they are and when they are
// due does not depend on how soon this gets to run: on a busy machine they come late,
// which is in their latencies, but they come.
func (p *programme) part(ctx context.Context, db *sql.DB, task Task, i int, began time.Time, chance *rand.Rand, all *sync.WaitGroup) {
	a, s := &p.parts[i], &p.samples[i]
	s.Name = a.Name
	open, looked := 0, 0
	look, next, end := began, began, began.Add(p.length)
	part := func(at time.Time) float64 { return float64(at.Sub(began)) / float64(p.length) }
	for ctx.Err() == nil {
		due, now := next.Before(end), time.Now()
		if !due && !now.Before(end) {
			break
		}
		p.network(a, min(part(now), 1))
		if !now.Before(look) {
			look = look.Add(looks)
			open += db.Stats().OpenConnections
			looked++
		}
		wait := min(time.Until(look), time.Until(end))
		if due {
			wait = min(time.Until(next), time.Until(look))
		}
		if wait > 0 {
			time.Sleep(wait)
			continue
		}
		if !due || time.Until(next) > 0 {
			continue
		}
		came := next
		next = next.Add(time.Duration(chance.ExpFloat64() / a.Rate(part(came)) * float64(time.Second)))
		all.Go(func() { p.serve(ctx, task, s, began, came) })
	}
	s.Open = float64(open) / float64(max(looked, 1))
}

func (p *programme) serve(ctx context.Context, task Task, s *ArrivalSample, began, came time.Time) {
	bounded, cancel := context.WithDeadline(ctx, came.Add(giveUp))
	defer cancel()
	err := task.Do(bounded)
	took := time.Since(came)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		took = max(took, giveUp)
		s.Failed++
	} else {
		s.Elapsed = max(s.Elapsed, time.Since(began))
	}
	s.Latencies = append(s.Latencies, took)
}

func (p *programme) network(a *Arrival, part float64) {
	if p.link == nil {
		return
	}
	c := netem.Conditions{RTT: p.rtt}
	if a.RTT != nil {
		c.RTT = a.RTT(part)
	}
	if p.link.Conditions() != c {
		p.link.Set(c)
	}
}

// readThree is a transaction of three reads by keys that follow each other. Any
// number of callers may run it at once.
func readThree(w World) Work {
	query := w.selectPerson()
	rows := uint64(w.rows(peopleRows) - 3)
	return func(_ context.Context, db *sql.DB, _ int) (Task, error) {
		var calls atomic.Uint64
		return Task{Do: func(ctx context.Context) error {
			first := 1 + int(calls.Add(1)*7919%rows)
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer tx.Rollback() // does nothing after Commit
			for id := first; id < first+3; id++ {
				var name string
				var score float64
				if err := tx.QueryRowContext(ctx, query, id).Scan(&name, &score); err != nil {
					return err
				}
				if err := checkPerson(id, name, score); err != nil {
					return err
				}
			}
			return tx.Commit()
		}}, nil
	}
}
