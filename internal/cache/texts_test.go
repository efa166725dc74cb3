package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A read of n values, as one text.
func read(label string, n int64, tables ...string) (*Key, Reads) {
	return &Key{SQL: label, Args: []exec.Value{{Kind: exec.Integer, Int: n}}}, Reads{Deps: ReadsTables(tables), Label: label, Tables: tables}
}

// ask reads through a cache, and tells whether it was a hit.
func ask(c *Cache, k *Key, reads Reads, r Result) (hit bool) {
	found := c.Get(k, Options{})
	if found.Result != nil {
		return true
	}
	f, _ := c.Fly(k, reads, Options{}, found)
	f.Land(Answer{Result: r}, true, false)
	c.Wait()
	return false
}

func write(c *Cache, tables ...string) {
	var t Touched
	for _, name := range tables {
		t.Table(c.Moves(), name)
	}
	c.Begin(&t).Done()
}

// However many texts and tables there are, the number of those that are counted is
// bounded, and the texts that save most stay.
func TestFewTextsAreCounted(t *testing.T) {
	c, clock := newTest(t, Config{Lease: time.Hour, TTL: time.Hour})
	good, reads := read("good", 0, "t")
	f, _ := c.Fly(good, reads, Options{}, Found{})
	clock.pass(time.Second)
	f.Land(Answer{Result: resultOf(1)}, true, false)
	c.Wait()
	if !ask(c, good, reads, nil) {
		t.Fatal("no hit")
	}
	for i := range int64(maxTables + 10) {
		k, r := read(fmt.Sprintf("text %d", i), i, fmt.Sprintf("table %d", i))
		f, _ := c.Fly(k, r, Options{}, Found{})
		f.Land(Answer{}, false, false)
	}
	write(c, "t", "one of too many")
	n := c.Counters()
	if len(n.Texts) != maxTexts || len(n.Tables) != maxTables {
		t.Errorf("%d texts, %d tables", len(n.Texts), len(n.Tables))
	}
	if n.Texts[0].Label != "good" || n.Texts[0].Saved != time.Second {
		t.Errorf("the first is %+v", n.Texts[0])
	}
	for _, x := range n.Tables {
		if x.Name == "t" && x.Writes != 1 {
			t.Errorf("%+v", x)
		}
	}
}

// What a text's entries take is what the cache's take, also after they were replaced,
// rejected, or evicted.
func TestBytesOfTexts(t *testing.T) {
	c, _ := newTest(t, Config{Bytes: 1 << 17})
	for i := range int64(2000) {
		k, r := read([]string{"a", "b"}[i%2], i/8, "t")
		ask(c, k, r, resultOf(i))
		if i%97 == 0 {
			write(c, "t")
		}
	}
	n := c.Counters()
	var sum Tally
	for _, x := range n.Texts {
		sum.Entries += x.Entries
		sum.Bytes += x.Bytes
		sum.Evictions += x.Evictions
	}
	if sum.Entries != n.Entries || sum.Bytes != n.Bytes || sum.Evictions != n.Evictions || n.Evictions == 0 || n.Bytes > 1<<17 {
		t.Errorf("the texts have %+v, the cache %+v", sum, n.Usage)
	}
	if c.Close(); c.Counters().Entries != 0 || c.Counters().Bytes != 0 {
		t.Errorf("after Close: %+v", c.Counters().Usage)
	}
}

// A text whose results always end before they are served is not kept for a while, and
// then tried again; one that is served now and then is kept.
func TestVolatileTextsRest(t *testing.T) {
	c, _ := newTest(t, Config{Lease: time.Hour, TTL: time.Hour})
	k, reads := read("volatile", 0, "t")
	once := func() { ask(c, k, reads, resultOf(1)); write(c, "t") }
	for range tiredAt + 1 {
		once()
	}
	n := c.Counters()
	if n.Volatile != 1 || n.Fills != tiredAt {
		t.Fatalf("%d were kept before %d were not", n.Fills, n.Volatile)
	}
	for range restFor - 1 {
		once()
	}
	if n := c.Counters(); n.Volatile != restFor || n.Fills != tiredAt || n.Entries != 0 {
		t.Errorf("when it has rested: %+v", n)
	}
	// It is not volatile any more.
	for range 3 {
		ask(c, k, reads, resultOf(1))
	}
	if n := c.Counters(); n.Hits != 2 || n.Volatile != restFor {
		t.Errorf("when it is tried again: %+v", n)
	}
	// One in ten is worth keeping the others.
	for range 10 * tiredAt {
		ask(c, k, reads, resultOf(1))
		for range 10 {
			write(c, "t")
			ask(c, k, reads, resultOf(1))
		}
		ask(c, k, reads, resultOf(1))
	}
	if n := c.Counters(); n.Volatile != restFor {
		t.Errorf("a text whose results are served rests: %+v", n)
	}
}

// What the policy is worth: 64 keys that are asked for all the time and written
// between, beside 200 that are read only, in room for 150. Without it TinyLFU takes
// the former for the best.
func TestVolatileTextsMakeRoom(t *testing.T) {
	share := func(policy bool) float64 {
		c, _ := newTest(t, Config{Bytes: 1 << 18, Lease: time.Hour, TTL: time.Hour})
		row := &exec.Result{Cols: []exec.Column{{Name: "v"}}}
		row.Rows.Reset(1)
		row.Rows.AppendBytes(exec.Text, []byte(strings.Repeat("x", 800)))
		row.Rows.EndRow()
		var hits, asked int
		for i := range int64(40_000) {
			k, r := read("volatile", i%64, "w")
			ask(c, k, r, row)
			if i%64 == 63 {
				write(c, "w")
			}
			if !policy {
				for _, t := range c.known.texts {
					t.weight.Store(0)
				}
			}
			if i%4 == 0 {
				k, r := read("steady", i/4*7919%200, "r")
				asked++
				if ask(c, k, r, row) {
					hits++
				}
			}
		}
		return float64(hits) / float64(asked)
	}
	with, without := share(true), share(false)
	t.Logf("hits among reads of what is not written: %.1f %% with the policy, %.1f %% without", 100*with, 100*without)
	if with < 1.3*without {
		t.Error("the policy is not worth its code")
	}
}
