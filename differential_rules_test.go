package tursoopt_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// compare finds what differs, and whether a rule allows it.
func (p *differential) compare(s *genStep, tg *target, want, got *outcome) {
	c := &comparison{p, s, tg, want, got}
	differs := map[string]bool{
		"error":   (want.err == nil) != (got.err == nil),
		"code":    want.err != nil && got.err != nil && c.codesDiffer(),
		"columns": want.err == nil && got.err == nil && !c.sameColumns(),
		"rows":    want.err == nil && got.err == nil && !c.sameRows(),
		"id":      want.err == nil && got.err == nil && want.id != got.id,
		"n":       want.err == nil && got.err == nil && want.n != got.n,
	}
	for _, part := range slices.Sorted(maps.Keys(differs)) {
		if !differs[part] {
			continue
		}
		if r := c.rule(part); r != nil {
			p.used[r.name]++
			continue
		}
		p.t.Fatalf("%s, %s:\n%s: %v\n%s: %v\nafter\n\t%s", s, part, p.targets[0].name, want, tg.name, got, strings.Join(p.log, "\n\t"))
	}
}

// A comparison is of one step on the native client and on another target.
type comparison struct {
	p         *differential
	step      *genStep
	target    *target
	want, got *outcome
}

func (c *comparison) codesDiffer() bool {
	switch {
	case c.target.base:
		return !strings.Contains(c.got.message, c.want.message) || c.want.message == ""
	case c.target.file:
		ext := c.got.ext
		if ext == 1555 {
			ext = 2067 // SQLite words both alike, which is all that a server tells
		}
		return c.want.code != c.got.code || c.want.ext != ext
	}
	return c.want.code != c.got.code || c.want.ext != c.got.ext || c.want.message != c.got.message && !c.target.reworded
}

func (c *comparison) sameColumns() bool {
	return slices.EqualFunc(c.want.sets, c.got.sets, func(a, b resultSet) bool { return slices.Equal(a.columns, b.columns) })
}

func (c *comparison) sameRows() bool {
	i := 0
	return slices.EqualFunc(c.want.sets, c.got.sets, func(a, b resultSet) bool {
		x, y := a.rows, b.rows
		if i < len(c.step.stmts) && c.step.stmts[i].unordered {
			x, y = sorted(x), sorted(y)
		}
		i++
		return slices.EqualFunc(x, y, func(a, b []any) bool { return slices.EqualFunc(a, b, sameCell) })
	})
}

// sorted orders rows by what sameCell takes for the same.
func sorted(rows [][]any) [][]any {
	key := func(row []any) string {
		s := ""
		for _, v := range row {
			if text, ok := v.(string); ok {
				if at, ok := tursoopt.ParseTime(text); ok {
					v = at
				}
			}
			if at, ok := v.(time.Time); ok {
				v = at.UnixNano()
			}
			s += fmt.Sprintf("%T %v,", v, v)
		}
		return s
	}
	return slices.SortedFunc(slices.Values(rows), func(a, b []any) int { return strings.Compare(key(a), key(b)) })
}

// sameCell takes a text and a time for the same if the text is that time: each
// driver has its own opinion of which texts are times.
func sameCell(a, b any) bool {
	x, isTime := a.(time.Time)
	y, isTime2 := b.(time.Time)
	switch {
	case isTime && isTime2:
		return x.Equal(y)
	case isTime:
		s, _ := b.(string)
		at, ok := tursoopt.ParseTime(s)
		return ok && at.Equal(x)
	case isTime2:
		return sameCell(b, a)
	}
	return sameValue(a, b) || reflect.DeepEqual(a, b)
}

// A rule allows a difference that is meant. Its name is the one that it has in
// docs/semantics.md.
type rule struct {
	name  string
	parts []string // error, code, columns, rows, id, n
	holds func(c *comparison) bool
}

var rules = []rule{
	{"infinite and NaN arguments", []string{"error"}, func(c *comparison) bool {
		// JSON has none, and libsql-client-go passes them to encoding/json.
		return c.target.base && c.step.any(func(s *genStmt) bool { return s.notFinite })
	}},
	{"infinities in JSON", []string{"error"}, func(c *comparison) bool {
		return c.target.json && !c.target.base && c.step.any(func(s *genStmt) bool { return s.notFinite })
	}},
	{"a local SQLite counts what its driver asks for", []string{"id", "n"}, func(c *comparison) bool {
		// Its driver gives the connection's last count after any statement, sets the
		// last row id back before each, and has no sums for scripts.
		return c.target.file && (len(c.step.stmts) > 1 || !c.step.stmts[0].dml)
	}},
	{"a local SQLite tells the row id of plain inserts", []string{"id"}, func(c *comparison) bool {
		return c.target.file && !(c.step.stmts[0].plain && c.got.n > 0)
	}},
	{"a local SQLite remembers the session before", []string{"rows"}, func(c *comparison) bool {
		// Its connection is one that others have used, and its driver sets the row id
		// back before each statement.
		return c.target.file && c.step.any(func(s *genStmt) bool { return s.asks })
	}},
	{"total_changes()", []string{"rows"}, func(c *comparison) bool {
		// It counts since the stream was opened, which is since the last transaction
		// or the second statement of a session.
		return (c.target.base || c.target.reworded) && c.step.any(func(s *genStmt) bool { return s.total })
	}},
	{"a held connection whose INSERT has failed", []string{"id", "rows"}, func(c *comparison) bool {
		// No answer tells whether it has set the row id before it failed. Its stream
		// knows, but not what was set on the stream before; a server that keeps no
		// streams has nothing to ask.
		return (c.target.base || c.target.reworded) && (c.p.unsure || c.p.wasUnsure && c.step.any(func(s *genStmt) bool { return s.asks }))
	}},
	{"a transaction that SQLite has ended", []string{"code", "error"}, func(c *comparison) bool {
		// OR ROLLBACK. The native client refuses what comes after it, fails Commit with
		// ErrTxLost, and takes Rollback for done; the others send either and hear that
		// there is no transaction.
		return c.p.ended && (c.step.act == "commit" || c.step.act == "rollback") && c.got.err != nil
	}},
	{"names of columns with an infinite argument", []string{"columns"}, func(c *comparison) bool {
		return c.target.file && c.step.any(func(s *genStmt) bool { return s.notFinite })
	}},
}

// rule is the one that allows a part to differ.
func (c *comparison) rule(part string) *rule {
	for i := range rules {
		r := &rules[i]
		for _, p := range r.parts {
			if p == part && r.holds(c) {
				return r
			}
		}
	}
	return nil
}
