package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// How many epochs there are. Tables and rows that share one by their hashes are
// written more often than they would be, and nothing else: what SQL names has no
// bound, and this has.
const (
	tableSlots = 1 << 10
	rowSlots   = 1 << 14
	// world is the slot of everything: all reads depend on it.
	world = 0
	// A table has two slots. What reads it otherwise than by one primary key
	// depends on the first, which every write to it bumps; what reads one row by
	// its key depends on the second, which writes bump that are not by key, and on
	// the slot of the row.
	anyRow  = 1
	allRows = anyRow + tableSlots
	oneRow  = allRows + tableSlots
	slots   = oneRow + rowSlots
)

// maxTouched is how many slots a write names one by one; with more it is
// everything.
const maxTouched = 4096

// A slot has the epoch of what hashes to it, and how many writes to it are under
// way. Both change under the mutex of epochs; the epoch is read without.
type slot struct {
	epoch  atomic.Uint64
	marked int
}

// epochs are those of a database.
type epochs struct {
	slots [slots]slot

	mu    sync.Mutex
	open  map[*Write]struct{} // under way, and those whose outcome is unknown
	lost  int                 // of them, those whose outcome is unknown
	clock Clock
	// patience is how long an outcome stays unknown if nothing settles it.
	patience time.Duration
	// moves counts the changes of the schema.
	moves atomic.Uint64
	drop  step

	bumps, moved, losses, settled, gaveUp atomic.Uint64
}

// A step of the protocol, for tests that show what each is there for.
type step uint8

const (
	nothing step = iota
	bumpBefore
	bumpAfter
	mark
	poison
	markedCheck // of a fill
	earlyEpochs // a fill's are those from before its request
	hitCheck
	joinCheck
	moveWorld
	moveOpen
	leaseWall
	leaseMono
)

// fold is a hash of a name without regard to the case of its letters, as SQLite
// compares names: of ASCII only.
func fold(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * 1099511628211
	}
	return mix(h)
}

func rowSlot(table uint64, key int64) uint32 {
	return oneRow + uint32(mix(table^mix(uint64(key)))%rowSlots)
}

// Deps are the epochs that a read depends on.
type Deps []uint32

// ReadsTables are those of a read of whole tables.
func ReadsTables(names []string) Deps {
	d := make(Deps, 1, 1+len(names))
	for _, name := range names {
		d = append(d, anyRow+uint32(fold(name)%tableSlots))
	}
	return d
}

// ReadsRow are those of a read of one row of a table by its integer primary key.
func ReadsRow(name string, key int64) Deps {
	h := fold(name)
	return Deps{world, allRows + uint32(h%tableSlots), rowSlot(h, key)}
}

// Touched is what writes may change. The zero value is nothing.
type Touched struct {
	slots      []uint32
	everything bool
	moves      uint64 // of the schema, when the first was added
	has        bool
}

// Empty tells whether nothing has been added.
func (t *Touched) Empty() bool { return !t.has }

// Everything adds all there is.
func (t *Touched) Everything() { t.everything, t.has, t.slots = true, true, nil }

// add adds slots; moves is how often the schema had changed when it was found out
// what they are.
func (t *Touched) add(moves uint64, s ...uint32) {
	switch {
	case t.everything:
	case t.has && t.moves != moves, len(t.slots)+len(s) > maxTouched:
		t.Everything()
	default:
		t.has, t.moves = true, moves
		t.slots = append(t.slots, s...)
	}
}

// Table adds a table. moves is what Cache.Moves gave before the schema was asked.
func (t *Touched) Table(moves uint64, name string) {
	h := uint32(fold(name) % tableSlots)
	t.add(moves, anyRow+h, allRows+h)
}

// Row adds one row of a table, by its integer primary key.
func (t *Touched) Row(moves uint64, name string, key int64) {
	h := fold(name)
	t.add(moves, anyRow+uint32(h%tableSlots), rowSlot(h, key))
}

// Merge adds what is in o.
func (t *Touched) Merge(o *Touched) {
	switch {
	case !o.has:
	case o.everything:
		t.Everything()
	default:
		t.add(o.moves, o.slots...)
	}
}

// A Write is one that is under way, from before it is sent until it is known what
// has become of it. Its methods may be called from any goroutine.
type Write struct {
	epochs     *epochs
	slots      []uint32
	everything bool
	lost       bool
	deadline   int64
}

