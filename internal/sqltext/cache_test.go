package sqltext

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestCacheCounts(t *testing.T) {
	c := NewCache(2)
	a := c.Get("SELECT 1")
	if c.Get("SELECT 1") != a {
		t.Error("a text is not remembered")
	}
	c.Get("SELECT 2")
	c.Get("SELECT 3")
	if got, want := c.Stats(), (CacheStats{Hits: 1, Misses: 3, Evictions: 1, Size: 2}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestCacheTurnedOff(t *testing.T) {
	for _, size := range []int{0, -1} {
		c := NewCache(size)
		first := c.Get("SELECT 1 /* a */")
		if first.SQL != "SELECT 1" || c.Get("SELECT 1") == first || c.Get("SELECT 1 /* a */") == first {
			t.Error("a cache of no places remembers")
		}
		if got, want := c.Stats(), (CacheStats{Misses: 3}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		c.InvalidateNotes()
	}
}

func texts(n int, prefix string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("SELECT '%s', %d", prefix, i)
	}
	return all
}

func getAll(c *Cache, all []string) {
	for _, sql := range all {
		c.Get(sql)
	}
}

func TestCacheForgetsWhatIsNotUsed(t *testing.T) {
	const size = 64
	c := NewCache(size)
	const rounds, once = 100, size / 8
	used := texts(size/2, "used")
	for round := range rounds {
		getAll(c, used)
		getAll(c, texts(once, fmt.Sprint("once", round)))
	}
	want := CacheStats{
		Hits: size / 2 * (rounds - 1), Misses: size/2 + rounds*once,
		Evictions: size/2 + rounds*once - size, Size: size,
	}
	if got := c.Stats(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// A program's texts may be others from some moment on, and those that were there
// before must not keep them out.
func TestCacheLearnsNewTexts(t *testing.T) {
	const size = 64
	c := NewCache(size)
	old := texts(size, "old")
	getAll(c, old)
	getAll(c, old)
	now := texts(size, "new")
	getAll(c, now)
	getAll(c, now)
	before := c.Stats()
	getAll(c, now)
	if missed := c.Stats().Misses - before.Misses; missed != 0 {
		t.Errorf("%d of %d new texts are not remembered", missed, size)
	}
}

func TestCacheIsBoundedInMemory(t *testing.T) {
	const size = 512
	c := NewCache(size)
	for i := range 200 {
		c.Get(fmt.Sprintf("SELECT %d, '%s'", i, strings.Repeat("x", 60<<10)))
		// A parameter takes two bytes of text and many of memory.
		c.Get(fmt.Sprintf("SELECT %d%s", i, strings.Repeat(",?", 5000)))
		if c.cost > c.budget() {
			t.Fatalf("%d bytes are remembered, the bound is %d", c.cost, c.budget())
		}
	}
	if s := c.Stats(); s.Evictions == 0 || s.Size < 10 {
		t.Errorf("counted %+v", s)
	}
	sum := 0
	for e := range c.all {
		sum += e.cost
	}
	if sum != c.cost {
		t.Errorf("the entries cost %d, and %d was counted", sum, c.cost)
	}
}

func TestCacheDoesNotRememberLargeTexts(t *testing.T) {
	small := texts(100, "small")
	for _, sql := range []string{
		"SELECT '" + strings.Repeat("x", cacheMaxText) + "'",
		"SELECT '" + strings.Repeat("x", cacheMaxText-8) + "'",
		"SELECT '" + strings.Repeat("x", 10*cacheMaxText) + "' /* a */",
		"SELECT ?" + strings.Repeat(",?", 32000-1), // not long, but much to remember
	} {
		c := NewCache(512)
		getAll(c, small)
		if got := c.Get(sql); len(got.Stmts) != 1 {
			t.Errorf("%.20q has %d statements", sql, len(got.Stmts))
		}
		if s := c.Stats(); s.Size != len(small) || s.Evictions != 0 {
			t.Errorf("%.20q, of %d bytes: %+v", sql, len(sql), s)
		}
	}
	c := NewCache(1)
	sql := "SELECT '" + strings.Repeat("x", cacheMaxText-9) + "'"
	if c.Get(sql) != c.Get(sql+";") {
		t.Error("the longest text is not remembered")
	}
}

func TestInvalidateNotes(t *testing.T) {
	c := NewCache(4)
	const sql = "INSERT INTO t VALUES (1); SELECT 1"
	held := c.Get(sql)
	running := held.Stmts[0].Note
	running.SetsRowid.Store(true)
	held.Stmts[1].Note.Large.Store(true)
	c.InvalidateNotes()

	if held.Stmts[0].Note.SetsRowid.Load() {
		t.Error("the text that was held still says that it sets a rowid")
	}
	got := c.Get(sql)
	if got.Stmts[0].Note.SetsRowid.Load() {
		t.Error("the remembered text still says that it sets a rowid")
	}
	if !got.Stmts[1].Note.Large.Load() {
		t.Error("the remembered text has forgotten that its result is large")
	}
	running.SetsRowid.Store(true) // by an execution from before
	if c.Get(sql).Stmts[0].Note.SetsRowid.Load() {
		t.Error("an execution from before has taught the text of after")
	}
	if got.SQL != held.SQL || len(got.Stmts) != 2 || got.Stmts[1].SQL != "SELECT 1" {
		t.Errorf("the text has changed: %+v", got)
	}
	if s := c.Stats(); s != (CacheStats{Hits: 2, Misses: 1, Size: 1}) {
		t.Errorf("counted %+v", s)
	}
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	c := NewCache(512)
	getAll(c, texts(100, "a"))
	for _, sql := range []string{"SELECT 'a', 7", "SELECT 'a', 8;", "SELECT 'a', 9 /*traceparent='00-1-2-01'*/"} {
		if n := testing.AllocsPerRun(100, func() { c.Get(sql) }); n != 0 {
			t.Errorf("%q: %v allocations", sql, n)
		}
	}
	if s := c.Stats(); s.Misses != 100 {
		t.Errorf("these were no hits: %+v", s)
	}
}

// Whatever happens at the same time, a Get gives the Text of what was asked for.
func TestCacheOfManyGoroutines(t *testing.T) {
	const (
		goroutines = 8
		rounds     = 3000
	)
	c := NewCache(32)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				k := (i*7 + g*i) % 90
				want := fmt.Sprintf("INSERT INTO t VALUES (%d, ?)", k)
				text := c.Get(want + " /*" + fmt.Sprint(g, i) + "*/")
				if text.SQL != want || len(text.Stmts) != 1 || text.Stmts[0].SQL != want || len(text.Params) != 1 {
					t.Errorf("asked for %q, got %+v", want, text)
					return
				}
				text.Stmts[0].Note.SetsRowid.Store(true)
				switch {
				case i%500 == 0:
					c.InvalidateNotes()
				case i%100 == 0:
					c.Stats()
				}
			}
		})
	}
	wg.Wait()
	s := c.Stats()
	if s.Hits+s.Misses != goroutines*rounds || s.Size > 32 || s.Evictions == 0 || s.Hits == 0 {
		t.Errorf("counted %+v", s)
	}
	n := 0
	for e := range c.all {
		if c.lookup(e.key) != e {
			t.Errorf("%q is in the ring and not in the table", e.key)
		}
		n++
	}
	if n != s.Size {
		t.Errorf("the ring holds %d texts of %d", n, s.Size)
	}
	for i := range c.table.Load().buckets {
		for node := c.table.Load().buckets[i].Load(); node != nil; node = node.next.Load() {
			n--
		}
	}
	if n != 0 {
		t.Errorf("the table holds %d texts more than the ring", -n)
	}
}

