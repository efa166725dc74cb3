package hrana

import (
	"bytes"
	"math"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// result reads the result of a statement.
func (r *jsonReader) result() *exec.Result {
	res := new(exec.Result)
	haveCols, haveRows, late := false, false, -1
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "cols":
			res.Cols, haveCols = r.cols(), true
		case "rows":
			if haveRows = true; haveCols {
				r.rows(&res.Rows, len(res.Cols))
			} else {
				late = r.later()
			}
		case "affected_row_count":
			res.RowsAffected = r.integer()
		case "last_insert_rowid":
			res.LastInsertID = r.integer()
		case "replication_index":
			res.ReplicationIndex = r.unsigned()
		case "rows_read":
			res.RowsRead = r.unsigned()
		case "rows_written":
			res.RowsWritten = r.unsigned()
		case "query_duration_ms":
			res.ServerTime = milliseconds(r.float())
		default:
			r.skip()
		}
	}
	switch {
	case !haveCols || !haveRows:
		r.fail("a result without its columns or rows")
	case late >= 0:
		r.revisit(late, func() { r.rows(&res.Rows, len(res.Cols)) })
	case res.Rows.Width() != len(res.Cols):
		r.fail("a result that has its columns twice")
	}
	return res
}

// milliseconds is what a server measured; what cannot be is not said.
func milliseconds(ms float64) time.Duration {
	if ns := ms * 1e6; ns >= 0 && ns < math.MaxInt64 {
		return time.Duration(math.Round(ns))
	}
	return 0
}

// cols reads the columns of a result. Their names and types share one string.
func (r *jsonReader) cols() []exec.Column {
	var (
		textSpace [256]byte
		endSpace  [2 * 16]int // where the names and the types end
	)
	text, ends := textSpace[:0], endSpace[:0]
	for ok := r.array(); ok; ok = r.element() {
		place := -1
		var decltype []byte
		start := len(text)
		for name, ok := r.object(); ok; name, ok = r.next() {
			switch string(name) {
			case "name":
				place = r.pos
				text = text[:start]
				if !r.null() {
					raw, escaped := r.str()
					text = appendText(text, raw, escaped)
				}
			case "decltype":
				if decltype = nil; !r.null() {
					decltype = r.plainText()
				}
			default:
				r.skip()
			}
		}
		if place < 0 {
			r.fail("a column without a name")
		}
		ends = append(ends, len(text), len(text)+len(decltype))
		text = append(text, decltype...)
	}
	if r.err != nil || len(ends) == 0 {
		return nil
	}
	all := string(text)
	cols := make([]exec.Column, len(ends)/2)
	start := 0
	for i := range cols {
		name, decltype := ends[2*i], ends[2*i+1]
		cols[i] = exec.Column{Name: all[start:name], Decltype: all[name:decltype]}
		start = decltype
	}
	return cols
}

// rows reads the rows of a result into t.
func (r *jsonReader) rows(t *exec.Table, width int) {
	t.Reset(width)
	start, first := r.pos, 0
	for ok := r.array(); ok; ok = r.element() {
		switch r.peek(); t.Len() {
		case 0:
			first = r.pos
			t.Grow(width, 0)
		case 1:
			r.reserve(t, r.pos-first)
		}
		r.row(t)
	}
	// A hint that was wrong once is not trusted again: whoever writes what
	// misleads it could make every result reserve as much as the input is long.
	if r.rowsEnd >= start && r.rowsEnd+len(compactEnd) != r.pos {
		r.rowsEnd = noRowsEnd
	}
}

// row reads one row. If it is not as wide as t, t must not be used any more.
func (r *jsonReader) row(t *exec.Table) {
	cells := 0
	for ok := r.array(); ok; ok = r.element() {
		if cells++; cells > t.Width() {
			break
		}
		r.cell(t)
	}
	if r.err == nil && (!t.EndRow() || cells > t.Width()) {
		r.fail("a row has not as many values as there are columns (%d)", t.Width())
	}
}

// Rows end like this where a server writes no white space, which all do.
const compactEnd = "}]]"

const noRowsEnd = math.MaxInt

// rowsLeft is about how many bytes of the rows that are being read are left, 0
// if that is not known.
func (r *jsonReader) rowsLeft() int {
	if r.rowsEnd < r.pos {
		r.rowsEnd = noRowsEnd
		if i := bytes.Index(r.data[r.pos:], []byte(compactEnd)); i >= 0 {
			r.rowsEnd = r.pos + i
		}
	}
	if r.rowsEnd == noRowsEnd {
		return 0
	}
	return r.rowsEnd - r.pos
}

// reserve makes room for the rest of the rows once the first has been read,
// which took size bytes of the input. It never takes more memory than what is
// left of the rows in the input.
func (r *jsonReader) reserve(t *exec.Table, size int) {
	left := r.rowsLeft()
	if t.Width() == 0 || left == 0 {
		return
	}
	rows := left/size + 1
	payload := rows * len(t.BeginBytes())
	t.Grow(rows*t.Width(), payload+payload/8)
}

// firstArena bounds what is reserved before the size of a row is known.
const firstArena = 1 << 10

// arena is t's arena, made when the first text or blob comes.
func (r *jsonReader) arena(t *exec.Table) []byte {
	if cap(t.BeginBytes()) == 0 {
		t.Grow(0, min(r.rowsLeft(), firstArena))
	}
	return t.BeginBytes()
}
