package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The model is a database, its clients and time, of which one seed decides
// everything that happens. Between any two steps of a client those of others may
// come. Tables a and b are written through the cache, c by others only; a trigger
// that comes and goes has writes to a change b as well. In some models there are a's
// first row and d's alone, which is a copy of it that writes make that read it.
//
// All values only grow, so that a history can be judged as it happens: a read must
// give at least what had been acknowledged, or given to anybody, when it began.

const (
	modelRows  = 3
	modelLease = 200 * time.Nanosecond
)

type cell struct {
	table string
	row   int64
}

type model struct {
	rand  *rand.Rand
	cache *Cache
	now   int64 // as it is
	clock Instant
	// skew is what goes wrong with the clocks: 0 nothing, 1 the machine sleeps, 2
	// the wall's is set back.
	skew int

	db      map[cell]int64
	version int64
	trigger bool
	copies  bool
	history []int64 // by now, the value of c's row, for the lease

	shadow struct {
		loaded  bool
		moves   uint64
		version int64
		trigger bool
	}
	known  map[cell]int64
	broken string
	served int // hits and joins
	unseen int // writes
}

// mapStore is a store that forgets nothing.
type mapStore map[uint64]*entry

func (m mapStore) get(h uint64) *entry { return m[h] }
func (m mapStore) set(e *entry)        { m[e.hash] = e }
func (m mapStore) del(h uint64)        { delete(m, h) }
func (m mapStore) usage() Usage        { return Usage{Entries: uint64(len(m))} }
func (m mapStore) wait()               {}
func (m mapStore) close()              {}

func newModel(seed uint64, drop step) *model {
	m := &model{rand: rand.New(rand.NewPCG(seed, 7)), db: map[cell]int64{}, known: map[cell]int64{}}
	m.cache = New(Config{Bytes: 1 << 20, Lease: modelLease, TTL: time.Hour, Patience: time.Hour, Clock: func() Instant { return m.clock }})
	m.cache.drop = drop
	s := store(mapStore{})
	m.cache.store.kept.Store(&s)
	m.skew = m.rand.IntN(3)
	m.history = []int64{0}
	return m
}

func (m *model) tick() {
	d := int64(1 + m.rand.IntN(3))
	m.clock.Wall += d
	m.clock.Mono += d
	if m.rand.IntN(40) == 0 {
		switch jump := int64(m.rand.IntN(600)); m.skew {
		case 1:
			m.clock.Wall += jump
			d += jump
		case 2:
			m.clock.Wall -= jump
		}
	}
	m.now += d
	for int64(len(m.history)) <= m.now {
		m.history = append(m.history, m.db[cell{"c", 0}])
	}
}

// an actor is what a client does next; nil when it is done.
type actor func() actor

// load has the shadow look at the schema.
func (m *model) load() actor {
	moves := m.cache.Moves()
	return func() actor {
		version, trigger := m.version, m.trigger
		return func() actor {
			if m.cache.Moves() == moves {
				m.shadow.loaded, m.shadow.moves, m.shadow.version, m.shadow.trigger = true, moves, version, trigger
			}
			return nil
		}
	}
}

// analysed tells whether the shadow knows the schema.
func (m *model) analysed() bool { return m.shadow.loaded && m.shadow.moves == m.cache.Moves() }

// saw is what an answer does that shows a version of the schema.
func (m *model) saw(version, expected int64) (same bool) {
	if version == expected {
		return true
	}
	m.cache.Moved()
	return false
}

func (m *model) floor() map[cell]int64 {
	f := make(map[cell]int64, len(m.known))
	for c, v := range m.known {
		f[c] = v
	}
	return f
}

