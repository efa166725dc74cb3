package cache

import (
	"slices"
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
	// unseen counts the writes that are.
	unseen atomic.Int64

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
	showAnswers // end what others have kept of unseen writes that an answer shows
	showFills   // the same for that of a flight
	showOthers  // end all of them if it may show another write that is under way
	showLost    // end all of them when a lost write is over
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
	alone      bool // nothing but rows of writes alone
	unseen     bool // nobody can have seen any of it
	lost       bool
	deadline   int64
	named      []string       // the tables' names, for the statistics
	counted    *atomic.Uint64 // where it is counted
	renew      func()         // called when it is done; nil for nothing
}

// begin is Cache.Begin, and Cache.BeginWhole if whole.
func (e *epochs) begin(t *Touched, whole bool) *Write {
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
	w.alone = whole && !t.mixed && !w.everything
	w.unseen = w.alone
	switch {
	case w.unseen:
		w.hide(1)
	case e.drop != bumpBefore:
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

// hide counts a write as unseen, or with -1 not any more.
func (w *Write) hide(by int) {
	l := w.epochs.layout()
	for _, s := range w.slots {
		l.slots[s].unseen += by
	}
	w.epochs.unseen.Add(int64(by))
}

// meets tells whether a write touches any of the slots.
func (w *Write) meets(slots []uint32) bool {
	return slices.ContainsFunc(w.slots, func(s uint32) bool { return slices.Contains(slots, s) })
}

// show bumps what unseen writes touch that somebody is about to see: those that touch
// any of the slots, or all if there are none. If other writes under way touch one of
// them it is all, too: what these have read of unseen ones comes with what they
// write. own is the write of which this is the answer. The mutex is held.
func (e *epochs) show(slots []uint32, own *Write) {
	if e.unseen.Load() == 0 {
		return
	}
	if slots != nil && e.drop != showOthers {
		for w := range e.open {
			if w != own && (w.everything || !w.unseen && w.meets(slots)) {
				slots = nil
				break
			}
		}
	}
	for w := range e.open {
		if w != own && w.unseen && (slots == nil || w.meets(slots)) {
			w.bump()
		}
	}
}

// Hidden tells whether there are unseen writes under way other than own, which may be
// nil. If there are none, Show does nothing.
func (e *epochs) Hidden(own *Write) bool {
	n := e.unseen.Load()
	return n > 1 || n == 1 && (own == nil || !own.alone)
}

// Show is called before anybody gets an answer that may show what is stored in the
// places, unless it is a Flight's; nil is everywhere. own is the write that is
// answered, if it is one.
func (e *epochs) Show(d Deps, own *Write) {
	if e.drop == showAnswers {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if d == nil {
		e.show(nil, own)
		return
	}
	e.show(e.layout().indexes(d), own)
}

// Done is called when a write has completed, or has certainly not happened and
// will not, before its caller learns of it.
func (w *Write) Done() {
	w.epochs.mu.Lock()
	_, open := w.epochs.open[w]
	w.end()
	w.epochs.mu.Unlock()
	if open && w.renew != nil {
		w.renew()
	}
}

func (w *Write) end() {
	e := w.epochs
	if _, open := e.open[w]; !open {
		return
	}
	if e.drop != bumpAfter {
		w.bump()
	}
	if w.unseen {
		w.hide(-1)
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
	if w.unseen {
		w.hide(-1)
		w.unseen = false
		w.bump()
	}
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
		w.endLost()
	}
}

// endLost ends a write without an answer, which would have shown what it has read.
func (w *Write) endLost() {
	w.end()
	if w.epochs.drop != showLost {
		w.epochs.show(nil, nil)
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
			w.endLost()
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
