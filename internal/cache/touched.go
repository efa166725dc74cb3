package cache

import "slices"

// maxTouched is how many slots a write names one by one; with more it is
// everything.
const maxTouched = 4096

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

// Deps are the epochs that a read depends on.
type Deps []place

// ReadsTables are those of a read of whole tables.
func ReadsTables(names []string) Deps {
	return append(make(Deps, 0, 1+len(names)), world).Tables(names)
}

// ReadsRow are those of a read of one row of a table by its integer primary key.
func ReadsRow(name string, key int64) Deps {
	h := fold(name)
	return Deps{world, at(allRows, h), rowPlace(h, key)}
}

// Row adds one row of a table, as what an answer shows.
func (d Deps) Row(name string, key int64) Deps {
	h := fold(name)
	return append(d, at(allRows, h), rowPlace(h, key))
}

// Tables adds whole tables, as what an answer shows.
func (d Deps) Tables(names []string) Deps {
	for _, name := range names {
		d = append(d, at(anyRow, fold(name)))
	}
	return d
}

// Touched is what writes may change. The zero value is nothing.
type Touched struct {
	places     []place
	tables     []string // their names, for the statistics
	everything bool
	// mixed: not only rows that were added as ones of writes alone.
	mixed bool
	moves uint64 // of the schema, when the first was added
	has   bool
}

// Empty tells whether nothing has been added.
func (t *Touched) Empty() bool { return !t.has }

// Everything adds all there is.
func (t *Touched) Everything() {
	t.everything, t.mixed, t.has, t.places, t.tables = true, true, true, nil, nil
}

// Mixed notes that there is more to the request than what Alone has added: others
// may learn of it by something else than what it touches, or it may depend on that.
func (t *Touched) Mixed() { t.mixed = true }

// add adds places; moves is how often the schema had changed when it was found out
// what they are.
func (t *Touched) add(moves uint64, p ...place) {
	switch {
	case t.everything:
	case t.has && t.moves != moves, len(t.places)+len(p) > maxTouched:
		t.Everything()
	default:
		t.has, t.moves = true, moves
		t.places = append(t.places, p...)
	}
}

// Table adds a table. moves is what Cache.Moves gave before the schema was asked.
func (t *Touched) Table(moves uint64, name string) {
	t.mixed = true
	h := fold(name)
	t.add(moves, at(anyRow, h), at(allRows, h))
	t.name(name)
}

// Row adds one row of a table, by its integer primary key.
func (t *Touched) Row(moves uint64, name string, key int64) {
	t.mixed = true
	t.Alone(moves, name, key)
}

// Alone is Row for a write that depends on nothing but the row, and of which nobody
// can learn but by the row.
func (t *Touched) Alone(moves uint64, name string, key int64) {
	h := fold(name)
	t.add(moves, at(anyRow, h), rowPlace(h, key))
	t.name(name)
}

// maxNamed is how many tables of a write the statistics are told.
const maxNamed = 32

func (t *Touched) name(table string) {
	if !t.everything && len(t.tables) < maxNamed && !slices.Contains(t.tables, table) {
		t.tables = append(t.tables, table)
	}
}

// Merge adds what is in o.
func (t *Touched) Merge(o *Touched) {
	switch {
	case !o.has:
	case o.everything:
		t.Everything()
	default:
		t.mixed = t.mixed || o.mixed
		t.add(o.moves, o.places...)
		for _, name := range o.tables {
			t.name(name)
		}
	}
}
