package cache

import "sync/atomic"

// How many epochs there are. Tables and rows that share one by their hashes are
// written more often than they would be, and nothing else: what SQL names has no
// bound, and this has.
const (
	tableSlots = 1 << 10
	rowSlots   = 1 << 14
	// Of a Cache on a Store that others share, who may be thousands.
	fewTableSlots = 1 << 6
	fewRowSlots   = 1 << 9
)

// A place is what an epoch is of: a kind in the two upper bits, and the hash of
// its name in the others.
type place uint64

// A table has two places. What reads it otherwise than by one primary key depends
// on the first, which every write to it bumps; what reads one row by its key
// depends on the second, which writes bump that are not by key, and on the place of
// the row. All reads depend on world, the place of everything.
const (
	world   place = 0
	anyRow  place = 1 << 62
	allRows place = 2 << 62
	oneRow  place = 3 << 62
	kinds   place = 3 << 62
)

func at(kind place, hash uint64) place { return kind | place(hash)&^kinds }

func rowPlace(table uint64, key int64) place { return at(oneRow, mix(table^mix(uint64(key)))) }

// A layout is the slots of a Cache, the first of which is world's.
type layout struct {
	slots        []slot
	tables, rows place
}

func newLayout(tables, rows place) *layout {
	return &layout{make([]slot, 1+2*tables+rows), tables, rows}
}

func (l *layout) index(p place) uint32 {
	hash := p &^ kinds
	switch p & kinds {
	case anyRow:
		return uint32(1 + hash%l.tables)
	case allRows:
		return uint32(1 + l.tables + hash%l.tables)
	case oneRow:
		return uint32(1 + 2*l.tables + hash%l.rows)
	}
	return 0
}

func (l *layout) indexes(places []place) []uint32 {
	all := make([]uint32, len(places))
	for i, p := range places {
		all[i] = l.index(p)
	}
	return all
}

// A slot has the epoch of what hashes to it, and how many writes to it are under
// way. Both change under the mutex of epochs; the epoch is read without.
type slot struct {
	epoch  atomic.Uint64
	marked int
	unseen int // of the marked
	// last is the hash of the entry that was kept last of the row.
	last uint64
}

// row is the slot of the row that a result depends on; ok is false if it depends on
// more than one.
func (l *layout) row(deps []uint32) (s *slot, ok bool) {
	if last := len(deps) - 1; last >= 0 && place(deps[last]) > 2*l.tables {
		return &l.slots[deps[last]], true
	}
	return nil, false
}

// snapshot gives the epochs of slots.
func (l *layout) snapshot(of []uint32) []uint64 {
	all := make([]uint64, len(of))
	for i, s := range of {
		all[i] = l.slots[s].epoch.Load()
	}
	return all
}

// current tells whether the epochs of slots are those of a snapshot.
func (l *layout) current(of []uint32, snapshot []uint64) bool {
	for i, s := range of {
		if l.slots[s].epoch.Load() != snapshot[i] {
			return false
		}
	}
	return true
}

// quiet tells whether the epochs of slots are those of a snapshot and no write to
// them is under way but unseen ones. The mutex is held.
func (l *layout) quiet(of []uint32, snapshot []uint64) bool {
	for _, s := range of {
		if l.slots[s].marked > l.slots[s].unseen {
			return false
		}
	}
	return l.current(of, snapshot)
}
