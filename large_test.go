package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// large is a query whose result of 12 MB exceeds what servers put into one
// response; the rows are those of big, which holds the numbers 1 to largeRows.
const (
	large     = "SELECT a, abs(b), printf('%.*c', 10000, 'x') FROM big ORDER BY a"
	largeRows = 1200
)

func makeLarge(t testing.TB, db execer) {
	t.Helper()
	mustExec(t, db, "CREATE TABLE big (a INTEGER PRIMARY KEY, b INTEGER NOT NULL DEFAULT 0)")
	mustExec(t, db, "INSERT INTO big (a) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) SELECT i FROM n")
	mustExec(t, db, "CREATE TABLE t (a)")
}

// readLarge reads rows from the from-th to the last, and closes them.
func readLarge(t testing.TB, rows *sql.Rows, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		var a, b int
		var x string
		if !rows.Next() {
			t.Fatalf("row %d: %v", i, rows.Err())
		}
		if err := rows.Scan(&a, &b, &x); err != nil || a != i || len(x) != 10000 {
			t.Fatalf("row %d: %d, %d bytes, %v", i, a, len(x), err)
		}
	}
	if to < largeRows {
		return
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("after the last row: %v", rows.Err())
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
}

func query(t testing.TB, db execer, text string, args ...any) *sql.Rows {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), text, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() }) // some tests leave them open
	return rows
}

// A large result streams, whatever it is read on. That its text has one is
// remembered: the next time costs one request.
func TestLarge(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		makeLarge(t, db)
		for i, want := range []int{2, 1, 1} {
			if got := p.costs(func() { readLarge(t, query(t, db, large), 1, largeRows) }); got != want {
				t.Errorf("time %d: %d requests", i+1, got)
			}
		}
		c := conn(t, db)
		mustExec(t, c, "SELECT 1")
		readLarge(t, query(t, c, large), 1, largeRows)
		mustExec(t, c, "PRAGMA foreign_keys = off")
		readLarge(t, query(t, c, large), 1, largeRows)
		if n := queryInt(t, c, "PRAGMA foreign_keys"); n != 0 {
			t.Error("the setting is gone")
		}
		// The first request tells that they are large, and then each is alone.
		rows := query(t, db, large+"; SELECT 7; "+large)
		readLarge(t, rows, 1, largeRows-1)
		var n int
		if !rows.NextResultSet() || !rows.Next() || rows.Scan(&n) != nil || n != 7 {
			t.Errorf("the second set: %d, %v", n, rows.Err())
		}
		if !rows.NextResultSet() {
			t.Fatal(rows.Err())
		}
		readLarge(t, rows, 1, largeRows)
	})
}

// Without a cursor a result that is too large is an error that says so.
func TestLargeWithoutCursor(t *testing.T) {
	inModes(t, modesThat(func(m mode) bool { return m.v2 }), func(t *testing.T, e *env) {
		db := e.open(t)
		makeLarge(t, db)
		for range 2 {
			_, err := db.Query(large)
			if e := asError(err); e == nil || e.ServerCode != "RESPONSE_TOO_LARGE" || tursoopt.OutcomeUnknown(err) {
				t.Errorf("%v", err)
			}
		}
		tx := begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		if _, err := tx.Query(large); err == nil {
			t.Error("no error")
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
	})
}

// In a transaction a large result shows what the transaction has done, and does
// not end it.
func TestLargeInTx(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		db := e.open(t)
		makeLarge(t, db)
		readLarge(t, query(t, db, large), 1, largeRows) // now it is known to be large
		for _, first := range []bool{true, false} {
			for _, text := range []string{large, large + " -- not known"} {
				tx := begin(t, db, tursoopt.TxOptions{})
				if !first {
					mustExec(t, tx, "INSERT INTO t VALUES (1)")
				}
				readLarge(t, query(t, tx, text), 1, largeRows)
				mustExec(t, tx, "INSERT INTO t VALUES (2)")
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
					t.Errorf("others see %d rows", n)
				}
				if err := tx.Rollback(); err != nil {
					t.Error(err)
				}
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
					t.Errorf("%d rows", n)
				}
			}
		}
	})
}

