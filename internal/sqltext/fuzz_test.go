package sqltext

import (
	"strings"
	"testing"
)

func addSeeds(f *testing.F) {
	for _, c := range splits {
		f.Add(c.sql)
	}
	for _, c := range sorted {
		f.Add(c.sql)
	}
	for _, c := range redactions {
		f.Add(c.sql)
	}
	f.Add("SELECT ?, ?3, :a, @a, $a::b(c), ?, :a, ?1; PRAGMA table_info(t); INSERT INTO t(a) VALUES (?) RETURNING id")
	f.Add("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r LIMIT ?) UPDATE t SET a = 0x1F WHERE n = 1_0")
	f.Add("ROLLBACK TRANSACTION TO SAVEPOINT x; RELEASE x; END; ATTACH ? AS y; DETACH y; VACUUM; ANALYZE; REINDEX")
	f.Add("CREATE TABLE IF NOT EXISTS temp.x(a DEFAULT (changes())); ALTER TABLE t ADD z; DROP VIEW w")
}

// FuzzParse: every string has an analysis, and its parts hold together.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, sql string) {
		text := Parse(sql)
		at := 0
		for i := range text.Stmts {
			s := &text.Stmts[i]
			start := offset(sql, s.SQL)
			if s.SQL == "" || start < at || start+len(s.SQL) > len(sql) {
				t.Fatalf("%q: statement %d is %q", sql, i, s.SQL)
			}
			at = start + len(s.SQL)
			alone := Parse(s.SQL)
			if len(alone.Stmts) != 1 {
				t.Fatalf("%q: %q alone has %d statements", sql, s.SQL, len(alone.Stmts))
			}
			if a := &alone.Stmts[0]; a.SQL != s.SQL || a.Kind != s.Kind || saysOf(a) != saysOf(s) ||
				a.Rowid != s.Rowid || written(a.Params) != written(s.Params) {
				t.Errorf("%q: alone %q is another statement", sql, s.SQL)
			}
			checkEdits(t, s)
		}
		checkIdentity(t, sql, text)
	})
}

// checkEdits holds the texts that are made of a statement against it.
func checkEdits(t *testing.T, s *Stmt) {
	value := int64(-7)
	sub, restore := s.SubstituteConnState(&value, &value)
	if back := restore(sub); len(back) > len(s.SQL)+len(sub) {
		t.Errorf("%q comes back as %q", s.SQL, back)
	}
	if sub != s.SQL {
		if again := Parse(sub); len(again.Stmts) != 1 || again.Kind() != s.Kind || written(again.Params) != written(s.Params) {
			t.Errorf("%q becomes %q, another statement", s.SQL, sub)
		}
	}
	numbered := Parse(s.NumberParams())
	if len(numbered.Stmts) != 1 || numbered.Kind() != s.Kind && s.Kind != Unknown || len(numbered.Params) != len(s.Params) {
		t.Fatalf("%q with numbers: %q", s.SQL, numbered.SQL)
	}
	for i, p := range s.Params {
		if numbered.Params[i].Used != p.Used {
			t.Errorf("%q with numbers, %q: %d is used: %v", s.SQL, numbered.SQL, i+1, !p.Used)
		}
	}
	for i := range min(len(s.Params), 3) {
		inlined := Parse(s.InlineParam(i+1, "0"))
		// Where a name should be, a parameter is an error, and so is a literal.
		if len(inlined.Stmts) != 1 || inlined.Kind() != s.Kind && s.Kind != Unknown {
			t.Fatalf("%q with %d inlined: %q", s.SQL, i+1, inlined.SQL)
		}
		for j, p := range s.Params {
			got := j < len(inlined.Params) && inlined.Params[j].Used
			if want := p.Used && j != i; got != want {
				t.Errorf("%q with %d inlined, %q: %d is used: %v", s.SQL, i+1, inlined.SQL, j+1, got)
			}
		}
	}
}

// checkIdentity: what a Cache takes for one text is one text.
func checkIdentity(t *testing.T, sql string, text *Text) {
	cache := NewCache(8)
	for _, variant := range []string{sql, sql + ";", sql + " /*a*/", sql, sql + " ; /**/ ;"} {
		want := Parse(variant)
		got := cache.Get(variant)
		if len(got.Stmts) != len(want.Stmts) || text.closed && len(got.Stmts) != len(text.Stmts) {
			t.Fatalf("%q has %d statements, in a cache %q has %d", variant, len(want.Stmts), got.SQL, len(got.Stmts))
		}
		for i := range got.Stmts {
			// A NUL byte takes all that follows with it.
			if got.Stmts[i].SQL != want.Stmts[i].SQL && strings.IndexByte(sql, 0) < 0 && len(want.Stmts) == 1 {
				t.Errorf("%q: statement %d is %q, in a cache %q", variant, i, want.Stmts[i].SQL, got.Stmts[i].SQL)
			}
		}
	}
}

// FuzzSplit asks SQLite where statements end, and what they are.
func FuzzSplit(f *testing.F) {
	addSeeds(f)
	o := newOracle(f)
	f.Fuzz(func(t *testing.T, sql string) {
		// SQLite's text ends at a NUL byte. TestStatementsOfAText says what ours does.
		if strings.IndexByte(sql, 0) < 0 && len(sql) < 8<<10 {
			o.compare(t, sql)
		}
	})
}

// FuzzRedact: what is shown holds nothing but tokens of the text that are no
// literals, and question marks.
func FuzzRedact(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, sql string) {
		shown := Redact(sql)
		if len(shown) > redactedMax+len("...") {
			t.Errorf("%q is shown in %d bytes", sql, len(shown))
		}
		allowed := map[string]bool{"?": true}
		for sc := (scanner{sql: sql, nul: strings.IndexByte(sql, 0)}); ; {
			tok := sc.token()
			if tok.class == end {
				break
			}
			switch tok.class {
			case str, blob, number, illegal:
			default:
				allowed[sql[tok.start:tok.end]] = true
			}
		}
		for sc := (scanner{sql: strings.TrimSuffix(shown, "..."), nul: -1}); ; {
			tok := sc.token()
			if tok.class == end {
				break
			}
			if piece := shown[tok.start:tok.end]; !allowed[piece] {
				t.Errorf("%q is shown as %q, where %q is from nowhere", sql, shown, piece)
			}
		}
	})
}