func (m *model) read() actor {
	var cells []cell
	var tables []string
	row := int64(-1)
	kind := 5
	if !m.copies {
		kind = m.rand.IntN(5)
	}
	switch kind {
	case 0, 1: // one row of one table
		row = int64(m.rand.IntN(modelRows))
		tables = []string{"ab"[m.rand.IntN(2):][:1]}
		cells = []cell{{tables[0], row}}
	case 2: // a table
		tables = []string{"ab"[m.rand.IntN(2):][:1]}
	case 3: // two
		tables = []string{"a", "b"}
	case 4:
		tables, cells = []string{"c"}, []cell{{"c", 0}}
	case 5:
		row = 0
		tables = []string{"ad"[m.rand.IntN(2):][:1]}
		cells = []cell{{tables[0], 0}}
	}
	if cells == nil {
		for _, t := range tables {
			for r := range int64(modelRows) {
				cells = append(cells, cell{t, r})
			}
		}
	}
	key := &Key{SQL: fmt.Sprint(tables), Args: []exec.Value{{Kind: exec.Integer, Int: row}}}
	floor, began := m.floor(), m.now
	plain := m.rand.IntN(8) == 0 // as who would not have it kept if it were
	opts := Options{Fresh: plain || m.rand.IntN(6) == 0}
	if m.now%2 == 0 {
		// As who asks for a hit and nothing else.
		if r := m.cache.Hit(key, opts); r != nil {
			m.served++
			m.observe("a hit", cells, r.(*exec.Result), floor, began)
			return nil
		}
	}
	if r := m.cache.Get(key, opts).Result; r != nil {
		m.served++
		m.observe("a hit", cells, r.(*exec.Result), floor, began)
		return nil
	}
	known, version := m.analysed(), m.shadow.version
	return func() actor {
		if !known || plain {
			return m.fetch(cells, func(r *exec.Result, saw int64) {
				if m.analysed() {
					m.saw(saw, m.shadow.version)
				}
				switch {
				case !m.analysed():
					m.cache.Show(nil, nil)
				case row >= 0:
					m.cache.Show(Deps{}.Row(tables[0], row), nil)
				default:
					m.cache.Show(Deps{}.Tables(tables), nil)
				}
				m.observe("a read", cells, r, floor, began)
			})
		}
		deps := ReadsTables(tables)
		if row >= 0 {
			deps = ReadsRow(tables[0], row)
		}
		f, leads := m.cache.Fly(key, Reads{Deps: deps}, opts, Found{})
		if !leads {
			m.served++
			return m.follow(f, cells, floor, began)
		}
		return m.fetch(cells, func(r *exec.Result, saw int64) {
			same := m.saw(saw, version)
			f.Land(Answer{Result: r}, same, false)
			m.observe("a fill", cells, r, floor, began)
		})
	}
}

func (m *model) follow(f *Flight, cells []cell, floor map[cell]int64, began int64) actor {
	select {
	case <-f.done:
		m.observe("a joined flight", cells, f.answer.Result.(*exec.Result), floor, began)
		return nil
	default:
		return func() actor { return m.follow(f, cells, floor, began) }
	}
}

// fetch is a request that reads: it is sent, runs, and its answer arrives.
func (m *model) fetch(cells []cell, arrived func(*exec.Result, int64)) actor {
	return func() actor {
		r := &exec.Result{}
		r.Rows.Reset(1)
		for _, c := range cells {
			r.Rows.AppendInt(m.db[c])
			r.Rows.EndRow()
		}
		return func() actor {
			saw := m.version // asked for in the same request, afterwards
			return func() actor { arrived(r, saw); return nil }
		}
	}
}

func (m *model) observe(how string, cells []cell, r *exec.Result, floor map[cell]int64, began int64) {
	for i, c := range cells {
		got := r.Rows.Int(i, 0)
		if c.table == "c" {
			if at := began - int64(modelLease); at >= 0 && got < m.history[at] {
				m.broken = fmt.Sprintf("%s gives %v = %d, which had been %d for longer than the lease", how, c, got, m.history[at])
			}
			continue
		}
		if got < floor[c] {
			m.broken = fmt.Sprintf("%s gives %v = %d, and %d was known before", how, c, got, floor[c])
		}
		m.know(c, got)
	}
}

// know notes what somebody knows now.
func (m *model) know(c cell, v int64) {
	m.known[c] = max(m.known[c], v)
	if c.table == "d" {
		m.know(cell{"a", 0}, v)
	}
}

