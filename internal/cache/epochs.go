package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// epochs are those of a database.
type epochs struct {
	// made is nil before anything has been read or written.
	made atomic.Pointer[layout]
	few  bool

	mu    sync.Mutex
	open  map[*Write]struct{} // under way, and those whose outcome is unknown
	lost  int                 // of them, those whose outcome is unknown
	clock Clock
	// patience is how long an outcome stays unknown if nothing settles it.
	patience time.Duration
	// moves counts the changes of the schema.
	moves atomic.Uint64
	drop  step

	byWrites, byUnknown, byCalls, moved, losses, settled, gaveUp atomic.Uint64
}

// layout makes the slots if there are none. The mutex is held.
func (e *epochs) layout() *layout {
	l := e.made.Load()
	if l == nil {
		if l = newLayout(tableSlots, rowSlots); e.few {
			l = newLayout(fewTableSlots, fewRowSlots)
		}
		e.made.Store(l)
	}
	return l
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

// A Write is one that is under way, from before it is sent until it is known what
// has become of it. Its methods may be called from any goroutine.
type Write struct {
	epochs     *epochs
	slots      []uint32
	everything bool
	lost       bool
	deadline   int64
	named      []string       // the tables' names, for the statistics
	counted    *atomic.Uint64 // where it is counted
}

// begin is Cache.Begin.
func (e *epochs) begin(t *Touched) *Write {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &Write{epochs: e, everything: t.everything || t.moves != e.moves.Load() && e.drop != moveOpen}
	e.layout()
	w.counted = &e.byUnknown
	if !w.everything {
		w.slots = e.layout().indexes(t.places)
		w.counted = &e.byWrites
	}
	w.counted.Add(1)
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
	l := w.epochs.layout()
	for _, s := range w.slots {
		l.slots[s].epoch.Add(1)
	}
	if w.everything {
		l.slots[0].epoch.Add(1)
	}
}

func (w *Write) mark(by int) {
	l := w.epochs.layout()
	for _, s := range w.slots {
		l.slots[s].marked += by
	}
	if w.everything {
		l.slots[0].marked += by
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
	l := e.layout()
	if e.drop != moveWorld {
		l.slots[0].epoch.Add(1)
	}
	if e.drop == moveOpen {
		return
	}
	for w := range e.open {
		if !w.everything {
			w.everything = true
			l.slots[0].marked++
		}
	}
}

// Invalidate bumps tables, or everything if none is named.
func (e *epochs) Invalidate(tables ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.byCalls.Add(1)
	l := e.layout()
	if len(tables) == 0 {
		l.slots[0].epoch.Add(1)
	}
	for _, name := range tables {
		h := fold(name)
		l.slots[l.index(at(anyRow, h))].epoch.Add(1)
		l.slots[l.index(at(allRows, h))].epoch.Add(1)
	}
}