// A text is read once for all caches over one, and what running it teaches stays
// with the cache that it was got from.
func TestCacheOverAnother(t *testing.T) {
	shared := NewCache(4)
	a, b := NewCacheOver(shared, 4), NewCacheOver(shared, 4)
	const sql = "INSERT INTO t VALUES (?, :name) /* trace */ ;"
	ta, tb := a.Get(sql), b.Get(sql)
	if got := shared.Stats(); got.Misses != 1 || got.Hits != 1 || got.Size != 1 {
		t.Errorf("the shared cache counts %+v", got)
	}
	if a.Get(sql) != ta || a.Stats() != (CacheStats{Hits: 1, Misses: 1, Size: 1}) {
		t.Errorf("a cache does not keep what it has got: %+v", a.Stats())
	}
	if ta.SQL != tb.SQL || &ta.Stmts[0].Params[0] != &tb.Stmts[0].Params[0] {
		t.Error("the text has been read twice")
	}
	ta.Stmts[0].Note.SetsRowid.Store(true)
	if tb.Stmts[0].Note.SetsRowid.Load() || shared.Get(sql).Stmts[0].Note.SetsRowid.Load() {
		t.Error("one server's answers are believed of another")
	}
	a.InvalidateNotes()
	if a.Get(sql).Stmts[0].Note.SetsRowid.Load() {
		t.Error("InvalidateNotes forgets nothing")
	}
	// What is too long to be shared, or not remembered, is a text like any other.
	long := "SELECT '" + strings.Repeat("x", cacheMaxText) + "'"
	for _, c := range []*Cache{a, NewCacheOver(shared, 0), NewCacheOver(NewCache(0), 4)} {
		for _, sql := range []string{long, "SELECT 1", ""} {
			if got := c.Get(sql); got.SQL != sql || len(got.Stmts) != min(len(sql), 1) {
				t.Errorf("%.20q is read as %.20q", sql, got.SQL)
			}
		}
	}
}
