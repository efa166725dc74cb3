package limit

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// A world is a server and those who call it, simulated: requests of shared
// statements over a path, served by a few cores that stand for sqld's. Costs are
// of the order that was measured there.
type world struct {
	rtt     time.Duration
	cores   int
	request time.Duration // what a request costs the server
	stmt    time.Duration // what a statement costs it beside
	// crowd is how many requests inside make each of them slower in proportion; 0
	// for never.
	crowd int
	// streams is how many requests the server takes at a time; 0 for any number.
	streams int
	// noise is how much a request's cost varies: up to that many times, seldom.
	noise float64
	// hiccups is what one request in a hundred costs more.
	hiccups time.Duration
	seed    uint64

	callers int     // who ask again as soon as they are answered
	rate    float64 // statements a second that come whatever is answered
}

// maxShare is as in internal/lane.
const maxShare = 64

// A run is what came of a world.
type run struct {
	perSecond float64
	mean      time.Duration // from a statement's coming to its answer
	lanes     float64       // mean over the requests
	least     int
	most      int
	refused   int
	fullest   int // requests inside the server
}

type event struct {
	at time.Duration
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

// simulate lets the world go on for a time, of which the first half does not
// count. change, if there is one, is called in the middle.
func (w world) simulate(law *Lanes, length time.Duration, change func(*world)) run {
	s := &simulation{world: w, law: law, random: rand.New(rand.NewPCG(w.seed, 1)), length: length}
	s.result.least = law.Limit()
	for range w.callers {
		s.at(time.Duration(s.random.Int64N(int64(w.rtt+time.Millisecond))), s.arrive)
	}
	if w.rate > 0 {
		s.at(0, s.next)
	}
	s.at(length/2, func() {
		if change != nil {
			change(&s.world)
		}
	})
	for len(s.events) > 0 && s.now < length {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
	}
	s.result.perSecond = float64(s.served) / (length / 2).Seconds()
	s.result.mean = s.waited / time.Duration(max(1, s.served))
	s.result.lanes /= float64(max(1, s.ended))
	return s.result
}

type simulation struct {
	world
	law    *Lanes
	random *rand.Rand
	length time.Duration
	events events
	now    time.Duration

	queue   []time.Duration // when those who wait for a lane came
	busy    int
	inside  int // statements
	waiting []func()
	running int // requests in the server, at work or waiting

	served, ended int
	waited        time.Duration
	result        run
}

func (s *simulation) at(t time.Duration, do func()) { heap.Push(&s.events, event{t, do}) }

// next is the next statement of an open loop.
func (s *simulation) next() {
	s.arrive()
	s.at(s.now+time.Duration(s.random.ExpFloat64()/s.rate*float64(time.Second)), s.next)
}

func (s *simulation) arrive() {
	s.inside++
	s.queue = append(s.queue, s.now)
	s.send()
}

func (s *simulation) send() {
	for len(s.queue) > 0 && s.busy < s.law.Limit() {
		free := s.law.Limit() - s.busy
		n := min((len(s.queue)+free-1)/free, maxShare)
		group := s.queue[:n:n]
		s.queue = s.queue[n:]
		s.busy++
		began := s.now
		s.at(s.now+s.rtt/2, func() { s.reach(began, group) })
	}
}

// reach is a request's arrival at the server.
func (s *simulation) reach(began time.Duration, group []time.Duration) {
	if s.streams > 0 && s.running >= s.streams {
		s.result.refused++
		s.at(s.now+s.rtt/2, func() {
			s.law.Overloaded()
			s.busy--
			s.queue = append(group, s.queue...)
			s.send()
		})
		return
	}
	s.running++
	s.result.fullest = max(s.result.fullest, s.running)
	work := func() {
		cost := float64(s.request) + float64(s.stmt)*float64(len(group))
		if s.crowd > 0 && s.running > s.crowd {
			cost *= float64(s.running) / float64(s.crowd)
		}
		if s.noise > 0 {
			cost *= 1 + s.random.ExpFloat64()*s.noise/4
		}
		if s.hiccups > 0 && s.random.IntN(100) == 0 {
			cost += float64(s.hiccups)
		}
		took := time.Duration(cost)
		s.at(s.now+took, func() {
			s.running--
			s.cores++
			if len(s.waiting) > 0 {
				next := s.waiting[0]
				s.waiting = s.waiting[1:]
				s.cores--
				next()
			}
			s.at(s.now+s.rtt/2, func() { s.finish(began, group, took) })
		})
	}
	if s.cores == 0 {
		s.waiting = append(s.waiting, work)
		return
	}
	s.cores--
	work()
}

func (s *simulation) finish(began time.Duration, group []time.Duration, worked time.Duration) {
	s.law.Observe(Sample{Now: time.Unix(1, 0).Add(s.now), Statements: len(group), RoundTrip: s.now - began,
		ServerTime: worked, Busy: s.busy, Inside: s.inside})
	s.inside -= len(group)
	limit := s.law.Limit()
	s.result.least, s.result.most = min(s.result.least, limit), max(s.result.most, limit)
	if s.now > s.length/2 {
		s.ended++
		s.result.lanes += float64(limit)
		for _, came := range group {
			s.served++
			s.waited += s.now - came
		}
	}
	// The lane is given back when those it has answered have had the time to ask
	// again.
	for range group {
		if s.callers > 0 {
			s.arrive()
		}
	}
	s.busy--
	s.send()
}