// apply is what the database does for a write to a, b, or a table's every row.
func (m *model) apply(table string, row int64) (written map[cell]int64) {
	written = map[cell]int64{}
	if c := (cell{"d", 0}); table == "d" {
		m.db[c] = max(m.db[c], m.db[cell{"a", 0}])
		return map[cell]int64{c: m.db[c]}
	}
	for r := range int64(modelRows) {
		if row >= 0 && r != row {
			continue
		}
		c := cell{table, r}
		m.db[c]++
		written[c] = m.db[c]
		if table == "a" && m.trigger {
			c.table = "b"
			m.db[c]++
			written[c] = m.db[c]
		}
	}
	return written
}

func (m *model) write() actor {
	table := "ab"[m.rand.IntN(2):][:1]
	row := int64(m.rand.IntN(modelRows+1)) - 1
	var t Touched
	if m.copies {
		table, row = "ad"[m.rand.IntN(2):][:1], 0
	}
	looks := false // at what d has, and changes nothing
	moves, version, known := m.cache.Moves(), m.shadow.version, m.analysed()
	switch {
	case !known && m.cache.drop == everything:
		t.Table(moves, table)
	case !known:
		t.Everything()
	case table == "d":
		if looks = m.rand.IntN(3) == 0; looks {
			t.Alone(moves, table, row)
		} else {
			t.Row(moves, table, row)
		}
	case table == "a" && m.shadow.trigger:
		t.Table(moves, "a")
		t.Table(moves, "b")
	case row >= 0 && (m.copies || m.rand.IntN(4) > 0):
		t.Alone(moves, table, row)
	case row >= 0:
		t.Row(moves, table, row)
	default:
		t.Table(moves, table)
	}
	begin := m.cache.Begin
	if m.copies || m.rand.IntN(4) > 0 {
		begin = m.cache.BeginWhole
	}
	return func() actor {
		w := begin(&t)
		if w.unseen {
			m.unseen++
		}
		if lost := m.rand.IntN(6); lost == 0 && !m.copies || lost < 3 && table == "d" {
			return m.lose(w, table, row, looks)
		}
		return m.asked(func(early int64) actor {
			written := map[cell]int64{{"d", 0}: m.db[cell{"d", 0}]}
			if !looks {
				written = m.apply(table, row)
			}
			return func() actor {
				saw := m.version
				if m.cache.drop == askAfter {
					saw = early
				}
				return m.later(func() actor {
					if known {
						m.saw(saw, version)
					}
					m.show(w, table, row, looks)
					w.Done()
					return m.acknowledge(written)
				})
			}
		})
	}
}

// show is what the answer of a write does.
func (m *model) show(w *Write, table string, row int64, looks bool) {
	if !m.cache.Hidden(w) {
		return
	}
	switch d := (Deps{}); {
	case !m.analysed():
		m.cache.Show(nil, w)
	case looks, w.alone:
		m.cache.Show(d.Row(table, row), w)
	case table == "d":
		m.cache.Show(d.Tables([]string{"a", "d"}), w)
	default:
		m.cache.Show(d.Tables([]string{"a", "b"}), w)
	}
}

// later has an answer be long on its way where there are only few rows.
func (m *model) later(arrives actor) actor {
	if !m.copies {
		return arrives
	}
	wait := m.rand.IntN(20)
	var later actor
	later = func() actor {
		if wait--; wait > 0 {
			return later
		}
		return arrives
	}
	return later
}

// asked is a request of which do is what happens on the server. Early is the version
// of the schema before that; if it is not asked for after that, that is what is told.
func (m *model) asked(do func(early int64) actor) actor {
	if m.cache.drop != askAfter {
		return func() actor { return do(0) }
	}
	return func() actor {
		early := m.version
		return func() actor { return do(early) }
	}
}

func (m *model) acknowledge(written map[cell]int64) actor {
	return func() actor {
		for c, v := range written {
			m.know(c, v)
		}
		return nil
	}
}

