package limit

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A poolWorld is a program with a pool of connections as database/sql has it,
// and a server at the end of a path. All of it happens in virtual time; the same
// seed gives the same run.
//
// The pool opens connections when they are first wanted, gives back the last
// used, picks among those who wait at random, and gives a larger limit to those
// who come, not to those who wait.
//
// The server shares its cores among the statements inside it (processor
// sharing). Statements that write go through one writer beside, first in, first
// out.
type poolWorld struct {
	rtt   time.Duration
	trips int           // statements of a use, one after the other; 0 is 1
	dial  int           // round trips to open a connection
	work  time.Duration // what a statement takes alone on a core, on average
	cores int
	// crowd is how many statements inside make the server lose time between them;
	// 0 for never.
	crowd int
	// streams is how many uses the server takes at a time; 0 for any number. Another
	// is refused and comes again, all of which takes refusedWait.
	streams int
	writes  float64 // the part of statements that write
	slow    float64 // how many times slower the server is; 0 is 1
	mute    bool    // the server does not tell its time

	rate    float64 // uses a second that come whatever becomes of the others
	callers int     // who come again a think time after their use has ended
	think   time.Duration
}

const refusedWait = time.Second

// A poolLoad is a world and what happens to it. step is called every 10 ms.
type poolLoad struct {
	name   string
	world  poolWorld
	length time.Duration
	step   func(w *poolWorld, now time.Duration)
}

// A sizing is a policy for the pool's size.
type sizing interface {
	// size is what to begin with.
	size() int
	// look is asked every interval, and sooner if it is hasty and the pool is full.
	look(poolLook) int
	// hasty: it looks as PoolSizer does, and growing lets in those who wait. hurry
	// tells whether it would look soon if the pool were full.
	hasty() bool
	hurry() bool
}

// A poolLook is what a sizing sees.
type poolLook struct {
	PoolSample
	// WorstTrip and BestTrip are of the uses that ended, for policies that go by
	// latency: the mean of the interval and the least ever.
	meanUse, leastUse time.Duration
}

const poolInterval = 100 * time.Millisecond

// A poolRun is what came of a load under a sizing.
type poolRun struct {
	p50, p99, worst time.Duration // from a use's coming to its end
	perSecond       float64       // uses that ended
	open            float64       // connections, on average over time
	inside          float64       // statements inside the server, likewise
	most            int           // the largest size
	refused         int
	changes         int // of the size
	track           []poolPoint
}

// A poolPoint is a tenth of a second of a run.
type poolPoint struct {
	at               time.Duration
	rate             float64 // uses that came, a second
	size, open, used int
	p99              time.Duration // of the uses that ended in the last second
}

