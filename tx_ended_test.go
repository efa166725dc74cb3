package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// endsOpenStream tells whether a request ends a stream that was open and does nothing
// else; on version 2, what is open on it.
func endsOpenStream(v2 bool, body []byte) bool {
	if v2 {
		return bytes.Contains(body, []byte(`"requests":[{"type":"execute","stmt":{"sql":"ROLLBACK"`))
	}
	if i := bytes.IndexByte(body, ','); bytes.HasPrefix(body, []byte(`{"baton":"`)) && i > 0 {
		return "{"+string(body[i+1:]) == connPings[0]
	}
	// In protobuf the baton is field 1, and its length is a byte.
	return len(body) > 2 && body[0] == 0x0a && len(body) > 2+int(body[1]) && string(body[2+int(body[1]):]) == connPings[1]
}

// A request of a transaction does not arrive, and its caller does not wait for it. Its
// transaction, and with it the only lock to write, would be there until sqld takes it
// away 5 s after its beginning; a writer that waits gets it when the stream has been
// ended. The request is refused if it comes after all.
func TestTransactionEndsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	const second = "INSERT INTO t VALUES (2)"
	statement := func(ctx context.Context, tx *sql.Tx) error { _, err := tx.ExecContext(ctx, second); return err }
	commit := func(_ context.Context, tx *sql.Tx) error { return tx.Commit() }
	ways := []struct {
		name, text string
		next       func(context.Context, *sql.Tx) error
		leaves     bool // the caller does, in place of the connection's end
		unknown    bool
	}{
		{"statement left", second, statement, true, false},
		{"statement cut", second, statement, false, false},
		{"commit cut", "COMMIT", commit, false, true},
	}
	atOnce(t, nativeModes, func(t *testing.T, e *env) {
		if e.nullBatons {
			t.Skip("its transactions are held otherwise")
		}
		for _, w := range ways {
			for _, cached := range []string{"0", "1MiB"} {
				e := newEnv(t, e.mode)
				beside := e.open(t)
				mustExec(t, beside, "CREATE TABLE t (a)")
				p := e.tapped(t)
				ended := func() (n int) {
					p.mu.Lock()
					defer p.mu.Unlock()
					for _, body := range p.seen {
						if endsOpenStream(e.v2, body) {
							n++
						}
					}
					return n
				}
				db := e.open(t, "cache="+cached)
				queryInt(t, db, "SELECT 1")
				awaitStats(t, db, func(tursoopt.Stats) bool { return tursoopt.Negotiated(db) })
				tx := begin(t, db, tursoopt.TxOptions{})
				mustExec(t, tx, "INSERT INTO t VALUES (1)")
				waits := make(chan error, 1)
				if e.real { // the embedded one does not queue
					go func() { _, err := beside.Exec("INSERT INTO t VALUES (3)"); waits <- err }()
				}
				held := p.before(t, w.text)
				ctx, cancel := context.WithCancel(context.Background())
				failed := make(chan error, 1)
				go func() { failed <- w.next(ctx, tx) }()
				<-held.reached
				if w.leaves {
					cancel()
				} else {
					held.cut()
				}
				if err := <-failed; err == nil || tursoopt.OutcomeUnknown(err) != (w.unknown || w.leaves) || errors.Is(err, context.Canceled) != w.leaves {
					t.Errorf("%s, cache %s: %v", w.name, cached, err)
				}
				cancel()
				want := int64(0)
				if e.real {
					if err := <-waits; err != nil {
						t.Errorf("%s, cache %s: %v", w.name, cached, err)
					}
					want = 1
				} else {
					await(t, "the stream to be ended", func() bool { return ended() > 0 })
				}
				if ended() == 0 {
					t.Errorf("%s, cache %s: the writer has waited for the server", w.name, cached)
				}
				held.release() // the request comes too late
				if w.leaves {
					<-held.over
				}
				if n := queryInt(t, beside, "SELECT count(*) FROM t"); n != want {
					t.Errorf("%s, cache %s: %d rows, want %d", w.name, cached, n, want)
				}
				_ = tx.Rollback()
				mustExec(t, db, "INSERT INTO t VALUES (4)")
				if n := queryInt(t, db, "SELECT count(*) FROM t"); n != want+1 {
					t.Errorf("%s, cache %s: %d rows", w.name, cached, n)
				}
				// Once, where the server answers in time.
				if n := ended(); n == 0 || n > 4 {
					t.Errorf("%s, cache %s: ended %d times", w.name, cached, n)
				}
			}
		}
	})
}

// The same on a network that loses all connections in silence: what ends the stream
// meets dead ones, too.
func TestTransactionEndsOnDeadPath(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nativeModes[0])
	beside := e.open(t)
	mustExec(t, beside, "CREATE TABLE t (a)")
	p := e.behind(t, netem.Conditions{})
	var ended atomic.Int32
	p.Inspect(func(_ string, body []byte) {
		if endsOpenStream(e.v2, body) {
			ended.Add(1)
		}
	})
	db := e.open(t, "keepalive=0", "stale_after=0")
	idle := conn(t, db)
	tx := begin(t, db, tursoopt.TxOptions{})
	mustExec(t, tx, "INSERT INTO t VALUES (1)")
	queryInt(t, idle, "SELECT 1") // two connections, perhaps
	waits := make(chan error, 1)
	go func() { _, err := beside.Exec("INSERT INTO t VALUES (3)"); waits <- err }()
	p.Drop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (2)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
	if ended.Load() == 0 {
		t.Error("the writer has waited for the server")
	}
	if n := queryInt(t, beside, "SELECT count(*) FROM t"); n != 1 {
		t.Errorf("%d rows", n)
	}
}
