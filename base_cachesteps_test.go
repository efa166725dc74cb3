package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	sqlite3driver "github.com/ncruces/go-sqlite3/driver"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

const sumB, sumV = "SELECT sum(n) FROM b", "SELECT sum(n) FROM v"

// follows tells whether the view v, which others than its own DDL have not changed, is
// known to be made of a table now.
func follows(t *testing.T, db *sql.DB, table string) {
	t.Helper()
	mustExec(t, db, "DELETE FROM "+table)
	const q = "SELECT count(*) FROM v"
	for range 2 {
		queryInt(t, db, q)
		tursoopt.CacheWait(db)
	}
	mustExec(t, db, "INSERT INTO "+table+" (id, n) VALUES (1, 1)")
	if n := queryInt(t, db, q); n != 1 {
		t.Errorf("the view has %d rows when %s has one", n, table)
	}
}

func remade(table string) string { return "DROP VIEW v; CREATE VIEW v AS SELECT n FROM " + table }

// A connection whose answers are its own stays so whatever runs on it since, and what it
// writes may lead anywhere.
func TestBaseCacheOddConnectionsStaySo(t *testing.T) {
	e := newEnv(t, cachedBases[1])
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	c := conn(t, db)
	mustExec(t, c, "PRAGMA case_sensitive_like = 1")
	mustExec(t, c, "UPDATE a SET n = n + 1")
	const like = "SELECT count(*) FROM b WHERE 'A' LIKE 'a'"
	if n := queryInt(t, c, like); n != 0 {
		t.Fatalf("%d: its answers are like others'", n)
	}
	tursoopt.CacheWait(db)
	if n := queryInt(t, db, like); n != 2 {
		t.Errorf("others get its answer, %d", n)
	}
	mustExec(t, c, "CREATE TEMP TRIGGER own AFTER UPDATE ON parent BEGIN UPDATE b SET n = n + 1; END")
	warm(t, db, sumB)
	mustExec(t, c, "UPDATE parent SET n = 9 WHERE id = 1")
	if n := queryInt(t, db, sumB); n != 5 {
		t.Errorf("%d after a write through a temporary trigger", n)
	}
}