// bytesRead has a Config's connections count what the driver reads from them.
func bytesRead(cfg *tursoopt.Config) *atomic.Int64 {
	n := new(atomic.Int64)
	cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &readCounter{c, n}, nil
	}
	return n
}

type readCounter struct {
	net.Conn
	read *atomic.Int64
}

func (c *readCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// Rows that are closed early stop the transfer, and the session goes on. Until then
// the driver holds little more than the row that is read: memory does not grow with
// the result.
func TestLargeClosedEarly(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		proxy, err := netem.Start(hostOf(t, e.url), netem.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		direct := e.open(t)
		makeLarge(t, direct)
		e.url = proxy.URL()
		var read *atomic.Int64
		db := e.openConfig(t, func(cfg *tursoopt.Config) { read = bytesRead(cfg) })
		readLarge(t, query(t, db, large), 1, largeRows)
		proxy.Set(netem.Conditions{DownBytesPerSecond: 32 << 20})
		before := proxy.Counts()
		c := conn(t, db)
		mustExec(t, c, "SELECT 1")
		tx := begin(t, db, tursoopt.TxOptions{})
		for range 3 {
			for _, run := range []execer{db, c, tx} {
				ahead := read.Load()
				rows := query(t, run, large)
				readLarge(t, rows, 1, 3)
				if ahead = read.Load() - ahead; ahead > 512<<10 {
					t.Errorf("%d bytes were read for three rows of 10 KB", ahead)
				}
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
				queryInt(t, run, "SELECT 1")
			}
		}
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows", n)
		}
		if n := proxy.Counts().Sub(before).BytesDown; n > 60<<20 {
			t.Errorf("%d bytes of nine results of 12 MB", n)
		}
	})
}

// Statements may run on the session while rows are still on their way: these
// come complete all the same.
func TestLargeWithOthers(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		db := e.open(t)
		makeLarge(t, db)
		c := conn(t, db)
		mustExec(t, c, "PRAGMA foreign_keys = off")
		for _, run := range []execer{c, begin(t, db, tursoopt.TxOptions{})} {
			first := query(t, run, large)
			readLarge(t, first, 1, 2)
			queryInt(t, run, "SELECT count(*) FROM big")
			second := query(t, run, large)
			readLarge(t, second, 1, 1)
			mustExec(t, run, "UPDATE big SET b = 1 WHERE a = 1200")
			readLarge(t, first, 3, largeRows)
			readLarge(t, second, 2, largeRows)
			mustExec(t, run, "INSERT INTO t VALUES (1)")
		}
	})
}

// A statement that has to wait for such rows waits no longer than its context.
func TestLargeWithOthersOnSlowLink(t *testing.T) {
	inModes(t, cursorModes, func(t *testing.T, e *env) {
		proxy, err := netem.Start(hostOf(t, e.url), netem.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		e.url = proxy.URL()
		db := e.open(t)
		makeLarge(t, db)
		tx := begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		rows := query(t, tx, large)
		readLarge(t, rows, 1, 2)
		proxy.Set(netem.Conditions{Paused: true})
		for range 2 {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			_, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (2)")
			wantCtxError(t, "behind rows", err, context.DeadlineExceeded, false)
			cancel()
		}
		proxy.Set(netem.Conditions{})
		readLarge(t, rows, 3, largeRows)
		mustExec(t, tx, "INSERT INTO t VALUES (3)")
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		if n := queryInt(t, db, "SELECT sum(a) FROM t"); n != 4 {
			t.Errorf("the rows sum up to %d", n)
		}
	})
}

// What a failing first statement leaves of the transaction is known when it was
// sent for a cursor, too.
func TestLargeFails(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		db := e.open(t)
		makeLarge(t, db)
		readLarge(t, query(t, db, large), 1, largeRows)
		for _, c := range []struct{ breaks, mends string }{
			{"ALTER TABLE big RENAME TO small", "ALTER TABLE small RENAME TO big"},
			{"UPDATE big SET b = -9223372036854775808 WHERE a = 1", "UPDATE big SET b = 0"},
			{"UPDATE big SET b = -9223372036854775808 WHERE a = 1000", "UPDATE big SET b = 0"},
		} {
			mustExec(t, db, c.breaks)
			fails := func(run execer) {
				t.Helper()
				rows, err := run.QueryContext(context.Background(), large)
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
					_ = rows.Close()
				}
				if e := asError(err); e == nil || e.Code != 1 {
					t.Errorf("%s: %v", c.breaks, err)
				}
			}
			fails(db)
			for _, first := range []bool{true, false} {
				for _, commits := range []bool{true, false} {
					tx := begin(t, db, tursoopt.TxOptions{})
					if !first {
						mustExec(t, tx, "INSERT INTO t VALUES (1)")
					}
					fails(tx)
					mustExec(t, tx, "INSERT INTO t VALUES (2)")
					if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
						t.Errorf("%s: what follows it commits by itself", c.breaks)
					}
					if err := end(tx, commits); err != nil {
						t.Errorf("%s: the end (commit %v): %v", c.breaks, commits, err)
					}
					mustExec(t, db, "DELETE FROM t")
				}
			}
			mustExec(t, db, c.mends)
		}
	})
}

