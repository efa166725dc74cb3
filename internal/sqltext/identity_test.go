package sqltext

import (
	"strings"
	"testing"
	"unsafe"
)

func TestIdentitiesOfTexts(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"SELECT 1", "SELECT 1"},
		{"SELECT 1;", "SELECT 1"},
		{"SELECT 1 ; ;\r\n\t", "SELECT 1"},
		{"SELECT 1 /*traceparent='00-a-b-01'*/", "SELECT 1"},
		{"SELECT 1/*a*/;", "SELECT 1"},
		{"SELECT 1; /* a */ ;", "SELECT 1"},
		{"SELECT 1 /**/", "SELECT 1"},
		{"SELECT 1 /***/", "SELECT 1"},
		{"SELECT 1 /*/ */", "SELECT 1"},
		{"SELECT 1; SELECT 2 /* a */", "SELECT 1; SELECT 2"},
		{"/* a */", ""},
		{" ; ", ""},
		// A leading comment is part of it, and one that ends with the line.
		{"/* a */ SELECT 1", "/* a */ SELECT 1"},
		{"SELECT 1 -- a", "SELECT 1 -- a"},
		{"SELECT 1 -- a\n", "SELECT 1 -- a\n"},
		{"SELECT 1 -- a\n;", "SELECT 1 -- a\n;"},
		// One comment goes, not two.
		{"SELECT 1 /* a */ /* b */", "SELECT 1 /* a */"},
		// What looks like a comment and is none, or not alone.
		{"SELECT '/* a */'", "SELECT '/* a */'"},
		{"SELECT 'b /* a */", "SELECT 'b /* a */"},
		{"SELECT \"b /* a */", "SELECT \"b /* a */"},
		{"SELECT [b /* a */", "SELECT [b /* a */"},
		{"SELECT 1 -- /* a */", "SELECT 1 -- /* a */"},
		{"SELECT 1 /* a /* b */", "SELECT 1 /* a /* b */"},
		{"SELECT $a( /* a */", "SELECT $a( /* a */"},
		{"SELECT 1 /*/", "SELECT 1 /*/"},
		{"SELECT 1 /**/*/", "SELECT 1 /**/*/"},
		{"SELECT 2 * /* a */", "SELECT 2 *"},
		{"SELECT 2 //* a */", "SELECT 2 /"},
		{"SELECT 1 /*", "SELECT 1 /*"},
		{"SELECT 1 /* ; ", "SELECT 1 /* ; "},
		{"SELECT 'a; ", "SELECT 'a; "},
		{"SELECT 'a /* ; */ ; ", "SELECT 'a /* ; */ ; "},
		{"SELECT 1\x00 /* a */", "SELECT 1\x00 /* a */"},
	} {
		cache := NewCache(4)
		first := cache.Get(c.sql)
		if first.SQL != c.want {
			t.Errorf("%q is remembered as %q, want %q", c.sql, first.SQL, c.want)
		}
		if again := cache.Get(c.sql); again != first || cache.Stats().Hits != 1 {
			t.Errorf("%q is not found again: %+v", c.sql, cache.Stats())
		}
	}
}

func TestOneTextUnderManyComments(t *testing.T) {
	cache := NewCache(4)
	first := cache.Get("SELECT 1 /*traceparent='1'*/")
	for _, sql := range []string{
		"SELECT 1", "SELECT 1;", "SELECT 1 /*traceparent='2'*/", "SELECT 1/*x*/ ; ",
		"SELECT 1 /*" + strings.Repeat("x", sqlcommentMax) + "*/",
	} {
		if cache.Get(sql) != first {
			t.Errorf("%.40q is another text", sql)
		}
	}
	if cache.Get("select 1") == first || cache.Get("SELECT  1") == first {
		t.Error("other letters or blanks are the same text")
	}
	if s := cache.Stats(); s != (CacheStats{Hits: 5, Misses: 3, Size: 3}) {
		t.Errorf("counted %+v", s)
	}
}

// What a text is cut from, or part of, may be large.
func TestARememberedTextIsACopy(t *testing.T) {
	for _, sql := range []string{"SELECT ':a', :b", "SELECT ':a', :b;", "SELECT ':a', :b /* c */", "SELECT 1 -- c\n"} {
		text := NewCache(4).Get(sql)
		if unsafe.StringData(text.SQL) == unsafe.StringData(sql) {
			t.Errorf("%q is remembered itself", sql)
		}
		if start := offset(text.SQL, text.Stmts[0].SQL); start != 0 {
			t.Errorf("%q: the statement is no part of its text", sql)
		}
	}
	large := "SELECT '" + strings.Repeat("x", 2*cacheMaxText) + "'"
	if text := NewCache(4).Get(large); unsafe.StringData(text.SQL) != unsafe.StringData(large) {
		t.Error("a text that is not remembered is copied")
	}
}