func (l poolLoad) run(s sizing, seed uint64) poolRun {
	m := &poolModel{poolWorld: l.world, sizing: s, random: rand.New(rand.NewPCG(seed, 7)), limit: s.size()}
	if m.trips == 0 {
		m.trips = 1
	}
	m.result.most = m.limit
	if m.step = l.step; m.step != nil {
		m.step(&m.poolWorld, 0)
	}
	for t := time.Duration(0); t < l.length; t += 10 * time.Millisecond {
		m.at(t, func() {
			if m.step != nil {
				m.step(&m.poolWorld, m.now)
			}
			m.follow()
		})
	}
	m.at(poolInterval, m.look)
	for t := poolInterval; t <= l.length; t += poolInterval {
		m.at(t, m.record)
	}
	for len(m.events) > 0 && m.events[0].at <= l.length {
		e := heap.Pop(&m.events).(event)
		m.pass(e.at)
		e.do()
	}
	m.pass(l.length)
	r := m.result
	// Who has not been served by the end has waited for at least this long.
	for _, u := range m.waiting {
		m.took = append(m.took, m.now-u.came)
	}
	for u := range m.inUse {
		m.took = append(m.took, m.now-u.came)
	}
	r.perSecond = float64(m.ended) / l.length.Seconds()
	r.p50, r.p99, r.worst = quantile(m.took, 0.5), quantile(m.took, 0.99), quantile(m.took, 1)
	r.open /= l.length.Seconds()
	r.inside /= l.length.Seconds()
	return r
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

type poolUse struct {
	came, began time.Duration
	left        int // statements to come
	sent        time.Duration
	stream      bool // it has one in the server
}

type poolModel struct {
	poolWorld
	sizing sizing
	random *rand.Rand
	step   func(*poolWorld, time.Duration)
	events events
	now    time.Duration

	limit      int
	open, free int
	inUse      map[*poolUse]bool
	waiting    []*poolUse
	arrival    int // the number of the arrival that is planned; others are void
	planned    float64
	callersIn  int

	// The server: each statement inside gets the same share. attained is how much
	// work one has got that has been inside from the start.
	attained float64
	jobs     poolJobs
	void     int // the number of the end that is planned
	writer   []*poolUse
	writing  bool
	taken    int // streams

	sample   poolLook
	lastLook time.Duration
	pressed  bool

	ended    int
	took     []time.Duration
	lately   []time.Duration
	latelyAt []time.Duration
	cameNow  int
	result   poolRun
}

type poolJob struct {
	until float64
	use   *poolUse
}

type poolJobs []poolJob

func (j poolJobs) Len() int           { return len(j) }
func (j poolJobs) Less(a, b int) bool { return j[a].until < j[b].until }
func (j poolJobs) Swap(a, b int)      { j[a], j[b] = j[b], j[a] }
func (j *poolJobs) Push(x any)        { *j = append(*j, x.(poolJob)) }
func (j *poolJobs) Pop() any {
	last := len(*j) - 1
	x := (*j)[last]
	*j = (*j)[:last]
	return x
}

func (m *poolModel) at(t time.Duration, do func()) { heap.Push(&m.events, event{t, do}) }

func (m *poolModel) after(d time.Duration, do func()) { m.at(m.now+d, do) }

// pass lets time go by.
func (m *poolModel) pass(to time.Duration) {
	dt := to - m.now
	m.attained += dt.Seconds() * m.share()
	m.sample.Busy += dt * time.Duration(len(m.inUse))
	m.result.open += dt.Seconds() * float64(m.open)
	m.result.inside += dt.Seconds() * float64(len(m.jobs))
	m.now = to
}

// share is how much work a statement inside gets done in a second.
func (m *poolModel) share() float64 {
	n := float64(len(m.jobs))
	if n == 0 {
		return 0
	}
	speed := min(1, float64(m.cores)/n)
	if m.crowd > 0 && len(m.jobs) > m.crowd {
		speed *= float64(m.crowd) / n
	}
	if m.slow > 0 {
		speed /= m.slow
	}
	return speed
}

// follow makes arrivals and the server go on as the world is now.
func (m *poolModel) follow() {
	if m.rate != m.planned {
		m.planned = m.rate
		m.arrival++
		m.plan()
	}
	for ; m.callersIn < m.callers; m.callersIn++ {
		m.after(time.Duration(m.random.Int64N(int64(m.think+10*time.Millisecond))), m.come)
	}
	m.serve()
}

func (m *poolModel) plan() {
	if m.rate <= 0 {
		return
	}
	number := m.arrival
	m.after(time.Duration(m.random.ExpFloat64()/m.rate*float64(time.Second)), func() {
		if number == m.arrival {
			m.come()
			m.plan()
		}
	})
}

func (m *poolModel) come() {
	u := &poolUse{came: m.now, left: m.trips}
	m.cameNow++
	switch {
	case m.free > 0:
		m.free--
		m.begin(u)
	case m.open < m.limit:
		m.dialFor(u)
	default:
		m.sample.Waited++
		m.waiting = append(m.waiting, u)
		m.press()
	}
}

// dialFor opens a connection for a use.
func (m *poolModel) dialFor(u *poolUse) {
	m.open++
	if m.dial == 0 {
		m.begin(u)
		return
	}
	m.after(time.Duration(m.dial)*m.rtt, func() { m.begin(u) })
}

func (m *poolModel) begin(u *poolUse) {
	if m.inUse == nil {
		m.inUse = map[*poolUse]bool{}
	}
	u.began = m.now
	m.sample.Begun++
	m.inUse[u] = true
	if m.open-m.free >= m.limit {
		m.press()
	}
	m.send(u)
}

func (m *poolModel) send(u *poolUse) { m.after(m.rtt/2, func() { m.reach(u) }) }

// reach is a statement's arrival at the server.
func (m *poolModel) reach(u *poolUse) {
	if m.streams > 0 && !u.stream && m.taken >= m.streams {
		m.result.refused++
		m.sample.Refused++
		m.after(m.rtt/2+refusedWait, func() { m.send(u) })
		return
	}
	if !u.stream {
		u.stream = true
		m.taken++
	}
	u.sent = m.now
	if m.writes > 0 && m.random.Float64() < m.writes {
		m.writer = append(m.writer, u)
		m.write()
		return
	}
	m.admit(u)
}

// write lets the next writer in.
func (m *poolModel) write() {
	if m.writing || len(m.writer) == 0 {
		return
	}
	u := m.writer[0]
	m.writing = true
	took := m.random.ExpFloat64() * m.work.Seconds() * max(1, m.slow)
	m.after(time.Duration(took*float64(time.Second)), func() {
		m.writer = m.writer[1:]
		m.writing = false
		m.answer(u)
		m.write()
	})
}

func (m *poolModel) admit(u *poolUse) {
	heap.Push(&m.jobs, poolJob{m.attained + m.random.ExpFloat64()*m.work.Seconds(), u})
	m.serve()
}

// serve plans the end of the statement that ends first.
func (m *poolModel) serve() {
	m.void++
	if len(m.jobs) == 0 {
		return
	}
	number := m.void
	left := max(0, m.jobs[0].until-m.attained) / m.share()
	m.after(time.Duration(math.Ceil(left*float64(time.Second))), func() {
		if number != m.void {
			return
		}
		j := heap.Pop(&m.jobs).(poolJob)
		m.answer(j.use)
		m.serve()
	})
}

func (m *poolModel) answer(u *poolUse) {
	worked := m.now - u.sent
	m.after(m.rtt/2, func() {
		if !m.mute {
			m.sample.Answered++
			m.sample.Server += worked
		}
		if u.left--; u.left > 0 {
			m.send(u)
			return
		}
		m.taken--
		m.end(u)
	})
}

func (m *poolModel) end(u *poolUse) {
	delete(m.inUse, u)
	m.ended++
	m.sample.Finished++
	m.sample.Held += m.now - u.began
	m.took = append(m.took, m.now-u.came)
	m.lately, m.latelyAt = append(m.lately, m.now-u.came), append(m.latelyAt, m.now)
	use := m.now - u.began
	if m.sample.leastUse == 0 || use < m.sample.leastUse {
		m.sample.leastUse = use
	}
	if m.callers > 0 {
		m.after(time.Duration(m.random.ExpFloat64()*float64(m.think)), m.come)
	}
	switch {
	case m.open > m.limit:
		m.open--
		if m.open < m.limit && len(m.waiting) > 0 {
			m.dialFor(m.pick())
		}
	case len(m.waiting) > 0:
		m.begin(m.pick())
	default:
		m.free++
	}
}

// pick takes one of those who wait.
func (m *poolModel) pick() *poolUse {
	i, last := m.random.IntN(len(m.waiting)), len(m.waiting)-1
	u := m.waiting[i]
	m.waiting[i] = m.waiting[last]
	m.waiting = m.waiting[:last]
	return u
}

// press has a hasty sizing look soon.
func (m *poolModel) press() {
	if !m.sizing.hurry() || m.pressed {
		return
	}
	m.pressed = true
	m.at(max(m.now, m.lastLook+poolInterval/PoolHaste), func() {
		if m.pressed {
			m.look()
		}
	})
}

func (m *poolModel) look() {
	s := m.sample
	s.Interval, s.InUse, s.Working, s.Idle = m.now-m.lastLook, m.open-m.free, len(m.inUse), m.free
	if s.Finished > 0 {
		s.meanUse = s.Held / time.Duration(s.Finished)
	}
	m.sample = poolLook{leastUse: s.leastUse}
	m.lastLook, m.pressed = m.now, false
	m.resize(m.sizing.look(s))
	at, next := m.lastLook, poolInterval
	if m.sizing.hurry() && m.open-m.free >= m.limit {
		next /= PoolHaste
	}
	m.after(next, func() {
		if m.lastLook == at { // nobody has looked since
			m.look()
		}
	})
}

func (m *poolModel) resize(n int) {
	if n != m.limit {
		m.result.changes++
	}
	m.limit = n
	m.result.most = max(m.result.most, n)
	for m.free > 0 && m.open > m.limit {
		m.free--
		m.open--
	}
	for m.sizing.hasty() && len(m.waiting) > 0 && m.open < m.limit {
		m.dialFor(m.pick())
	}
}

// record keeps how things stand, for the plots.
func (m *poolModel) record() {
	old := 0
	for old < len(m.latelyAt) && m.latelyAt[old] < m.now-time.Second {
		old++
	}
	m.lately, m.latelyAt = m.lately[old:], m.latelyAt[old:]
	m.result.track = append(m.result.track, poolPoint{
		at: m.now, rate: float64(m.cameNow) / poolInterval.Seconds(), size: m.limit, open: m.open, used: len(m.inUse),
		p99: quantile(m.lately, 0.99),
	})
	m.cameNow = 0
}