// A lost transaction is lost for large results as well.
func TestLargeInLostTx(t *testing.T) {
	for _, l := range losses {
		t.Run(l.name, func(t *testing.T) {
			inModesBeside(t, l.modes, func(t *testing.T, e *env) {
				if e.v2 {
					return
				}
				db := e.open(t)
				makeLarge(t, db)
				readLarge(t, query(t, db, large), 1, largeRows)
				tx := begin(t, db, tursoopt.TxOptions{})
				mustExec(t, tx, "INSERT INTO t VALUES (1)")
				l.happen(t, e)
				for range 2 {
					if _, err := tx.Query(large); !errors.Is(err, tursoopt.ErrTxLost) {
						t.Errorf("%v", err)
					}
				}
				if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("commit: %v", err)
				}
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
					t.Errorf("%d rows", n)
				}
			})
		})
	}
}

// When the context of a query ends while rows are on their way, they end with its
// error; the transaction does not.
func TestLargeCanceled(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		db := e.open(t)
		makeLarge(t, db)
		readLarge(t, query(t, db, large), 1, largeRows)
		tx := begin(t, db, tursoopt.TxOptions{})
		for _, run := range []execer{db, tx} {
			ctx, cancel := context.WithCancel(context.Background())
			rows, err := run.QueryContext(ctx, large)
			if err != nil {
				t.Fatal(err)
			}
			readLarge(t, rows, 1, 2)
			cancel()
			for rows.Next() {
			}
			if err := rows.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			_ = rows.Close()
			mustExec(t, run, "INSERT INTO t VALUES (1)")
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
}

// A transfer that breaks is an error, never a short result.
func TestLargeBroken(t *testing.T) {
	inModesBeside(t, cursorModes, func(t *testing.T, e *env) {
		proxy, err := netem.Start(hostOf(t, e.url), netem.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		e.url = proxy.URL()
		db := e.open(t)
		makeLarge(t, db)
		readLarge(t, query(t, db, large), 1, largeRows)
		for _, happen := range []func(){func() { proxy.Reset() }, func() { proxy.Truncate(100_000) }} {
			rows := query(t, db, large)
			readLarge(t, rows, 1, 2)
			happen()
			for rows.Next() {
			}
			if err := rows.Err(); asError(err) == nil {
				t.Errorf("%v", err)
			}
			_ = rows.Close()
		}
	})
}

// The limit for one response is the server's.
func TestLargeForSmallServer(t *testing.T) {
	server := hranatest.NewServer(t, hranatest.Options{MaxResponse: 1000})
	e := &env{mode: embeddedModes[0], embedded: server, url: server.URL()}
	db := e.open(t)
	rows := query(t, db, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n")
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != 500 {
		t.Errorf("%d rows, %v", n, err)
	}
}