// lose is a write whose answer never comes: it runs later, or never.
func (m *model) lose(w *Write, table string, row int64, looks bool) actor {
	return func() actor {
		w.Lose()
		wait := m.rand.IntN(20)
		var later actor
		later = func() actor {
			if wait--; wait > 0 {
				return later
			}
			if !looks && m.rand.IntN(3) > 0 {
				m.apply(table, row)
			}
			return func() actor { w.Settle(); return nil }
		}
		return later
	}
}

// ddl makes or drops the trigger, by us or by others.
func (m *model) ddl(own bool) actor {
	change := func() { m.trigger = !m.trigger; m.version++ }
	if !own {
		change()
		return nil
	}
	var t Touched
	t.Everything()
	w := m.cache.Begin(&t)
	return func() actor {
		change()
		return func() actor {
			m.cache.Moved()
			w.Done()
			return nil
		}
	}
}

func (m *model) next() actor {
	if !m.analysed() && m.rand.IntN(3) == 0 {
		return m.load
	}
	if m.copies {
		if m.rand.IntN(2) == 0 {
			return m.write
		}
		return m.read
	}
	switch n := m.rand.IntN(200); {
	case n < 30:
		return m.write
	case n < 50:
		return func() actor { m.db[cell{"c", 0}]++; return nil }
	case n == 50:
		return func() actor { return m.ddl(false) }
	case n == 51:
		return func() actor { return m.ddl(true) }
	}
	return m.read
}

// run lets things happen until something is wrong.
func (m *model) run(steps int) {
	actors := make([]actor, 8)
	for range steps {
		m.tick()
		i := m.rand.IntN(len(actors))
		if actors[i] == nil {
			actors[i] = m.next()
		}
		if actors[i] = actors[i](); m.broken != "" {
			return
		}
	}
}

const modelSteps = 600

// Steps of those who use the protocol.
const (
	everything = leaseMono + 1 + iota // is what a write touches while the schema is not known
	askAfter                          // a write for the version of the schema
)

func TestProtocolHolds(t *testing.T) {
	runs := uint64(4000)
	if testing.Short() {
		runs = 200
	}
	served, unseen := 0, 0
	for seed := range runs {
		m := newModel(seed, nothing)
		m.copies = seed%4 == 0
		m.run(modelSteps)
		if m.broken != "" {
			t.Fatalf("seed %d: %s", seed, m.broken)
		}
		served, unseen = served+m.served, unseen+m.unseen
	}
	t.Logf("%d runs, %d reads without a request of their own, %d unseen writes", runs, served, unseen)
	if served < int(runs)*10 || unseen < int(runs) {
		t.Errorf("only %d reads were served by the cache in %d runs: nothing is proven", served, runs)
	}
}

// Each step of the protocol is there for a reason: without it something is wrong
// before long.
func TestProtocolNeedsEachStep(t *testing.T) {
	names := map[step]string{bumpBefore: "bump before", bumpAfter: "bump after", mark: "mark", poison: "poison",
		showAnswers: "show what answers have", showFills: "show what fills have",
		showOthers: "show what others may have read", showLost: "show what lost writes may have read",
		markedCheck: "check of marks", earlyEpochs: "epochs from before", hitCheck: "check of a hit", joinCheck: "check of a join",
		moveWorld: "bump of everything for a schema", moveOpen: "open writes for a schema", leaseWall: "wall clock", leaseMono: "monotonic clock",
		everything: "everything, while the schema is not known", askAfter: "version from after a write"}
	// Where it takes long to happen the search begins where it did.
	first := map[step]uint64{moveWorld: 5426, moveOpen: 3414, askAfter: 6887, showLost: 4130}
	for drop := bumpBefore; drop <= askAfter; drop++ {
		t.Run(names[drop], func(t *testing.T) {
			for n := range uint64(20000) {
				seed := first[drop] + n
				m := newModel(seed, drop)
				m.copies = drop == showOthers || drop == showLost
				if m.run(modelSteps); m.broken != "" {
					t.Logf("seed %d: %s", seed, m.broken)
					return
				}
			}
			t.Error("nothing went wrong")
		})
	}
}
