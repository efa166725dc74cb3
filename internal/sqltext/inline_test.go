package sqltext

import "testing"

func TestInlineParam(t *testing.T) {
	for _, c := range []struct {
		sql     string
		index   int
		literal string
		want    string
	}{
		{"SELECT ?", 1, "9e999", "SELECT  ifnull(9e999,NULL)"},
		{"SELECT ?, ?", 1, "1", "SELECT  ifnull(1,NULL), ?2"},
		{"SELECT ?, ?", 2, "1", "SELECT ?,  ifnull(1,NULL)"},
		{"SELECT ?,?,?", 2, "NULL", "SELECT ?, ifnull(NULL,NULL),?3"},
		{"SELECT ?,?,?,?", 2, "1", "SELECT ?, ifnull(1,NULL),?3,?"},
		{"SELECT ?1, ?2, ?1", 1, "1", "SELECT  ifnull(1,NULL), ?2,  ifnull(1,NULL)"},
		{"SELECT :a, :b, :a, :b", 1, "1", "SELECT  ifnull(1,NULL), ?2,  ifnull(1,NULL), ?2"},
		{"SELECT :a, :b, :a, :b", 2, "1", "SELECT :a,  ifnull(1,NULL), :a,  ifnull(1,NULL)"},
		{"SELECT :a, :b, :c, :b, :c", 2, "1", "SELECT :a,  ifnull(1,NULL), ?3,  ifnull(1,NULL), ?3"},
		{"SELECT :a, ?1", 1, "1", "SELECT  ifnull(1,NULL),  ifnull(1,NULL)"},
		{"SELECT ?2, :a, ?", 2, "1", "SELECT  ifnull(1,NULL), ?3, ?"},
		{"SELECT 1-?", 1, "-9e999", "SELECT 1- ifnull(-9e999,NULL)"},
		{"SELECT ?AND?", 1, "0", "SELECT  ifnull(0,NULL)AND?2"},
		{"SELECT '?', ?", 1, "1", "SELECT '?',  ifnull(1,NULL)"},
		{"SELECT ?", 2, "1", "SELECT ?"},
		{"SELECT ?, ?0", 0, "1", "SELECT ?, ?0"}, // ?0 has no number
		{"SELECT ?3", 1, "1", "SELECT ?3"},
		{"SELECT 1", 1, "1", "SELECT 1"},
	} {
		if got := Parse(c.sql).Stmts[0].InlineParam(c.index, c.literal); got != c.want {
			t.Errorf("%q with %s for %d is\n\t%q, want\n\t%q", c.sql, c.literal, c.index, got, c.want)
		}
	}
}

func TestInlineParamOfManyNames(t *testing.T) {
	var all string
	for i := range 100 {
		all += string(rune('A'+i%26)) + string(rune('a'+i/26)) + ","
	}
	// More names than are kept as a list, each twice, and the first one goes.
	sql := "SELECT "
	for range 2 {
		for i := 0; i+3 <= len(all); i += 3 {
			sql += ":" + all[i:i+3]
		}
	}
	sql += "0"
	s := &Parse(Parse(sql).Stmts[0].InlineParam(1, "7")).Stmts[0]
	if len(s.Params) != 100 || s.Params[0].Used {
		t.Fatalf("%d parameters, the first %+v", len(s.Params), s.Params[0])
	}
	for _, p := range s.Params[1:] {
		if !p.Used {
			t.Errorf("parameter %d is gone", p.Index)
		}
	}
}

func TestNumberParams(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"SELECT 1", "SELECT 1"},
		{"SELECT ?, :a, ?, :a, ?2, ?07 -- :b", "SELECT ?1, ?2, ?3, ?2, ?2, ?7"},
		{"SELECT $a::b(c), ':a' AND@d", "SELECT ?1, ':a' AND?2"},
		{"SELECT ?0, $a(b)1", "SELECT ?0, ?1 1"},
		{"SELECT ?3, #a", "SELECT ?3, ?4"},
	} {
		s := &Parse(c.sql).Stmts[0]
		got := s.NumberParams()
		if got != c.want {
			t.Errorf("%q is %q, want %q", c.sql, got, c.want)
		}
		again := Parse(got).Stmts[0].Params
		for i, p := range s.Params {
			if again[i].Used != p.Used {
				t.Errorf("%q, %q: parameter %d is used: %v", c.sql, got, i+1, again[i].Used)
			}
		}
	}
}