// Begin is called before a request that may change what is touched is sent.
// Exactly one of Done and Lose must follow.
func (e *epochs) Begin(t *Touched) *Write {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &Write{epochs: e, everything: t.everything || t.moves != e.moves.Load() && e.drop != moveOpen}
	if !w.everything {
		w.slots = append([]uint32(nil), t.slots...)
	}
	if e.drop != bumpBefore {
		w.bump()
	}
	if e.drop != mark {
		w.mark(1)
	}
	e.open[w] = struct{}{}
	return w
}

func (w *Write) bump() {
	w.epochs.bumps.Add(1)
	for _, s := range w.slots {
		w.epochs.slots[s].epoch.Add(1)
	}
	if w.everything {
		w.epochs.slots[world].epoch.Add(1)
	}
}

func (w *Write) mark(by int) {
	for _, s := range w.slots {
		w.epochs.slots[s].marked += by
	}
	if w.everything {
		w.epochs.slots[world].marked += by
	}
}

// Done is called when a write has completed, or has certainly not happened and
// will not, before its caller learns of it.
func (w *Write) Done() {
	w.epochs.mu.Lock()
	defer w.epochs.mu.Unlock()
	w.end()
}

func (w *Write) end() {
	e := w.epochs
	if _, open := e.open[w]; !open {
		return
	}
	if e.drop != bumpAfter {
		w.bump()
	}
	if e.drop != mark {
		w.mark(-1)
	}
	delete(e.open, w)
	if w.lost {
		e.lost--
	}
}

// Lose is called when nobody knows what has become of a write, or will: nothing
// that it touches is kept until Settle, or until patience is at its end.
func (w *Write) Lose() {
	e := w.epochs
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.open[w]; !open || w.lost {
		return
	}
	e.losses.Add(1)
	w.lost, w.deadline = true, e.clock().Mono+int64(e.patience)
	e.lost++
	if e.drop == poison {
		w.end()
	}
}

// Settle is called when it is known that nothing of a lost write can happen any
// more.
func (w *Write) Settle() {
	e := w.epochs
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.open[w]; open {
		e.settled.Add(1)
		w.end()
	}
}

// giveUp ends lost writes that nothing has settled in time.
func (e *epochs) giveUp() {
	if e.lost == 0 {
		return
	}
	now := e.clock().Mono
	for w := range e.open {
		if w.lost && now >= w.deadline {
			e.gaveUp.Add(1)
			w.end()
		}
	}
}

// Moves counts the changes of the schema that have been seen. What is found out
// about a statement is told with the count from before.
func (e *epochs) Moves() uint64 { return e.moves.Load() }

// Moved is called when the schema is seen to be another than the one that tables
// were looked up in, before anybody gets the answer that has shown it.
func (e *epochs) Moved() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.moved.Add(1)
	e.moves.Add(1)
	if e.drop != moveWorld {
		e.slots[world].epoch.Add(1)
	}
	if e.drop == moveOpen {
		return
	}
	for w := range e.open {
		if !w.everything {
			w.everything = true
			e.slots[world].marked++
		}
	}
}

// Invalidate bumps tables, or everything if none is named.
func (e *epochs) Invalidate(tables ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bumps.Add(1)
	if len(tables) == 0 {
		e.slots[world].epoch.Add(1)
	}
	for _, name := range tables {
		h := uint32(fold(name) % tableSlots)
		e.slots[anyRow+h].epoch.Add(1)
		e.slots[allRows+h].epoch.Add(1)
	}
}

// snapshot appends the epochs of deps to buf.
func (e *epochs) snapshot(buf []uint64, deps Deps) []uint64 {
	for _, d := range deps {
		buf = append(buf, e.slots[d].epoch.Load())
	}
	return buf
}

// current tells whether the epochs of deps are those of a snapshot.
func (e *epochs) current(deps Deps, snapshot []uint64) bool {
	for i, d := range deps {
		if e.slots[d].epoch.Load() != snapshot[i] {
			return false
		}
	}
	return true
}

// quiet tells whether the epochs of deps are those of a snapshot and no write to
// them is under way. The mutex is held.
func (e *epochs) quiet(deps Deps, snapshot []uint64) bool {
	for _, d := range deps {
		if e.slots[d].marked > 0 {
			return false
		}
	}
	return e.current(deps, snapshot)
}
