package sqltext

import (
	"fmt"
	"strings"
	"testing"
)

// written writes parameters as "1:name"; "1:" is a bare ?, "1-" is not used.
func written(params []Param) string {
	var all []string
	for _, p := range params {
		mark := ":"
		if !p.Used {
			mark = "-"
		}
		all = append(all, fmt.Sprint(p.Index, mark, p.Name))
	}
	return strings.Join(all, " ")
}

func TestParameters(t *testing.T) {
	for _, c := range []struct {
		sql, want string
		spread    int
	}{
		{"SELECT 1", "", 0},
		{"SELECT ?", "1:", 1},
		{"SELECT ?, ?", "1: 2:", 2},
		{"SELECT ?1", "1:?1", 1},
		{"SELECT ?1, ?1, ?1", "1:?1", 1},
		{"SELECT ?2, ?1", "1:?1 2:?2", 2},
		{"SELECT ?3", "1- 2- 3:?3", 1},
		{"SELECT ?3, ?", "1- 2- 3:?3 4:", 2},
		{"SELECT ?, ?1", "1:?1", 2},
		{"SELECT ?1, ?", "1:?1 2:", 2},
		{"SELECT ?1, ?01, ?1, ?01, ?001", "1:?1", 3},
		{"SELECT :a", "1::a", 0},
		{"SELECT :a, @a, $a, #a, :A", "1::a 2:@a 3:$a 4:#a 5::A", 0},
		{"SELECT :a, :b, :a, ?, :b", "1::a 2::b 3:", 1},
		{"SELECT :a, ?1, ?1, ?01", "1::a", 2},
		{"SELECT ?5, :a", "1- 2- 3- 4- 5:?5 6::a", 1},
		{"SELECT ?2, :a, ?3", "1- 2:?2 3::a", 2},
		{"SELECT $a::b(c), $a::b, $::c", "1:$a::b(c) 2:$a::b 3:$::c", 0},
		{"SELECT :1, :é", "1::1 2::é", 0},
		{"SELECT '?', \"?\", `:a`, [@a] /* ? */ -- ?", "", 0},
		{"INSERT INTO t VALUES (?, ?), (?, ?)", "1: 2: 3: 4:", 4},
		{"WITH a AS (SELECT ?) SELECT :x FROM a LIMIT ?", "1: 2::x 3:", 2},
		{"EXPLAIN SELECT ?", "1:", 1},
		// Out of SQLite's bounds.
		{"SELECT ?0", "", 1},
		{"SELECT ?32767", "", 1},
		{"SELECT ?99999999999999999999", "", 1},
		{"SELECT ?000000000000000000000000002", "1- 2:?000000000000000000000000002", 1},
	} {
		s := &Parse(c.sql).Stmts[0]
		if got := written(s.Params); got != c.want {
			t.Errorf("%q has parameters %s, want %s", c.sql, got, c.want)
		}
		if beyond := c.sql == "SELECT ?0" || strings.HasSuffix(c.sql, "?32767") || strings.HasSuffix(c.sql, "?99999999999999999999"); beyond != (s.NoNumber != "") {
			t.Errorf("%q has no number for %q", c.sql, s.NoNumber)
		}
		if got := s.Spread(); got != c.spread {
			t.Errorf("%q takes %d arguments, want %d", c.sql, got, c.spread)
		}
	}
}

func TestTheLargestParameters(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want int
	}{
		{"SELECT ?32766", 32766},
		{"SELECT ?32766, ?", 32766}, // refused by SQLite
		{"SELECT ?32766, :a", 32766},
		{"SELECT ?32766, ?32766, ?1", 32766},
		{"SELECT ?" + strings.Repeat(",?", 32765), 32766},
		{"SELECT ?" + strings.Repeat(",?", 40000), 32766},
	} {
		s := &Parse(c.sql).Stmts[0]
		if len(s.Params) != c.want {
			t.Errorf("%.30q... has %d parameters, want %d", c.sql, len(s.Params), c.want)
		}
		for i, p := range s.Params {
			if p.Index != i+1 {
				t.Fatalf("%.30q...: Params[%d] is number %d", c.sql, i, p.Index)
			}
		}
	}
}

func TestManyNamedParameters(t *testing.T) {
	var b strings.Builder
	b.WriteString("SELECT 0")
	const n = 5000
	for range 2 {
		for i := range n {
			fmt.Fprintf(&b, ", :p%d", i)
		}
	}
	// To SQLite the last has the number of a name; asking for the spelling must
	// not search all the names each time.
	b.WriteString(strings.Repeat(fmt.Sprintf(", ?%d", n), 100_000))
	s := &Parse(b.String()).Stmts[0]
	if len(s.Params) != n || s.Params[n-1].Name != ":p4999" || s.Spread() != 1 {
		t.Errorf("%d parameters, the last %v, %d arguments", len(s.Params), s.Params[len(s.Params)-1], s.Spread())
	}
}

func TestOnlyATextOfOneStatementHasParameters(t *testing.T) {
	if got := written(Parse("SELECT ?, :a;").Params); got != "1: 2::a" {
		t.Errorf("one statement: %s", got)
	}
	script := Parse("SELECT ?; SELECT :a, ?")
	if script.Params != nil {
		t.Errorf("a script has parameters: %s", written(script.Params))
	}
	if got := written(script.Stmts[1].Params); got != "1::a 2:" {
		t.Errorf("the script's second statement: %s", got)
	}
}
