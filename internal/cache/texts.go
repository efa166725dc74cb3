package cache

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// How many texts and tables have counters of their own. Texts are what programs
// write, tables are the schema's, and neither has a bound.
const (
	maxTexts  = 512
	maxTables = 1024
	// Of a Cache on a Store that others share.
	fewTexts  = 64
	fewTables = 128
)

// tally counts what has become of reads.
type tally struct {
	hits                                         counter
	misses, stale, expired, coalesced            atomic.Uint64
	fills, refused, tooLarge, resting, evictions atomic.Uint64
	entries, bytes                               atomic.Int64
}

// A text is an SQL text, or those that are alike but for their literals.
type text struct {
	tally
	label  string
	tables []*table
	// flights and took are how many requests of it there have been, and for how
	// long: what a hit saves.
	flights, took atomic.Int64
	last          atomic.Uint64 // when it was last asked for, in flights of all
	volatility
}

// A table is one that texts read or write.
type table struct {
	tally
	name   string
	writes atomic.Uint64
}

// known are the texts and tables that are counted.
type known struct {
	few     bool
	mu      sync.Mutex
	texts   map[string]*text
	tables  map[string]*table
	flights atomic.Uint64
}

func (k *known) places(most, few int) int {
	if k.few {
		return few
	}
	return most
}

// text is the one of a label, made if there is none; if there is no place the one
// that has saved least is forgotten, or, among those, that was asked for longest ago.
func (k *known) text(r *Reads) *text {
	now := k.flights.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.texts[r.Label]
	if t == nil {
		if len(k.texts) >= k.places(maxTexts, fewTexts) {
			k.forget()
		}
		t = &text{label: r.Label}
		for _, name := range r.Tables {
			if tab := k.table(name); tab != nil {
				t.tables = append(t.tables, tab)
			}
		}
		if k.texts == nil {
			k.texts = map[string]*text{}
		}
		k.texts[r.Label] = t
	}
	t.last.Store(now)
	return t
}

// forget makes room for a text. The mutex is held.
func (k *known) forget() {
	var least *text
	for _, t := range k.texts {
		if least == nil || t.saved() < least.saved() || t.saved() == least.saved() && t.last.Load() < least.last.Load() {
			least = t
		}
	}
	delete(k.texts, least.label)
}

// table is the one of a name, nil if there are too many. The mutex is held.
func (k *known) table(name string) *table {
	t := k.tables[name]
	if t == nil && len(k.tables) < k.places(maxTables, fewTables) {
		if k.tables == nil {
			k.tables = map[string]*table{}
		}
		t = &table{name: name}
		k.tables[name] = t
	}
	return t
}

// written counts a write, or takes one back.
func (k *known) written(tables []string, n int64) {
	if len(tables) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range tables {
		if t := k.table(name); t != nil {
			t.writes.Add(uint64(n))
		}
	}
}

// saved is how long the hits would have taken as requests.
func (t *text) saved() time.Duration {
	n := t.flights.Load()
	if n == 0 {
		return 0
	}
	return time.Duration(float64(t.hits.load()) * float64(t.took.Load()) / float64(n))
}

// count has f count for a text and its tables.
func (t *text) count(f func(*tally)) {
	f(&t.tally)
	for _, tab := range t.tables {
		f(&tab.tally)
	}
}

func (t *text) hit() {
	t.hits.add()
	for _, tab := range t.tables {
		tab.hits.add()
	}
}

// A Tally is a snapshot of what has become of reads.
type Tally struct {
	Hits, Misses, Stale, Expired, Coalesced uint64
	Fills, Refused, TooLarge, Volatile      uint64
	Entries, Bytes, Evictions               uint64
}

func (t *tally) snapshot() Tally {
	return Tally{
		Hits: t.hits.load(), Misses: t.misses.Load(), Stale: t.stale.Load(), Expired: t.expired.Load(),
		Coalesced: t.coalesced.Load(), Fills: t.fills.Load(), Refused: t.refused.Load(), TooLarge: t.tooLarge.Load(),
		Volatile: t.resting.Load(), Entries: uint64(max(t.entries.Load(), 0)), Bytes: uint64(max(t.bytes.Load(), 0)), Evictions: t.evictions.Load(),
	}
}

// A TextTally is that of a text, by its label.
type TextTally struct {
	Label string
	// Saved is how long the hits would have taken if they had been requests.
	Saved time.Duration
	Tally
}

// A TableTally is that of the texts that read a table, and how often it was written.
type TableTally struct {
	Name   string
	Writes uint64
	Tally
}

// snapshot gives the texts, those first that have saved most, and the tables by name.
func (k *known) snapshot() (texts []TextTally, tables []TableTally) {
	k.mu.Lock()
	for _, t := range k.texts {
		texts = append(texts, TextTally{t.label, t.saved(), t.tally.snapshot()})
	}
	for _, t := range k.tables {
		tables = append(tables, TableTally{t.name, t.writes.Load(), t.tally.snapshot()})
	}
	k.mu.Unlock()
	sort.Slice(texts, func(i, j int) bool {
		if texts[i].Saved != texts[j].Saved {
			return texts[i].Saved > texts[j].Saved
		}
		return texts[i].Label < texts[j].Label
	})
	sort.Slice(tables, func(i, j int) bool { return tables[i].Name < tables[j].Name })
	return texts, tables
}
