package tursoopt_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"runtime"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// countedRows counts how many of them are asked for.
type countedRows struct {
	driver.Rows
	n *int
}

func (r countedRows) Next(dest []driver.Value) error { *r.n++; return r.Rows.Next(dest) }

// Of a result that is too large no more is read than may be kept, before its reader gets
// it; and the next time nobody waits for another's.
func TestBaseCacheReadsNoMoreThanItKeeps(t *testing.T) {
	n := 0
	base := &tallied{Connector: sqliteFile(t), rows: func(r driver.Rows) driver.Rows { return countedRows{r, &n} }}
	db := wrapCached(t, base, func(cfg *tursoopt.Config) { cfg.Cache = tursoopt.MinCache })
	mustExec(t, db, "CREATE TABLE b (n)")
	mustExec(t, db, "INSERT INTO b WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n")
	rows, err := db.Query("SELECT n FROM b")
	if err != nil {
		t.Fatal(err)
	}
	if most := tursoopt.MinCache / 8 / 16; n == 0 || n > most {
		t.Errorf("%d rows have been read, at most %d could be kept", n, most)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}

	e := newEnv(t, mode{params: "base=libsql-client-go"})
	p := e.tapped(t)
	db = e.open(t, "cache=64KiB", "cache_lease=1h")
	mustExec(t, db, "CREATE TABLE b (n)")
	const q = "SELECT printf('%.*c', 20000, 'x') FROM b"
	mustExec(t, db, "INSERT INTO b VALUES (1)")
	read := func() chan error {
		told := make(chan error, 1)
		go func() { told <- db.QueryRow(q).Scan(new(string)) }()
		return told
	}
	if err := <-read(); err != nil {
		t.Fatal(err)
	}
	h := p.before(t, "20000")
	first := read()
	<-h.reached
	second := read()
	for waits := true; waits; runtime.Gosched() {
		select {
		case err := <-second:
			if waits = false; err != nil {
				t.Error(err)
			}
		default:
			if cacheStats(t, db).Coalesced > 0 {
				t.Fatal("it waits for what only one can have")
			}
		}
	}
	h.release()
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// changedRows are rows of another driver, as some might give them.
type changedRows struct {
	driver.Rows
	value   driver.Value // in place of those that there are
	after   error        // in place of the end
	closing error
}

func (r changedRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err == io.EOF && r.after != nil {
		return r.after
	}
	if r.value != nil {
		dest[0] = r.value
	}
	return err
}

func (r changedRows) Close() error {
	if err := r.Rows.Close(); err != nil {
		return err
	}
	return r.closing
}

// moreRows have another result behind them.
type moreRows struct{ driver.Rows }

func (moreRows) HasNextResultSet() bool { return true }
func (moreRows) NextResultSet() error   { return io.EOF }

// What nobody knows how to keep, what has failed and what is not all of it is given, and
// asked for again.
func TestBaseCacheKeepsWholeResults(t *testing.T) {
	for name, c := range map[string]struct {
		rows func(driver.Rows) driver.Rows
		kept bool
	}{
		"plain":         {func(r driver.Rows) driver.Rows { return r }, true},
		"another type":  {func(r driver.Rows) driver.Rows { return changedRows{Rows: r, value: odd{"x"}} }, false},
		"an error":      {func(r driver.Rows) driver.Rows { return changedRows{Rows: r, after: errFake} }, false},
		"not closed":    {func(r driver.Rows) driver.Rows { return changedRows{Rows: r, closing: errFake} }, false},
		"more than one": {func(r driver.Rows) driver.Rows { return moreRows{r} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			base := &tallied{Connector: sqliteFile(t), rows: c.rows}
			db := wrapCached(t, base, nil)
			mustExec(t, db, "CREATE TABLE b (n); INSERT INTO b VALUES (1), (2)")
			see := func() (seen int) {
				rows, err := db.Query("SELECT n FROM b")
				if err != nil {
					t.Fatal(err)
				}
				for rows.Next() {
					seen++
				}
				if err := errors.Join(rows.Err(), rows.Close()); errors.Is(err, errFake) != (name == "an error" || name == "not closed") {
					t.Error(err)
				}
				tursoopt.CacheWait(db)
				return seen
			}
			see()
			asked := base.asked.Load()
			if n := see(); n != 2 {
				t.Errorf("%d rows", n)
			}
			if kept := base.asked.Load() == asked; kept != c.kept {
				t.Errorf("kept %v", kept)
			}
		})
	}
}

// Arguments are told apart by what drivers may make of them, and a row is known by its key
// only where it is certain which argument that is.
func TestBaseCacheTellsArgumentsApart(t *testing.T) {
	db := newEnv(t, cachedBases[1]).cached(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT n FROM b WHERE id = CASE typeof(?) WHEN 'text' THEN 1 ELSE 2 END"
	for range 2 {
		if text, truth := warm(t, db, q, "true"), warm(t, db, q, true); text != 1 || truth != 2 {
			t.Errorf("a text gives %d, a bool %d", text, truth)
		}
	}
	for range 2 {
		warm(t, db, "SELECT n FROM b WHERE id = 1")
	}
	mustExec(t, db, "UPDATE b SET n = :n WHERE id = :id", sql.Named("id", 1), sql.Named("n", 70))
	if n := queryInt(t, db, "SELECT n FROM b WHERE id = 1"); n != 70 {
		t.Errorf("%d after a write with named arguments", n)
	}
}
