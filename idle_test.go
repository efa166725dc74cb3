package tursoopt_test

import (
	"context"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// Servers drop a stream after ten idle seconds. Nobody notices: where there is
// nothing to lose another stream is opened, and what a session holds is kept
// alive.
func TestIdle(t *testing.T) {
	t.Parallel()
	modes := append(append([]mode(nil), sqldModes...), embeddedModes...)
	atOnce(t, modes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
		prepared, err := db.Prepare("SELECT count(*) FROM t")
		if err != nil {
			t.Fatal(err)
		}
		defer prepared.Close()

		plain := conn(t, db)
		mustExec(t, plain, "INSERT INTO t VALUES (1)")
		queryInt(t, plain, "SELECT 1")
		set := conn(t, db)
		mustExec(t, set, "PRAGMA foreign_keys = off")
		reading := begin(t, db, tursoopt.TxOptions{ReadOnly: true})
		queryInt(t, reading, "SELECT count(*) FROM t")
		text := conn(t, db)
		mustExec(t, text, "BEGIN")
		queryInt(t, text, "SELECT count(*) FROM t")
		writing := begin(t, db, tursoopt.TxOptions{})
		mustExec(t, writing, "INSERT INTO t VALUES (2)")

		idle(t, p, 11500*time.Millisecond)

		// Nobody else has written, so the writer still has its transaction.
		mustExec(t, writing, "INSERT INTO t VALUES (3)")
		if err := writing.Commit(); err != nil {
			t.Errorf("the writing transaction: %v", err)
		}
		for name, tx := range map[string]execer{"by BeginTx": reading, "by text": text} {
			if n := queryInt(t, tx, "SELECT count(*) FROM t"); n != 1 {
				t.Errorf("the reading transaction %s sees %d rows", name, n)
			}
		}
		if err := reading.Commit(); err != nil {
			t.Errorf("the reading transaction: %v", err)
		}
		mustExec(t, text, "COMMIT")
		if n := queryInt(t, set, "PRAGMA foreign_keys"); n != 0 {
			t.Error("the setting is gone")
		}
		if n := queryInt(t, plain, "SELECT last_insert_rowid()"); n != 1 {
			t.Errorf("last_insert_rowid() = %d", n)
		}
		mustExec(t, plain, "INSERT INTO t VALUES (4)")
		mustExec(t, db, "INSERT INTO t VALUES (5)")
		var n int
		if err := prepared.QueryRow().Scan(&n); err != nil || n != 5 {
			t.Errorf("%d rows, %v", n, err)
		}
		if err := db.PingContext(context.Background()); err != nil {
			t.Error(err)
		}
		if stats, ok := tursoopt.StatsOf(db); !ok || stats.Streams.Pings == 0 || stats.Streams.Expired == 0 && !e.nullBatons {
			t.Errorf("pings and expired streams are not counted: %+v", stats.Streams)
		}
	})
}

// idle lets time pass in which the program does nothing. Only pings are sent:
// one or two for each held stream.
func idle(t testing.TB, p *tap, d time.Duration) {
	t.Helper()
	before := p.posts()
	time.Sleep(d) // it is the server's clock that has to go on
	if n := p.posts() - before; n < 4 || n > 8 {
		t.Errorf("%d requests while four streams were held", n)
	}
}
