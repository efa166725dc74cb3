package tursoopt_test

import (
	"context"
	"database/sql"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

const (
	rowOfB    = "SELECT n FROM b WHERE id = ?"
	sumOfB    = "SELECT sum(n) FROM b"
	updateOfB = "UPDATE b SET n = ? WHERE id = ?"
)

// heldWrite has the server execute a write of b's row 1 that makes its n 77, and holds
// the answer. end lets it through.
func heldWrite(t *testing.T, p *tap, db *sql.DB, query string, args ...any) (end func()) {
	t.Helper()
	h := p.after(t, query)
	done := make(chan error, 1)
	go func() { _, err := db.Exec(query, args...); done <- err }()
	<-h.reached
	return func() {
		t.Helper()
		h.verdict <- true
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// While a write of a row is under way that nobody can have seen, older answers are
// those from before it. As soon as anybody gets an answer that may show it, they are
// not any more.
func TestCacheServesUntilAWriteIsSeen(t *testing.T) {
	const other = "SELECT id, n FROM b WHERE id = ?"
	const large = "SELECT n, zeroblob(4000000) FROM b, (VALUES (1), (2), (3)) WHERE id = ?" // more than one answer can hold
	read := func(query string, args ...any) func(*testing.T, *sql.DB) {
		return func(t *testing.T, db *sql.DB) {
			t.Helper()
			rows, err := db.Query(query, args...)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := []struct {
		name string
		do   func(*testing.T, *sql.DB)
		seen bool
	}{
		{"nothing", func(*testing.T, *sql.DB) {}, false},
		{"another row", read(rowOfB, 2), false},
		{"another table", read("SELECT n FROM parent"), false},
		{"a write of another row", func(t *testing.T, db *sql.DB) { mustExec(t, db, updateOfB, 2, 2) }, false},
		{"the row by another text", read(other, 1), true},
		{"the row in a text that is not kept", read("SELECT n + 0 * random() FROM b WHERE id = ?", 1), true},
		{"the table", read("SELECT max(n) FROM b"), true},
		{"the row in a transaction", func(t *testing.T, db *sql.DB) {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			var n int64
			if err := tx.QueryRow(rowOfB, 1).Scan(&n); err != nil || n != 77 {
				t.Fatal(n, err)
			}
		}, true},
		{"the row by who wants it fresh", func(t *testing.T, db *sql.DB) {
			var n int64
			if err := db.QueryRowContext(tursoopt.WithFresh(context.Background()), other, 1).Scan(new(int64), &n); err != nil || n != 77 {
				t.Fatal(n, err)
			}
		}, true},
		{"the row by a write that gives it", read("UPDATE b SET n = n WHERE id = ? RETURNING n", 1), true},
		{"the row by a write of another", func(t *testing.T, db *sql.DB) {
			mustExec(t, db, "UPDATE parent SET n = (SELECT n FROM b WHERE id = 1) WHERE id = 1")
		}, true},
		{"the row in a large result", read(large, 1), true},
		{"a text that is not understood", read("PRAGMA table_info(b)"), true},
	}
	inModes(t, []mode{{name: "embedded sqld", native: true}, {name: "sqld", native: true, real: true}}, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.cached(t)
		mustExec(t, db, cacheSchema)
		read(large, 2)(t, db) // it is known to be large
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				mustExec(t, db, updateOfB, 1, 1)
				warm(t, db, rowOfB, 1)
				before := warm(t, db, sumOfB)
				end := heldWrite(t, p, db, "UPDATE b SET n = 77 WHERE id = 1")
				c.do(t, db)
				n, hit := isHit(t, db, rowOfB, 1)
				if want := int64(1); !c.seen && (n != want || !hit) {
					t.Errorf("%d, hit %v, though nobody has seen the write", n, hit)
				} else if c.seen && n != 77 {
					t.Errorf("%d, hit %v, though the write has been seen", n, hit)
				}
				if sum, hit := isHit(t, db, sumOfB); c.seen && sum < before+76 {
					t.Errorf("a sum of %d, hit %v, though the write has been seen", sum, hit)
				}
				end()
				if n := queryInt(t, db, rowOfB, 1); n != 77 {
					t.Errorf("%d after the write has been acknowledged", n)
				}
				if sum := queryInt(t, db, sumOfB); sum < before+76 {
					t.Errorf("a sum of %d after the write has been acknowledged", sum)
				}
			})
		}
	})
}

// A write that depends on more than its row, or by which others may learn of it, ends
// what is kept when it begins.
func TestCacheEndsWithWritesThatMayBeSeen(t *testing.T) {
	e := newEnv(t, mode{native: true})
	p := e.tapped(t)
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	for _, c := range []struct{ read, write string }{
		{"SELECT n FROM b WHERE id = 1", "UPDATE b SET n = (SELECT count(*) FROM parent) WHERE id = 1"},
		{"SELECT n FROM b WHERE id = 1", "UPDATE b SET n = (SELECT max(n) FROM b) WHERE id = 1"},
		{"SELECT n FROM b WHERE id = 1", "UPDATE b SET n = 8 WHERE id <= 1"},
		{"SELECT n FROM a WHERE id = 1", "UPDATE a SET u = 'other' WHERE id = 1"},
		{"SELECT n FROM child WHERE id = 1", "UPDATE child SET p = NULL WHERE id = 1"},
		{"SELECT count(*) FROM logged WHERE id = 7", "INSERT INTO logged VALUES (7, 1)"},
		{"SELECT count(*) FROM parent WHERE id = 1", "DELETE FROM parent WHERE id = 1"},
	} {
		warm(t, db, c.read)
		end := heldWrite(t, p, db, c.write)
		if _, hit := isHit(t, db, c.read); hit {
			t.Errorf("%s: a hit while this is under way: %s", c.read, c.write)
		}
		end()
	}

	// Nor may a transaction be one from later: it has seen what others wrote before.
	const q = "SELECT n FROM b WHERE id = 2"
	warm(t, db, q)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(updateOfB, 9, 2); err != nil {
		t.Fatal(err)
	}
	h := p.after(t, "COMMIT")
	done := make(chan error, 1)
	go func() { done <- tx.Commit() }()
	<-h.reached
	if n, hit := isHit(t, db, q); hit {
		t.Errorf("%d while a transaction that changes it is under way", n)
	}
	h.verdict <- true
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// What has been served is asked for again when its row has been written, so that
// whoever reads it next need not wait; what nobody was served with is not.
func TestCacheRenewsWhatIsWritten(t *testing.T) {
	e := newEnv(t, mode{native: true})
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	warm(t, db, rowOfB, 1)
	mustExec(t, db, updateOfB, 5, 1)
	if s := cacheStats(t, db); s.Renewed != 0 {
		t.Fatalf("%d results are asked for again that nobody was served with", s.Renewed)
	}
	warm(t, db, rowOfB, 1)
	if n, hit := isHit(t, db, rowOfB, 1); !hit || n != 5 {
		t.Fatalf("%d, hit %v", n, hit)
	}
	before := cacheStats(t, db)
	mustExec(t, db, updateOfB, 6, 1)
	await(t, "the result to be asked for again", func() bool { return cacheStats(t, db).Fills > before.Fills })
	if s := cacheStats(t, db); s.Renewed != 1 || s.Misses != before.Misses {
		t.Errorf("%+v, before the write %+v", s, before)
	}
	tursoopt.CacheWait(db)
	if n, hit := isHit(t, db, rowOfB, 1); !hit || n != 6 {
		t.Errorf("%d, hit %v, after the write", n, hit)
	}
}

// What comes from an unseen write by way of another write that is under way shows it,
// too, also when that one's answer has been lost.
func TestCacheShowsWhatOtherWritesHaveSeen(t *testing.T) {
	const copyOfB = "UPDATE parent SET n = (SELECT n FROM b WHERE id = 1) WHERE id = 1"
	const setOfB = "UPDATE b SET n = 77 WHERE id = 1"
	e := newEnv(t, mode{native: true})
	p := e.tapped(t)
	db := e.cached(t, "lanes=8")
	mustExec(t, db, cacheSchema)
	start := func() {
		mustExec(t, db, updateOfB, 1, 1)
		mustExec(t, db, "UPDATE parent SET n = 1")
		warm(t, db, rowOfB, 1)
		warm(t, db, sumOfB)
	}
	shows := func(query string) {
		t.Helper()
		if n := queryInt(t, db, query); n < 77 {
			t.Fatalf("%s: %d, and nothing is shown", query, n)
		}
		if n, hit := isHit(t, db, rowOfB, 1); n != 77 {
			t.Errorf("%s: %d, hit %v, though what comes from it has been seen", query, n, hit)
		}
		if n, hit := isHit(t, db, sumOfB); n < 77 {
			t.Errorf("%s: a sum of %d, hit %v, though what comes from it has been seen", query, n, hit)
		}
	}
	queries := []string{"SELECT n FROM parent WHERE id = 1", "SELECT max(n) FROM parent", "SELECT n + 0 * random() FROM parent WHERE id = 1"}
	for i, write := range []string{copyOfB, "UPDATE parent SET n = (SELECT n FROM b WHERE id = 1)", copyOfB} {
		start()
		endB := heldWrite(t, p, db, setOfB)
		endCopy := heldWrite(t, p, db, write)
		shows(queries[i])
		endCopy()
		endB()
	}
	// By a write that depends on nothing but its row.
	start()
	endB := heldWrite(t, p, db, setOfB)
	endCopy := heldWrite(t, p, db, copyOfB)
	shows("UPDATE parent SET n = n + 1 WHERE id = 1 RETURNING n")
	endCopy()
	endB()
	start()
	endB = heldWrite(t, p, db, setOfB)
	h := p.after(t, copyOfB)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { _, err := db.ExecContext(ctx, copyOfB); done <- err }()
	<-h.reached
	cancel()
	if err := <-done; !tursoopt.OutcomeUnknown(err) {
		t.Fatal(err)
	}
	before := cacheStats(t, db).Settled
	h.verdict <- true
	await(t, "the lost write to be settled", func() bool { return cacheStats(t, db).Settled > before })
	shows(queries[0])
	endB()
}

// Of the statements of a script, and of a batch, that has been seen of which the last
// has.
func TestCacheShowsAllOfAScript(t *testing.T) {
	e := newEnv(t, mode{native: true})
	p := e.tapped(t)
	db := e.cached(t, "lanes=8")
	mustExec(t, db, cacheSchema)
	for name, write := range map[string]func() error{
		"script": func() error {
			_, err := db.Exec("UPDATE b SET n = 77 WHERE id = 2; UPDATE b SET n = 78 WHERE id = 1")
			return err
		},
		"batch": func() error {
			b := &tursoopt.Batch{Independent: true}
			b.Queue("UPDATE b SET n = 77 WHERE id = 2")
			b.Queue("UPDATE b SET n = 78 WHERE id = 1")
			r, err := tursoopt.SendBatch(context.Background(), db, b)
			if err != nil {
				return err
			}
			return r.Close()
		},
	} {
		mustExec(t, db, "UPDATE b SET n = id")
		warm(t, db, rowOfB, 2)
		h := p.after(t, "n = 77")
		done := make(chan error, 1)
		go func() { done <- write() }()
		<-h.reached
		if n := queryInt(t, db, "UPDATE b SET n = n + 1 WHERE id = 1 RETURNING n"); n != 79 {
			t.Fatalf("%s: %d, and nothing is shown", name, n)
		}
		if n, hit := isHit(t, db, rowOfB, 2); n != 77 {
			t.Errorf("%s: %d, hit %v, though what was done after it has been seen", name, n, hit)
		}
		h.verdict <- true
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