// What is done by the driver's own means is seen at once, and over when the connection is
// used again, given back or lost.
func TestBaseCacheRawEnds(t *testing.T) {
	e := newEnv(t, cachedBases[1])
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	own := func(c *sql.Conn, f func(c sqlite3driver.Conn)) {
		t.Helper()
		if err := c.Raw(func(dc any) error { f(dc.(tursoopt.BaseConn).Base().(sqlite3driver.Conn)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	run := func(c sqlite3driver.Conn, query string) {
		t.Helper()
		if err := c.Raw().Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	want := int64(3)
	for name, end := range map[string]func(c *sql.Conn){
		"a text":     func(c *sql.Conn) { mustExec(t, c, "UPDATE a SET n = n") },
		"a read":     func(c *sql.Conn) { queryInt(t, c, "SELECT sum(n) FROM a") },
		"given back": func(c *sql.Conn) { _ = c.Close() },
		"lost":       func(c *sql.Conn) { _ = c.Raw(func(any) error { return driver.ErrBadConn }) },
	} {
		c := conn(t, db)
		want += 2
		own(c, func(dc sqlite3driver.Conn) {
			for range 2 {
				warm(t, db, sumB)
			}
			run(dc, "UPDATE b SET n = n + 1")
			if n := queryInt(t, db, sumB); n != want {
				t.Errorf("%s: others get %d beside, not %d", name, n, want)
			}
		})
		end(c)
		left := conn(t, db) // the one that was used so, if it was given back: it is not like others
		warm(t, db, sumB)
		if n, hit := isHit(t, db, sumB); !hit || n != want {
			t.Errorf("%s: %d, hit %v: %+v", name, n, hit, cacheStats(t, db))
		}
		for _, c := range []*sql.Conn{c, left} {
			_ = c.Raw(func(any) error { return driver.ErrBadConn })
		}
	}
	// A transaction that was begun so ends by a text.
	c := conn(t, db)
	own(c, func(dc sqlite3driver.Conn) { run(dc, "BEGIN; UPDATE b SET n = 60 WHERE id = 1") })
	mustExec(t, c, "UPDATE b SET n = 70 WHERE id = 2")
	warm(t, db, sumB)
	mustExec(t, c, "COMMIT")
	if n := queryInt(t, db, sumB); n != 130 {
		t.Errorf("%d after a transaction that was begun by the driver's own means", n)
	}
	// What it has made is there.
	own(c, func(dc sqlite3driver.Conn) { run(dc, "CREATE TEMP TABLE b (n); INSERT INTO b VALUES (1000)") })
	warm(t, db, sumB)
	if _, err := c.ExecContext(t.Context(), "ROLLBACK"); err == nil {
		t.Fatal("there is a transaction")
	}
	if n := queryInt(t, c, sumB); n != 1000 {
		t.Errorf("%d where a temporary table of its own is", n)
	}
}

// A base that runs scripts in transactions of its own.
type ownTx struct{ driver.Connector }

func (c ownTx) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &ownTxConn{&talliedConn{dc, &tallied{}}}, nil
}

type ownTxConn struct{ *talliedConn }

func (c *ownTxConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.talliedConn.ExecContext(ctx, strings.TrimPrefix(query, "BEGIN; "), args)
}

// Whether the transaction is open that a script begins and does not end depends on the
// base, and what is written then is seen in either case.
func TestBaseCacheAfterAScriptThatBegins(t *testing.T) {
	for name, base := range map[string]driver.Connector{"open": sqliteFile(t), "committed": ownTx{sqliteFile(t)}} {
		t.Run(name, func(t *testing.T) {
			db := wrapCached(t, base, nil)
			mustExec(t, db, "PRAGMA journal_mode = wal")
			mustExec(t, db, cacheSchema)
			c := conn(t, db)
			mustExec(t, c, "BEGIN; UPDATE b SET n = 50")
			for i := range int64(2) {
				warm(t, db, sumB)
				mustExec(t, c, "UPDATE b SET n = ?", 60+i)
				if n := queryInt(t, db, sumB); name == "committed" && n != 120+2*i {
					t.Errorf("%d after a write behind the script", n)
				}
			}
			warm(t, db, sumB)
			if _, err := c.ExecContext(t.Context(), "COMMIT"); (err == nil) != (name == "open") {
				t.Fatal(err)
			}
			if n := queryInt(t, db, sumB); n != 122 {
				t.Errorf("%d at the end", n)
			}
		})
	}
}

// DDL counts when it commits, whenever that is, and also where it is not certain that it
// has run.
func TestBaseCacheDDLCountsAtItsEnd(t *testing.T) {
	ctx := context.Background()
	for name, change := range map[string]func(t *testing.T, db *sql.DB){
		"a transaction that an error has made uncertain": func(t *testing.T, db *sql.DB) {
			c := conn(t, db)
			mustExec(t, c, "BEGIN")
			if _, err := c.ExecContext(ctx, "INSERT INTO b VALUES (1, 1)"); err == nil {
				t.Fatal("a row is there twice")
			}
			mustExec(t, c, remade("parent"))
			warm(t, db, sumV)
			mustExec(t, c, "COMMIT")
		},
		"beside rows that write": func(t *testing.T, db *sql.DB) {
			c := conn(t, db)
			rows, err := c.QueryContext(ctx, "UPDATE b SET n = n RETURNING id")
			if err != nil || !rows.Next() {
				t.Fatal(err)
			}
			mustExec(t, c, remade("parent"))
			warm(t, db, sumV)
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"a script that fails": func(t *testing.T, db *sql.DB) {
			if _, err := db.Exec(remade("parent") + "; INSERT INTO b VALUES (1, 1)"); err == nil {
				t.Fatal("a row is there twice")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := newEnv(t, cachedBases[1]).cached(t)
			mustExec(t, db, cacheSchema)
			warm(t, db, sumV)
			change(t, db)
			follows(t, db, "parent")
		})
	}
	t.Run("a lost answer", func(t *testing.T) {
		tursoopt.LostFor(time.Minute)
		defer tursoopt.LostFor(0)
		e := newEnv(t, mode{params: "base=libsql-client-go"})
		p := e.tapped(t)
		db, ahead := clocked(func() *sql.DB { return e.cached(t) })
		mustExec(t, db, cacheSchema)
		warm(t, db, sumB)
		h := p.after(t, "CREATE TRIGGER late")
		h.cut()
		if _, err := db.Exec("CREATE TRIGGER late AFTER UPDATE ON parent BEGIN UPDATE b SET n = n + 1; END"); err == nil {
			t.Fatal("the answer has come")
		}
		ahead.Add(int64(time.Minute))
		for range 2 {
			queryInt(t, db, sumB)
			tursoopt.CacheWait(db)
		}
		mustExec(t, db, "UPDATE parent SET n = 9 WHERE id = 1")
		if n := queryInt(t, db, sumB); n != 5 {
			t.Errorf("%d after a write through a trigger that was made by a lost request", n)
		}
	})
}

// What is known of the schema is from before it was asked for, and ends with own DDL.
func TestBaseCacheSchemaIsOfItsTime(t *testing.T) {
	e := newEnv(t, mode{params: "base=libsql-client-go"})
	other := e.open(t)
	p := e.tapped(t)
	db, ahead := clocked(func() *sql.DB { return e.open(t, "cache=1MiB", "cache_lease=10s", "cache_ttl=1h") })
	mustExec(t, db, cacheSchema)
	warm(t, db, sumV)
	// Own DDL, and no look at the schema but by the next read.
	mustExec(t, db, remade("parent"))
	mustExec(t, db, "DELETE FROM parent")
	queryInt(t, db, "SELECT count(*) FROM v")
	tursoopt.CacheWait(db)
	ahead.Add(int64(5 * time.Second))
	queryInt(t, db, "SELECT count(*) FROM a")
	mustExec(t, db, "INSERT INTO parent VALUES (1, 1)")
	if n := queryInt(t, db, "SELECT count(*) FROM v"); n != 1 {
		t.Errorf("%d after a write to what own DDL had made the view of", n)
	}
	// Others' DDL, from when it is noticed on: what was kept before is dropped.
	mustExec(t, other, remade("b"))
	ahead.Add(int64(5 * time.Second))
	queryInt(t, db, "SELECT count(*) FROM logged")
	mustExec(t, db, "INSERT INTO b VALUES (3, 3)")
	if n := queryInt(t, db, "SELECT count(*) FROM v"); n != 3 {
		t.Errorf("%d after a write to what others had made the view of", n)
	}
	// Own DDL while the schema is looked at.
	read := func(query string) chan int64 {
		told := make(chan int64, 1)
		go func() { told <- queryInt(t, db, query) }()
		return told
	}
	mustExec(t, db, remade("a"))
	h := p.after(t, "LEFT JOIN sqlite_schema")
	told := read("SELECT count(*) FROM child")
	<-h.reached
	mustExec(t, db, remade("logged"))
	h.release()
	<-told
	follows(t, db, "logged")
	// Time that passes while its version is asked for.
	warm(t, db, sumV)
	ahead.Add(int64(5 * time.Second))
	h = p.after(t, "SELECT schema_version FROM")
	told = read("SELECT count(*) FROM parent")
	<-h.reached
	ahead.Add(int64(6 * time.Second))
	h.release()
	<-told
	if !tursoopt.KnowsSchema(db) {
		t.Error("it is not known although it was asked for six seconds ago")
	}
	ahead.Add(int64(5 * time.Second))
	if tursoopt.KnowsSchema(db) {
		t.Error("it is known for longer than a lease")
	}
}

// What a file's SQLite has given up is over, and what a server has not answered is not.
func TestBaseCacheWhatIsOver(t *testing.T) {
	file := newEnv(t, cachedBases[1]).cached(t)
	mustExec(t, file, cacheSchema)
	const q = "SELECT count(*) FROM log"
	warm(t, file, q)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := file.ExecContext(ctx, "INSERT INTO log WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatal(err)
	}
	warm(t, file, q)
	if n, hit := isHit(t, file, q); n != 0 || !hit || cacheStats(t, file).Lost != 0 {
		t.Errorf("%d, hit %v: %+v", n, hit, cacheStats(t, file))
	}

	e := newEnv(t, mode{params: "base=libsql-client-go"})
	db := e.cached(t, "compress_columns=docs.body", "compress_min=0")
	db.SetMaxOpenConns(1)
	mustExec(t, db, cacheSchema+"CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT)")
	warm(t, db, sumB)
	// What was refused before it was sent says nothing of what comes after it.
	if _, err := db.Exec("UPDATE docs SET body = upper(body)"); err == nil || cacheStats(t, db).Lost != 0 {
		t.Fatalf("%v, %+v", err, cacheStats(t, db))
	}
	e.embedded.Inject(-1, hranatest.Status(http.StatusBadGateway, 0))
	if _, err := db.Exec("UPDATE b SET n = 7"); err == nil || cacheStats(t, db).Lost != 1 {
		t.Errorf("%v, %+v", err, cacheStats(t, db))
	}
}
